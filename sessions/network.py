"""The network as data: Network > Stage > Unit > Layer, and the axes that tie channels together.

An axis is a set of channels that must change together; an axis with parts is their concatenation.
A unit computes tail(join(branch(x), shortcut(x))); a unit that is off computes tail(shortcut(x)).
Joined by scale, the branch puts out one factor a channel, which multiplies the shortcut.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import msgspec

Kind = Literal[
    "conv",
    "depthwise",
    "linear",
    "batch_norm",
    "relu",
    "hard_swish",
    "silu",
    "hard_sigmoid",
    "max_pool",
    "avg_pool",
    "global_pool",
    "shuffle",
    "flatten",
]
Join = Literal["none", "add", "concat", "scale"]

WEIGHTED: frozenset[str] = frozenset({"conv", "depthwise", "linear"})
ACTIVATIONS: frozenset[str] = frozenset({"relu", "hard_swish", "silu", "hard_sigmoid"})
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Axis(msgspec.Struct, frozen=True, omit_defaults=True):
    """A set of channels that is cut as one."""

    width: int = 0
    """Channels; ignored where the axis has parts."""
    parts: tuple[str, ...] = ()
    """Names of the axes this one concatenates, in channel order."""


class Layer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One operation. Sizes are square feature-map edges in pixels."""

    path: str
    kind: Kind
    in_axis: str
    out_axis: str
    key: str = ""
    """Prefix of the layer's tensors in a checkpoint; empty where it has none."""
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    """Groups of a conv or of a channel shuffle; a depthwise conv always has one per channel."""
    has_bias: bool = False
    in_size: int = 0
    out_size: int = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


