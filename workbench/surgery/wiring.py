"""Which channels and connections of a network a reshaped one keeps, and in which order.

A grouped conv is a dense matrix that is zero off its blocks. A reshaped network keeps of it what
lies in an old block and in a new one. Which channels share a block is free as long as every layer
on an axis agrees, so each axis gets one order, through shuffles and concatenations, and the orders
are chosen so that the importance of what is kept is highest.

The importance of a connection is the share it has of its channel (squared weights, with the batch
norm behind them folded in) times the importance of that channel by the criterion; the importances
of a layer sum to one. The channel is the conv's output, or its input where that axis is being cut.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sessions.network import Layer, Network, Unit
from sessions.targets import FIXED

Weights = Mapping[str, NDArray[np.float32]]
Index = NDArray[np.intp]
Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
NEW = -1
"""In an order: a channel that was not there before."""
SWEEPS = 8
"""Rounds over all axes at most; it ends earlier where nothing improves."""
LEAST_GAIN = 1e-9
TINY = 1e-300
LINKING = frozenset({"conv", "linear"})
"""Layers that lead from channels to channels; all others treat them one by one."""


class Orders(msgspec.Struct, frozen=True):
    """For every basic axis the old channel at each new place."""

    basic: dict[str, Index]

    def of(self, network: Network, axis: str) -> Index:
        """The order of any axis of the old network, those with parts included."""
        parts = network.axes[axis].parts
        if not parts:
            return self.basic[axis]
        found, start = [], 0
        for part in parts:
            order = self.of(network, part)
            found.append(np.where(order == NEW, NEW, order + start))
            start += network.width(part)
        return np.concatenate(found)


def in_channels(network: Network) -> dict[str, Index]:
    """For every layer the channel of its in axis at each place of its input, after shuffles.

    Raises:
        ValueError: a shuffle reaches beyond its unit, which no order of an axis can express.
    """
    found: dict[str, Index] = {}
    for unit in network.units.values():
        for part in (unit.branch, unit.shortcut, unit.tail):
            channels: Index | None = None
            for layer in part:
                plain = np.arange(network.width(layer.in_axis))
                found[layer.path] = plain if channels is None else channels
                if layer.kind == "shuffle":
                    channels = found[layer.path].reshape(layer.groups, -1).T.ravel()
                elif layer.kind in ("conv", "linear"):
                    channels = None
            if channels is not None and (np.diff(channels) != 1).any():
                raise ValueError(f"{unit.path}: a shuffle at the end of a unit cannot be reshaped")
    return found


class Source:
    """A network and its weights before an edit, seen by channels; what is asked for is kept."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self.network, self.weights = network, weights
        self.places = in_channels(network)
        self.scores: dict[tuple[str, str, str], Vector | None] = {}
        """By layer, side and criterion; filled by the criteria."""
        self._matrices: dict[str, Matrix] = {}
        self._starts: dict[tuple[str, str], list[int]] = {}

    def matrix(self, layer: Layer) -> Matrix:
        """A conv's or linear layer's weight as (out, in, k * k) over the channels of its axes."""
        if layer.path not in self._matrices:
            weight = self.weights[f"{layer.key}.weight"].astype(np.float64)
            out_width, per_group = weight.shape[:2]
            groups = self.network.groups(layer)
            matrix = np.zeros((out_width, per_group * groups, max(layer.kernel**2, 1)))
            rows = np.arange(out_width)[:, None]
            places = rows // (out_width // groups) * per_group + np.arange(per_group)
            channels = self.places[layer.path][places]
            matrix[rows, channels] = weight.reshape(out_width, per_group, -1)
            self._matrices[layer.path] = matrix
        return self._matrices[layer.path]

    def starts(self, axis: str, part: str) -> list[int]:
        """Where a basic axis begins in an axis; empty where it is no part of it."""
        if (axis, part) not in self._starts:
            self._starts[axis, part] = axis_starts(self.network, axis, part)
        return self._starts[axis, part]


class Link(msgspec.Struct, frozen=True):
    """A conv between two axes, as the search sees it."""

    layer: Layer
    importance: Matrix
    """(old out channels, old in channels), sum 1."""
    out_block: Index
    """The block of each new out channel."""
    in_block: Index
    """The block of each new in channel."""
    is_on: bool
    """Whether its unit is; one that is off has no say where others have."""

    def kept(self, out_order: Index, in_order: Index) -> float:
        """The importance that these orders keep, 0..1."""
        rows, columns = self.importance.shape
        by_block = _members(self.out_block, out_order, rows) @ self.importance
        return float((by_block * _members(self.in_block, in_order, columns)).sum())


