"""What switching a unit off was measured to cost, from the variants that a session has evaluated.

A measurement is a variant that differs from its parent by exactly one unit that is off, where both
were evaluated on the same split.
"""

import msgspec

from sessions import history
from sessions.edits import UnitOff
from sessions.state import SessionState, Variant


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The change of F1 with one unit off."""

    raw: float
    """Without any recovery; negative where F1 fell."""
    recovered: float | None
    """With what a second brings back, no weight trained; None where that was not measured."""
    recovered_by: str = ""
    measured_from: int
    """The variant that the unit was switched off in."""
    measured_by: int
    """The variant that is the same but for this unit."""

    @property
    def best(self) -> float:
        """The change that counts for a decision: what is not lost for good is left out."""
        return self.raw if self.recovered is None else max(self.raw, self.recovered)


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
    return found


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
