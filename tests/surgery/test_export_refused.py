"""An export that cannot be, or is not the same network, is one line and leaves nothing behind."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from structures import tiny
from torch import Tensor

from sessions.network import Network
from workbench.errors import UserError
from workbench.surgery.exporting import standalone
from workbench.surgery.exporting.export import check_spares, check_target, export
from workbench.surgery.exporting.forms import FORMS
from workbench.surgery.exporting.parity import LIMIT, compare
from workbench.surgery.exporting.staging import staged

State = dict[str, Tensor]
TARGETS = {
    "unknown suffix": ("net.tflite", False, ("'net.tflite'", ".onnx, .pt2, .py, .pt")),
    "no suffix": ("net", False, ("'net'", "end the name in")),
    "plain ONNX": ("net.onnx", True, ("--plain is for .pt, .pth, .safetensors", "leave it out")),
    "missing folder": ("none/net.pt2", False, ("folder does not exist", "create it first")),
    "folder": ("folder.pt", False, ("folder.pt", "is a folder", "give a file name")),
    "folder as weights": ("taken.py", False, ("taken.weights.pt", "is a folder")),
    "no name of a module": ("my-net.py", False, ("'my-net.py'", "name it net.py")),
    "a word of Python": ("class.py", False, ("'class.py'", "name it net.py")),
    "hides torch": ("torch.py", False, ("hide Python's own torch", "name it net.py")),
    "hides a module": ("random.py", False, ("hide Python's own random", "name it net.py")),
}


@pytest.mark.parametrize("case", TARGETS)
def test_a_target_that_cannot_be_is_refused_before_any_work(case: str, tmp_path: Path) -> None:
    name, is_plain, words = TARGETS[case]
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "taken.weights.pt").mkdir()
    with pytest.raises(UserError) as refused:
        check_target(tmp_path / name, is_plain=is_plain)
    for word in words:
        assert word in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_packages_for_onnx_the_error_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"pip install 'workbench\[onnx\]'") as refused:
        export(tmp_path / "net.onnx", tiny(), {})
    assert package in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    assert check_target(tmp_path / "net.pt2").name == "ExportedProgram"


def test_the_weights_of_a_module_never_replace_the_model(tmp_path: Path) -> None:
    model = tmp_path / "net.weights.pt"
    model.touch()
    with pytest.raises(UserError, match="would write its weights over"):
        check_spares(tmp_path / "net.py", model)
    check_spares(tmp_path / "net.onnx", model)
    check_spares(tmp_path / "other.py", model)


@pytest.mark.parametrize("name", ["net.pt", "net.py"])
def test_a_file_that_puts_out_something_else_is_not_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_state: Callable[..., State]
) -> None:
    # GIVEN a good file of that name, and a form that goes wrong
    network = tiny()
    state = random_state(network, 1)
    export(tmp_path / name, network, state)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    form = FORMS[Path(name).suffix]
    right = form.write

    def write(path: Path, network: Network, state: State) -> None:
        key = network.head.key
        right(path, network, {k: v * 2 if k.startswith(key) else v for k, v in state.items()})

    monkeypatch.setitem(FORMS, Path(name).suffix, msgspec.structs.replace(form, write=write))
    # WHEN
    with pytest.raises(UserError, match=r"differs by .* of the largest logit on random images"):
        export(tmp_path / name, network, state)
    # THEN the good file is still there, and nothing else
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_module_that_needs_the_workbench_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_state: Callable[..., State]
) -> None:
    network = tiny()
    source = standalone.source
    monkeypatch.setattr(standalone, "source", lambda *given: f"import workbench\n{source(*given)}")
    with pytest.raises(UserError, match=r"module imports workbench|does not run by itself"):
        export(tmp_path / "net.py", network, random_state(network, 1))
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_finite_logits_is_refused(
    tmp_path: Path, random_state: Callable[..., State]
) -> None:
    network = tiny()
    state = random_state(network, 1)
    state["features.init_block.bn.running_var"].fill_(-1)
    with pytest.raises(UserError, match=r"NaN or infinite .* train it first"):
        export(tmp_path / "net.pt2", network, state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["net.pt2", "net.onnx"])
def test_an_exporter_that_fails_is_one_line_with_another_form(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_state: Callable[..., State]
) -> None:
    class Unsupported(Exception):
        """As torch has them: of no common base, with messages of many lines."""

    def fail(*given: object, **options: object) -> None:
        raise Unsupported("no such operation\nmore\nand more")

    monkeypatch.setattr(torch.export, "export", fail)
    network = tiny()
    with pytest.raises(UserError, match=r"\(no such operation\): export to .py instead$"):
        export(tmp_path / name, network, random_state(network, 1))
    assert list(tmp_path.iterdir()) == []


def test_staged_files_get_their_names_together_and_the_main_one_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append(new.name), replace(old, new)))
    with staged(tmp_path / "a.py") as folder:
        (folder / "a.py").write_text("module")
        (folder / "a.weights.pt").write_text("weights")
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert order == ["a.weights.pt", "a.py"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.py", "a.weights.pt"]


def test_an_interrupted_export_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with staged(tmp_path / "a.py") as folder:
            (folder / "a.py").write_text("module")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_parity_is_relative_to_the_largest_logit() -> None:
    expected = torch.tensor([[1.0, 50.0], [30.0, 2.0]])
    found = compare("random", expected, expected + torch.tensor([[0.0, 0.0], [0.0, 0.004]]))
    assert (found.images, found.same_classes, found.largest_logit) == (2, 2, 50.0)
    assert found.max_abs == pytest.approx(0.004, rel=1e-3)
    assert found.max_rel == pytest.approx(0.00008, rel=1e-3)


@pytest.mark.parametrize(
    "found",
    [
        torch.tensor([[1.0, 1.0 + 2 * LIMIT]]),
        torch.tensor([[1.0, float("nan")]]),
        torch.tensor([[1.0, float("inf")]]),
        torch.tensor([[1.0]]),
        torch.tensor([1.0, 1.0]),
    ],
)
def test_other_logits_are_no_parity(found: Tensor) -> None:
    with pytest.raises(UserError, match="nothing was kept"):
        compare("random", torch.ones(1, 2), found)


def test_logits_that_are_all_zero_are_compared_as_they_are() -> None:
    assert compare("random", torch.zeros(2, 3), torch.zeros(2, 3)).max_rel == 0
    with pytest.raises(UserError):
        compare("random", torch.zeros(2, 3), torch.full((2, 3), 0.1))
