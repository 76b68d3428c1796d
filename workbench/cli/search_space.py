"""What a study varies, as people say it: a list of words, or a TOML file of a `Space`."""

import tomllib
from pathlib import Path

import msgspec

from sessions.recipe import Recipe
from sessions.searching import Space
from workbench.errors import UserError

PARTS = ("units", "widths", "bottlenecks", "groups")
VARIED = ", ".join((*PARTS, "input", "recipe", "or fields of the recipe"))
SIZES = (48, 56, 64, 72, 80, 96)
"""Input edges in pixels that `input` tries."""


def chosen_space(file: Path | None, vary: str | None, recipe: Recipe) -> Space:
    """The space of a file, of a list of words, or the usual one.

    Raises:
        UserError: both are given, the file is not a space, or a word is none that can be varied.
    """
    if file is not None:
        if vary is not None:
            raise UserError("--space says what to vary already: leave --vary out")
        return _load(file)
    from workbench.search import ranges  # brings Optuna

    usual = ranges.TAUGHT if recipe.teachers else ranges.USUAL
    if vary is None:
        return Space(recipe=usual)
    fields: list[str] = []
    words = [word.strip() for word in vary.split(",") if word.strip()]
    for word in words:
        if word == "recipe":
            fields += usual
        elif word in ranges.FIELDS:
            fields.append(word)
        elif word not in (*PARTS, "input"):
            raise UserError(
                f"cannot vary {word!r}: use {', '.join((*PARTS, 'input', 'recipe'))}, or fields "
                f"of the recipe: {', '.join(ranges.FIELDS)}"
            )
    return Space(
        units="units" in words,
        widths="widths" in words,
        bottlenecks="bottlenecks" in words,
        groups="groups" in words,
        input_sizes=SIZES if "input" in words else (),
        recipe=tuple(dict.fromkeys(fields)),
    )


def _load(path: Path) -> Space:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Space)
    except OSError as error:
        raise UserError(f"cannot read space {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        fields = ", ".join(Space.__struct_fields__)
        raise UserError(f"space {path}: {error}; fields are {fields}") from error
