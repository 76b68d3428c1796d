"""How far every channel spreads over a few training images: one that hardly moves says little.

Channels are seen where the gates of `importance` stand: behind the first batch norm of a unit's
inner axis, and at the end of every unit for the axes that run through several.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sessions.network import Layer, Network, Unit
from workbench.surgery.build import State, apply_layer, joined, units_on
from workbench.training.images.data import Split
from workbench.training.importance import basic_axes, gated_layers
from workbench.training.measuring.evaluate import normalised

BATCH = 32


def measure_stds(
    network: Network, state: State, train: Split, images: int, seed: int = 0
) -> dict[str, list[float]]:
    """Standard deviation of every channel by basic axis, over images and positions.

    Where an axis is seen at the end of several units, the mean over them. Axes inside of units
    that are off are left out.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(train))[:images])
    seen = _Seen(network, state)
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            batch = train.take(rows[start : start + BATCH])
            seen.add(normalised(batch, network, torch.device("cpu")))
    return seen.stds()


class _Seen:
    """Counts, sums and sums of squares of channels, by basic axis and the place it was seen at."""

    def __init__(self, network: Network, state: State) -> None:
        self.network, self.state = network, state
        self.moments: dict[tuple[str, str], tuple[int, Tensor, Tensor]] = {}

    def add(self, x: Tensor) -> None:
        """Run a batch."""
        for unit in units_on(self.network):
            x = self._unit(unit, x)

    def stds(self) -> dict[str, list[float]]:
        """Of all that was seen so far."""
        by_axis: dict[str, list[Tensor]] = {}
        for (axis, _), (count, total, squares) in self.moments.items():
            mean = total / count
            variance = (squares / count - mean.square()).clamp(min=0.0)
            by_axis.setdefault(axis, []).append(variance.sqrt())
        return {axis: torch.stack(found).mean(dim=0).tolist() for axis, found in by_axis.items()}

    def _unit(self, unit: Unit, x: Tensor) -> Tensor:
        inner = gated_layers(unit)

        def step(layer: Layer) -> Callable[[Tensor], Tensor]:
            def run(x: Tensor) -> Tensor:
                x = apply_layer(self.network, self.state, layer, x)
                if layer.path in inner:
                    self._note(x, layer.out_axis, layer.path)
                return x

            return run

        branch, shortcut, tail = (
            list(map(step, part)) for part in (unit.branch, unit.shortcut, unit.tail)
        )
        x = joined(x, branch, shortcut, tail, unit.join)
        self._note(x, unit.out_axis, unit.path)
        return x

    def _note(self, x: Tensor, axis: str, place: str) -> None:
        names = basic_axes(self.network, axis)
        values = x.double().transpose(0, 1).flatten(1)  # (C, N * positions)
        widths = [self.network.axes[name].width for name in names]
        for name, part in zip(names, torch.split(values, widths), strict=True):
            count, total, squares = self.moments.get(
                (name, place), (0, torch.zeros(len(part)), torch.zeros(len(part)))
            )
            self.moments[name, place] = (
                count + part.shape[1],
                total + part.sum(dim=1),
                squares + part.square().sum(dim=1),
            )
