"""The session folder: durable before shown, a torn tail forgiven, a failed write made good."""

import errno
import os

import msgspec
import pytest

from sessions import codec, log
from sessions.codec import Header, Record
from sessions.edits import UnitOff
from sessions.events import (
    Edited,
    JobFinished,
    JobProgressed,
    LayerStats,
    Unknown,
    VariantSelected,
)
from sessions.log import SessionError, SessionLog
from sessions.stored_stats import KEPT, joined

HEADER = Header(created="2025-01-01T00:00:00+00:00", model_sha256="ab", seed=3)
EDITED = Edited(
    variant=1, parent=0, edit=UnitOff("stage1.unit2"), macs=5, weights_sha256="é", exact=True
)
RECORDS = [
    Record(0.5, EDITED),
    Record(1.0, JobProgressed(job=1, phase="training", step=1, steps=2)),
    Record(1.25, Unknown("of-tomorrow", b'{ "kind":"of-tomorrow", "x":[1.0] }')),
    Record(2.0, VariantSelected(variant=0)),
]


def write(folder, records=RECORDS):
    written = SessionLog.create(folder, HEADER)
    for record in records:
        written.append(record)
    written.close()
    return folder / log.LOG_NAME


def error_of(folder):
    with pytest.raises(SessionError) as caught:
        log.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class FailingFile:
    """Fails on each write while it is broken, after the first `takes` bytes."""

    def __init__(self, file):
        self.file = file
        self.is_broken = False
        self.takes = 0
        self.chunk = None

    def write(self, data):
        if self.is_broken and self.takes:
            self.takes -= (taken := self.file.write(data[: self.takes]))
            return taken
        if self.is_broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data[: self.chunk])

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.fixture
def failing(tmp_path):
    opened = SessionLog.create(tmp_path, HEADER)
    opened._file = FailingFile(opened._file)
    yield opened
    opened._file.close()


@pytest.fixture
def synced(monkeypatch):
    """Descriptors that were synced, in order."""
    found, real = [], os.fsync
    monkeypatch.setattr(log.os, "fsync", lambda fd: found.append(fd) or real(fd))
    return found


# Reading


def test_what_is_appended_reads_back(tmp_path):
    file = write(tmp_path)
    recording = log.read(tmp_path)
    assert recording.header == HEADER
    assert list(recording.records) == RECORDS
    assert (recording.length, recording.is_torn) == (file.stat().st_size, False)
    assert recording.seconds == 2.0


def test_a_session_without_events_reads_back(tmp_path):
    write(tmp_path, [])
    recording = log.read(tmp_path)
    assert (list(recording.records), recording.seconds, recording.is_torn) == ([], 0.0, False)


def test_a_session_is_a_folder_with_a_log(tmp_path):
    assert not log.is_session(tmp_path)
    assert not log.is_session(tmp_path / "none")
    assert not log.is_session(write(tmp_path))
    assert log.is_session(tmp_path)


def test_a_log_cut_at_any_byte_of_its_last_line_still_opens(tmp_path):
    file = write(tmp_path)
    content = file.read_bytes()
    whole = content.rindex(b"\n", 0, -1) + 1
    for end in range(whole, len(content)):
        file.write_bytes(content[:end])
        recording = log.read(tmp_path)
        assert list(recording.records) == RECORDS[:-1]
        assert (recording.length, recording.is_torn) == (whole, end > whole)


def test_a_log_cut_anywhere_keeps_the_lines_before(tmp_path):
    file = write(tmp_path)
    content = file.read_bytes()
    for end in range(content.index(b"\n") + 1, len(content)):
        file.write_bytes(content[:end])
        recording = log.read(tmp_path)
        assert list(recording.records) == RECORDS[: content[:end].count(b"\n") - 1]


def test_a_log_cut_within_its_header_is_named_as_cut_off(tmp_path):
    file = write(tmp_path)
    content = file.read_bytes()
    for end in (0, 1, content.index(b"\n")):
        file.write_bytes(content[:end])
        assert "cut off before its first step" in error_of(tmp_path)


