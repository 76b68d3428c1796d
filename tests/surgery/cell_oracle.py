"""What edits leave of a network of cells, worked out from first principles.

It follows from the order of every axis after each edit and from the shapes of the new weights:
channels that have shared a block of a conv all the time are connected, and all else is zero.
"""

import dataclasses

import numpy as np
import torch
from cell_reference import CellReference, State
from oracle import Index, Matrix
from torch import Tensor

from sessions.edits import Edit, Head, Kernel, UnitOff, UnitOn
from sessions.network import Network
from workbench.surgery.carry import Carried
from workbench.surgery.families import cells


class CellOracle:
    """The masked reference, edit by edit."""

    def __init__(self, reference: CellReference, opened: Carried) -> None:
        self.reference = reference
        self.basic = {axis: np.arange(width) for axis, width in reference.widths.items()}
        self.kernels = {name: kernel for name, (_, kernel) in reference.depthwise.items()}
        self.off: set[str] = set()
        self.has_bias = True
        self.left = self._together(opened.state)

    def follow(self, edit: Edit, carried: Carried) -> None:
        """Take an edit into account, given what became of the network."""
        for axis, order in carried.orders.items():
            now, found = self.basic[axis], np.array(order)
            there = found[found >= 0]
            assert len(set(there)) == len(there)
            self.basic[axis] = np.where(found < 0, -1, now[found])
        for name, together in self._together(carried.state).items():
            self.left[name] &= together
        match edit:
            case UnitOff(path) | UnitOn(path):
                self.off ^= {path}
            case Head("conv"):
                self.has_bias = False
            case Kernel(target, value):
                for name in self.kernels:
                    if name.startswith(f"{target}."):
                        self.kernels[name] = min(self.kernels[name], value)

    def logits(self, images: Tensor) -> Tensor:
        """What the masked reference computes, in the precision of the images."""
        return self.reference.logits(images, self._masked(images.dtype), self.off)

    def _masked(self, dtype: torch.dtype) -> State:
        state = {k: v.to(dtype) for k, v in self.reference.state.items()}
        for name, left in self.left.items():
            weight = state[f"{name}.weight"]
            mask = torch.from_numpy(left).reshape(*left.shape, *(1,) * (weight.ndim - 2))
            state[f"{name}.weight"] = weight * mask
        for name, kernel in self.kernels.items():
            weight = state[f"{name}.weight"]
            edge = (weight.shape[-1] - kernel) // 2
            inside = slice(edge, edge + kernel)
            taps = torch.zeros_like(weight)
            taps[..., inside, inside] = 1
            state[f"{name}.weight"] = weight * taps
        if not self.has_bias:
            state["output.bias"] = torch.zeros_like(state["output.bias"])
        return state

    def _together(self, state: State) -> dict[str, Matrix]:
        convs = {name: (out, inside) for name, (out, inside, _) in self.reference.convs.items()}
        convs["output"] = ("classes", self.reference.last)
        found = {}
        for name, (out, inside) in convs.items():
            per_group = state[f"{name}.weight"].shape[1]
            size = (self.reference.widths[out], self.reference.widths[inside])
            found[name] = _shared(self.basic[out], self.basic[inside], per_group, size)
        return found


@dataclasses.dataclass(frozen=True)
class CellCase:
    """A drawn network as the workbench sees it, and its reference."""

    reference: CellReference
    network: Network
    state: State
    images: Tensor

    @property
    def opened(self) -> Carried:
        return Carried(network=self.network, state=self.state)


def make_cell_case(seed: int) -> CellCase:
    reference = CellReference(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    images = torch.randn(3, 3, reference.size, reference.size, generator=generator)
    state = {name: value.clone() for name, value in reference.state.items()}
    return CellCase(reference, cells.make(reference.plan()), state, images)


def _shared(outs: Index, ins: Index, per_group: int, size: tuple[int, int]) -> Matrix:
    """Which original channels share a block, by the original channels at the present places."""
    together = np.zeros(size, dtype=bool)
    groups = len(ins) // per_group
    for rows, columns in zip(np.split(outs, groups), np.split(ins, groups), strict=True):
        together[np.ix_(rows[rows >= 0], columns[columns >= 0])] = True
    return together
