"""`workbench new` writes a ShuffleNet as ordered, or random cells that every command takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIMIT = 400_000


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Any]) -> Path:
    """Random cells for the digits."""
    path = tmp_path_factory.mktemp("cells") / "cells.pt"
    ended = _cells(run, path, 1)
    assert (ended.code, ended.err) == (0, "")
    assert 0 < ended.json["macs"] <= LIMIT
    return path


def _cells(run: Callable[..., Any], path: Path, seed: int) -> Any:
    options = ("--max-macs", LIMIT, "--input-size", 32, "--seed", seed, "--json")
    return run("new", path, "--family", "cells", *options)


def test_inspect_tells_a_network_of_cells_layer_by_layer(
    run: Callable[..., Any], cells: Path
) -> None:
    found = run("inspect", cells, "--json").json
    assert (found["family"], found["input_size"], found["classes"]) == ("cells", 32, 10)
    assert found["ptflops_macs"] == found["macs"]["contest"] <= LIMIT
    rows = {row["path"]: row for row in found["layers"]}
    gates = [path for path in rows if path.endswith(".gate")]
    assert gates
    assert all(rows[path]["kind"] == "hard_sigmoid" for path in gates)
    text = run("inspect", cells)
    assert text.code == 0
    assert "ptflops on the built module agrees" in text.out
    for name in ("stage1.se1", "squeeze_conv", "excite_conv", "hard_sigmoid"):
        assert name in text.out


def test_the_seed_decides_structure_and_weights(
    run: Callable[..., Any], cells: Path, tmp_path: Path
) -> None:
    again, other = (_cells(run, tmp_path / f"{seed}.pt", seed) for seed in (1, 2))
    first = run("inspect", cells, "--json").json
    assert run("inspect", tmp_path / "1.pt", "--json").json["layers"] == first["layers"]
    assert (other.json["macs"], other.json["params"]) != (again.json["macs"], again.json["params"])


def test_gates_are_edited_exported_and_evaluated(
    run: Callable[..., Any], cells: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cut.pt"
    stages = {row["path"]: row for row in run("inspect", cells, "--json").json["stages"]}
    cut = f"width:stage2={stages['stage2']['width'] - 1}"
    edited = run("edit", cells, out, "off:stage1.se1", cut, "--json")
    assert (edited.code, edited.err) == (0, "")
    assert edited.json["edits"][0]["exact"]
    assert edited.json["ptflops_macs"] == edited.json["macs_after"] < edited.json["macs_before"]
    assert edited.json["renamed"]["stage1.se2"] == "stage1.se1"
    exported = run("export", out, tmp_path / "net.py", "--json")
    assert (exported.code, exported.err) == (0, "")
    measured = run("evaluate", out, "--data", "digits", "--json")
    assert (measured.code, measured.err) == (0, "")
    assert measured.json["macs"] == edited.json["macs_after"]
    assert 0 <= measured.json["f1"] <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--family", "resnet"), "no family 'resnet': use shufflenet or cells"),
        (("--family", "cells", "--groups", 3), "--groups is of a ShuffleNet"),
        (("--family", "cells", "--max-macs", 50), "raise the limit"),
        (("--family", "cells", "--input-size", 4), "nearest is input:8"),
        (("--family", "cells", "--classes", 1), "nearest is classes:2"),
        (("--max-macs", 50), "--max-macs is of cells"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    run: Callable[..., Any], tmp_path: Path, options: tuple[Any, ...], words: str
) -> None:
    ended = run("new", tmp_path / "x.pt", *options)
    assert (ended.code != 0, ended.out) == (True, "")
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "x.pt").exists()
