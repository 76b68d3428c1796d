"""What edits were measured to cost, from the variants that a session has evaluated and from scans.

A measurement is a variant that differs from its parent by exactly one unit that is off, where both
were evaluated on the same split; or a single edit that a scan tried on a variant.
"""

import msgspec

from sessions import choosing, history
from sessions.choosing import Ranked
from sessions.edits import Groups, Mid, UnitOff, Width
from sessions.searching import Measured
from sessions.state import SessionState, Variant

SCANNED = "batch norm"
"""What a scan measures anew after each edit."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The change of F1 with one unit off."""

    raw: float | None
    """Without any recovery; negative where F1 fell. None where a scan measured it."""
    recovered: float | None
    """With what a second brings back, no weight trained; None where that was not measured."""
    recovered_by: str = ""
    measured_from: int
    """The variant that the unit was switched off in."""
    measured_by: int | None
    """The variant that is the same but for this unit; None where a scan measured it."""
    search: int | None = None
    """The scan."""
    images: int = 0
    """Validation images that a scan measured on."""

    @property
    def best(self) -> float:
        """The change that counts for a decision: what is not lost for good is left out."""
        return max(change for change in (self.raw, self.recovered) if change is not None)


def costs(state: SessionState, number: int) -> dict[str, Cost]:
    """What is known of each unit, measured from this variant or from the nearest one before it.

    Raises:
        KeyError: no such variant.
    """
    children: dict[int, list[tuple[str, Variant]]] = {}
    for variant in state.variants.values():
        if variant.parent is not None and isinstance(variant.edit, UnitOff):
            children.setdefault(variant.parent, []).append((variant.edit.unit, variant))
    found: dict[str, Cost] = {}
    for base in reversed(history.path(state, number)):
        for unit, variant in children.get(base.number, ()):
            cost = _cost(base, variant)
            if cost is not None:
                found.setdefault(unit, cost)
        for unit, cost in _scanned(state, base.number).items():
            found.setdefault(unit, cost)
    return found


def scans(state: SessionState) -> tuple[tuple[Measured, ...], ...]:
    """All that scans have measured: equal as long as they have found nothing new."""
    return tuple(search.measured for search in state.searches.values())


def finds(state: SessionState, number: int, stage: str) -> tuple[tuple[int, Ranked], ...]:
    """What scans found of widths, bottlenecks and groups of a stage, the best exchange rate first.

    Of the nearest variant that was scanned, each with the number of its scan.

    Raises:
        KeyError: no such variant.
    """
    for base in reversed(history.path(state, number)):
        for search in reversed(state.searches.values()):
            if search.variant != base.number:
                continue
            found = tuple(
                (search.number, ranked)
                for ranked in choosing.ranked(search.measured, state.rule)
                if _is_of(ranked.measured, stage)
            )
            if found:
                return found
    return ()


def _is_of(found: Measured, stage: str) -> bool:
    """Whether it is one cut of a stage, or of one of its units."""
    if len(found.edits) != 1 or not isinstance(found.edits[0], Width | Mid | Groups):
        return False
    return f"{found.edits[0].target}.".startswith(f"{stage}.")


def _scanned(state: SessionState, number: int) -> dict[str, Cost]:
    """What scans of a variant found of single units, the latest scan's word."""
    costs: dict[str, Cost] = {}
    for search in state.searches.values():
        base = choosing.baseline_of(search.measured) if search.variant == number else None
        if base is None:
            continue
        for found in search.measured:
            if len(found.edits) == 1 and isinstance(found.edits[0], UnitOff):
                costs[found.edits[0].unit] = Cost(
                    raw=None,
                    recovered=found.f1 - base.f1,
                    recovered_by=SCANNED,
                    measured_from=number,
                    measured_by=None,
                    search=search.number,
                    images=found.images,
                )
    return costs


def _cost(base: Variant, variant: Variant) -> Cost | None:
    before, after = base.evaluation, variant.evaluation
    if before is None or after is None or before.split != after.split:
        return None
    rung = variant.recoverable
    is_known = rung is not None and rung.evaluation.split == before.split
    return Cost(
        raw=after.f1 - before.f1,
        recovered=rung.evaluation.f1 - before.f1 if rung is not None and is_known else None,
        recovered_by=rung.name if rung is not None and is_known else "",
        measured_from=base.number,
        measured_by=variant.number,
    )
