"""A network as readable Python source that needs PyTorch alone, and its weights under its names.

Names in model files are hostile: a name goes into the source where it is a plain identifier, a
neutral one takes its place where it is not, and nothing else of a file but numbers goes in.
"""

import json
import keyword
import re
from collections.abc import Iterable, Sequence

from torch import nn

from sessions import macs
from sessions.network import Layer, Network, Stage, Unit
from workbench.surgery.build import State

LARGEST_NAME = 40
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII | re.IGNORECASE)
_TAKEN = frozenset(dir(nn.Sequential()))
"""Names that a module of torch has itself; a part of that name could not be registered."""
_HEAD = '''"""An image classifier as plain PyTorch source; it needs nothing but PyTorch.

    from {module} import load, normalise

    model = load()  # reads {weights} beside this file
    logits = model(normalise(images))

`images` are floats in 0..1 of shape (N, {channels}, {size}, {size}){order}; `logits` are
(N, {classes}). `build()` is the network with new weights, to be trained elsewhere.

{parameters} parameters; {macs} MACs an image, counted as conv and linear layers with
their biases, twice the values that batch norm reads and once those that pooling reads.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

INPUT_SIZE = {size:d}
CHANNELS = {channels:d}
CLASSES = {classes:d}
MEAN = {mean!r}
STD = {std!r}
WEIGHTS = Path(__file__).with_name({quoted})


class Unit(nn.Module):
    """tail(join(branch(x), shortcut(x))); the join adds, concatenates or scales by a gate."""

    def __init__(
        self,
        join: str,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        tail: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.join = join
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()
        self.tail = tail or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')"""
        inner, outer = self.branch(x), self.shortcut(x)
        if self.join == "scale":
            return self.tail(inner * outer)
        joined = inner + outer if self.join == "add" else torch.cat((inner, outer), dim=1)
        return self.tail(joined)


def chain(**parts: nn.Module) -> nn.Sequential:
    """Named modules, one after another."""
    return nn.Sequential(OrderedDict(parts))


def normalise(images: Tensor) -> Tensor:
    """Images (N, CHANNELS, INPUT_SIZE, INPUT_SIZE) in 0..1 as the network wants them."""
    mean = torch.tensor(MEAN, dtype=images.dtype, device=images.device)
    std = torch.tensor(STD, dtype=images.dtype, device=images.device)
    return (images - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


def load(path: str | Path = WEIGHTS) -> nn.Module:
    """The network with its weights, on the CPU and in evaluation mode."""
    model = build()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def build() -> nn.Module:
    """Normalised images (N, CHANNELS, INPUT_SIZE, INPUT_SIZE) -> logits (N, CLASSES)."""
    return chain(
'''


def source(network: Network, module: str, weights: str) -> str:
    """The text of the module, units that are off left out.

    Args:
        module: its name, an identifier.
        weights: name of the file that its `load` reads beside it.
    """
    head = _HEAD.format(
        module=module,
        weights=weights,
        quoted=_quoted(weights),
        size=network.input_size,
        channels=network.input_channels,
        classes=network.classes,
        order={3: ", red first", 1: ", grey"}.get(network.input_channels, ""),
        parameters=f"{network.total_parameters():,}",
        macs=f"{macs.count(network):,}",
        mean=tuple(map(float, network.mean)),
        std=tuple(map(float, network.std)),
    )
    return head + "\n".join(_Writer(network).lines) + "\n    )\n"


def weights(network: Network, state: State) -> State:
    """The tensors of what is on, under the names that they have in the module of `source`.

    Raises:
        KeyError: a tensor is missing.
    """
    moves = _Writer(network).keys
    named = {}
    for old, new in moves.items():
        names = [name for name in state if name.rpartition(".")[0] == old]
        if f"{old}.weight" not in names:
            raise KeyError(f"{old}.weight")
        named.update({new + name[len(old) :]: state[name].detach().clone() for name in names})
    return named


