"""What sensitivity prints, and how it is stopped and gone on with."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions.score import CONTEST
from workbench.cli.desk import TerminalDesk

QUICK = ("--set", "recover_images=64", "--set", "augmentation=none")
FEW = ("--data", "digits", "--units-only", "--images", "120", *QUICK)


@pytest.fixture(scope="module")
def report(run: Callable[..., Any], demo_model: Path) -> Any:
    """Of all units of the demo model."""
    ended = run("sensitivity", demo_model, *FEW, "--json")
    assert (ended.code, ended.err) == (0, "")
    return ended.json


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Ctrl+c comes after so many questions whether it did."""
    left = [0]

    def should_stop(desk: TerminalDesk) -> bool:
        left[0] -= 1
        return left[0] < 0

    monkeypatch.setattr(TerminalDesk, "should_stop", should_stop)
    return left  # type: ignore[return-value]


def test_json_has_every_unit_with_its_figures_and_the_criteria(report: Any) -> None:
    assert not report["is_stopped"]
    assert report["split"] == "validation"
    assert report["candidates"] == len(report["ranked"]) == 13
    base = report["baseline"]
    assert base["images"] == 120
    for row in report["ranked"]:
        (edit,) = row["edits"]
        assert edit.startswith("off:stage")
        assert row["saved"] == base["macs"] - row["macs"] > 0
        assert row["lost"] == pytest.approx(base["f1"] - row["f1"])
        assert row["rate"] == pytest.approx(row["lost"] / row["saved"] * 1e6)
        assert row["worth"] == pytest.approx(CONTEST.break_even(row["saved"]))
        assert row["score"] == pytest.approx(CONTEST.score(row["macs"], row["f1"]))
        assert row["low"] <= row["f1"] <= row["high"]
    trusted = {trust["criterion"] for trust in report["trust"]}
    assert trusted == {"std", "l1", "l2", "bn", "taylor", "activation"}
    assert report["advice"]


def test_for_people_the_best_exchange_comes_first_and_the_advice_last(
    report: Any, run: Callable[..., Any], demo_model: Path
) -> None:
    ended = run("sensitivity", demo_model, *FEW)
    assert ended.code == 0
    rows = [line for line in ended.out.splitlines() if line.startswith("off:")]
    assert [row.split()[0] for row in rows] == [row["edits"][0] for row in report["ranked"]]
    first = report["ranked"][0]
    assert f"{first['f1']:.3f} [{first['low']:.3f}, {first['high']:.3f}]" in rows[0]
    assert f"{first['saved']:,}" in rows[0]
    assert report["advice"] in ended.out
    assert "120 validation images" in ended.out
    assert "\x1b" not in ended.out
    assert max(map(len, rows)) <= 80
    streamed = [line for line in ended.err.splitlines() if line.startswith("off:")]
    assert len(streamed) == 13


def test_stopped_it_prints_what_it_has_and_goes_on_from_there(
    report: Any,
    stopped: list[int],
    run: Callable[..., Any],
    demo_model: Path,
    tmp_path: Path,
) -> None:
    stopped[0] = 4
    ended = run("sensitivity", demo_model, *FEW, "--json")
    assert ended.code == 0
    assert ended.json["is_stopped"]
    assert len(ended.json["measured"]) == 3
    kept = tmp_path / "scan.json"
    kept.write_text(ended.out)
    stopped[0] = 1000
    whole = run("sensitivity", demo_model, *FEW, "--json", "--resume", kept)
    assert whole.code == 0, whole.err
    assert not whole.json["is_stopped"]
    for name in ("ranked", "trust", "baseline"):
        assert whole.json[name] == report[name]
    assert whole.json["measured"][:3] == ended.json["measured"]


def test_stopped_before_anything_was_measured_it_says_so(
    stopped: list[int], run: Callable[..., Any], demo_model: Path
) -> None:
    ended = run("sensitivity", demo_model, *FEW)
    assert ended.code == 0
    assert "stopped: 13 edits are not measured" in ended.out
    assert "Too few edits" in ended.out


def test_ctrl_c_ends_it_after_the_edit_and_prints_the_table(
    script: list[str], demo_model: Path
) -> None:
    process = subprocess.Popen(
        [*script, "sensitivity", str(demo_model), *FEW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("as it is")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "stopped: " in out
    assert "edits are not measured" in out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": 60}, "is of another run (images)"),
        ({"sha256": "00"}, "is of another run (sha256)"),
        ({"recipe": {"batch_size": 3}}, "is of another run (recipe)"),
        ({"measured": 3}, "is not what `workbench sensitivity --json` printed"),
    ],
)
def test_going_on_with_something_else_is_refused(
    change: dict[str, Any],
    says: str,
    report: Any,
    run: Callable[..., Any],
    demo_model: Path,
    tmp_path: Path,
) -> None:
    kept = tmp_path / "scan.json"
    kept.write_text(json.dumps(report | change))
    ended = run("sensitivity", demo_model, *FEW, "--json", "--resume", kept)
    assert (ended.code, ended.out) == (1, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_widths_and_groups_are_measured_too_by_the_chosen_criterion(
    run: Callable[..., Any], demo_model: Path, stopped: list[int]
) -> None:
    stopped[0] = 16
    ended = run(
        "sensitivity", demo_model, "--data", "digits", "--images", "60", "--criterion", "l1",
        "--rule", "smooth", "--json", *QUICK,
    )  # fmt: skip
    found = ended.json
    assert found["rule"] == "smooth"
    assert found["candidates"] > 30
    cuts = [e for row in found["ranked"] for e in row["edits"] if not e.startswith("off:")]
    assert cuts
    assert all(edit.endswith("@l1") for edit in cuts)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--criterion", "l3"), "unknown criterion 'l3': use one of l2, l1"),
        (("--rule", "none"), "no score rule 'none'"),
        (("--resume", "nothing.json"), "cannot read nothing.json: No such file"),
        (("--hold-out", "2"), "hold"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    options: tuple[str, ...], says: str, run: Callable[..., Any], demo_model: Path
) -> None:
    ended = run("sensitivity", demo_model, *FEW, *options, "--json")
    assert (ended.code, ended.out) == (1, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_a_model_of_other_classes_is_told_which_edit_it_needs(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pt"
    assert run("edit", demo_model, other, "classes:4").code == 0
    ended = run("sensitivity", other, *FEW)
    assert (ended.code, ended.out) == (1, "")
    assert "edit classes:10 first" in ended.err


def test_a_model_with_nothing_left_to_switch_off_says_so(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.pt"
    assert run("new", small, "--units", "1,1,1", "--input-size", "32").code == 0
    ended = run("sensitivity", small, *FEW)
    assert ended.code == 1
    assert "leave --units-only out" in ended.err
