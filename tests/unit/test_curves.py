"""Curves come straight from the log: every progress and every evaluation, none thinned out."""

import csv
import io
import json

import pytest

from sessions import curves
from sessions.codec import Header, Record
from sessions.events import (
    RAW,
    ClassScore,
    Evaluated,
    Evaluation,
    JobFinished,
    JobProgressed,
    JobQueued,
    JobStarted,
    Unknown,
    VariantSelected,
)
from sessions.reducer import CURVE_POINTS, reduce_all

HEADER = Header(created="2025-01-02T03:04:05+00:00", model_sha256="ab", seed=3)
CLASSES = (ClassScore("can", 0.5, 1, 1, 2), ClassScore('a "b", c', 0.75, 1, 1, 2))
FOUND = Evaluation(split="val", images=4, f1=0.625, accuracy=0.7, classes=CLASSES)


def progress(step, loss=None, job=2, phase="training", rate=100.0):
    return JobProgressed(
        job=job, phase=phase, step=step, steps=9, epoch=step / 4, loss=loss, images_per_s=rate
    )


EVENTS = [
    JobQueued(job=2, job_kind="fine-tune", variant=7, result=8),
    JobStarted(job=2, device="cpu", steps=9, from_step=3),
    Evaluated(job=2, evaluation=FOUND, epoch=0.75),
    progress(4, 1.5),
    Unknown("of-tomorrow", b"{}"),
    progress(5),
    VariantSelected(variant=0),
    Evaluated(job=2, evaluation=FOUND, rung=RAW),
    JobFinished(job=2, evaluation=FOUND),
    Evaluated(job=9, evaluation=FOUND),
]
RECORDS = [Record(float(number), event) for number, event in enumerate(EVENTS)]


def brief(row):
    return row.seconds, row.phase, row.step, row.epoch, row.name, row.value


def test_rows_say_when_and_where_each_value_was_measured():
    found = list(curves.rows(RECORDS))
    f1 = {"f1": 0.625, "accuracy": 0.7, "f1/can": 0.5, 'f1/a "b", c': 0.75}
    assert [brief(row) for row in found] == [
        *((2.0, "", 3, 0.75, name, value) for name, value in f1.items()),
        (3.0, "training", 4, 1.0, "loss", 1.5),
        (3.0, "training", 4, 1.0, "images_per_s", 100.0),
        (5.0, "training", 5, 1.25, "images_per_s", 100.0),
        *((7.0, "raw", 5, None, name, value) for name, value in f1.items()),
        *((9.0, "", 0, None, name, value) for name, value in f1.items()),
    ]
    assert {(row.job, row.kind, row.variant) for row in found} == {
        (2, "fine-tune", 7),
        (9, "", None),
    }


def test_a_long_curve_is_not_thinned_as_that_of_the_screen_is():
    losses = [1 / step for step in range(1, 5 * CURVE_POINTS)]
    events = [EVENTS[0], *(progress(step, loss) for step, loss in enumerate(losses, start=1))]
    found = curves.rows(Record(float(n), event) for n, event in enumerate(events))
    assert [row.value for row in found if row.name == "loss"] == losses
    assert len(reduce_all(events).jobs[2].losses) <= CURVE_POINTS


def test_a_resumed_job_has_the_steps_of_both_runs_as_they_came():
    events = [EVENTS[0], progress(1, 3.0), progress(2, 2.0), EVENTS[1], progress(2, 2.5)]
    found = list(curves.rows(Record(float(n), event) for n, event in enumerate(events)))
    assert [(row.step, row.value) for row in found if row.name == "loss"] == [
        (1, 3.0), (2, 2.0), (2, 2.5),
    ]  # fmt: skip


def test_a_table_is_read_back_as_it_was():
    found = list(curves.rows(RECORDS))
    names, *lines = csv.reader(io.StringIO(curves.as_csv(found)))
    assert names == [
        "job", "kind", "variant", "seconds", "phase", "step", "epoch", "name", "value",
    ]  # fmt: skip
    assert len(lines) == len(found)
    for line, row in zip(lines, found, strict=True):
        assert line[:3] == [str(row.job), row.kind, "" if row.variant is None else "7"]
        assert (float(line[3]), line[4], int(line[5])) == (row.seconds, row.phase, row.step)
        assert line[6] == ("" if row.epoch is None else str(row.epoch))
        assert (line[7], float(line[8])) == (row.name, row.value)


def test_the_object_has_the_same_rows():
    found = list(curves.rows(RECORDS))
    made = json.loads(json.dumps(curves.as_json(HEADER, found)))
    assert (made["created"], made["model_sha256"]) == (HEADER.created, "ab")
    assert [tuple(row.values()) for row in made["rows"]] == [
        tuple(getattr(row, name) for name in curves.COLUMNS) for row in found
    ]
    assert all(tuple(row) == curves.COLUMNS for row in made["rows"])


@pytest.mark.parametrize(
    ("created", "seconds"),
    [(HEADER.created, 1735787045.0), ("", 0.0), ("yesterday", 0.0), ("2025-13-01", 0.0)],
)
def test_when_a_session_was_made_may_not_be_known(created, seconds):
    header = Header(created=created, model_sha256="ab", seed=3)
    assert curves.created_at(header) == seconds
