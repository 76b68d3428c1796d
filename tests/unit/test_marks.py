"""What a timeline marks: edits by letter, evaluations, epochs, and runs of jobs."""

import pytest

from sessions import edits, events
from sessions.edits import CRITERIA
from sessions.events import Evaluation, Unknown
from sessions.marks import LETTERS, Marks, letter, nearest
from sessions.recipe import Recipe
from sessions.search_events import SearchFinished, SearchStarted
from sessions.searching import ScanPlan

EVALUATION = Evaluation(split="validation", images=1, f1=0.5, accuracy=0.5, classes=())


def edited(text):
    return events.Edited(
        variant=1, parent=0, edit=edits.parse(text), macs=1, weights_sha256="", exact=True
    )


def marks_of(*happened):
    marks = Marks()
    for moment, event in enumerate(happened, start=1):
        marks.add(moment, event)
    marks.close(len(happened))
    return marks


def queued(job, kind="fine-tune"):
    return events.JobQueued(job=job, job_kind=kind, variant=0)


def started(job):
    return events.JobStarted(job=job, device="cpu", steps=9)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("off:stage1.unit2", "○"), ("on:stage1.unit2", "●"), ("width:stage3=210", "w"),
        (f"mid:stage2=24@{CRITERIA[1]}", "b"), ("groups:stage3=6", "g"),
        ("kernel:stage1.unit2=5", "k"), ("widen:stage2.unit4=36", "+"),
        ("rank:stage3.unit2.expand_conv3=8", "r"), ("head:conv", "h"), ("classes:9", "c"),
        ("input:80", "i"),
    ],
)  # fmt: skip
def test_every_edit_has_a_letter(text, wanted):
    assert letter(edits.parse(text)) == wanted


def test_no_two_edits_share_a_letter():
    assert len(set(LETTERS.values())) == len(LETTERS)


def test_edits_evaluations_and_whole_epochs_are_marked_where_they_happened():
    stored = [events.CheckpointWritten(job=1, step=9, epoch=epoch) for epoch in (0.5, 1.0, 2.0)]
    marks = marks_of(
        Unknown("of-tomorrow", b"{}"), edited("off:stage1.unit2"), queued(1), started(1),
        *stored, events.Evaluated(job=1, evaluation=EVALUATION), edited("groups:stage3=6"),
    )  # fmt: skip
    assert list(marks.edits) == [2, 9]
    assert marks.letters == ["○", "g"]
    assert list(marks.epochs) == [6, 7]
    assert list(marks.evaluations) == [8]


@pytest.mark.parametrize(
    ("end", "ending"),
    [
        (events.JobFinished(job=1), "finished"),
        (events.JobPaused(job=1), "paused"),
        (events.JobFailed(job=1, reason="x"), "failed"),
        (events.JobCancelled(job=1), "cancelled"),
        (events.SessionResumed(), "cut off"),
        (events.ProcessExited(process="trainer", code=-9), "cut off"),
        (events.ProcessExited(process="engine", code=-9), ""),
        (events.VariantSelected(variant=0), ""),
    ],
)
def test_a_run_of_a_job_goes_from_its_start_to_its_end(end, ending):
    marks = marks_of(queued(1), started(1), edited("head:conv"), end, edited("classes:9"))
    (span,) = marks.spans
    assert (span.number, span.kind, span.start, span.ending) == (1, "fine-tune", 2, ending)
    assert span.end == (4 if ending else 5)


def test_a_job_that_goes_on_has_two_runs():
    marks = marks_of(
        queued(1), started(1), events.JobPaused(job=1), queued(1), started(1),
        events.JobFinished(job=1),
    )  # fmt: skip
    assert [(span.start, span.end) for span in marks.spans] == [(2, 3), (5, 6)]


def test_a_job_that_never_started_has_no_run():
    assert marks_of(queued(1), events.JobFinished(job=1)).spans == []
    assert marks_of(started(1), events.JobFinished(job=1)).spans == []


@pytest.mark.parametrize(
    ("end", "ending"),
    [
        (SearchFinished(search=3), "finished"),
        (SearchFinished(search=3, is_stopped=True), "paused"),
        (SearchFinished(search=3, reason="x"), "failed"),
        (events.SessionResumed(), "cut off"),
        (events.ProcessExited(process="searcher", code=-9), "cut off"),
        (events.ProcessExited(process="trainer", code=-9), ""),
        (SearchFinished(search=4), ""),
    ],
    ids=["finished", "stopped", "failed", "resumed", "killed", "trainer killed", "another"],
)
def test_a_search_goes_from_its_start_to_its_end_beside_the_jobs(end, ending):
    begun = SearchStarted(search=3, variant=0, plan=ScanPlan(candidates=()), recipe=Recipe())
    marks = marks_of(queued(1), begun, edited("head:conv"), end, edited("classes:9"))
    (span,) = marks.spans
    assert (span.number, span.kind, span.start, span.ending) == (3, "search", 2, ending)
    assert span.end == (4 if ending else 5)


@pytest.mark.parametrize(
    ("moment", "direction", "wanted"),
    [(0, 1, 3), (3, 1, 5), (4, 1, 5), (5, 1, None), (5, -1, 3), (3, -1, None), (9, -1, 5)],
)
def test_the_nearest_mark(moment, direction, wanted):
    marks = marks_of(*[events.SessionResumed()] * 2, *[edited("head:conv")] * 3)
    assert nearest(marks.edits[::2], moment, direction) == wanted
