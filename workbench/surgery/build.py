"""Builds a plain torch module from a Network. The module's tensor names are the layers' keys.

Depth follows the Network; nothing here knows a family.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sessions.network import Join, Layer, Network, Unit

State = dict[str, Tensor]


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
        x = x.add_(identity) if join == "add" else torch.cat((x, identity), dim=1)
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
        for stage in network.stages:
            for unit in stage.units:
                if not unit.is_on:
                    continue
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


BROKEN = (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What torch raises when modules cannot be made from numbers and names, or do not fit together."""


def expected_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of everything that is on; takes no memory.

    Raises:
        ValueError: no module can be made of it.
    """
    try:
        with torch.device("meta"):
            return {k: tuple(v.shape) for k, v in Assembled(network).state_dict().items()}
    except BROKEN as error:
        raise ValueError(f"it cannot be built: {str(error).splitlines()[0][:80]}") from None


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