class Wiring:
    """The search for the orders of one edit."""

    def __init__(self, source: Source, new: Network, scores: Callable[[str], Vector]) -> None:
        """
        Args:
            source: the network before the edit.
            new: the one after it.
            scores: the channel importances of a basic axis.
        """
        self.source, self.old, self.new, self.scores = source, source.network, new, scores
        self.reached = reached(self.old, new)
        basic = [name for name, axis in new.axes.items() if not axis.parts and name not in FIXED]
        resized = [n for n in basic if self.old.axes[n].width != new.axes[n].width]
        self.cut = [n for n in resized if self.old.axes[n].width > new.axes[n].width]
        users: dict[str, list[Layer]] = {name: [] for name in basic}
        for _, layer in self.old.layers(include_off=True):
            if layer.kind in LINKING and f"{layer.key}.weight" in source.weights:
                parts = _basic(self.old, layer.in_axis) | _basic(self.old, layer.out_axis)
                for name in parts - FIXED:
                    users[name].append(layer)
        # An axis whose layers mostly stay as they are keeps its order: another one would cost them.
        # Resized axes come first: where places for all their channels exist, nothing else moves.
        self.free = [
            name for name in sorted(basic, key=lambda name: name not in resized)
            if name in resized
            or 2 * sum(x.path in self.reached for x in users[name]) >= len(users[name]) > 0
        ]  # fmt: skip
        used = {x.path for name in self.free for x in users[name]} | self.reached
        self.links = self._links(used)

    def plain(self) -> Orders:
        """The channels of highest score in their old order; new ones behind them."""
        orders = {}
        for name, axis in self.new.axes.items():
            if axis.parts:
                continue
            width = self.old.axes[name].width
            if axis.width == width:
                orders[name] = np.arange(width)
                continue
            best = np.argsort(-self.scores(name), kind="stable")[: axis.width]
            added = np.full(max(axis.width - width, 0), NEW)
            orders[name] = np.concatenate((np.sort(best), added))
        return Orders(orders)

    def best(self) -> Orders:
        """Orders that keep at least as much as the plain ones: each axis in turn, by assignment."""
        orders = self.plain()
        kept = self.kept(orders)
        for _ in range(SWEEPS):
            has_gained = False
            for axis in self.free:
                touched = [link for link in self.links if self._sides(link, axis)]
                links = [link for link in touched if link.is_on] or touched
                before = [
                    kept[link.layer.path] if link.is_on else self._kept(link, orders)
                    for link in links
                ]
                if all(value > 1 - LEAST_GAIN for value in before):
                    continue
                tried = Orders(orders.basic | {axis: self._assigned(axis, links, orders)})
                after = [self._kept(link, tried) for link in links]
                if sum(after) > sum(before) + LEAST_GAIN:
                    orders, has_gained = tried, True
                    kept |= zip((link.layer.path for link in links), after, strict=True)
            if not has_gained:
                break
        return orders

    def kept(self, orders: Orders) -> dict[str, float]:
        """Importance that each conv keeps, 0..1, by the path of its layer."""
        return {link.layer.path: self._kept(link, orders) for link in self.links}

    def _kept(self, link: Link, orders: Orders) -> float:
        layer = link.layer
        return link.kept(orders.of(self.old, layer.out_axis), orders.of(self.old, layer.in_axis))

    def _assigned(self, axis: str, links: Sequence[Link], orders: Orders) -> Index:
        """The best order of one axis while all others stay: channels to places."""
        width, places = self.old.axes[axis].width, self.new.axes[axis].width
        value = np.zeros((width, places))
        for link in links:
            for side, start_old, start_new in self._sides(link, axis):
                gain = _gain(link, side, self.old, orders)
                value += gain[start_old : start_old + width, start_new : start_new + places]
        # A channel goes where it keeps most; of equals, to where it was.
        value[np.arange(min(width, places)), np.arange(min(width, places))] += LEAST_GAIN / places
        channels, at = linear_sum_assignment(value, maximize=True)
        order = np.full(places, NEW)
        order[at] = channels
        return order

    def _sides(self, link: Link, axis: str) -> list[tuple[str, int, int]]:
        """The sides of a link on which an axis lies, and where it begins, before and after."""
        found: list[tuple[str, int, int]] = []
        for side, name in (("in", link.layer.in_axis), ("out", link.layer.out_axis)):
            before = self.source.starts(name, axis)
            if before:
                found += zip(repeat(side), before, axis_starts(self.new, name, axis))
        return found

    def _links(self, paths: set[str]) -> list[Link]:
        places = in_channels(self.new)
        after = {layer.path: layer for _, layer in self.new.layers(include_off=True)}
        links = []
        for unit, layer in self.old.layers(include_off=True):
            is_here = f"{layer.key}.weight" in self.source.weights
            if layer.kind not in LINKING or layer.path not in paths or not is_here:
                continue
            groups = self.new.groups(after[layer.path])
            out_width, in_width = self.new.width(layer.out_axis), self.new.width(layer.in_axis)
            links.append(
                Link(
                    layer,
                    self._importance(unit, layer),
                    np.arange(out_width) // (out_width // groups),
                    np.argsort(places[layer.path]) // (in_width // groups),
                    unit.is_on,
                )
            )
        return links

    def _importance(self, unit: Unit, layer: Layer) -> Matrix:
        """Of every connection of a conv, (old out channels, old in channels), sum 1."""
        energy = np.square(self.source.matrix(layer)).sum(axis=2)
        energy *= np.square(_norm_scale(unit, layer, self.source.weights))[:, None]
        is_cut = {
            side: any(self.source.starts(side, axis) for axis in self.cut)
            for side in (layer.in_axis, layer.out_axis)
        }
        side = 0 if is_cut[layer.in_axis] and not is_cut[layer.out_axis] else 1
        by = self._channel_scores(layer.in_axis if side == 0 else layer.out_axis)
        importance = energy / np.maximum(energy.sum(axis=side, keepdims=True), TINY)
        importance *= by[None, :] if side == 0 else by[:, None]
        share: Matrix = importance / max(importance.sum(), TINY)
        return share

    def _channel_scores(self, axis: str) -> Vector:
        """Channel importances of any axis; each channel against the mean of its own part."""
        parts = self.old.axes[axis].parts
        if not parts:
            return self.scores(axis) * self.old.axes[axis].width
        return np.concatenate([self._channel_scores(part) for part in parts])


