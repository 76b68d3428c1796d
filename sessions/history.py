"""The tree of variants: where undo and redo lead, and where a variant's weights come from."""

from sessions.commands import Lineage
from sessions.state import SessionState, Variant


def undo_target(state: SessionState) -> int | None:
    """The variant before the current one; preparation on opening is not undone."""
    variant = state.variant
    if variant is None or variant.is_preparation:
        return None
    return variant.parent


def redo_target(state: SessionState) -> int | None:
    """The variant that undo came from, or that was made last from the current one."""
    if state.current is None:
        return None
    child = state.redo.get(state.current)
    return child if child in state.variants else None


def lineage(state: SessionState, number: int) -> Lineage:
    """The stored checkpoint that a variant's weights follow from, and the edits since.

    Raises:
        KeyError: no such variant.
    """
    steps = []
    variant = state.variants[number]
    while variant.checkpoint is None:
        assert variant.edit is not None
        assert variant.parent is not None
        steps.append(variant.edit)
        variant = state.variants[variant.parent]
    return Lineage(variant.checkpoint, tuple(reversed(steps)))


def baseline(state: SessionState) -> Variant | None:
    """The opened model, after what was done on opening to fit it to the data."""
    prepared = [v for v in state.variants.values() if v.is_preparation]
    return prepared[-1] if prepared else None


def previous(state: SessionState) -> Variant | None:
    """The variant one step before the current one, where there is such a step."""
    target = undo_target(state)
    return None if target is None else state.variants[target]


def path(state: SessionState, number: int) -> tuple[Variant, ...]:
    """The variants from the opened one to this, in order."""
    steps = []
    at: int | None = number
    while at is not None:
        steps.append(state.variants[at])
        at = steps[-1].parent
    return tuple(reversed(steps))
