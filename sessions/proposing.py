"""The edits that a search tries, and in which order, from the structure and weight std alone.

Pure, and nothing here knows a family: what is legal on a network says sessions/reshaping.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from sessions import edits, macs, reshaping, targets
from sessions.edits import CRITERIA, DATA_CRITERIA, Edit, EditError, Groups, Mid, UnitOff, Width
from sessions.evaluation import LayerStats
from sessions.network import WEIGHTED, Network

SHARES = (0.75, 0.5)
"""Of its present width, to which an axis is cut."""
TINY = 1e-12

Edits = tuple[Edit, ...]


def candidates(
    network: Network,
    *,
    units: bool = True,
    widths: Sequence[float] = SHARES,
    bottlenecks: bool = True,
    groups: bool = True,
    criterion: str = CRITERIA[0],
    scores: str = "",
) -> tuple[Edits, ...]:
    """The single edits to try on a network: legal ones, each of which lowers its contest MACs.

    Args:
        units: every removable unit that is on.
        widths: shares of the present width to which every stage, and every stage's bottlenecks,
            are cut; the nearest legal widths below the present one are taken.
        bottlenecks: whether the widths are for bottlenecks too.
        groups: every other group count of every stage.
        criterion: by which cuts choose what stays.
        scores: sha256 name of the stored channel scores, for criteria that need images.
    """
    found: list[Edit] = []
    if units:
        found += [UnitOff(unit.path) for unit in network.units.values() if unit.is_removable]
    by = scores if criterion in DATA_CRITERIA else ""
    for stage in (stage.path for stage in network.stages):
        for value in _shares(network, "width", stage, widths):
            found.append(Width(target=stage, value=value, criterion=criterion, scores=by))
        for value in _shares(network, "mid", stage, widths if bottlenecks else ()):
            found.append(Mid(target=stage, value=value, criterion=criterion, scores=by))
        for value in _options(network, "groups", stage) if groups else ():
            found.append(Groups(target=stage, value=value, criterion=criterion, scores=by))
    before = macs.count(network)
    return tuple((edit,) for edit in found if count_after(network, edit) < before)


def edited(network: Network, changes: Edits) -> Network:
    """The network after several edits.

    Raises:
        EditError: one is not legal.
    """
    for edit in changes:
        network = edits.apply(network, edit)
    return network


def promising(
    network: Network, stats: Mapping[str, LayerStats], found: Iterable[Edits]
) -> tuple[Edits, ...]:
    """The same candidates, those that save most MACs for the weight std that goes first.

    A guess that costs nothing, so that good finds come early: see `_guessed_cost`.
    """
    before = macs.count(network)

    def gain(changes: Edits) -> float:
        after = edited(network, changes)
        return (before - macs.count(after)) / max(_guessed_cost(network, after, stats), TINY)

    return tuple(sorted(found, key=gain, reverse=True))


def count_after(network: Network, edit: Edit) -> float:
    """MACs after an edit; infinite where it is not legal."""
    try:
        return macs.count(edits.apply(network, edit))
    except EditError:
        return math.inf


def _shares(network: Network, name: str, stage: str, shares: Sequence[float]) -> list[int]:
    """The legal values below the present one that are nearest to these shares of it, descending."""
    legal = _options(network, name, stage) if shares else ()
    if not legal:
        return []
    now = legal[-1]
    if name == "mid":  # units may differ, and the widest is cut
        now = max(network.width(axis) for axis in targets.mid_axes(network, stage))
    below = [value for value in legal if value < now]
    nearest = {min(below, key=lambda v: (abs(v - share * now), -v)) for share in shares if below}
    return sorted(nearest, reverse=True)


def _options(network: Network, name: str, stage: str) -> tuple[int, ...]:
    """The legal values of an edit of a stage; none where it has no such value."""
    try:
        return reshaping.options(network, name, stage)
    except EditError:
        return ()


def _guessed_cost(before: Network, after: Network, stats: Mapping[str, LayerStats]) -> float:
    """The squared shares of weight std that each stage loses, summed; a layer loses its weights'.

    Squared, since what a stage loses at once costs more than the same bit by bit.
    """
    sizes = {layer.path: math.prod(after.weight_shape(layer)) for _, layer in after.layers()}
    cost = 0.0
    for stage in before.stages:
        lost = total = 0.0
        for layer in (layer for unit in stage.units if unit.is_on for layer in unit.layers()):
            if layer.kind in WEIGHTED and layer.path in stats:
                share = sizes.get(layer.path, 0) / math.prod(before.weight_shape(layer))
                lost += max(1 - share, 0.0) * stats[layer.path].std
                total += stats[layer.path].std
        cost += (lost / total) ** 2 if total > 0 else 0.0
    return cost
