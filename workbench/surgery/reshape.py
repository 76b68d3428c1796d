"""Weights of a reshaped network: gathered from the old ones by the orders of its axes."""

import functools
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from sessions.edits import Cut, Reshape, Widen
from sessions.network import Layer, Network
from workbench.surgery.build import State
from workbench.surgery.criteria import axis_scores
from workbench.surgery.wiring import (
    LEAST_GAIN,
    NEW,
    TINY,
    Index,
    Orders,
    Source,
    Wiring,
    in_channels,
)

BUFFERS = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
"""Of a batch norm, with the value that a new channel starts from."""


class Reshaped(msgspec.Struct, frozen=True):
    """What became of the weights."""

    state: State
    masked: State
    """The old weights without what was lost: the same function in the old structure."""
    orders: dict[str, list[int]]
    """For every axis that changed, the old channel at each new place; -1 for a new channel."""
    kept: dict[str, float]
    """Importance that each conv keeps, 0..1, of those that the edit reaches."""
    is_whole: bool
    """Whether no weight other than zero was lost."""


def reshape(
    old: Network,
    new: Network,
    state: State,
    edit: Reshape,
    measured: Mapping[str, list[float]] | None = None,
    *,
    is_arranged: bool = True,
) -> Reshaped:
    """Carry weights from one structure to another of the same layers.

    Args:
        measured: channel scores by axis, for criteria that need images.
        is_arranged: whether orders are searched for; without, channels stay in their old order.
    """
    weights = {name: value.numpy() for name, value in state.items() if value.is_floating_point()}
    criterion, seed = (edit.criterion, edit.seed) if isinstance(edit, Cut) else ("l2", 0)
    source = Source(old, weights)

    @functools.cache
    def scores(axis: str) -> NDArray[np.float64]:
        return axis_scores(source, axis, criterion, seed, measured)

    wiring = Wiring(source, new, scores)
    orders = wiring.best() if is_arranged else wiring.plain()
    carrier = _Carrier(source, new, state, orders, edit.seed if isinstance(edit, Widen) else 0)
    after, masked = dict(state), dict(state)
    for layer, reshaped in carrier.layers():
        parts, kept_parts = carrier.carried(layer, reshaped)
        after |= parts
        masked |= kept_parts
    kept = {
        path: min(value, 1.0)
        for path, value in wiring.kept(orders).items()
        if path in wiring.reached or value < 1 - LEAST_GAIN
    }
    return Reshaped(
        after,
        masked,
        {name: orders.basic[name].tolist() for name in carrier.moved},
        kept | carrier.kept_taps(),
        all(torch.equal(masked[name], value) for name, value in state.items()),
    )


