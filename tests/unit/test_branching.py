"""A branch holds what is before its moment, and what that needs; its source is never changed."""

import errno
import os

import msgspec
import pytest

from sessions import branching, events, log, macs
from sessions.branching import branch
from sessions.codec import Header, Record
from sessions.edits import UnitOff, Width
from sessions.events import Evaluation, Unknown
from sessions.log import SessionError, SessionLog
from sessions.recipe import Recipe
from sessions.reducer import reduce
from sessions.replay import rebuilt

HEADER = Header(created="2025-01-01T00:00:00+00:00", model_sha256="ab", seed=3)
EVALUATION = Evaluation(split="validation", images=1, f1=0.5, accuracy=0.5, classes=())
TUNING = {"job_kind": "fine-tune", "variant": 1, "recipe": Recipe(epochs=4)}


def edited(variant, edit):
    return events.Edited(
        variant=variant, parent=variant - 1, edit=edit, macs=1, weights_sha256="w", exact=True
    )


@pytest.fixture
def records(published):
    """Two edits, one by scores that were measured, and a fine-tuning that is on disk twice."""
    network = published()
    happened = [
        events.ModelOpened(
            source="m", sha256="ab", checkpoint="first", network=network, weights_sha256="",
            stats={}, macs=macs.count(network), ptflops_macs=0,
        ),
        edited(1, UnitOff("stage1.unit2")),
        events.JobQueued(job=1, result=3, **TUNING),
        events.JobStarted(job=1, device="cpu", steps=40),
        events.CheckpointWritten(job=1, step=10, epoch=1.0),
        Unknown("of-tomorrow", b'{ "kind":"of-tomorrow", "x":[1.0] }'),
        edited(2, Width(target="stage3", value=210, scores="scored")),
        events.CheckpointWritten(job=1, step=20, epoch=2.0),
        events.JobFinished(job=1, checkpoint="tuned", evaluation=EVALUATION),
        events.VariantSelected(variant=0),
    ]  # fmt: skip
    return [Record(10.0 * number, event) for number, event in enumerate(happened)]


@pytest.fixture
def source(tmp_path, records):
    folder = tmp_path / "source"
    (folder / log.CHECKPOINTS).mkdir(parents=True)
    for name in ("first.safetensors", "tuned.safetensors", "scored.json", "other.safetensors"):
        (folder / log.CHECKPOINTS / name).write_text(name)
    written = SessionLog.create(folder, HEADER)
    for record in records:
        written.append(record)
    written.close()
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("moment", range(1, 11))
def test_a_branch_has_the_state_of_its_moment_and_the_source_stays(
    source, records, tmp_path, moment
):
    before = contents(source)
    made = branch(source, tmp_path / "out", moment)
    assert contents(source) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]
    recording = log.read(tmp_path / "out")
    assert list(recording.records)[:moment] == records[:moment]
    assert (made.records, made.seconds) == (moment, 10.0 * (moment - 1))
    wanted, found = rebuilt(records[:moment]), rebuilt(recording.records)
    assert (found.variants, found.current) == (wanted.variants, wanted.current)


def test_the_header_says_where_it_is_from(source, tmp_path):
    branch(source, tmp_path / "out", 2)
    header = log.read(tmp_path / "out").header
    assert (header.origin.session, header.origin.seconds, header.origin.records) == (
        *(str(source), 10.0, 2),
    )
    assert (header.seed, header.model_sha256) == (3, "ab")
    assert header.created != HEADER.created


@pytest.mark.parametrize(
    ("moment", "files"),
    [
        (1, {"first.safetensors"}),
        (6, {"first.safetensors"}),
        (7, {"first.safetensors", "scored.json"}),
        (9, {"first.safetensors", "scored.json", "tuned.safetensors"}),
        (None, {"first.safetensors", "scored.json", "tuned.safetensors"}),
    ],
)
def test_only_files_that_are_referred_to_are_shared(source, tmp_path, moment, files):
    made = branch(source, tmp_path / "out", moment)
    found = list((tmp_path / "out" / log.CHECKPOINTS).iterdir())
    assert {path.name for path in found} == files
    assert made.files == len(files)
    assert all(path.read_text() == path.name for path in found)
    assert all(path.stat().st_nlink == 2 for path in found)


def test_where_the_disk_has_no_links_files_are_copied(source, tmp_path, monkeypatch):
    def refuses(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(branching.os, "link", refuses)
    branch(source, tmp_path / "out", 1)
    path = tmp_path / "out" / log.CHECKPOINTS / "first.safetensors"
    assert path.read_text() == "first.safetensors"
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.0, 1), (1.9, 1), (2.0, 2), (6.5, 4), (18.0, 10), (99.0, 10)]
)
def test_times_are_those_of_the_replay_on_which_pauses_are_cut_short(
    source, tmp_path, seconds, count
):
    assert branch(source, tmp_path / "out", seconds=seconds).records == count