class _Writer:
    """Walks a network once: the lines of source, and the new key of every layer with tensors."""

    def __init__(self, network: Network) -> None:
        self.lines: list[str] = []
        self.keys: dict[str, str] = {}
        self._network = network
        stages = [stage for stage in network.stages if any(unit.is_on for unit in stage.units)]
        for name, stage in zip(_names((x.path for x in stages), "stage"), stages, strict=True):
            self._stage(name, stage)

    def _stage(self, name: str, stage: Stage) -> None:
        if stage.is_plain:
            self._unit(name, name, stage.units[0], 2)
            return
        units = [unit for unit in stage.units if unit.is_on]
        self._line(2, f"{name}=chain(")
        for inner, unit in zip(_names((x.name for x in units), "unit"), units, strict=True):
            self._unit(inner, f"{name}.{inner}", unit, 3)
        self._line(2, "),")

    def _unit(self, name: str, key: str, unit: Unit, depth: int) -> None:
        if unit.join == "none":
            self._chain(name, key, (*unit.branch, *unit.tail), depth)
            return
        self._line(depth, f"{name}=Unit(")
        self._line(depth + 1, f"join={_quoted(unit.join)},")
        self._chain("branch", f"{key}.branch", unit.branch, depth + 1)
        for part, layers in (("shortcut", unit.shortcut), ("tail", unit.tail)):
            if layers:
                self._chain(part, f"{key}.{part}", layers, depth + 1)
        self._line(depth, "),")

    def _chain(self, name: str, key: str, layers: Sequence[Layer], depth: int) -> None:
        made = []
        for inner, layer in zip(_names((x.name for x in layers), "layer"), layers, strict=True):
            made.append(f"{inner}={_module(self._network, layer)}")
            if self._network.weight_shape(layer):
                self.keys[layer.key or f"ops.{layer.path}"] = f"{key}.{inner}"
        if len(made) < 2:
            self._line(depth, f"{name}=chain({''.join(made)}),")
            return
        self._line(depth, f"{name}=chain(")
        for part in made:
            self._line(depth + 1, f"{part},")
        self._line(depth, "),")

    def _line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)


def _names(found: Iterable[str], kind: str) -> list[str]:
    """Different names that are safe as keywords and as names of modules."""
    wanted = list(found)
    names: list[str] = []
    for number, name in enumerate(wanted, start=1):
        is_usable = (
            len(name) <= LARGEST_NAME
            and _NAME.fullmatch(name)
            and not keyword.iskeyword(name)
            and name not in _TAKEN
        )
        chosen = name if is_usable else f"{kind}{number}"
        while chosen in names or (chosen != name and chosen in wanted):
            chosen += "_"
        names.append(chosen)
    return names


def _quoted(text: str) -> str:
    """A literal in Python that holds for any text."""
    return json.dumps(text)


def _module(network: Network, layer: Layer) -> str:
    """The expression that makes a layer; what torch assumes anyway is left out."""
    in_width, out_width = network.width(layer.in_axis), network.width(layer.out_axis)
    bias = "" if layer.has_bias else ", bias=False"
    window = _options(stride=layer.stride, padding=layer.padding)
    match layer.kind:
        case "conv" | "depthwise":
            groups = _options(groups=network.groups(layer))
            return f"nn.Conv2d({in_width:d}, {out_width:d}, {layer.kernel:d}{window}{groups}{bias})"
        case "linear":
            return f"nn.Linear({in_width:d}, {out_width:d}{bias})"
        case "batch_norm":
            return f"nn.BatchNorm2d({in_width:d})"
        case "relu":
            return "nn.ReLU()"
        case "hard_swish":
            return "nn.Hardswish()"
        case "silu":
            return "nn.SiLU()"
        case "hard_sigmoid":
            return "nn.Hardsigmoid()"
        case "max_pool":
            return f"nn.MaxPool2d({layer.kernel:d}, {layer.stride:d}, {layer.padding:d})"
        case "avg_pool":
            return f"nn.AvgPool2d({layer.kernel:d}, {layer.stride:d}, {layer.padding:d})"
        case "global_pool":
            return "nn.AdaptiveAvgPool2d(1)"
        case "shuffle":
            return f"nn.ChannelShuffle({layer.groups:d})"
        case "flatten":
            return "nn.Flatten()"


def _options(**values: int) -> str:
    """Keyword arguments that are not what torch assumes."""
    assumed = {"stride": 1, "padding": 0, "groups": 1}
    return "".join(
        f", {name}={value:d}" for name, value in values.items() if value != assumed[name]
    )
