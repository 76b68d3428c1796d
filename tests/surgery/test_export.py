"""Whatever is exported computes what the network computed, without the workbench."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import onnx
import onnxruntime
import pytest
import torch
from structures import irregular, tiny, with_off
from torch import Tensor

from sessions.compacting import compacted
from sessions.network import Network
from workbench.surgery.build import build
from workbench.surgery.exporting import forms
from workbench.surgery.exporting.export import Exported, export
from workbench.surgery.exporting.parity import LIMIT
from workbench.surgery.files import read_model

State = dict[str, Tensor]
IMAGES = torch.randn((3, 3, 32, 32), generator=torch.Generator().manual_seed(2))
HERE = str(Path(forms.__file__).parent).encode()
ALONE = """
import sys
for name in ("workbench", "widgets", "sessions"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
import torch
from net import CHANNELS, CLASSES, INPUT_SIZE, build, load
images = torch.load("images.pt", weights_only=True)
assert images.shape[1:] == (CHANNELS, INPUT_SIZE, INPUT_SIZE)
with torch.inference_mode():
    logits = load()(images)
assert logits.shape[1:] == build().eval()(images).shape[1:] == (CLASSES,)
torch.save(logits, "logits.pt")
"""
"""Python code that imports the module as its reader would; nothing of ours can be imported."""


NETWORKS: dict[str, Callable[[], Network]] = {
    "fresh": tiny,
    "with units off": with_off,
    "irregular": irregular,
}


def run_onnx(out: Path, images: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def run_program(out: Path, images: Tensor) -> Tensor:
    return torch.export.load(out).module()(images)


def run_checkpoint(out: Path, images: Tensor) -> Tensor:
    opened = read_model(out, images.shape[-1])
    return build(opened.network, opened.state)(images)


def run_module(out: Path, images: Tensor) -> Tensor:
    torch.save(images, out.parent / "images.pt")
    subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(out.parent)],
        cwd=out.parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
        timeout=120,
    )
    return torch.load(out.parent / "logits.pt", weights_only=True)


RUNNERS: dict[str, Callable[[Path, Tensor], Tensor]] = {
    "net.onnx": run_onnx,
    "net.pt2": run_program,
    "net.py": run_module,
    "net.pt": run_checkpoint,
    "net.safetensors": run_checkpoint,
}


class Case(NamedTuple):
    """A network that was exported into a folder of its own."""

    network: Network
    state: State
    folder: Path
    done: Exported


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, random_state: Callable[..., State]
) -> Callable[[str, str], Case]:
    """Exports a structure under a name, once."""

    @functools.cache
    def make(structure: str, name: str) -> Case:
        torch.set_num_threads(1)
        network = msgspec.structs.replace(NETWORKS[structure](), mean=(0.1, 0.2, 0.3))
        state, folder = random_state(network, 1), tmp_path_factory.mktemp("exported")
        return Case(network, state, folder, export(folder / name, network, state, images=IMAGES))

    return make


@pytest.mark.parametrize("name", RUNNERS)
@pytest.mark.parametrize("structure", NETWORKS)
def test_what_is_read_back_puts_out_what_the_network_puts_out(
    name: str, structure: str, exported: Callable[[str, str], Case]
) -> None:
    # GIVEN
    network, state, folder, done = exported(structure, name)
    with torch.inference_mode():
        expected = build(network, state)(IMAGES)
    # THEN what was reported is so
    assert {path: Path(path).stat().st_size for path in done.files} == done.files
    assert str(folder / name) in done.files
    assert [(x.inputs, x.images, x.same_classes) for x in done.parity] == [
        ("random", 16, 16), ("data", 3, 3),
    ]  # fmt: skip
    assert all(x.max_rel <= LIMIT and x.max_abs <= LIMIT * x.largest_logit for x in done.parity)
    assert done.built_ms > 0
    assert done.exported_ms > 0
    assert done.network == compacted(network)[0]
    # AND the file, run by other means, puts out the same
    found = RUNNERS[name](folder / name, IMAGES)
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_an_onnx_file_tells_its_input_and_nothing_of_this_computer(
    exported: Callable[[str, str], Case],
) -> None:
    content = (exported("fresh", "net.onnx").folder / "net.onnx").read_bytes()
    model = onnx.load_from_string(content)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["mean"]) == [0.1, 0.2, 0.3]
    assert (facts["input_size"], facts["classes"]) == ("32", "5")
    (images,), (logits,) = model.graph.input, model.graph.output
    assert (images.name, logits.name) == ("images", "logits")
    batch, *edges = images.type.tensor_type.shape.dim
    assert batch.dim_param
    assert [edge.dim_value for edge in edges] == [3, 32, 32]
    assert not any(node.metadata_props for node in model.graph.node)
    assert HERE not in content


def test_an_exported_program_tells_its_input_and_nothing_of_this_computer(
    exported: Callable[[str, str], Case],
) -> None:
    path = exported("fresh", "net.pt2").folder / "net.pt2"
    extra = {"workbench.json": ""}
    torch.export.load(path, extra_files=extra)
    facts = json.loads(extra["workbench.json"])
    assert json.loads(facts["mean"]) == [0.1, 0.2, 0.3]
    assert facts["input_size"] == "32"
    assert HERE not in path.read_bytes()


def test_the_weights_of_a_module_are_bare_tensors(exported: Callable[[str, str], Case]) -> None:
    case = exported("fresh", "net.py")
    weights = torch.load(case.folder / "net.weights.pt", weights_only=True)
    assert all(isinstance(value, Tensor) for value in weights.values())
    learned = [x for name, x in weights.items() if name.endswith((".weight", ".bias"))]
    assert sum(x.numel() for x in learned) == case.network.total_parameters()
    assert HERE not in (case.folder / "net.py").read_bytes()
