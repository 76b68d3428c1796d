"""The log of what happened: read lazily from the session's file, in words, filtered in slices."""

from pathlib import Path
from typing import Any, get_args

import pytest

from sessions import edits, events
from sessions.codec import Header, Record
from sessions.events import AnyEvent, JobProgressed, Unknown, VariantSelected
from sessions.log import SessionLog
from sessions.reducer import reduce_all
from workbench.logged import LoggedRecords
from workbench.screens import event_words
from workbench.screens.event_index import EventIndex
from workbench.screens.event_words import event_line

HEADER = Header(created="2026-01-01T00:00:00+00:00", model_sha256="ab" * 32, seed=0)


@pytest.fixture
def log(tmp_path: Path) -> Any:
    made = SessionLog.create(tmp_path, HEADER)
    yield made
    made.close()


def progressed(step: int) -> JobProgressed:
    return JobProgressed(job=1, phase="training", step=step, steps=99)


def selected(variant: int) -> VariantSelected:
    return VariantSelected(variant=variant)


@pytest.mark.parametrize(
    "kind", [kind for kind in get_args(AnyEvent) if kind.is_logged], ids=lambda kind: kind.__name__
)
def test_every_recorded_kind_has_words_of_its_own(kind: type[Any]) -> None:
    told = event_words._words.dispatch(kind)
    assert told is not event_words._words.dispatch(object)


def test_an_event_of_a_newer_version_is_named() -> None:
    line = event_line(0.0, Unknown("model-dreamt", b"{}"), {})
    assert line.words == "model dreamt (of a newer version)"


def test_a_job_is_named_by_what_it_does() -> None:
    queued = events.JobQueued(job=1, job_kind="fine-tune", variant=0, result=1)
    state = reduce_all([queued])
    finished = events.JobFinished(job=1, seconds=2.5)
    assert event_line(0.0, finished, state.jobs).words == "fine-tune of v0 is done, 2.5 s"
    assert event_line(0.0, finished, {}).words == "job 1 is done, 2.5 s"


def test_edits_are_told_as_one_would_say_them() -> None:
    edited = events.Edited(
        variant=1, parent=0, edit=edits.UnitOff("stage1.unit3"), macs=1_597_440,
        weights_sha256="", exact=True,
    )  # fmt: skip
    words = event_line(0.0, edited, {}).words
    assert words == "v1 is v0 with stage1.unit3 off: 1,597,440 MACs, every kept weight unchanged"
    cut = edits.Width("stage3", 210, criterion="taylor")
    asked = events.EditRequested(variant=2, parent=1, edit=cut)
    assert event_line(0.0, asked, {}).words == "asked for stage3 width 210 by Taylor score on v1"


def test_a_waiting_job_is_named_by_what_it_is_to_do() -> None:
    queued = events.JobQueued(job=1, job_kind="evaluate", variant=0)
    assert event_line(0.0, queued, {}).words == "evaluation of v0 waits"


def test_records_are_found_as_they_are_written(log: SessionLog, tmp_path: Path) -> None:
    records = LoggedRecords(tmp_path)
    records.refresh()
    assert len(records) == 0
    for number in range(3):
        log.append(Record(float(number), selected(number)))
    records.refresh()
    assert [records.record(at).event for at in range(3)] == [selected(at) for at in range(3)]
    log.append(Record(3.0, progressed(1)))
    records.refresh()
    assert len(records) == 4
    assert list(records.facts(0, 4)) == [0, 1, 2]
    records.close()


def test_half_a_line_counts_once_it_is_whole(log: SessionLog, tmp_path: Path) -> None:
    log.append(Record(0.0, selected(0)))
    file = tmp_path / "session.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4])
    records = LoggedRecords(tmp_path)
    records.refresh()
    assert len(records) == 0
    file.write_bytes(whole)
    records.refresh()
    assert records.record(0).event == selected(0)
    records.close()


def test_lines_longer_than_a_block_are_read(log: SessionLog, tmp_path: Path) -> None:
    long = events.VariantNamed(variant=0, name="x" * (3 << 20))
    for event in (selected(0), long, selected(1)):
        log.append(Record(0.0, event))
    records = LoggedRecords(tmp_path)
    records.refresh()
    assert [records.record(at).event for at in range(3)] == [selected(0), long, selected(1)]
    records.close()


def test_a_folder_without_a_session_has_no_events(tmp_path: Path) -> None:
    records = LoggedRecords(tmp_path / "none")
    records.refresh()
    assert len(records) == 0


def index_of(log: SessionLog, folder: Path, *happened: AnyEvent) -> EventIndex:
    for at, event in enumerate(happened):
        log.append(Record(float(at), event))
    records = LoggedRecords(folder)
    records.refresh()
    return EventIndex(records)


def shown(index: EventIndex) -> list[str]:
    view = index.view
    return [view.line(at).words for at in range(view.count)]


def test_steps_of_training_are_left_out_until_they_are_asked_for(
    log: SessionLog, tmp_path: Path
) -> None:
    index = index_of(log, tmp_path, selected(0), progressed(1), progressed(2), selected(1))
    assert not index.scan(4, 9.0)
    assert shown(index) == ["went to v0", "went to v1"]
    index.choose("", has_progress=True)
    index.scan(4, 9.0)
    assert len(shown(index)) == 4


def test_a_filter_goes_by_the_words_whatever_their_case(log: SessionLog, tmp_path: Path) -> None:
    named = events.VariantNamed(variant=3, name="Größe")
    index = index_of(log, tmp_path, selected(0), named, selected(2))
    index.choose("GRÖSSE", has_progress=False)
    index.scan(3, 9.0)
    assert shown(index) == ['named v3 "Größe"']
    assert index.view.line(0).variant == 3


def test_a_replay_that_goes_back_shows_less(log: SessionLog, tmp_path: Path) -> None:
    index = index_of(log, tmp_path, *(selected(at) for at in range(5)))
    index.scan(5, 9.0)
    before = index.view
    index.scan(2, 9.0)
    assert shown(index) == ["went to v0", "went to v1"]
    assert index.view.revision != before.revision
    index.scan(4, 9.0)
    assert len(shown(index)) == 4


def test_a_long_log_is_looked_through_a_slice_at_a_time(log: SessionLog, tmp_path: Path) -> None:
    index = index_of(log, tmp_path, *(selected(at) for at in range(200)))
    index.choose("went", has_progress=False)
    rounds = 1
    while index.scan(200, 0.0):
        assert index.looked_at < 200
        rounds += 1
    assert rounds > 3
    assert index.view.count == 200
