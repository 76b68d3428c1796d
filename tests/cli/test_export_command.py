"""`export` writes what its suffix says, says how it compares, and leaves nothing after an error."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "net.onnx": (["net.onnx"], "ONNX", "onnxruntime"),
    "net.pt2": (["net.pt2"], "ExportedProgram", "torch.export"),
    "net.py": (["net.py", "net.weights.pt"], "Python module", "python -I"),
    "net.pt": (["net.pt"], "workbench file", "torch"),
}


@pytest.fixture(scope="module")
def small(run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network of one unit a stage, 10 classes, input 32."""
    path = tmp_path_factory.mktemp("small") / "small.pt"
    ended = run("new", path, "--units", "1,1,1", "--input-size", "32")
    assert ended.code == 0, ended.err
    return path


@pytest.mark.parametrize("name", FILES)
def test_export_is_one_object_with_parity_size_and_latency(
    name: str, run: Callable[..., Any], small: Path, tmp_path: Path
) -> None:
    ended = run("export", small, tmp_path / name, "--data", "digits", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    written, form, runtime = FILES[name]
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    assert found["files"] == {str(path): path.stat().st_size for path in tmp_path.iterdir()}
    assert found["bytes"] == sum(found["files"].values())
    assert found["form"] == form
    assert runtime in found["runtime"]
    assert (found["units"], found["classes"], found["input_size"]) == ([1, 1, 1], 10, 32)
    inspected = run("inspect", small, "--json").json
    assert found["macs"] == found["ptflops_macs"] == inspected["macs"]["contest"]
    assert found["params"] == inspected["params"]
    assert {inputs: x["images"] for inputs, x in found["parity"].items()} == {
        "random": 16, "data": 100,
    }  # fmt: skip
    for parity in found["parity"].values():
        assert parity["same_classes"] == parity["images"]
        assert 0 <= parity["max_rel"] <= 1e-4
    assert found["latency_ms"].keys() == {"built", "exported"}
    assert all(value > 0 for value in found["latency_ms"].values())


def test_export_for_people_names_every_file_and_the_next_step(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    ended = run("export", demo_model, tmp_path / "net.py", is_terminal=True)
    assert (ended.code, ended.err) == (0, "")
    for words in (
        "of the largest logit", "random", "256,402 MACs (ptflops counts 256,402)", "net.py",
        "net.weights.pt", "one image, one thread", "import load and normalise",
    ):  # fmt: skip
        assert words in ended.out


def test_a_plain_file_is_opened_as_the_same_network(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "plain.pth"
    ended = run("export", demo_model, out, "--plain", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["form"] == "plain state_dict"
    before = run("inspect", demo_model, "--json").json
    after = run("inspect", out, "--input-size", "32", "--json").json
    assert after["layers"] == before["layers"]


def test_export_at_another_size_is_for_that_size(
    run: Callable[..., Any], small: Path, tmp_path: Path
) -> None:
    found = run("export", small, tmp_path / "net.pt", "--input-size", "48", "--json").json
    again = run("inspect", tmp_path / "net.pt", "--json").json
    assert found["input_size"] == again["input_size"] == 48
    assert found["macs"] == again["macs"]["contest"]


REFUSED = {
    "{out}/net.tflite": ("'net.tflite'", "end the name in .onnx"),
    "{out}/none/net.onnx": ("folder does not exist", "create it first"),
    "{out}/my-net.py": ("'my-net.py'", "name it net.py"),
    "{out}/net.onnx --plain": ("--plain is for", "leave it out"),
    "{out}/net.pt2 --data {out}/nowhere": ("no data folder", "name a folder of images"),
    "{out}/net.pt2 --input-size 4": ("input:4", "input:8"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_exported_is_one_line_and_no_file(
    line: str, run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    ended = run("export", demo_model, *line.format(out=tmp_path).split(), "--json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    for words in REFUSED[line]:
        assert words in ended.err
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages_for_onnx_the_error_names_the_extra(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ended = run("export", demo_model, tmp_path / "net.onnx")
    assert (ended.code, ended.out) == (1, "")
    assert "pip install 'workbench[onnx]'" in ended.err
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["net.pt2", "net.py"])
def test_an_export_that_does_not_fit_is_one_line_and_keeps_what_was_there(
    name: str, start: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / name
    out.write_text("an older one")
    ended = start(
        "export", demo_model, out, "--json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: cannot write {out.with_suffix('')}")
    assert "no space left" in ended.err
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text() == "an older one"


def test_the_model_is_not_overwritten_by_the_weights_of_its_module(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "net.weights.pt"
    assert run("export", demo_model, model).code == 0
    before = model.read_bytes()
    ended = run("export", model, tmp_path / "net.py")
    assert ended.code == 1
    assert "give another name" in ended.err
    assert model.read_bytes() == before
    assert list(tmp_path.iterdir()) == [model]


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['workbench', 'export', '--help']\n"
        "from workbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print('torch' in sys.modules, 'onnx' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "--plain" in done.stdout
    assert done.stdout.endswith("False False\n")
