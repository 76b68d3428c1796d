"""`curves` takes the numbers of a session out, whole or not at all."""

import csv
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessions import log
from sessions.codec import Header, Record
from sessions.events import (
    AnyEvent,
    ClassScore,
    Evaluated,
    Evaluation,
    JobProgressed,
    JobQueued,
    JobStarted,
)

BEGAN = 1735787045.0
HEADER = Header(created="2025-01-02T03:04:05+00:00", model_sha256="ab", seed=3)
STEPS = 300


def write(folder: Path, events: list[AnyEvent]) -> Path:
    folder.mkdir()
    written = log.SessionLog.create(folder, HEADER)
    for number, event in enumerate(events):
        written.append(Record(number / 4, event))
    written.close()
    return folder


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tune of 300 steps with one evaluation in it, and an evaluation of its own."""
    found = Evaluation(
        split="val", images=4, f1=0.5, accuracy=0.75, classes=(ClassScore("can", 0.5, 1, 1, 4),)
    )
    progress = [
        JobProgressed(
            job=1, phase="training", step=step, steps=STEPS, epoch=step / 100, loss=1 / step,
            images_per_s=float(step),
        )
        for step in range(1, STEPS + 1)
    ]  # fmt: skip
    return write(
        tmp_path_factory.mktemp("curves") / "session",
        [
            JobQueued(job=1, job_kind="fine-tune", variant=0, result=1),
            JobStarted(job=1, device="cpu", steps=STEPS),
            *progress,
            Evaluated(job=1, evaluation=found, epoch=3.0),
            JobQueued(job=2, job_kind="evaluate", variant=1),
            Evaluated(job=2, evaluation=found),
        ],
    )


VALUES = 2 * STEPS + 3 + 3


def test_curves_go_to_a_table(run: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    out = tmp_path / "curves.csv"
    out.write_text("an older one")
    ended = run("curves", session, "-o", out)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"saved {out}: {VALUES} values of 2 jobs\n"
    with open(out, newline="") as file:
        lines = list(csv.DictReader(file))
    losses = [float(line["value"]) for line in lines if line["name"] == "loss"]
    assert losses == [1 / step for step in range(1, STEPS + 1)]
    assert lines[-1] == {
        "job": "2", "kind": "evaluate", "variant": "1", "seconds": "76.0", "phase": "",
        "step": "0", "epoch": "", "name": "f1/can", "value": "0.5",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == [out]


def test_curves_go_to_one_object_in_a_file_or_on_stdout(
    run: Callable[..., Any], session: Path, tmp_path: Path
) -> None:
    out = tmp_path / "curves.json"
    ended = run("curves", session, "-o", out, "--json")
    assert ended.json == {
        "out": str(out), "tensorboard": None, "values": VALUES, "jobs": 2, "runs": [],
    }  # fmt: skip
    found = json.loads(out.read_text())
    assert len(found["rows"]) == VALUES
    assert run("curves", session, "--json").json == found
    on_stdout = run("curves", session).out
    assert on_stdout.count("\n") == VALUES + 1
    assert on_stdout.startswith("job,kind,variant,seconds,phase,step,epoch,name,value\n1,fine-tune")


def test_tensorboard_reads_a_run_a_job(
    run: Callable[..., Any], session: Path, tmp_path: Path
) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed: pip install 'workbench[track]'",
    )
    folder = tmp_path / "runs"
    ended = run("curves", session, "--tensorboard", folder, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["runs"] == ["job001-fine-tune", "job002-evaluate"]
    assert sorted(path.name for path in folder.iterdir()) == ended.json["runs"]
    trained = accumulator.EventAccumulator(
        str(folder / "job001-fine-tune"), {accumulator.SCALARS: 0}
    ).Reload()
    assert set(trained.Tags()["scalars"]) == {
        "training/loss", "training/images_per_s", "f1", "accuracy", "f1/can",
    }  # fmt: skip
    losses = trained.Scalars("training/loss")
    assert [point.step for point in losses] == list(range(1, STEPS + 1))
    assert [point.value for point in losses] == pytest.approx([1 / s for s in range(1, STEPS + 1)])
    assert [point.wall_time for point in losses[:2]] == [BEGAN + 0.5, BEGAN + 0.75]
    (f1,) = trained.Scalars("f1")
    assert (f1.step, f1.value) == (STEPS, 0.5)
    # A second time the points would lie twice in each curve:
    again = run("curves", session, "--tensorboard", folder)
    assert (again.code, again.out) == (1, "")
    assert "job001-fine-tune is already there: name another" in again.err


def test_without_tensorboard_the_error_names_the_extra(
    run: Callable[..., Any], session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorboard", "tensorboard.compat.proto", "tensorboard.summary.writer"):
        monkeypatch.setitem(sys.modules, name, None)
    ended = run("curves", session, "--tensorboard", tmp_path / "runs", "-o", tmp_path / "x.csv")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "pip install 'workbench[track]'" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_is_left_out_and_told(
    run: Callable[..., Any], session: Path, tmp_path: Path
) -> None:
    content = (session / log.LOG_NAME).read_bytes()
    (tmp_path / log.LOG_NAME).write_bytes(content[:-10])
    ended = run("curves", tmp_path)
    assert ended.code == 0
    assert ended.out.count("\n") == VALUES + 1 - 3
    assert ended.err == "note: the last line was cut off and is left out\n"


REFUSED = {
    "curves {at}/none": ("is not a session", "name the folder"),
    "curves {at}/quiet": ("quiet has no curves",),
    "curves {session} -o {at}/x.txt": ("'x.txt'", "end the name in .csv or .json"),
    "curves {session} -o {at}/none/x.csv": ("folder does not exist", "create it first"),
    "curves {session} -o {at}/folder.csv": ("cannot write {at}/folder.csv", "that is a folder"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_curves_that_cannot_be_written_are_one_line_and_no_file(
    line: str,
    run: Callable[..., Any],
    listing: Callable[..., set[str]],
    session: Path,
    tmp_path: Path,
) -> None:
    write(tmp_path / "quiet", [JobStarted(job=1, device="cpu", steps=2)])
    (tmp_path / "folder.csv").mkdir()
    before = listing(tmp_path)
    ended = run(*line.format(at=tmp_path, session=session).split())
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    for words in REFUSED[line]:
        assert words.format(at=tmp_path) in ended.err
    assert listing(tmp_path) == before


@pytest.mark.parametrize("target", ["-o", "--tensorboard"])
def test_a_full_disk_is_one_line_and_keeps_what_was_there(
    target: str, start: Callable[..., Any], session: Path, tmp_path: Path
) -> None:
    if target == "--tensorboard":
        pytest.importorskip("tensorboard", reason="pip install 'workbench[track]'")
    out = tmp_path / ("x.csv" if target == "-o" else "runs")
    if target == "-o":
        out.write_text("an older one")
    before = set(tmp_path.rglob("*"))
    ended = start(
        "curves", session, target, out,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)),
    )  # fmt: skip
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: cannot write {out}: no space left")
    assert ended.err.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before
    assert target != "-o" or out.read_text() == "an older one"
