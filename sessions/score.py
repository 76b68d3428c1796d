"""Score rules: macs / base_macs + t, where t falls with F1. Lower is better.

Source: the recyclables contest's published rule and two published variants of it.
"""

import tomllib
from pathlib import Path

import msgspec

NEVER = 2.0
"""An F1 that no network reaches."""


class ScoreError(ValueError):
    """A rule or a value that gives no score."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """t = 1 - f1 / base_f1, halved from `halved_from` on, and 1 below `cliff`."""

    name: str
    base_macs: int
    base_f1: float
    cliff: float = 0.0
    """F1 below which t is 1."""
    halved_from: float = NEVER
    """F1 from which t is halved; above 1 it never is."""

    def __post_init__(self) -> None:
        if self.base_macs <= 0 or not 0 < self.base_f1 <= 1:
            raise ScoreError("base_macs must be above 0 and base_f1 in 0..1")
        for name in ("cliff", "halved_from"):
            if not 0 <= getattr(self, name) <= NEVER:
                raise ScoreError(f"{name} must be in 0..{NEVER:g}")

    def f1_term(self, f1: float) -> float:
        """The part of the score that F1 decides.

        Raises:
            ScoreError: F1 is not in 0..1.
        """
        if not 0 <= f1 <= 1:
            raise ScoreError(f"F1 must be in 0..1, not {f1:g}")
        if f1 < self.cliff:
            return 1.0
        term = 1 - f1 / self.base_f1
        return term / 2 if f1 >= self.halved_from else term

    def score(self, macs: int, f1: float) -> float:
        """The score of a network, lower is better.

        Raises:
            ScoreError: negative MACs, or F1 not in 0..1.
        """
        if macs < 0:
            raise ScoreError(f"MACs must not be negative: {macs}")
        return macs / self.base_macs + self.f1_term(f1)

    def break_even(self, macs_saved: int) -> float:
        """The F1 loss that cancels this saving while F1 is between the cliff and the halving."""
        return macs_saved / self.base_macs * self.base_f1


CONTEST = Rule(name="contest", base_macs=13_878_369, base_f1=0.8367, cliff=0.5, halved_from=0.8367)
PRESETS: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        CONTEST,
        Rule(name="readme", base_macs=13_878_369, base_f1=0.8367, cliff=0.5, halved_from=0.5),
        Rule(name="smooth", base_macs=13_863_553, base_f1=0.8342, halved_from=0.8342),
    )
}


def load_rule(name_or_file: str) -> Rule:
    """A preset by name, or a rule from a TOML file with the fields of `Rule`.

    Raises:
        ScoreError: no such preset or file, or the file is not a rule.
    """
    if name_or_file in PRESETS:
        return PRESETS[name_or_file]
    path = Path(name_or_file)
    if not path.is_file():
        known = ", ".join(PRESETS)
        raise ScoreError(f"no score rule {name_or_file!r}: use {known}, or a TOML file")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert({"name": path.stem, **values}, Rule)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ScoreError(f"{path} is not a score rule: {error}") from error
