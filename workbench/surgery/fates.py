"""What becomes of the channels of an axis when a network is reshaped: kept, moved or cut.

A channel has moved where a grouped conv sees it in another group than before; where the number of
groups changes, than in its old place. Connections across groups are what is lost of kept channels.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sessions.events import CUT, KEPT, MOVED, ChannelFates
from sessions.network import Layer, Network
from workbench.surgery.wiring import LINKING, NEW, Index, in_channels


def channel_fates(
    old: Network, new: Network, orders: Mapping[str, Sequence[int]]
) -> tuple[ChannelFates, ...]:
    """The fates of the channels of every axis of which some go or move, resized axes first.

    Channels that keep their order move, too: those behind others in a concatenation that go.

    Args:
        old: the network before the edit.
        new: the one after it, of the same layers.
        orders: the old channel at each new place, by axis that has another order; -1 for a new one.
    """
    basic = [name for name, axis in old.axes.items() if not axis.parts]
    kept = {name: np.asarray(orders.get(name, range(old.width(name)))) for name in basic}
    fates = {name: np.full(old.width(name), CUT) for name in basic}
    for name, order in kept.items():
        fates[name][order[order != NEW]] = KEPT
    for side, before, after in _grouped(old, new):
        parts = zip(_parts(old, side), _parts(new, side), strict=True)
        for (name, start_old), (_, start_new) in parts:
            at = np.flatnonzero(kept[name] != NEW)
            was = kept[name][at]
            fates[name][was[before[start_old + was] != after[start_new + at]]] = MOVED
    return tuple(
        ChannelFates(name, "".join(fates[name]), _producer_groups(old, name))
        for name in sorted(basic, key=lambda name: old.width(name) == new.width(name))
        if (fates[name] != KEPT).any()
    )


def _parts(network: Network, axis: str, start: int = 0) -> list[tuple[str, int]]:
    """The basic axes that an axis is made of, and where each begins in it."""
    if not network.axes[axis].parts:
        return [(axis, start)]
    found = []
    for part in network.axes[axis].parts:
        found += _parts(network, part, start)
        start += network.width(part)
    return found


def _grouped(old: Network, new: Network) -> Iterator[tuple[str, Index, Index]]:
    """The sides of grouped convs: the axis, and the group of each channel, before and after.

    Before by old place; where the number of groups changes, as the old order would have it after.
    """
    places_old, places_new = in_channels(old), in_channels(new)
    reshaped = {layer.path: layer for _, layer in new.layers(include_off=True)}
    for _, layer in old.layers(include_off=True):
        after = reshaped.get(layer.path)
        if layer.kind not in LINKING or after is None or max(layer.groups, after.groups) == 1:
            continue
        is_regrouped = layer.groups != after.groups
        for is_out in (False, True):
            blocks = _blocks(new, after, None if is_out else places_new[layer.path])
            home = blocks
            if not is_regrouped:
                home = _blocks(old, layer, None if is_out else places_old[layer.path])
            yield layer.out_axis if is_out else layer.in_axis, home, blocks


def _blocks(network: Network, layer: Layer, places: Index | None) -> Index:
    """The group of each channel of one side of a layer; of its output where no places are given."""
    width = network.width(layer.out_axis if places is None else layer.in_axis)
    at = np.arange(width) if places is None else np.argsort(places)
    return at // (width // network.groups(layer))


def _producer_groups(network: Network, axis: str) -> int:
    """The groups of the conv that puts an axis out, where one alone does."""
    found = {
        layer.groups
        for _, layer in network.layers(include_off=True)
        if layer.kind in LINKING and layer.out_axis == axis
    }
    return found.pop() if len(found) == 1 else 1