def test_a_torn_line_is_overwritten_by_the_next_record(tmp_path):
    file = write(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    recording = log.read(tmp_path)
    again = SessionLog(tmp_path, recording.length)
    again.append(RECORDS[-1])
    again.close()
    assert file.read_bytes() == content
    assert list(log.read(tmp_path).records) == RECORDS


BROKEN_LINES = [
    b"",
    b"{}",
    b"nonsense",
    b'{"t":1,"event":{"kind":"variant-selected"}}',
    b'{"t":1,"event":{"kind":"variant-selected","variant":0}',
    b'{"t":1}',
    b'{"t":1,"event":{"kind":"\xff"}}',
    bytes(40),
]


@pytest.mark.parametrize("number", [2, 3, 4, 5])
@pytest.mark.parametrize("broken", BROKEN_LINES)
def test_a_broken_whole_line_is_an_error_that_names_it(tmp_path, number, broken):
    file = write(tmp_path)
    lines = file.read_bytes().split(b"\n")
    lines[number - 1] = broken
    file.write_bytes(b"\n".join(lines))
    assert f"line {number}:" in error_of(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b"",
        b"nonsense",
        codec.encode(HEADER)[:-1],
        codec.encode(msgspec.structs.replace(HEADER, format="other")),
        codec.encode(msgspec.structs.replace(HEADER, version=codec.VERSION + 1)),
        codec.encode(HEADER).replace(b'"seed":3', b'"seed":"x"'),
    ],
    ids=["object", "empty", "text", "short", "format", "newer", "field"],
)
def test_a_broken_header_is_an_error_that_names_line_1(tmp_path, header):
    file = write(tmp_path)
    content = file.read_bytes()
    file.write_bytes(header + content[content.index(b"\n") :])
    assert "line 1:" in error_of(tmp_path)


def test_a_session_of_a_newer_version_says_what_to_do(tmp_path):
    SessionLog.create(tmp_path, msgspec.structs.replace(HEADER, version=codec.VERSION + 1)).close()
    assert "upgrade workbench" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (2, "nothing stands before it: start a new session"),
        (3, "the record before it can be kept"),
        (5, "the 3 records before it can be kept"),
    ],
)
def test_a_broken_line_says_what_can_be_kept_and_how(tmp_path, number, wanted):
    file = write(tmp_path)
    lines = file.read_bytes().split(b"\n")
    lines[number - 1] = b"{}"
    file.write_bytes(b"\n".join(lines))
    found = error_of(tmp_path)
    assert wanted in found
    assert (f"workbench branch {tmp_path} OUT --salvage" in found) == (number > 2)


def test_records_are_decoded_where_they_are_asked_for(tmp_path):
    write(tmp_path)
    records = log.read(tmp_path).records
    assert [records[index] for index in range(-4, 4)] == RECORDS * 2
    assert records[1:3] == RECORDS[1:3]
    assert records[::-1] == RECORDS[::-1]
    with pytest.raises(IndexError):
        records[4]


def test_records_stay_readable_while_the_session_goes_on(tmp_path):
    write(tmp_path)
    recording = log.read(tmp_path)
    again = SessionLog(tmp_path, recording.length)
    again.append(RECORDS[0])
    again.close()
    assert list(recording.records) == RECORDS
    assert len(log.read(tmp_path).records) == 5


def test_a_folder_without_a_session_says_what_to_do(tmp_path):
    assert "is not a session" in error_of(tmp_path)
    assert "is not a session" in error_of(tmp_path / "none")
    (tmp_path / "file").touch()
    assert "is not a session" in error_of(tmp_path / "file")


def test_a_log_that_cannot_be_read_is_an_error_in_words(tmp_path):
    (tmp_path / log.LOG_NAME).mkdir()
    assert "cannot read" in error_of(tmp_path)


# Writing


def test_a_session_is_not_started_over_another(tmp_path):
    file = write(tmp_path)
    content = file.read_bytes()
    with pytest.raises(FileExistsError):
        SessionLog.create(tmp_path, HEADER)
    assert file.read_bytes() == content


def test_each_record_is_on_disk_when_append_returns(tmp_path):
    written = SessionLog.create(tmp_path, HEADER)
    for count, record in enumerate(RECORDS, start=1):
        written.append(record)
        assert list(log.read(tmp_path).records) == RECORDS[:count]
    written.close()


def test_durable_records_are_synced_and_progress_is_not(tmp_path, synced):
    written = SessionLog.create(tmp_path, HEADER)
    counts = []
    for record in RECORDS:
        before = len(synced)
        written.append(record)
        counts.append(len(synced) - before)
    written.close()
    assert counts == [1, 0, 1, 1]


def test_creating_a_session_syncs_its_file_and_its_folder(tmp_path, synced):
    SessionLog.create(tmp_path, HEADER).close()
    assert len(synced) >= 2


