"""The session folder on disk: one writer, appended lines, durable before shown.

A line that could not be written whole is cut off again, kept in memory and written with the next.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from sessions import codec
from sessions.codec import CodecError, Header, Record
from sessions.records import Records

LOG_NAME = "session.jsonl"
CHECKPOINTS = "checkpoints"
JOBS = "jobs"
LOGS = "logs"


class SessionError(Exception):
    """A session folder that cannot be used; the message says what to do."""


class Recording(msgspec.Struct, frozen=True):
    """A session as read from disk."""

    header: Header
    records: Sequence[Record]
    length: int
    """Bytes up to the end of the last whole line."""
    is_torn: bool
    """Whether a last, unfinished line was left out."""

    @property
    def seconds(self) -> float:
        """Time of the last record."""
        return self.records[-1].t if self.records else 0.0


class Scan:
    """One pass over a session: checks every line and tells its record.

    The records told are without statistics of weights in memory. Once the pass is over,
    `recording` decodes what is asked for.
    """

    def __init__(self, folder: Path) -> None:
        """Read the header.

        Raises:
            SessionError: no session here, or one that cannot be read.
        """
        self.folder = folder
        self.path = folder / LOG_NAME
        try:
            self._file = open(self.path, "rb")  # noqa: SIM115 - lives as long as the records
            line = self._file.readline()
        except (FileNotFoundError, NotADirectoryError):
            raise SessionError(
                f"{folder} is not a session: it has no {LOG_NAME}; name the folder that "
                "workbench printed when the session was closed"
            ) from None
        except OSError as error:
            raise SessionError(f"cannot read {self.path}: {error.strerror}") from error
        self.records = Records(self._file, len(line))
        self.is_torn = False
        if not line.endswith(b"\n"):
            raise SessionError(
                f"{self.path} is empty: the session was cut off before its first step; "
                "start a new one"
            )
        try:
            self.header = codec.decode_header(line)
        except CodecError as error:
            raise SessionError(f"{self.path}, line 1: {error}") from error

    def __iter__(self) -> Iterator[Record]:
        """Every record in order, once.

        Raises:
            SessionError: a broken line, which is named.
        """
        for line in self._file:
            if not line.endswith(b"\n"):
                self.is_torn = True
                return
            try:
                record = codec.decode_record(line)
            except CodecError as error:
                raise self.broken(len(self.records), str(error)) from error
            yield self.records.added(line, record)

    def broken(self, index: int, reason: str) -> SessionError:
        """The error of a record that cannot be used, with what can be done about it."""
        line = f"{self.path}, line {index + 2}: {reason}"
        if not index:
            return SessionError(f"{line}; nothing stands before it: start a new session")
        records = "record" if index == 1 else f"{index:,} records"
        return SessionError(
            f"{line}; the {records} before it can be kept as a session of their own: "
            f"workbench branch {shlex.quote(str(self.folder))} OUT --salvage"
        )

    def misfit(self, index: int, error: Exception) -> SessionError:
        """The error of a record whose event does not fit the ones before it."""
        return self.broken(index, f"it does not fit the lines before it ({error})")

    @property
    def recording(self) -> Recording:
        """What was read."""
        return Recording(self.header, self.records, self.records.end, self.is_torn)


def is_session(path: Path) -> bool:
    """Whether a path is a session folder."""
    return (path / LOG_NAME).is_file()


def read(folder: Path) -> Recording:
    """Read a session; a torn last line is left out and reported.

    Raises:
        SessionError: no session here, or a broken line, which is named.
    """
    scan = Scan(folder)
    for _ in scan:
        pass
    return scan.recording


class SessionLog:
    """Appends records to a session; the caller holds the folder's lock."""

    def __init__(self, folder: Path, length: int) -> None:
        self._length = length
        self._unsaved: list[tuple[bytes, Record]] = []
        self._must_sync = False
        self._file: BinaryIO = open(folder / LOG_NAME, "r+b", buffering=0)  # noqa: SIM115
        self._file.truncate(length)
        self._file.seek(length)
        readable = open(folder / LOG_NAME, "rb")  # noqa: SIM115 - lives as long as the records
        self._records = Records(readable, length)

    @classmethod
    def create(cls, folder: Path, header: Header) -> "SessionLog":
        """Start a session in a folder that has none.

        Raises:
            OSError: the folder cannot be written.
        """
        line = codec.encode(header) + b"\n"
        with open(folder / LOG_NAME, "xb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(folder)
        return cls(folder, len(line))

    @property
    def unsaved(self) -> int:
        """Records that could not be written yet."""
        return len(self._unsaved)

    def append(self, record: Record) -> Record:
        """Write a record, with an fsync where its event is durable.

        Returns the record; statistics of weights in it are read again from the file once they have
        not been looked at for a while.

        Raises:
            OSError: nothing of it is on disk; it is kept and written with the next record.
        """
        self._unsaved.append((codec.encode_record(record) + b"\n", record))
        self._must_sync |= getattr(record.event, "is_durable", True)
        return self._write() or record

    def close(self) -> None:
        """Put everything on disk and close the file.

        Raises:
            OSError: the last records are not on disk; the file is closed all the same.
        """
        try:
            self._must_sync = True
            self._write()
        finally:
            self._file.close()

    def _write(self) -> Record | None:
        """Write what is not on disk yet; returns the last record of it."""
        data = b"".join(line for line, _ in self._unsaved)
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            if self._must_sync:
                os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._length)
            self._file.seek(self._length)
            raise
        self._length += len(data)
        last = None
        for line, record in self._unsaved:
            last = self._records.added(line, record, is_shown=True)
        self._unsaved.clear()
        self._must_sync = False
        return last


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
