"""Networks of cells: a stem, stages of convs, bottlenecks, inverted residuals and pools, a head.

The first cell of a stage sets its width and stride. Bottlenecks and inverted residuals behind it
add their input, and end without an activation, so that they can be off without a trace. A cell may
be followed by squeeze-and-excitation: a unit of its own that scales channels, off the identity.
Sources: J. Hu et al., arXiv:1709.01507 (here behind the addition, their variant SE-POST);
M. Sandler et al., arXiv:1801.04381 (inverted residuals with linear ends).
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from sessions.network import Axis, Kind, Layer, Network, Stage, Unit, sized
from workbench.errors import UserError

NAME = "cells"
TITLE = "networks of cells (files that the workbench wrote)"
Op = Literal["conv", "separable", "bottleneck", "inverted", "maxpool", "avgpool"]
OPS: tuple[Op, ...] = ("conv", "separable", "bottleneck", "inverted", "maxpool", "avgpool")
Activation = Literal["relu", "hard_swish", "silu"]
ACTIVATIONS: tuple[Activation, ...] = ("relu", "hard_swish", "silu")
SQUEEZE = "se"
"""Name of a squeeze-and-excitation unit, before its number."""
_POOLS: dict[str, Kind] = {"maxpool": "max_pool", "avgpool": "avg_pool"}
_UNIT = re.compile(rf"stage\d+\.({'|'.join((*OPS, SQUEEZE))})\d+\..+")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a stage."""

    op: Op
    activation: Activation = "relu"
    stride: int = 1
    """Of the first cell of a stage; the others have 1."""
    kernel: int = 3
    mid: int = 0
    """Width of the bottleneck, of bottlenecks and inverted residuals."""
    squeeze: int = 0
    """Width inside of the squeeze-and-excitation behind it; 0 for none."""