class _Carrier:
    """Gathers tensors, and says what of the old ones was taken."""

    def __init__(
        self, source: Source, new: Network, state: State, orders: Orders, seed: int
    ) -> None:
        self.source, self.new, self.state, self.orders = source, new, state, orders
        self.old = source.network
        self.rng = np.random.default_rng(seed)
        self.places_old, self.places_new = source.places, in_channels(new)
        self.moved = [
            name for name, order in orders.basic.items()
            if not np.array_equal(order, np.arange(self.old.axes[name].width))
        ]  # fmt: skip

    def layers(self) -> Iterator[tuple[Layer, Layer]]:
        """The layers whose weights move, before and after."""
        reshaped = {layer.path: layer for _, layer in self.new.layers(include_off=True)}
        for _, layer in self.old.layers(include_off=True):
            after = reshaped[layer.path]
            if f"{layer.key}.weight" in self.state and self._is_touched(layer, after):
                yield layer, after

    def _is_touched(self, layer: Layer, after: Layer) -> bool:
        sides = (layer.in_axis, layer.out_axis)
        return (
            (layer.groups, layer.kernel) != (after.groups, after.kernel)
            or any(self.source.starts(side, axis) for side in sides for axis in self.moved)
            or not np.array_equal(self.places_old[layer.path], self.places_new[layer.path])
        )

    def carried(self, layer: Layer, after: Layer) -> tuple[State, State]:
        """The new tensors of a layer, and its old ones without what was lost."""
        match layer.kind:
            case "batch_norm":
                return self._norm(layer), {}
            case "depthwise":
                return self._depthwise(layer, after)
            case _:
                return self._conv(layer, after)

    def kept_taps(self) -> dict[str, float]:
        """Share of the squared weights that depthwise convs of smaller kernels keep, 0..1."""
        kept = {}
        for layer, after in self.layers():
            if layer.kind == "depthwise" and after.kernel < layer.kernel:
                weight = self.state[f"{layer.key}.weight"].double()
                edge = (layer.kernel - after.kernel) // 2
                inside = weight[..., edge:-edge, edge:-edge].square().sum()
                kept[layer.path] = float(inside / weight.square().sum().clamp(min=TINY))
        return kept

    def _norm(self, layer: Layer) -> State:
        channels = self._channels(layer)
        parts = {}
        for name, start in BUFFERS.items():
            value = self.state[f"{layer.key}.{name}"].numpy()
            parts[f"{layer.key}.{name}"] = _taken(value, channels, start)
        return parts

    def _depthwise(self, layer: Layer, after: Layer) -> tuple[State, State]:
        key = f"{layer.key}.weight"
        weight = self.state[key].numpy()
        channels = self._channels(layer)
        added = self._fresh((int((channels == NEW).sum()), 1, after.kernel, after.kernel))
        shift = (after.kernel - layer.kernel) // 2
        masked: State = {}
        if shift < 0:
            taps = np.zeros_like(weight)
            taps[..., -shift:shift, -shift:shift] = 1
            masked[key] = torch.from_numpy(weight * taps)
            weight = weight[..., -shift:shift, -shift:shift]
        elif shift:
            weight = np.pad(weight, ((0, 0), (0, 0), (shift, shift), (shift, shift)))
        parts = {key: _taken(weight, channels, added)}
        if f"{layer.key}.bias" in self.state:
            bias = self.state[f"{layer.key}.bias"].numpy()
            parts[f"{layer.key}.bias"] = _taken(bias, channels, 0.0)
        return parts, masked

    def _conv(self, layer: Layer, after: Layer) -> tuple[State, State]:
        key = f"{layer.key}.weight"
        weight = self.state[key].numpy()
        channels = self._in_order(layer, after)
        rows, columns, is_kept = self._sources(layer, channels)
        values = weight[rows[:, None], columns]
        mask = is_kept.reshape(*is_kept.shape, *(1,) * (weight.ndim - 2))
        values = np.where(mask, values, np.float32(0))
        is_new = rows == NEW
        if is_new.any():  # they are led to, and lead nowhere yet
            has_source = (channels != NEW)[is_new]
            fresh = self._fresh(values[is_new].shape)
            values[is_new] = fresh * has_source.reshape(mask[is_new].shape)
        taken = np.zeros(weight.shape[:2], dtype=bool)
        taken[np.broadcast_to(rows[:, None], columns.shape)[is_kept], columns[is_kept]] = True
        masked = weight * taken.reshape(*taken.shape, *(1,) * (weight.ndim - 2))
        parts = {key: torch.from_numpy(np.ascontiguousarray(values))}
        if f"{layer.key}.bias" in self.state:
            bias = self.state[f"{layer.key}.bias"].numpy()
            parts[f"{layer.key}.bias"] = _taken(bias, rows, 0.0)
        return parts, {key: torch.from_numpy(masked)}

    def _sources(self, layer: Layer, channels: Index) -> tuple[Index, Index, NDArray[np.bool_]]:
        """For each new row its old one; for each new weight the old column, and if it is kept."""
        rows = self.orders.of(self.old, layer.out_axis)
        old_groups = self.old.groups(layer)
        out_width, per_group = self.old.weight_shape(layer)[:2]
        place = np.argsort(self.places_old[layer.path])[channels]
        block = rows // (out_width // old_groups)
        is_kept = (channels != NEW) & (rows != NEW)[:, None]
        is_kept &= place // per_group == block[:, None]
        return rows, place % per_group, is_kept

    def _in_order(self, layer: Layer, after: Layer) -> Index:
        """The old input channel of each new weight, (out, in / groups)."""
        out_width, per_group = self.new.weight_shape(after)[:2]
        block = np.arange(out_width) // (out_width // self.new.groups(after))
        columns = block[:, None] * per_group + np.arange(per_group)
        order = self.orders.of(self.old, layer.in_axis)
        channels: Index = order[self.places_new[layer.path][columns]]
        return channels

    def _channels(self, layer: Layer) -> Index:
        """The old place of each new place of a layer that treats its channels one by one."""
        order = self.orders.of(self.old, layer.in_axis)[self.places_new[layer.path]]
        return np.where(order == NEW, NEW, np.argsort(self.places_old[layer.path])[order])

    def _fresh(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values as torch draws them for a new layer: uniform, bound 1 / sqrt(fan in)."""
        bound = max(int(np.prod(shape[1:])), 1) ** -0.5
        return self.rng.uniform(-bound, bound, shape).astype(np.float32)


def _taken(
    value: NDArray[np.float32], order: Index, start: float | NDArray[np.float32]
) -> torch.Tensor:
    """Values in a new order; new channels have the start value."""
    taken = value[order]
    taken[order == NEW] = start
    return torch.from_numpy(np.ascontiguousarray(taken))
