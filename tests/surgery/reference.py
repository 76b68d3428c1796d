"""A ShuffleNet written for these tests alone, with random weights; it imports nothing it checks.

Only `make_case` shows it to the workbench: as names, shapes and values.
"""

import dataclasses
import os

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sessions.network import Network, sized
from workbench.surgery import families
from workbench.surgery.build import build
from workbench.surgery.carry import Carried

TOLERANCE = 1e-5
SEEDS = st.integers(0, 2**31)
State = dict[str, Tensor]


def random_cases(default: int) -> settings:
    """So many random cases; the environment variable WORKBENCH_CASES sets another number."""
    return settings(
        max_examples=int(os.environ.get("WORKBENCH_CASES") or default),
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@dataclasses.dataclass(frozen=True)
class Shape:
    """A ShuffleNet; widths are multiples of the groups."""

    groups: int
    init: int
    new: tuple[int, ...]
    mids: tuple[tuple[int, ...], ...]
    classes: int
    head: str
    size: int
    kernel: int = 3


class Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        wired = [x[:, i :: c // self.groups] for i in range(c // self.groups)]
        return torch.cat(wired, dim=1).reshape(n, c, h, w)


class ReferenceUnit(nn.Module):
    def __init__(self, before, mid, out, shape, compress_groups, *, is_first) -> None:
        super().__init__()
        self.is_first = is_first
        put_out = out - before if is_first else out
        stride, k = 2 if is_first else 1, shape.kernel
        self.compress_conv1 = nn.Conv2d(before, mid, 1, groups=compress_groups, bias=False)
        self.compress_bn1 = nn.BatchNorm2d(mid)
        self.c_shuffle = Shuffle(shape.groups)
        self.dw_conv2 = nn.Conv2d(mid, mid, k, stride, k // 2, groups=mid, bias=False)
        self.dw_bn2 = nn.BatchNorm2d(mid)
        self.expand_conv3 = nn.Conv2d(mid, put_out, 1, groups=shape.groups, bias=False)
        self.expand_bn3 = nn.BatchNorm2d(put_out)
        self.avgpool = nn.AvgPool2d(3, 2, 1)

    def forward(self, x: Tensor, mask: float = 1.0) -> Tensor:
        y = torch.relu(self.compress_bn1(self.compress_conv1(x)))
        y = self.dw_bn2(self.dw_conv2(self.c_shuffle(y)))
        y = self.expand_bn3(self.expand_conv3(y)) * mask
        joined = torch.cat((y, self.avgpool(x)), dim=1) if self.is_first else x + y
        return torch.relu(joined)


class Reference(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.features = nn.Module()
        block = self.features.init_block = nn.Module()
        block.conv = nn.Conv2d(3, shape.init, 3, 2, 1, bias=False)
        block.bn = nn.BatchNorm2d(shape.init)
        block.pool = nn.MaxPool2d(3, 2, 1)
        self.names: list[tuple[str, str]] = []
        before = shape.init
        for number, (new, mids) in enumerate(zip(shape.new, shape.mids, strict=True), start=1):
            stage = nn.Module()
            self.features.add_module(f"stage{number}", stage)
            out = before + new
            for position, mid in enumerate(mids, start=1):
                is_dense = number == 1 and position == 1
                unit = ReferenceUnit(
                    before if position == 1 else out,
                    mid,
                    out,
                    shape,
                    1 if is_dense else shape.groups,
                    is_first=position == 1,
                )
                stage.add_module(f"unit{position}", unit)
                self.names.append((f"stage{number}", f"unit{position}"))
            before = out
        if shape.head == "linear":
            self.output = nn.Linear(before, shape.classes)
        else:
            self.output = nn.Conv2d(before, shape.classes, 1, bias=False)

    def unit(self, path: str) -> ReferenceUnit:
        stage, _, name = path.partition(".")
        return getattr(getattr(self.features, stage), name)

    def forward(self, x: Tensor, off: frozenset[str] = frozenset()) -> Tensor:
        block = self.features.init_block
        x = block.pool(torch.relu(block.bn(block.conv(x))))
        for stage, name in self.names:
            path = f"{stage}.{name}"
            x = self.unit(path)(x, 0.0 if path in off else 1.0)
        x = x.mean(dim=(2, 3), keepdim=True)
        return self.output(x.flatten(1) if isinstance(self.output, nn.Linear) else x).flatten(1)


@st.composite
def shapes(draw) -> Shape:
    groups = draw(st.sampled_from((1, 2, 3, 4, 8)))
    depths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    times = st.integers(1, 4)
    return Shape(
        groups=groups,
        init=groups * draw(st.integers(1, 2)),
        new=tuple(groups * draw(times) for _ in depths),
        mids=tuple(tuple(groups * draw(times) for _ in range(depth)) for depth in depths),
        classes=draw(st.integers(2, 7)),
        head=draw(st.sampled_from(("linear", "conv"))),
        size=draw(st.sampled_from((16, 21, 32, 48))),
        kernel=draw(st.sampled_from((3, 3, 5, 1))),
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """An original with its weights, as the workbench sees it."""

    reference: Reference
    network: Network
    state: State
    images: Tensor

    @property
    def removable(self) -> list[str]:
        return [path for path, unit in self.network.units.items() if unit.is_removable]

    @property
    def opened(self) -> Carried:
        return Carried(network=self.network, state=self.state)


def make_case(shape: Shape, seed: int) -> Case:
    generator = torch.Generator().manual_seed(seed)
    reference = Reference(shape).eval()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            width = module.num_features
            module.running_mean.copy_(torch.randn(width, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(width, generator=generator) * 2 + 0.2)
            module.weight.data.copy_(torch.randn(width, generator=generator))
            module.bias.data.copy_(torch.randn(width, generator=generator) * 0.5)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            drawn = torch.randn(module.weight.shape, generator=generator)
            module.weight.data.copy_(drawn / module.weight[0].numel() ** 0.5)
            if module.bias is not None:
                module.bias.data.copy_(torch.randn(shape.classes, generator=generator))
    state = copied(reference.state_dict())
    described = families.describe({name: tuple(value.shape) for name, value in state.items()})
    images = torch.randn(3, 3, shape.size, shape.size, generator=generator)
    return Case(reference.requires_grad_(False), sized(described, shape.size), state, images)


SMALL = Shape(3, 6, (12, 18), ((6, 3, 9), (6, 6, 12)), 5, "linear", 32)


def logits(carried: Carried, images: Tensor) -> Tensor:
    """What the built module computes, in the precision of the images."""
    module = build(carried.network).to(images.dtype)
    module.load_state_dict({name: carried.state[name] for name in module.state_dict()})
    with torch.inference_mode():
        return module(images)


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """Largest difference of a logit, relative to the largest logit."""
    assert found.shape == wanted.shape
    difference, largest = float((found - wanted).abs().max()), float(wanted.abs().max())
    return difference / max(largest, 1e-300)


def copied(state: State) -> State:
    return {name: value.clone() for name, value in state.items()}


def assert_identical(found: State, wanted: State) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