def test_a_write_in_pieces_is_completed(failing, tmp_path):
    failing._file.chunk = 7
    for record in RECORDS:
        failing.append(record)
    assert list(log.read(tmp_path).records) == RECORDS


@pytest.mark.parametrize("takes", [0, 1, 20, 10**6])
def test_a_failed_write_leaves_no_torn_line(failing, tmp_path, takes):
    failing.append(RECORDS[0])
    line = codec.encode_record(RECORDS[1])
    failing._file.is_broken, failing._file.takes = True, min(takes, len(line))
    with pytest.raises(OSError, match="No space left"):
        failing.append(RECORDS[1])
    recording = log.read(tmp_path)
    assert list(recording.records) == RECORDS[:1]
    assert not recording.is_torn
    assert failing.unsaved == 1


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_records_that_could_not_be_written_come_with_the_next(failing, tmp_path, failures):
    failing._file.is_broken = True
    for number, record in enumerate(RECORDS[:failures], start=1):
        failing._file.takes = 9
        with pytest.raises(OSError, match="No space left"):
            failing.append(record)
        assert failing.unsaved == number
    failing._file.is_broken = False
    failing.append(RECORDS[failures])
    assert failing.unsaved == 0
    recording = log.read(tmp_path)
    assert list(recording.records) == RECORDS[: failures + 1]
    assert not recording.is_torn


def test_a_durable_record_is_synced_even_where_progress_carries_it(failing, synced):
    failing._file.is_broken = True
    with pytest.raises(OSError, match="No space left"):
        failing.append(RECORDS[0])
    failing._file.is_broken = False
    synced.clear()
    failing.append(RECORDS[1])
    assert failing.unsaved == 0
    assert len(synced) == 1


def test_a_record_that_cannot_be_synced_counts_as_unsaved(failing, tmp_path, monkeypatch):
    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(log.os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            failing.append(RECORDS[0])
    assert failing.unsaved == 1
    assert list(log.read(tmp_path).records) == []
    failing.append(RECORDS[1])
    assert list(log.read(tmp_path).records) == RECORDS[:2]


def test_closing_writes_what_could_not_be_written_before(failing, tmp_path):
    failing._file.is_broken = True
    with pytest.raises(OSError, match="No space left"):
        failing.append(RECORDS[0])
    failing._file.is_broken = False
    failing.close()
    assert list(log.read(tmp_path).records) == RECORDS[:1]


def stats_of(*paths):
    return {
        path: LayerStats(9, 0.0, 0.5, 0.1, -1.0, 1.0, (number, 3))
        for number, path in enumerate(paths)
    }


def trained(number, *paths):
    return Record(float(number), JobFinished(job=number, checkpoint="c", stats=stats_of(*paths)))


def test_statistics_are_let_go_and_read_again_from_the_log(tmp_path):
    written = SessionLog.create(tmp_path, HEADER)
    given = [trained(number, "a", "b", "c"[: number % 2]) for number in range(3 * KEPT)]
    appended = [written.append(record) for record in given]
    held = [record.event.stats._found is not None for record in appended]
    assert held == [False] * (2 * KEPT) + [True] * KEPT
    written.close()  # what reads them lives longer
    assert appended == given


def test_statistics_of_a_record_that_is_not_on_disk_stay_in_memory(failing):
    failing._file.is_broken = True
    first = trained(1, "a")
    with pytest.raises(OSError, match="No space left"):
        failing.append(first)
    failing._file.is_broken = False
    second = failing.append(trained(2, "b"))
    third = failing.append(trained(3, "c"))
    for record in (second, third):
        record.event.stats.forget()
    assert (second, third) == (trained(2, "b"), trained(3, "c"))


def test_statistics_from_before_and_after_an_interruption_are_joined(tmp_path):
    folder = write(tmp_path, [trained(1, "a", "b")]).parent
    scan = log.Scan(folder)
    [before] = list(scan)
    again = SessionLog(folder, scan.recording.length)
    after = again.append(trained(2, "b", "c"))
    both = joined(before.event.stats, after.event.stats)
    assert dict(both) == stats_of("a") | stats_of("b", "c")
    twice = joined(both, again.append(trained(3, "d")).event.stats)
    for stats in (both, twice, after.event.stats):
        stats.forget()
    assert dict(twice) == stats_of("a") | stats_of("b", "c") | stats_of("d")
