"""Fixtures for every test: shared data, a private cache, and random ShuffleNet structures."""

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sessions import edits, network
from sessions.network import Network
from workbench.surgery.families import shufflenet

ROOT = Path(__file__).resolve().parents[1]
GROUPS = (1, 2, 3, 4, 8)


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache or config file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_CONFIG", os.devnull)
        patch.setenv("WORKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Small tensors are fastest on one thread, and sums come out the same on every machine."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared models and data sets."""
    folder = Path(os.environ.get("WORKBENCH_SHARED") or ROOT.parent / "shared")
    if not (folder / "models").is_dir():
        pytest.skip(f"no shared data in {folder}: set WORKBENCH_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def published() -> Callable[..., Network]:
    """The contest's network at 80 pixels and 9 classes, by its units per stage and head."""

    def make(units: Sequence[int] = (4, 8, 4), head: str = "linear") -> Network:
        made = edits.apply(shufflenet.fresh(units=units, classes=9), edits.InputSize(80))
        return edits.apply(made, edits.parse(f"head:{head}"))

    return make


@pytest.fixture(scope="session")
def random_network() -> Callable[[random.Random], Network]:
    """A ShuffleNet of random groups, widths, depths, kernels, head and size, some units off."""

    def make(rng: random.Random) -> Network:
        plan = _random_plan(rng)
        made = network.sized(shufflenet.make(plan), rng.choice((8, 17, 24, 32, 45, 64)))
        for unit in made.units.values():
            if unit.is_removable and rng.random() < 0.3:
                made = edits.apply(made, edits.UnitOff(unit.path))
        return made

    return make


@pytest.fixture(scope="session")
def random_state() -> Callable[[Network, int], dict[str, Any]]:
    """Weights of everything that is on, with batch norms that do something."""

    def make(net: Network, seed: int) -> dict[str, Any]:
        import torch

        from workbench.surgery.build import build

        generator = torch.Generator().manual_seed(seed)
        state = build(net).state_dict()
        for name, value in state.items():
            if not value.is_floating_point():
                continue
            drawn = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                drawn = torch.rand(value.shape, generator=generator) + 0.5
            elif value.ndim > 1:
                drawn /= value[0].numel() ** 0.5
            state[name] = drawn
        return state

    return make


def _random_plan(rng: random.Random) -> shufflenet.Plan:
    groups = rng.choice(GROUPS)
    before = init = groups * rng.randint(1, 3)
    stages = []
    for stage in range(1, rng.randint(1, 4) + 1):
        new = groups * rng.randint(1, 5)
        units = []
        for unit in range(1, rng.randint(1, 4) + 1):
            is_first = unit == 1
            dense_first = stage == 1 and is_first and rng.random() < 0.7
            units.append(
                shufflenet.UnitPlan(
                    path=f"stage{stage}.unit{unit}",
                    mid=groups * rng.randint(1, 4),
                    width=new if is_first else new + before,
                    groups=groups,
                    compress_groups=1 if dense_first else groups,
                    kernel=rng.choice((3, 3, 5)),
                )
            )
        stages.append(tuple(units))
        before += new
    head_kind = rng.choice(("linear", "conv"))
    return shufflenet.Plan(
        init_width=init,
        stages=tuple(stages),
        classes=rng.randint(2, 12),
        input_channels=rng.choice((3, 3, 1)),
        init_kernel=rng.choice((3, 3, 5)),
        head_kind=head_kind,
        head_has_bias=rng.random() < (0.8 if head_kind == "linear" else 0.2),
    )
