"""A module's function in evaluation mode, rearranged to run fast: the same numbers, fewer steps."""

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

from workbench.surgery.build import Assembled, joined

FEW_CHANNELS = 16
"""Floats in a vector register."""

Step = Callable[[Tensor], Tensor]


def fold(module: Assembled) -> Step:
    """The function of a module whose layers are folded into the convs before them."""
    blocks = [
        (_folded(block.branch), block.shortcut, block.tail, block.join) for block in module.blocks
    ]

    def run(x: Tensor) -> Tensor:
        for branch, shortcut, tail, join in blocks:
            x = joined(x, branch, shortcut, tail, join)
        return x

    return run


def _folded(layers: Sequence[nn.Module]) -> list[Step]:
    steps: list[Step] = []
    conv: _Conv | None = None
    for layer in layers:
        match layer:
            case nn.Conv2d():
                conv = _Conv(layer)
                steps.append(conv)
            case nn.BatchNorm2d() if conv is not None and steps[-1] is conv:
                conv.normalise(layer)
            case nn.ChannelShuffle() if conv is not None and conv.groups == 1:
                conv.shuffle(layer)
            case nn.MaxPool2d():
                steps.append(partial(_max_pooled, pool=layer))
                conv = None
            case _:
                steps.append(layer)
                conv = conv if isinstance(layer, nn.ReLU) else None
    return steps


class _Conv:
    """A conv that takes up what follows it; in the layout in which oneDNN is fastest."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.weight = conv.weight.detach()
        self.bias = None if conv.bias is None else conv.bias.detach()
        self.stride, self.padding, self.groups = conv.stride, conv.padding, conv.groups

    def normalise(self, norm: nn.BatchNorm2d) -> None:
        """From now on compute norm(conv(x))."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            weight = self.weight * scale.view(-1, 1, 1, 1)
            self.weight = weight.contiguous(memory_format=torch.channels_last)
            before = 0.0 if self.bias is None else self.bias
            self.bias = norm.bias + (before - norm.running_mean) * scale

    def shuffle(self, shuffle: nn.ChannelShuffle) -> None:
        """From now on put the channels out in the shuffled order."""
        channels = torch.arange(len(self.weight), device=self.weight.device)
        order = shuffle(channels.view(1, -1, 1, 1)).flatten()
        self.weight = self.weight[order]
        self.bias = None if self.bias is None else self.bias[order]

    def __call__(self, x: Tensor) -> Tensor:
        """Run it."""
        return nn.functional.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, groups=self.groups
        )


def _max_pooled(x: Tensor, pool: nn.MaxPool2d) -> Tensor:
    """Rows, then columns, where the channels are too few for the vector units: five times faster.

    torch's own pooling of channels-last images takes the channels of one pixel at a time.
    """
    if x.device.type != "cpu" or x.shape[1] >= FEW_CHANNELS:
        return nn.functional.max_pool2d(x, pool.kernel_size, pool.stride, pool.padding)
    edge, size, stride = pool.padding, pool.kernel_size, pool.stride
    assert isinstance(edge, int)
    assert isinstance(size, int)
    assert isinstance(stride, int)  # as built from a Layer
    x = nn.functional.pad(x, (edge, edge, edge, edge), value=-math.inf)
    for axis in (2, 3):
        reach = (x.shape[axis] - size) // stride * stride + 1
        starts = [x.narrow(axis, start, reach) for start in range(size)]
        step = (slice(None),) * axis + (slice(None, None, stride),)
        x = reduce(torch.maximum, [start[step] for start in starts])
    return x
