"""Which keys of the footer would do nothing now; pressed, they still say why."""

from sessions import history, offers
from sessions.state import SessionState
from widgets.rows import Row

MODEL = frozenset(
    {"toggle_unit", "reshape", "recover", "fine_tune", "evaluate", "undo", "save"}
)  # fmt: skip
"""Actions that need a model."""
DATA = frozenset({"recover", "fine_tune", "evaluate"})
"""Those that need data too."""


def idle(state: SessionState, row: Row | None, *, is_marked: bool) -> frozenset[str]:
    """Actions that neither the state nor the selected row has a use for.

    `is_marked`: whether units are marked, which any row can switch.
    """
    variant = state.variant
    if variant is None:
        return MODEL
    found: set[str] = set()
    if state.data is None:  # where it could not be opened, one key tries again
        found |= DATA - ({"evaluate"} if state.data_error else set())
    if history.undo_target(state) is None:
        found.add("undo")
    if row is not None:
        units = variant.network.units
        unit = units.get(row.path) or units.get(row.parent)
        if not offers.are_there(variant.network, row.path):
            found.add("reshape")
        if not is_marked and (unit is None or not unit.is_removable):
            found.add("toggle_unit")
    return frozenset(found)