class StagePlan(msgspec.Struct, frozen=True):
    """Cells of one width."""

    width: int
    cells: tuple[Cell, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that distinguishes one network of cells from another."""

    init_width: int
    stages: tuple[StagePlan, ...]
    classes: int
    input_size: int
    init_activation: Activation = "relu"
    has_init_pool: bool = False
    """Whether a 3x3/2 max pooling follows the 3x3/2 conv of the stem."""
    input_channels: int = 3


def matches(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether tensors of these names are a network of cells."""
    return any(map(_UNIT.fullmatch, shapes))


def describe(shapes: Mapping[str, tuple[int, ...]]) -> Network:
    """Nothing: strides, pools and activations of cells are not in the names of tensors.

    Raises:
        UserError: always.
    """
    raise UserError(
        f"{len(shapes)} tensors of a network of cells, without its structure (strides, pools and "
        "activations): open the file that the workbench wrote"
    )


def make(plan: Plan) -> Network:
    """The Network of a plan.

    Raises:
        ValueError: a feature map would have no pixel left.
    """
    axes = {"image": Axis(plan.input_channels), "init": Axis(plan.init_width)}
    stages = [Stage("init", (_stem(plan),))]
    before = "init"
    for number, stage in enumerate(plan.stages, start=1):
        path = f"stage{number}"
        axes[path] = Axis(stage.width)
        units: list[Unit] = []
        for position, cell in enumerate(stage.cells, start=1):
            made = [(_unit(cell, f"{path}.{cell.op}{position}", before, path), cell.mid)]
            if cell.squeeze:
                made.append((_gate(f"{path}.{SQUEEZE}{position}", path), cell.squeeze))
            for unit, mid in made:
                units.append(unit)
                inner = {layer.out_axis for layer in unit.branch} - {unit.branch[0].in_axis, path}
                axes |= dict.fromkeys(sorted(inner), Axis(mid))
            before = path
        stages.append(Stage(path, tuple(units)))
    axes["classes"] = Axis(plan.classes)
    stages.append(Stage("output", (_head(before),)))
    network = Network(family=NAME, input_size=plan.input_size, axes=axes, stages=tuple(stages))
    if plan.input_channels != 3:
        mean, std = (0.5,) * plan.input_channels, (0.25,) * plan.input_channels
        network = msgspec.structs.replace(network, mean=mean, std=std)
    return sized(network, plan.input_size)


def _stem(plan: Plan) -> Unit:
    chain = _Chain("init", "image")
    chain.conv("conv", "init", kernel=3, stride=2)
    chain.norm("bn", plan.init_activation)
    if plan.has_init_pool:
        chain.pool("pool", "max_pool", kernel=3, stride=2)
    return Unit(path="init", branch=tuple(chain.layers))


def _unit(cell: Cell, path: str, before: str, after: str) -> Unit:
    """A cell from one axis to another; of the same one, it is inside of its stage."""
    is_inside = before == after
    stride = 1 if is_inside else cell.stride
    chain = _Chain(path, before)
    match cell.op:
        case "conv":
            chain.conv("conv", after, cell.kernel, stride)
            chain.norm("bn", cell.activation)
        case "separable":
            chain.depthwise("depthwise", cell.kernel, stride)
            chain.norm("bn1", cell.activation)
            chain.conv("pointwise", after)
            chain.norm("bn2", cell.activation)
        case "bottleneck":
            chain.conv("reduce_conv", f"{path}.mid")
            chain.norm("bn1", cell.activation)
            chain.conv("conv", f"{path}.mid2", cell.kernel, stride)
            chain.norm("bn2", cell.activation)
            chain.conv("restore_conv", after)
            chain.norm("bn3", None)
        case "inverted":
            chain.conv("expand_conv", f"{path}.mid")
            chain.norm("bn1", cell.activation)
            chain.depthwise("depthwise", cell.kernel, stride)
            chain.norm("bn2", cell.activation)
            chain.conv("project_conv", after)
            chain.norm("bn3", None)
        case "maxpool" | "avgpool":
            chain.pool("pool", _POOLS[cell.op], cell.kernel, stride)
            chain.conv("pointwise", after)
            chain.norm("bn", cell.activation)
    is_residual = is_inside and cell.op in ("bottleneck", "inverted")
    return Unit(path=path, branch=tuple(chain.layers), join="add" if is_residual else "none")


def _gate(path: str, axis: str) -> Unit:
    chain = _Chain(path, axis)
    chain.add("pool", "global_pool")
    chain.conv("squeeze_conv", f"{path}.mid", has_bias=True)
    chain.add("activ", "relu")
    chain.conv("excite_conv", axis, has_bias=True)
    chain.add("gate", "hard_sigmoid")
    return Unit(path=path, branch=tuple(chain.layers), join="scale")


def _head(axis: str) -> Unit:
    chain = _Chain("output", axis)
    chain.add("pool", "global_pool")
    chain.add("flatten", "flatten")
    head = Layer(
        path="output.head", kind="linear", in_axis=axis, out_axis="classes", key="output",
        has_bias=True,
    )  # fmt: skip
    return Unit(path="output", branch=(*chain.layers, head))


class _Chain:
    """Layers one after another; each begins on the axis on which the one before it ends."""

    def __init__(self, path: str, axis: str) -> None:
        self.path, self.axis = path, axis
        self.layers: list[Layer] = []

    def add(self, name: str, kind: Kind) -> None:
        """A layer without weights that keeps the axis."""
        self._add(name, kind, self.axis)

    def conv(
        self, name: str, axis: str, kernel: int = 1, stride: int = 1, *, has_bias: bool = False
    ) -> None:
        """A dense conv; one larger than 1x1 keeps its input's edge, but for the stride."""
        layer = self._add(name, "conv", axis, kernel, stride)
        self.layers[-1] = msgspec.structs.replace(layer, key=layer.path, has_bias=has_bias)

    def depthwise(self, name: str, kernel: int, stride: int) -> None:
        """A depthwise conv."""
        layer = self._add(name, "depthwise", self.axis, kernel, stride)
        self.layers[-1] = msgspec.structs.replace(layer, key=layer.path)

    def pool(self, name: str, kind: Kind, kernel: int, stride: int) -> None:
        """A pooling over kernels."""
        self._add(name, kind, self.axis, kernel, stride)

    def norm(self, name: str, activation: Activation | None) -> None:
        """A batch norm, and what comes right behind it."""
        layer = self._add(name, "batch_norm", self.axis)
        self.layers[-1] = msgspec.structs.replace(layer, key=layer.path)
        if activation is not None:
            self.add(name.replace("bn", "activ"), activation)

    def _add(self, name: str, kind: Kind, axis: str, kernel: int = 1, stride: int = 1) -> Layer:
        layer = Layer(
            path=f"{self.path}.{name}", kind=kind, in_axis=self.axis, out_axis=axis,
            kernel=kernel, stride=stride, padding=kernel // 2,
        )  # fmt: skip
        self.layers.append(layer)
        self.axis = axis
        return layer