def reached(old: Network, new: Network) -> set[str]:
    """Paths of the convs whose shape or groups differ."""
    after = {layer.path: layer for _, layer in new.layers(include_off=True)}
    return {
        layer.path
        for _, layer in old.layers(include_off=True)
        if (old.weight_shape(layer), old.groups(layer))
        != (new.weight_shape(after[layer.path]), new.groups(after[layer.path]))
        and layer.kind in LINKING
    }


def _basic(network: Network, axis: str) -> set[str]:
    """The axes without parts that an axis is made of."""
    parts = network.axes[axis].parts
    return set().union(*(_basic(network, part) for part in parts)) if parts else {axis}


def axis_starts(network: Network, axis: str, part: str, start: int = 0) -> list[int]:
    """Where a basic axis begins in an axis; empty where it is no part of it."""
    if axis == part:
        return [start]
    found = []
    for inner in network.axes[axis].parts:
        found += axis_starts(network, inner, part, start)
        start += network.width(inner)
    return found


def _gain(link: Link, side: str, old: Network, orders: Orders) -> Matrix:
    """What each old channel of a side keeps at each new place, (old channels, new places)."""
    if side == "in":
        order = orders.of(old, link.layer.out_axis)
        member = _members(link.out_block, order, link.importance.shape[0])
        return (member @ link.importance).T[:, link.in_block]
    order = orders.of(old, link.layer.in_axis)
    member = _members(link.in_block, order, link.importance.shape[1])
    return (link.importance @ member.T)[:, link.out_block]


def _members(block: Index, order: Index, channels: int) -> Matrix:
    """Which old channels are in which new block: (blocks, old channels) of 0 and 1."""
    member = np.zeros((int(block.max()) + 1, channels))
    there = order != NEW
    member[block[there], order[there]] = 1.0
    return member


def _norm_scale(unit: Unit, layer: Layer, weights: Weights) -> Vector:
    """What the batch norm right behind a conv multiplies each of its outputs by."""
    sequence = [*unit.branch, *unit.tail]
    after = sequence[sequence.index(layer) + 1 :][:1] if layer in sequence else []
    if after and after[0].kind == "batch_norm":
        key = after[0].key
        variance = weights[f"{key}.running_var"].astype(np.float64)
        return weights[f"{key}.weight"] / np.sqrt(variance + 1e-5)
    return np.ones(len(weights[f"{layer.key}.weight"]))
