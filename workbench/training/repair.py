"""Repair without training: each conv after an edit is fitted to what the network put out before it.

From the first conv to the last, on the same images: least squares from the edited network's own
input of that conv (which holds the errors made so far) to the original's output of it, group by
group, pulled lightly to the weights that were carried; then the batch norm behind it is measured
anew. Source of the idea: Y. He et al., Channel pruning for accelerating very deep neural networks,
arXiv:1707.06168, section 3.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sessions.network import Layer, Network, Unit
from workbench.surgery import wiring
from workbench.surgery.build import State, apply_layer
from workbench.training.images.data import Split
from workbench.training.measuring.evaluate import normalised

IMAGES = 512
MEMORY = 256 * 2**20
"""Bytes that the largest feature map of all images may take; fewer images where it takes more."""
RIDGE = 1e-2
"""Pull to the carried weights, against the mean square of an input."""
SAMPLES = 20_000
"""Pixels that a fit sees at most."""
LINKING = ("conv", "depthwise", "linear")


def repair(
    original: tuple[Network, State],
    edited: tuple[Network, State],
    orders: Mapping[str, Sequence[int]],
    train: Split,
    seed: int,
    after_layer: Callable[[int, int], bool] = lambda done, total: True,
) -> State | None:
    """The edited network's weights, fitted to the original's outputs; None where it was ended.

    Args:
        orders: for every basic axis the original's channel at each place; -1 for a new one.
        after_layer: called with (layers done, layers in all); False ends it.
    """
    network, state = edited
    images = _images(network, train, seed)
    walk = _Walk(original, (network, dict(state)), orders, after_layer)
    with torch.no_grad():
        return walk.state if walk.run(images) else None


def _images(network: Network, train: Split, seed: int) -> Tensor:
    largest = max(
        network.width(layer.out_axis) * layer.out_size**2 for _, layer in network.layers()
    )
    count = max(min(IMAGES, len(train), MEMORY // (4 * largest)), 1)
    rows = np.random.default_rng(seed).permutation(len(train))[:count]
    return normalised(train.take(np.sort(rows)), network, torch.device("cpu"))


class _Walk:
    """Both networks run side by side, layer by layer."""

    def __init__(
        self,
        original: tuple[Network, State],
        edited: tuple[Network, State],
        orders: Mapping[str, Sequence[int]],
        after_layer: Callable[[int, int], bool],
    ) -> None:
        self.old, self.old_state = original
        self.network, self.state = edited
        self.after_layer = after_layer
        basic = {name: np.arange(axis.width) for name, axis in self.network.axes.items()}
        moved = {name: np.asarray(order) for name, order in orders.items()}
        self.orders = wiring.Orders(basic | moved)
        self.total = sum(layer.kind in LINKING for _, layer in self.network.layers())
        self.done = 0
        self.places_old = wiring.in_channels(self.old)
        self.places = wiring.in_channels(self.network)

    def run(self, images: Tensor) -> bool:
        """Fit every layer; returns whether it got to the end."""
        x = y = images
        for path, unit in self.old.units.items():
            after = self.network.units[path]
            targets: dict[str, Tensor] = {}
            y_before = y
            if unit.is_on:
                y = _joined(self.old, self.old_state, unit, y, targets)
            if x is y_before and self._is_untouched(unit, after):
                x = y  # nothing has changed up to here: nothing to fit
            elif after.is_on:
                fitted = self._unit(after, x, targets)
                if fitted is None:
                    return False
                x = fitted
        return True

    def _is_untouched(self, before: Unit, after: Unit) -> bool:
        names = [
            name
            for layer in before.layers()
            for name in self.old_state
            if layer.key and name.startswith(f"{layer.key}.")
        ]
        return before == after and all(
            name in self.state and torch.equal(self.state[name], self.old_state[name])
            for name in names
        )

    def _unit(self, unit: Unit, x: Tensor, targets: Mapping[str, Tensor]) -> Tensor | None:
        shortcut = x
        for layer in unit.branch:
            if layer.kind in LINKING:
                target = self._target(layer, targets)
                if target is not None:
                    self._fit(layer, x, target)
                self.done += 1
                if not self.after_layer(self.done, self.total):
                    return None
            elif layer.kind == "batch_norm":
                self.state[f"{layer.key}.running_mean"] = x.mean(dim=(0, 2, 3))
                self.state[f"{layer.key}.running_var"] = x.var(dim=(0, 2, 3))
            x = apply_layer(self.network, self.state, layer, x)
        return _finished(self.network, self.state, unit, x, shortcut)

    def _target(self, layer: Layer, targets: Mapping[str, Tensor]) -> Tensor | None:
        """What the original put out here, of the channels that are left; None for new layers."""
        path = layer.path
        if path not in targets:
            stem, _, ending = path.rpartition("_")
            if ending != "out" or stem not in targets:
                return None
            path = stem
        order = self.orders.of(self.old, layer.out_axis)
        if (order < 0).any():
            return None
        if layer.kind == "depthwise":  # it stands behind the shuffle
            order = np.argsort(self.places_old[path])[order[self.places[layer.path]]]
        return targets[path][:, torch.from_numpy(order)]

    def _fit(self, layer: Layer, x: Tensor, target: Tensor) -> None:
        key = f"{layer.key}.weight"
        weight = self.state[key]
        groups = self.network.groups(layer)
        columns = _columns(layer, x)
        wanted = target.flatten(2).transpose(0, 1).flatten(1) if target.dim() == 4 else target.T
        if columns.shape[1] > SAMPLES:
            picked = torch.linspace(0, columns.shape[1] - 1, SAMPLES).long()
            columns, wanted = columns[:, picked], wanted[:, picked]
        columns = columns - columns.mean(dim=1, keepdim=True)
        means = wanted.mean(dim=1)
        wanted = wanted - means[:, None]
        flat = weight.flatten(1).double()
        inputs = columns.double().view(groups, -1, columns.shape[1])
        outputs = wanted.double().view(groups, -1, columns.shape[1])
        start = flat.view(groups, -1, flat.shape[1])
        gram = inputs @ inputs.transpose(1, 2)
        size = gram.shape[1]
        pull = RIDGE * gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-12)
        gram = gram + pull[:, None, None] * torch.eye(size, dtype=torch.float64)
        moment = outputs @ inputs.transpose(1, 2) + pull[:, None, None] * start
        fitted = torch.linalg.solve(gram, moment.transpose(1, 2)).transpose(1, 2)
        self.state[key] = fitted.reshape(weight.shape).to(weight.dtype)
        if f"{layer.key}.bias" in self.state:
            now = apply_layer(self.network, self.state, layer, x)
            now = now.flatten(2).transpose(0, 1).flatten(1) if now.dim() == 4 else now.T
            bias = self.state[f"{layer.key}.bias"]
            self.state[f"{layer.key}.bias"] = bias + (means - now.mean(dim=1))


def _columns(layer: Layer, x: Tensor) -> Tensor:
    """The inputs of every output pixel, (in channels * k * k, pixels)."""
    if x.dim() == 2:
        return x.T
    if layer.kernel == 1 and layer.stride == 1:
        return x.flatten(2).transpose(0, 1).flatten(1)
    patches = F.unfold(x, layer.kernel, padding=layer.padding, stride=layer.stride)
    return patches.transpose(0, 1).flatten(1)


def _joined(
    network: Network, state: State, unit: Unit, x: Tensor, outputs: dict[str, Tensor]
) -> Tensor:
    shortcut = x
    for layer in unit.branch:
        x = apply_layer(network, state, layer, x)
        if layer.kind in LINKING:
            outputs[layer.path] = x
    return _finished(network, state, unit, x, shortcut)


def _finished(network: Network, state: State, unit: Unit, x: Tensor, shortcut: Tensor) -> Tensor:
    """Join and tail."""
    if unit.join != "none":
        for layer in unit.shortcut:
            shortcut = apply_layer(network, state, layer, shortcut)
        match unit.join:
            case "add":
                x = x + shortcut
            case "concat":
                x = torch.cat((x, shortcut), dim=1)
            case "scale":
                x = x * shortcut
    for layer in unit.tail:
        x = apply_layer(network, state, layer, x)
    return x
