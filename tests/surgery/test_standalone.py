"""The generated module is the network, and nothing in a model file becomes code in it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from structures import tiny
from torch import Tensor

from sessions.network import Network, Unit
from workbench.surgery.build import build
from workbench.surgery.compact import compact
from workbench.surgery.exporting import standalone
from workbench.training.measuring.evaluate import normalised

replace = msgspec.structs.replace
State = dict[str, Tensor]


def module_of(text: str) -> dict[str, Any]:
    """What the generated source defines."""
    space: dict[str, Any] = {"__file__": "net.py"}
    exec(compile(text, "net.py", "exec"), space)
    return space


def test_the_module_normalises_as_the_workbench_does() -> None:
    network = replace(tiny(), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    space = module_of(standalone.source(network, "net", "net.weights.pt"))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    expected = normalised(pixels, network, torch.device("cpu"))
    assert torch.allclose(space["normalise"](images), expected, atol=1e-5)


def test_random_networks_as_modules(
    random_network: Callable[..., Network], random_state: Callable[..., State]
) -> None:
    for seed in range(12):
        network = random_network(random.Random(seed))
        state = random_state(network, seed)
        smaller, moved = compact(network, state)
        module = module_of(standalone.source(smaller, "net", "w"))["build"]().eval()
        module.load_state_dict(standalone.weights(smaller, moved))
        size = network.input_size
        images = torch.randn((2, network.input_channels, size, size))
        with torch.inference_mode():
            expected = build(network, state)(images)
            assert torch.allclose(module(images), expected, rtol=1e-4, atol=1e-5)


def renamed(unit: Unit, names: list[str]) -> Unit:
    branch = zip(unit.branch, names, strict=True)
    return replace(unit, branch=tuple(replace(x, path=name) for x, name in branch))


def test_names_in_a_file_never_become_code(
    tmp_path: Path, random_state: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a network whose names try to break out of the source, or clash with torch's
    monkeypatch.chdir(tmp_path)
    trap = 'x"""\n)); open("sprung", "w"); ("""'
    network = replace(tiny(), family=trap)
    stage, *others = network.stages[1:]
    first, second = stage.units
    names = ["forward", "class", "a" * 99, "p.relu", "training", "q.relu", "layer2", trap]
    units = (replace(first, path=f"{trap}.unit1"), replace(renamed(second, names), path=trap))
    stages = (network.stages[0], replace(stage, path=trap, units=units), *others)
    network = replace(network, stages=stages)
    state = random_state(network, 1)
    # WHEN
    text = standalone.source(network, "net", "net.weights.pt")
    module = module_of(text)["build"]().eval()
    module.load_state_dict(standalone.weights(network, state))
    # THEN
    assert list(tmp_path.iterdir()) == []
    assert "sprung" not in text
    images = torch.randn((2, 3, 32, 32))
    with torch.inference_mode():
        assert torch.allclose(module(images), build(network, state)(images), atol=1e-4)
    parts = [name for name, _ in module.named_modules() if name.startswith("stage2_.unit2.branch.")]
    assert [name.rpartition(".")[2] for name in parts] == [
        "layer1", "layer2_", "layer3", "relu", "layer5", "relu_", "layer2", "layer8",
    ]  # fmt: skip