class Unit(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A block that can be switched off where its output has the shape of its input."""

    path: str
    branch: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()
    tail: tuple[Layer, ...] = ()
    join: Join = "none"
    is_on: bool = True

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def is_removable(self) -> bool:
        """Whether the unit can be off: a residual add, or a gate whose biases can hold it open."""
        if self.join == "scale":
            return self.is_gate and self.branch[-2].has_bias
        return self.join == "add" and not self.shortcut

    @property
    def is_gate(self) -> bool:
        """Whether the unit scales its input by factors of 0 to 1, like squeeze-and-excitation."""
        kinds = [layer.kind for layer in self.branch]
        is_scale = self.join == "scale" and not self.shortcut and not self.tail
        return (
            is_scale and kinds[-1:] == ["hard_sigmoid"] and kinds[-2:-1] in (["conv"], ["linear"])
        )

    @property
    def is_downsampling(self) -> bool:
        """Whether the unit lowers the resolution."""
        return self.join == "concat" or any(layer.stride > 1 for layer in self.branch)

    @property
    def out_axis(self) -> str:
        """The axis of the unit's output."""
        return (self.tail or self.branch)[-1].out_axis

    @property
    def out_size(self) -> int:
        """Edge of the unit's output in pixels: a scaled input keeps its own."""
        if self.join == "scale" and not self.tail:
            return self.shortcut[-1].out_size if self.shortcut else self.branch[0].in_size
        return (self.tail or self.branch)[-1].out_size

    def layers(self) -> Iterator[Layer]:
        """Every layer, in the order in which it runs."""
        yield from self.branch
        yield from self.shortcut
        yield from self.tail


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Units in sequence. A stage of one unit of the same path is shown as a single row."""

    path: str
    units: tuple[Unit, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the stage is only a wrapper of one block, like the stem or the head."""
        return len(self.units) == 1 and self.units[0].path == self.path


class Network(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, dict=True):
    """A whole network at one input size."""

    family: str
    input_size: int
    axes: dict[str, Axis]
    stages: tuple[Stage, ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Per channel, subtracted from an input in 0..1."""
    std: tuple[float, ...] = IMAGENET_STD
    """Per channel, divides the input after the mean."""

    def width(self, axis: str) -> int:
        """Channels of an axis, the sum over its parts where it has any."""
        found = self.axes[axis]
        return sum(map(self.width, found.parts)) if found.parts else found.width

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.width("classes")

    @property
    def input_channels(self) -> int:
        """Channels of the input image."""
        return self.width("image")

    @cached_property
    def head(self) -> Layer:
        """The last layer with weights: the classifier."""
        return [layer for _, layer in self.layers(include_off=True) if layer.kind in WEIGHTED][-1]

    @cached_property
    def units(self) -> dict[str, Unit]:
        """Every unit by path, off ones included."""
        return {unit.path: unit for stage in self.stages for unit in stage.units}

    @cached_property
    def memo(self) -> dict[tuple[str, ...], tuple[int, ...]]:
        """What others worked out about this network, so that it is worked out once."""
        return {}

    @property
    def units_per_stage(self) -> tuple[int, ...]:
        """Units that are on, for each stage that is made of units."""
        return tuple(
            sum(unit.is_on for unit in stage.units) for stage in self.stages if not stage.is_plain
        )

    def layers(self, *, include_off: bool = False) -> Iterator[tuple[Unit, Layer]]:
        """Layers with their unit in running order; those of off units only on request."""
        for stage in self.stages:
            for unit in stage.units:
                if unit.is_on or include_off:
                    for layer in unit.layers():
                        yield unit, layer

    def groups(self, layer: Layer) -> int:
        """Groups of a layer's convolution."""
        return self.width(layer.in_axis) if layer.kind == "depthwise" else layer.groups

    def weight_shape(self, layer: Layer) -> tuple[int, ...]:
        """Shape of the weight tensor: (out, in / groups, k, k), (out, in), (C,) or ()."""
        out_width = self.width(layer.out_axis)
        if layer.kind in ("conv", "depthwise"):
            per_group = self.width(layer.in_axis) // self.groups(layer)
            return (out_width, per_group, layer.kernel, layer.kernel)
        if layer.kind == "linear":
            return (out_width, self.width(layer.in_axis))
        return (out_width,) if layer.kind == "batch_norm" else ()

    def parameters(self, layer: Layer) -> int:
        """Trainable values of a layer."""
        shape = self.weight_shape(layer)
        if not shape:
            return 0
        count = 1
        for edge in shape:
            count *= edge
        if layer.kind == "batch_norm":
            return 2 * count
        return count + (shape[0] if layer.has_bias else 0)

    def total_parameters(self) -> int:
        """Trainable values of everything that is on."""
        return sum(self.parameters(layer) for _, layer in self.layers())


def sized(network: Network, input_size: int) -> Network:
    """The same network with every feature-map size worked out for an input size.

    Raises:
        ValueError: a feature map would have no pixel left.
    """

    def run(layers: tuple[Layer, ...], size: int) -> tuple[tuple[Layer, ...], int]:
        done = []
        for layer in layers:
            out_size = _out_size(layer, size)
            if out_size < 1:
                raise ValueError(f"{layer.path} would have no pixel left at input {input_size}")
            done.append(msgspec.structs.replace(layer, in_size=size, out_size=out_size))
            size = out_size
        return tuple(done), size

    size = input_size
    stages = []
    for stage in network.stages:
        units = []
        for unit in stage.units:
            shortcut, outer = run(unit.shortcut, size)
            branch, inner = run(unit.branch, size)
            size = outer if unit.join == "scale" else inner
            tail, size = run(unit.tail, size)
            units.append(msgspec.structs.replace(unit, branch=branch, shortcut=shortcut, tail=tail))
        stages.append(msgspec.structs.replace(stage, units=tuple(units)))
    return msgspec.structs.replace(network, input_size=input_size, stages=tuple(stages))


def _out_size(layer: Layer, size: int) -> int:
    if layer.kind in ("global_pool", "flatten", "linear"):
        return 1
    if layer.kind in ("conv", "depthwise", "max_pool", "avg_pool"):
        return (size + 2 * layer.padding - layer.kernel) // layer.stride + 1
    return size


def replace_unit(network: Network, unit: Unit) -> Network:
    """The network with the unit of that path replaced."""
    stages = tuple(
        msgspec.structs.replace(
            stage, units=tuple(unit if old.path == unit.path else old for old in stage.units)
        )
        for stage in network.stages
    )
    return msgspec.structs.replace(network, stages=stages)
