"""What a criterion makes of the channels of an axis, and which of them a cut would take.

What is taken is read off the cut itself, carried out and thrown away: groups have a say in it too.
"""

import msgspec

from sessions.edits import Edit
from sessions.network import Network
from workbench.surgery.build import State
from workbench.surgery.carry import Scores, carry
from workbench.surgery.criteria import axis_scores
from workbench.surgery.wiring import Source


class Described(msgspec.Struct, frozen=True):
    """The channels of an axis."""

    importance: tuple[float, ...]
    """1 is the mean of the axis."""
    taken: tuple[int, ...]


def describe(
    network: Network,
    state: State,
    axis: str,
    criterion: str,
    edit: Edit | None,
    measured: Scores | None = None,
) -> Described:
    """The channels of a basic axis.

    Raises:
        EditError: the cut is not legal.
    """
    weights = {name: value.numpy() for name, value in state.items() if value.is_floating_point()}
    shares = axis_scores(Source(network, weights), axis, criterion, measured=measured)
    taken: tuple[int, ...] = ()
    if edit is not None:
        order = carry(network, state, edit, measured).orders.get(axis, range(len(shares)))
        taken = tuple(sorted(set(range(len(shares))) - set(order)))
    return Described(tuple((shares * len(shares)).tolist()), taken)
