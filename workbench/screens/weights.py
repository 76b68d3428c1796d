"""What the layer panel draws over the weights of a layer: the same layer before."""

from typing import TypedDict

from sessions import history
from sessions.events import LayerStats
from sessions.state import SessionState


class Before(TypedDict):
    """The fields of a `LayerView` that this module fills."""

    before: LayerStats | None
    before_name: str


def before(state: SessionState, path: str) -> Before:
    """The layer's statistics in the opened model; where it was not in that, in the step before."""
    variant, opened = state.variant, history.baseline(state)
    now = None if variant is None else variant.stats.get(path)
    if variant is None or opened is None or now is None or variant is opened:
        return Before(before=None, before_name="")
    parent = None if variant.parent is None else state.variants[variant.parent]
    known = [(opened, "opened")]
    if parent is not None and parent is not opened:
        known.append((parent, f"v{parent.number}, the step before"))
    for other, name in known:
        then = other.stats.get(path)
        if then is not None:
            is_same = then == now
            return Before(
                before=None if is_same else then,
                before_name=f"as {name}" if is_same else name,
            )
    return Before(before=None, before_name="new")
