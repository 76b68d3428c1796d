"""Which connections of a reference network are left after edits, worked out from first principles.

It is told the order of every axis after each edit and sees the shapes of the new weights. From the
number of groups, and from its own shuffle, follows which original channels share a block. What has
been in one block all the time is left; everything else is zero in the masked reference.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from reference import Case, Reference, ReferenceUnit, Shuffle
from torch import nn

from sessions.edits import Edit, Head, Kernel, UnitOff, UnitOn, Widen
from workbench.surgery.carry import Carried

Index = NDArray[np.intp]
Matrix = NDArray[np.bool_]
NEW = -1


class Oracle:
    """The masked reference of a case, edit by edit."""

    def __init__(self, case: Case) -> None:
        self.reference: Reference = case.reference
        self.basic = {
            name: np.arange(axis.width)
            for name, axis in case.network.axes.items()
            if not axis.parts
        }
        """The original channel at each present place of an axis; -1 for one of no origin."""
        paths = [f"{stage}.{name}" for stage, name in self.reference.names]
        self.units: dict[str, ReferenceUnit] = {path: self.reference.unit(path) for path in paths}
        self.kernels = {path: unit.dw_conv2.kernel_size[0] for path, unit in self.units.items()}
        """The smallest kernel that each unit has had."""
        self.off: set[str] = set()
        self.has_bias = True
        self.left = self._together(case.opened)
        """For every conv which (original out channel, original in channel) are connected."""

    def follow(self, edit: Edit, carried: Carried) -> None:
        """Take an edit into account, given what became of the network."""
        for axis, order in carried.orders.items():
            self._reorder(axis, np.array(order), is_growing=isinstance(edit, Widen))
        for name, together in self._together(carried).items():
            self.left[name] &= together
        match edit:
            case UnitOff(path) | UnitOn(path):
                self.off ^= {path}
            case Head("conv"):
                self.has_bias = False
            case Kernel(target, value):
                for path in self.kernels:
                    if target in (path, path.partition(".")[0]):
                        self.kernels[path] = min(self.kernels[path], value)

    def masked(self) -> Reference:
        """The reference with everything zero that is not left."""
        masked = copy.deepcopy(self.reference)
        _mask(masked.features.init_block.conv, self.left["init"], np.arange(3))
        for path, kernel in self.kernels.items():
            unit = masked.unit(path)
            edge = (unit.dw_conv2.kernel_size[0] - kernel) // 2
            taps = torch.zeros_like(unit.dw_conv2.weight)
            taps[..., edge : edge + kernel, edge : edge + kernel] = 1
            unit.dw_conv2.weight *= taps
            plain = np.arange(unit.compress_conv1.in_channels)
            _mask(unit.compress_conv1, self.left[f"{path}.compress"], plain)
            wired = shuffled(unit.expand_conv3.in_channels, unit.c_shuffle.groups)
            _mask(unit.expand_conv3, self.left[f"{path}.expand"], wired)
        _mask(masked.output, self.left["head"], np.arange(self.left["head"].shape[1]))
        if not self.has_bias and masked.output.bias is not None:
            masked.output.bias.zero_()
        return masked

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """What the masked reference computes."""
        with torch.inference_mode():
            return self.masked().to(images.dtype)(images, frozenset(self.off))

    def has_lost(self) -> bool:
        """Whether a weight that was not zero is zero in the masked reference."""
        masked = self.masked().state_dict()
        whole = self.reference.state_dict()
        return any(not torch.equal(masked[name], value) for name, value in whole.items())

    def _reorder(self, axis: str, order: Index, *, is_growing: bool) -> None:
        now = self.basic[axis]
        there = order[order != NEW]
        assert len(set(there)) == len(there), f"a channel of {axis} is in two places"
        assert ((there >= 0) & (there < len(now))).all()
        assert is_growing or len(there) == len(order), f"{axis} has new channels"
        self.basic[axis] = np.where(order == NEW, NEW, now[order])

    def _stage(self, number: int) -> Index:
        """The original channels of a stage's output; of the init block's for number 0."""
        if number == 0:
            return self.basic["init"]
        before = self._stage(number - 1)
        added = self.units[f"stage{number}.unit1"].expand_conv3.out_channels
        moved = np.where(before == NEW, NEW, before + added)
        return np.concatenate((self.basic[f"stage{number}.new"], moved))

    def _together(self, carried: Carried) -> dict[str, Matrix]:
        """Which original channels share a block of each conv of the present network."""
        state = carried.state
        init = self.reference.features.init_block.conv
        found = {"init": _blocks(init, self.basic["init"], np.arange(3), 3)}
        for path, unit in self.units.items():
            stage, _, name = path.partition(".")
            number = int(stage.removeprefix("stage"))
            mid = self.basic[f"{path}.mid"]
            before = self._stage(number - 1 if name == "unit1" else number)
            after = self.basic[f"{stage}.new"] if name == "unit1" else self._stage(number)
            layers = carried.network.units[path].branch
            groups = next(layer.groups for layer in layers if layer.kind == "shuffle")
            wired = mid[shuffled(len(mid), groups)]
            compress, expand = (
                state[f"features.{path}.{part}.weight"].shape[1]
                for part in ("compress_conv1", "expand_conv3")
            )
            found[f"{path}.compress"] = _blocks(unit.compress_conv1, mid, before, compress)
            found[f"{path}.expand"] = _blocks(unit.expand_conv3, after, wired, expand)
        last = self._stage(int(self.reference.names[-1][0].removeprefix("stage")))
        classes = np.arange(len(state["output.weight"]))
        found["head"] = _blocks(self.reference.output, classes, last, len(last))
        return found


def shuffled(width: int, groups: int) -> Index:
    """The channel at each place behind a shuffle."""
    channels = torch.arange(width).reshape(1, -1, 1, 1)
    return Shuffle(groups)(channels).flatten().numpy()


def _blocks(conv: nn.Module, outs: Index, ins: Index, per_group: int) -> Matrix:
    """Which original channels share a block: by the original channels at the present places."""
    weight = conv.weight
    size = (weight.shape[0], weight.shape[1] * getattr(conv, "groups", 1))
    together = np.zeros(size, dtype=bool)
    groups = len(ins) // per_group
    assert len(outs) % groups == 0
    assert len(ins) % groups == 0
    for block_out, block_in in zip(np.split(outs, groups), np.split(ins, groups), strict=True):
        rows, columns = block_out[block_out != NEW], block_in[block_in != NEW]
        together[np.ix_(rows, columns)] = True
    return together


def _mask(conv: nn.Module, left: Matrix, wired: Index) -> None:
    """Zero all weights of a conv but those of connections that are left."""
    per_group = conv.weight.shape[1]
    rows = np.arange(conv.weight.shape[0])
    block = rows // (len(rows) // getattr(conv, "groups", 1))
    channels = wired[block[:, None] * per_group + np.arange(per_group)]
    kept = torch.from_numpy(left[rows[:, None], channels])
    conv.weight *= kept.reshape(*kept.shape, *(1,) * (conv.weight.ndim - 2))