@pytest.mark.parametrize(
    ("moment", "on_disk", "step"),
    [
        (5, True, 0),  # the state on disk is of a later moment
        (5, False, 0),
        (8, True, 20),  # it is of this very moment
        (8, False, 0),
        (4, True, 0),  # there was none yet
    ],
)
def test_a_job_that_ran_is_cut_off_and_goes_on_from_what_is_there(
    source, tmp_path, moment, on_disk, step
):
    if on_disk:
        (source / log.JOBS / "1").mkdir(parents=True)
        (source / log.JOBS / "1" / branching.RESUME).write_text("step 20")
    made = branch(source, tmp_path / "out", moment)
    assert made.cut_off == (1,)
    state = reduce(rebuilt(log.read(tmp_path / "out").records), events.SessionResumed())
    assert state.resumable is not None
    assert state.resumable.stored_step == step
    file = tmp_path / "out" / log.JOBS / "1" / branching.RESUME
    assert file.exists() == bool(step)


def test_an_evaluation_that_ran_does_not_go_on(source, records, tmp_path):
    lines = (
        (source / log.LOG_NAME)
        .read_text()
        .replace('"job_kind":"fine-tune"', '"job_kind":"evaluate"')
    )
    (source / log.LOG_NAME).write_text(lines)
    assert branch(source, tmp_path / "out", 4).cut_off == ()


def break_line(source, number):
    lines = (source / log.LOG_NAME).read_bytes().split(b"\n")
    lines[number - 1] = lines[number - 1][:-3]
    (source / log.LOG_NAME).write_bytes(b"\n".join(lines))


def test_what_is_before_a_broken_line_can_be_salvaged(source, records, tmp_path):
    break_line(source, 8)
    with pytest.raises(SessionError, match=r"line 8: .* the 6 records before it can be kept"):
        branch(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    made = branch(source, tmp_path / "out", salvage=True)
    assert made.records == 6
    assert "line 8" in made.note
    assert list(log.read(tmp_path / "out").records)[:6] == records[:6]


def test_what_comes_after_the_moment_may_be_broken(source, tmp_path):
    break_line(source, 8)
    assert branch(source, tmp_path / "out", 4).note == ""


def test_a_line_that_does_not_fit_ends_what_is_salvaged(source, tmp_path):
    lines = (source / log.LOG_NAME).read_text().replace('"target":"stage3"', '"target":"stage9"')
    (source / log.LOG_NAME).write_text(lines)
    with pytest.raises(SessionError, match="line 8: it does not fit"):
        branch(source, tmp_path / "out")
    made = branch(source, tmp_path / "out", salvage=True)
    assert made.records == 6
    assert "does not fit" in made.note


def test_a_torn_last_line_is_left_out(source, records, tmp_path):
    with open(source / log.LOG_NAME, "ab") as file:
        file.write(b'{"t":99,"eve')
    assert branch(source, tmp_path / "out").records == len(records)
    assert not log.read(tmp_path / "out").is_torn


def test_a_moment_without_a_model_is_refused(source, tmp_path):
    with pytest.raises(SessionError, match="no model is open"):
        branch(source, tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()


def test_a_missing_checkpoint_is_named_and_leaves_nothing(source, tmp_path):
    (source / log.CHECKPOINTS / "first.safetensors").unlink()
    with pytest.raises(SessionError, match=r"first\.safetensors is missing"):
        branch(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("place", ["source", "used", "file", "source/inside"])
def test_a_place_that_is_taken_is_refused(source, tmp_path, place):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(SessionError, match="choose"):
        branch(source, tmp_path / place, 2)
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_nothing(source, tmp_path, monkeypatch):
    def fails(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(branching.os, "fsync", fails)
    with pytest.raises(SessionError, match="No space left"):
        branch(source, tmp_path / "out", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_branch_of_a_branch_names_the_one_it_is_from(source, tmp_path):
    branch(source, tmp_path / "a", 7)
    branch(tmp_path / "a", tmp_path / "b", 2)
    assert log.read(tmp_path / "b").header.origin.session == str(tmp_path / "a")
    assert os.listdir(tmp_path / "b" / log.CHECKPOINTS) == ["first.safetensors"]


def test_sessions_without_an_origin_read_as_before():
    plain = msgspec.json.encode({"created": "", "model_sha256": "", "seed": 0})
    assert msgspec.json.decode(plain, type=Header).origin is None
