"""Networks of cells written for these tests alone, as arithmetic on named weights.

Nothing of what is checked is used: `plan` tells the workbench of the same shape.
"""

import dataclasses
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.surgery.families import cells

RESIDUAL = ("bottleneck", "inverted")
State = dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Place:
    """A cell of a drawn network, and where it stands."""

    path: str
    op: str
    gate: str
    before: str
    after: str
    stride: int
    kernel: int
    activation: str
    mid: int
    squeeze: int


class CellReference:
    """A drawn network: its shape, its weights, and what it computes."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.size, self.classes = rng.choice((16, 21, 32)), rng.randint(2, 6)
        self.activation, self.has_pool = rng.choice(cells.ACTIVATIONS), rng.random() < 0.3
        self.widths = {"image": 3, "init": rng.randint(2, 8), "classes": self.classes}
        self.places: list[Place] = []
        self.stages: dict[str, list[Place]] = {}
        before = "init"
        for number in range(1, rng.randint(1, 3) + 1):
            stage = f"stage{number}"
            self.widths[stage] = rng.choice((4, 6, 8, 9, 12))
            self.stages[stage] = []
            for position in range(1, rng.randint(1, 4) + 1):
                self.stages[stage].append(self._drawn(rng, stage, position, before))
                before = stage
        self.last = before
        self.convs: dict[str, tuple[str, str, int]] = {"init.conv": ("init", "image", 3)}
        """By name: the axes of its output and input, and its kernel."""
        self.norms: dict[str, str] = {"init.bn": "init"}
        self.depthwise: dict[str, tuple[str, int]] = {}
        for place in self.places:
            self._layers(place)
        self.state = self._weights(seed)

    def plan(self) -> cells.Plan:
        """The same network, as the workbench is told of it."""
        return cells.Plan(
            init_width=self.widths["init"],
            classes=self.classes,
            input_size=self.size,
            init_activation=self.activation,
            has_init_pool=self.has_pool,
            stages=tuple(
                cells.StagePlan(
                    self.widths[stage],
                    tuple(
                        cells.Cell(
                            op=x.op, activation=x.activation, stride=x.stride, kernel=x.kernel,
                            mid=x.mid, squeeze=x.squeeze,
                        )
                        for x in places
                    ),
                )
                for stage, places in self.stages.items()
            ),
        )  # fmt: skip

    def logits(self, x: Tensor, w: State, off: set[str]) -> Tensor:
        """(N, 3, S, S) -> (N, classes); units that are off add nothing, or scale by one."""
        x = _norm(F.conv2d(x, w["init.conv.weight"], stride=2, padding=1), w, "init.bn")
        x = _activated(x, self.activation)
        if self.has_pool:
            x = F.max_pool2d(x, 3, 2, 1)
        for place in self.places:
            is_residual = place.before == place.after and place.op in RESIDUAL
            y = self._cell(place, x, w)
            x = y if not is_residual else x if place.path in off else x + y
            if place.squeeze and place.gate not in off:
                s = x.mean(dim=(2, 3))
                s = torch.relu(_dense(s, w, f"{place.gate}.squeeze_conv"))
                s = _dense(s, w, f"{place.gate}.excite_conv")
                x = x * ((s + 3).clamp(0, 6) / 6)[:, :, None, None]
        return _dense(x.mean(dim=(2, 3)), w, "output")

    def _drawn(self, rng: random.Random, stage: str, position: int, before: str) -> Place:
        op = rng.choice(cells.OPS)
        place = Place(
            path=f"{stage}.{op}{position}", op=op, gate=f"{stage}.se{position}", before=before,
            after=stage, stride=rng.choice((1, 2)) if position == 1 else 1,
            kernel=rng.choice((3, 5)), activation=rng.choice(cells.ACTIVATIONS),
            mid=rng.choice((3, 4, 6, 8)) if op in RESIDUAL else 0,
            squeeze=rng.choice((0, 2, 3)),
        )  # fmt: skip
        self.places.append(place)
        return place

    def _layers(self, place: Place) -> None:
        path, mid, before, after = place.path, f"{place.path}.mid", place.before, place.after
        self.widths |= {mid: place.mid, f"{mid}2": place.mid} if place.mid else {}
        norms: tuple[str, ...] = (after,)
        match place.op:
            case "conv":
                self.convs[f"{path}.conv"] = (after, before, place.kernel)
            case "separable":
                self.depthwise[f"{path}.depthwise"] = (before, place.kernel)
                self.convs[f"{path}.pointwise"] = (after, before, 1)
                norms = (before, after)
            case "bottleneck":
                self.convs[f"{path}.reduce_conv"] = (mid, before, 1)
                self.convs[f"{path}.conv"] = (f"{mid}2", mid, place.kernel)
                self.convs[f"{path}.restore_conv"] = (after, f"{mid}2", 1)
                norms = (mid, f"{mid}2", after)
            case "inverted":
                self.convs[f"{path}.expand_conv"] = (mid, before, 1)
                self.depthwise[f"{path}.depthwise"] = (mid, place.kernel)
                self.convs[f"{path}.project_conv"] = (after, mid, 1)
                norms = (mid, mid, after)
                del self.widths[f"{mid}2"]
            case _:
                self.convs[f"{path}.pointwise"] = (after, before, 1)
        if len(norms) == 1:
            self.norms[f"{path}.bn"] = after
        else:
            self.norms |= {f"{path}.bn{n}": axis for n, axis in enumerate(norms, start=1)}
        if place.squeeze:
            inner = f"{place.gate}.mid"
            self.widths[inner] = place.squeeze
            self.convs[f"{place.gate}.squeeze_conv"] = (inner, after, 1)
            self.convs[f"{place.gate}.excite_conv"] = (after, inner, 1)

    def _weights(self, seed: int) -> State:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator)

        state: State = {"output.weight": normal(self.classes, self.widths[self.last])}
        state["output.bias"] = normal(self.classes)
        for name, (out, inside, kernel) in self.convs.items():
            fan_in = self.widths[inside] * kernel**2
            shape = (self.widths[out], self.widths[inside], kernel, kernel)
            state[f"{name}.weight"] = normal(*shape) / fan_in**0.5
            if name.endswith(("squeeze_conv", "excite_conv")):
                state[f"{name}.bias"] = normal(self.widths[out])
        for name, (axis, kernel) in self.depthwise.items():
            state[f"{name}.weight"] = normal(self.widths[axis], 1, kernel, kernel) / kernel
        for name, axis in self.norms.items():
            width = self.widths[axis]
            state[f"{name}.weight"], state[f"{name}.bias"] = normal(width), normal(width) / 2
            state[f"{name}.running_mean"] = normal(width) * 0.3
            state[f"{name}.running_var"] = torch.rand(width, generator=generator) * 2 + 0.2
            state[f"{name}.num_batches_tracked"] = torch.tensor(0)
        return state

    def _cell(self, place: Place, x: Tensor, w: State) -> Tensor:
        path, edge = place.path, place.kernel // 2

        def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
            weight = w[f"{path}.{name}.weight"]
            groups = x.shape[1] if name == "depthwise" else 1
            return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)

        def after(x: Tensor, norm: str) -> Tensor:
            return _activated(_norm(x, w, f"{path}.{norm}"), place.activation)

        match place.op:
            case "conv":
                return after(conv("conv", x, place.stride), "bn")
            case "separable":
                x = after(conv("depthwise", x, place.stride), "bn1")
                return after(conv("pointwise", x), "bn2")
            case "bottleneck" | "inverted":
                names = ("reduce_conv", "conv", "restore_conv")
                if place.op == "inverted":
                    names = ("expand_conv", "depthwise", "project_conv")
                x = after(conv(names[0], x), "bn1")
                x = after(conv(names[1], x, place.stride), "bn2")
                return _norm(conv(names[2], x), w, f"{path}.bn3")
            case "maxpool":
                x = F.max_pool2d(x, place.kernel, place.stride, edge)
            case "avgpool":
                x = F.avg_pool2d(x, place.kernel, place.stride, edge)
        return after(conv("pointwise", x), "bn")


def _norm(x: Tensor, w: State, name: str) -> Tensor:
    scale, shift, mean, var = (
        w[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def _dense(x: Tensor, w: State, name: str) -> Tensor:
    return x @ w[f"{name}.weight"].flatten(1).T + w[f"{name}.bias"]


def _activated(x: Tensor, name: str) -> Tensor:
    match name:
        case "hard_swish":
            return x * (x + 3).clamp(0, 6) / 6
        case "silu":
            return x * torch.sigmoid(x)
    return x.clamp(min=0)
