"""Builds a plain torch module from a Network. The module's tensor names are the layers' keys.

Depth follows the Network; nothing here knows a family.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sessions.network import Join, Layer, Network, Unit

State = dict[str, Tensor]
TENSORS = ("weight", "bias", "running_mean", "running_var")
"""What a layer may have beside a batch counter, which evaluation does not read."""


def joined(
    x: Tensor,
    branch: Sequence[Callable[[Tensor], Tensor]],
    shortcut: Sequence[Callable[[Tensor], Tensor]],
    tail: Sequence[Callable[[Tensor], Tensor]],
    join: Join,
) -> Tensor:
    """What a unit computes: tail(join(branch(x), shortcut(x)))."""
    identity = x
    for step in branch:
        x = step(x)
    if join != "none":
        for step in shortcut:
            identity = step(identity)
        match join:
            case "add":
                x = x.add_(identity)
            case "concat":
                x = torch.cat((x, identity), dim=1)
            case "scale":
                x = x * identity
    for step in tail:
        x = step(x)
    return x


class Block(nn.Module):
    """A unit: tail(join(branch(x), shortcut(x)))."""

    def __init__(self, unit: Unit, modules: dict[str, nn.Module]) -> None:
        super().__init__()
        self.join = unit.join
        # Plain lists: the tensors are registered under their checkpoint names by Assembled.
        self.branch = [modules[layer.path] for layer in unit.branch]
        self.shortcut = [modules[layer.path] for layer in unit.shortcut]
        self.tail = [modules[layer.path] for layer in unit.tail]

    def forward(self, x: Tensor) -> Tensor:
        """Run the unit."""
        return joined(x, self.branch, self.shortcut, self.tail, self.join)


class Assembled(nn.Module):
    """The units that are on, in sequence: (N, C, S, S) -> logits (N, classes)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        for unit in units_on(network):
            modules = {layer.path: _module(network, layer) for layer in unit.layers()}
            for layer in unit.layers():
                _register(self, layer.key or f"ops.{layer.path}", modules[layer.path])
            self.blocks.append(Block(unit, modules))

    def forward(self, x: Tensor) -> Tensor:
        """Run the network on normalised images."""
        for block in self.blocks:
            x = block(x)
        return x


def build(network: Network, state: State | None = None) -> Assembled:
    """The module of a Network in evaluation mode, with the weights of `state` where given.

    Tensors of off units in `state` are left out; any other difference is an error.

    Raises:
        RuntimeError: a tensor is missing or has another shape.
    """
    module = Assembled(network).eval()
    if state is not None:
        wanted = module.state_dict()
        module.load_state_dict({name: state[name] for name in wanted if name in state})
    return module


def run(network: Network, state: State, x: Tensor, units: slice = slice(None)) -> Tensor:
    """What the built module computes in evaluation mode, straight from the weights.

    For checks: making the modules takes longer than running them on a few images.

    Args:
        units: which of the units that are on; `x` is the input of the first.
    """
    for unit in units_on(network)[units]:
        branch, shortcut, tail = (
            [partial(apply_layer, network, state, layer) for layer in part]
            for part in (unit.branch, unit.shortcut, unit.tail)
        )
        x = joined(x, branch, shortcut, tail, unit.join)
    return x


BROKEN = (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What torch raises when modules cannot be made from numbers and names, or do not fit together."""


def expected_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of everything that is on."""
    shapes: dict[str, tuple[int, ...]] = {}
    for _, layer in network.layers():
        shape = network.weight_shape(layer)
        if not shape:
            continue
        shapes[f"{layer.key}.weight"] = shape
        if layer.kind == "batch_norm":
            for name in ("bias", "running_mean", "running_var"):
                shapes[f"{layer.key}.{name}"] = shape
            shapes[f"{layer.key}.num_batches_tracked"] = ()
        elif layer.has_bias:
            shapes[f"{layer.key}.bias"] = shape[:1]
    return shapes


def try_out(network: Network, state: State) -> None:
    """Run a network that came from a file once, to see whether it works at all.

    Raises:
        ValueError: it does not.
    """
    shape = (1, network.input_channels, network.input_size, network.input_size)
    try:
        with torch.inference_mode():
            logits = build(network, state)(torch.zeros(shape))
    except BROKEN as error:
        raise ValueError(f"it does not run: {str(error).splitlines()[0][:80]}") from None
    if tuple(logits.shape) != (1, network.classes):
        raise ValueError(f"it puts out {tuple(logits.shape)}, not one value a class")


def units_on(network: Network) -> list[Unit]:
    """The units that are on, in running order."""
    return [unit for stage in network.stages for unit in stage.units if unit.is_on]


def apply_layer(network: Network, state: State, layer: Layer, x: Tensor) -> Tensor:
    """What one layer computes in evaluation mode; its input stays as it is."""
    weight, bias = state.get(f"{layer.key}.weight"), state.get(f"{layer.key}.bias")
    match layer.kind:
        case "conv" | "depthwise":
            assert weight is not None
            groups = network.groups(layer)
            return F.conv2d(x, weight, bias, layer.stride, layer.padding, groups=groups)
        case "linear":
            assert weight is not None
            return F.linear(x, weight, bias)
        case "batch_norm":
            mean, var = state[f"{layer.key}.running_mean"], state[f"{layer.key}.running_var"]
            return F.batch_norm(x, mean, var, weight, bias)
        case "relu":
            return F.relu(x)
    out: Tensor = _module(network, layer)(x)
    return out


def _register(root: nn.Module, key: str, module: nn.Module) -> None:
    *parents, name = key.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, nn.Module())
        root = getattr(root, parent)
    root.add_module(name, module)


def _module(network: Network, layer: Layer) -> nn.Module:
    in_width, out_width = network.width(layer.in_axis), network.width(layer.out_axis)
    match layer.kind:
        case "conv" | "depthwise":
            return nn.Conv2d(
                in_width,
                out_width,
                layer.kernel,
                layer.stride,
                layer.padding,
                groups=network.groups(layer),
                bias=layer.has_bias,
            )
        case "linear":
            return nn.Linear(in_width, out_width, bias=layer.has_bias)
        case "batch_norm":
            return nn.BatchNorm2d(in_width)
        case "relu":
            return nn.ReLU(inplace=True)
        case "hard_swish":
            return nn.Hardswish()
        case "silu":
            return nn.SiLU()
        case "hard_sigmoid":
            return nn.Hardsigmoid()
        case "max_pool":
            return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
        case "avg_pool":
            return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding)
        case "global_pool":
            return nn.AdaptiveAvgPool2d(1)
        case "shuffle":
            return nn.ChannelShuffle(layer.groups)
        case "flatten":
            return nn.Flatten()
