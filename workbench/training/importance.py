"""Importance of channels measured on images: how much the loss, or the signal, hangs on each.

Every axis has a gate of ones that multiplies its channels wherever they come to be. Taylor is the
mean over batches of the squared derivative of the loss by the gate: P. Molchanov et al., Importance
estimation for neural network pruning, arXiv:1906.10771. Activation is the mean size of a channel.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sessions.network import Layer, Network, Unit
from sessions.targets import FIXED
from workbench.surgery.build import State, apply_layer, joined
from workbench.training.images.data import Split
from workbench.training.measuring.evaluate import normalised

IMAGES = 512
BATCH = 32

Scores = dict[str, dict[str, list[float]]]
"""By criterion, by basic axis, by channel."""


def measure(
    network: Network,
    state: State,
    train: Split,
    seed: int,
    after_batch: Callable[[int, int], bool] = lambda done, total: True,
) -> Scores | None:
    """Taylor and activation scores of every basic axis; None where it was ended.

    Args:
        after_batch: called with (images done, images in all); False ends it.
    """
    rows = np.random.default_rng(seed).permutation(len(train))[:IMAGES]
    gates = _Gates(network, state)
    for start in range(0, len(rows), BATCH):
        batch = np.sort(rows[start : start + BATCH])
        images = normalised(train.take(batch), network, torch.device("cpu"))
        gates.add(images, torch.from_numpy(train.labels[batch]))
        if not after_batch(start + len(batch), len(rows)):
            return None
    return gates.scores()


class _Gates:
    """The gates, and what was seen at them."""

    def __init__(self, network: Network, state: State) -> None:
        self.network, self.state = network, state
        basic = [n for n, axis in network.axes.items() if not axis.parts and n not in FIXED]
        self.gates = {n: torch.ones(network.axes[n].width, requires_grad=True) for n in basic}
        self.taylor = {n: torch.zeros(network.axes[n].width) for n in basic}
        self.activation = {n: torch.zeros(network.axes[n].width) for n in basic}

    def add(self, images: Tensor, labels: Tensor) -> None:
        """Run a batch forward and back."""
        x = images
        for unit in self.network.units.values():
            if unit.is_on:
                x = self._unit(unit, x)
        names = list(self.gates)
        loss = F.cross_entropy(x, labels)
        found = torch.autograd.grad(loss, [self.gates[n] for n in names], allow_unused=True)
        for name, gradient in zip(names, found, strict=True):
            if gradient is not None:
                self.taylor[name] += gradient.square()

    def scores(self) -> Scores:
        """Everything seen so far."""
        found = {"taylor": self.taylor, "activation": self.activation}
        return {
            criterion: {axis: values.tolist() for axis, values in by_axis.items()}
            for criterion, by_axis in found.items()
        }

    def _unit(self, unit: Unit, x: Tensor) -> Tensor:
        gated = gated_layers(unit)

        def step(layer: Layer) -> Callable[[Tensor], Tensor]:
            def run(x: Tensor) -> Tensor:
                x = apply_layer(self.network, self.state, layer, x)
                return self._gated(x, layer.out_axis) if layer.path in gated else x

            return run

        branch, shortcut, tail = (
            list(map(step, part)) for part in (unit.branch, unit.shortcut, unit.tail)
        )
        return self._gated(joined(x, branch, shortcut, tail, unit.join), unit.out_axis)

    def _gated(self, x: Tensor, axis: str) -> Tensor:
        """Multiply channels by their gates, and note their size."""
        names = basic_axes(self.network, axis)
        if not set(names) <= self.gates.keys():
            return x
        with torch.no_grad():
            sizes = x.abs().mean(dim=[d for d in range(x.dim()) if d != 1])
            parts = torch.split(sizes, [self.network.axes[n].width for n in names])
            for name, part in zip(names, parts, strict=True):
                self.activation[name] += part
        gate = torch.cat([self.gates[name] for name in names])
        return x * gate.view(1, -1, *(1,) * (x.dim() - 2))


def gated_layers(unit: Unit) -> set[str]:
    """Where inside a unit a gate stands: behind the first batch norm of an axis, or its conv."""
    outside = {unit.branch[0].in_axis, unit.branch[-1].out_axis, unit.out_axis}
    found: dict[str, str] = {}
    for kind in ("batch_norm", "conv", "linear"):
        for layer in unit.branch:
            if layer.kind == kind and layer.out_axis not in outside:
                found.setdefault(layer.out_axis, layer.path)
    return set(found.values())


def basic_axes(network: Network, axis: str) -> list[str]:
    """The axes without parts that an axis is made of, in channel order."""
    parts = network.axes[axis].parts
    return [name for part in parts for name in basic_axes(network, part)] if parts else [axis]
