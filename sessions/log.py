"""The session folder on disk: one writer, appended lines, durable before shown.

A line that could not be written whole is cut off again, kept in memory and written with the next.
"""

import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from sessions import codec
from sessions.codec import CodecError, Header, Record

LOG_NAME = "session.jsonl"
CHECKPOINTS = "checkpoints"
JOBS = "jobs"
LOGS = "logs"


class SessionError(Exception):
    """A session folder that cannot be used; the message says what to do."""


class Recording(msgspec.Struct, frozen=True):
    """A session as read from disk."""

    header: Header
    records: list[Record]
    length: int
    """Bytes up to the end of the last whole line."""
    is_torn: bool
    """Whether a last, unfinished line was left out."""

    @property
    def seconds(self) -> float:
        """Time of the last record."""
        return self.records[-1].t if self.records else 0.0


def is_session(path: Path) -> bool:
    """Whether a path is a session folder."""
    return (path / LOG_NAME).is_file()


def read(folder: Path) -> Recording:
    """Read a session; a torn last line is left out and reported.

    Raises:
        SessionError: no session here, or a broken line, which is named.
    """
    file = folder / LOG_NAME
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise SessionError(
            f"{folder} is not a session: it has no {LOG_NAME}; name the folder that "
            "workbench printed when the session was closed"
        ) from None
    except OSError as error:
        raise SessionError(f"cannot read {file}: {error.strerror}") from error
    *lines, rest = content.split(b"\n")
    if not lines:
        raise SessionError(f"{file} is empty: the session was cut off before its first step")
    records: list[Record] = []
    number = 1
    try:
        header = codec.decode_header(lines[0])
        for line in lines[1:]:
            number += 1
            records.append(codec.decode_record(line))
    except CodecError as error:
        raise SessionError(f"{file}, line {number}: {error}") from error
    return Recording(header, records, len(content) - len(rest), bool(rest))


class SessionLog:
    """Appends records to a session; the caller holds the folder's lock."""

    def __init__(self, folder: Path, length: int) -> None:
        self._length = length
        self._unsaved: list[bytes] = []
        self._must_sync = False
        self._file: BinaryIO = open(folder / LOG_NAME, "r+b", buffering=0)  # noqa: SIM115
        self._file.truncate(length)
        self._file.seek(length)

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

    def append(self, record: Record) -> None:
        """Write a record, with an fsync where its event is durable.

        Raises:
            OSError: nothing of it is on disk; it is kept and written with the next record.
        """
        self._unsaved.append(codec.encode_record(record) + b"\n")
        self._must_sync |= getattr(record.event, "is_durable", True)
        self._write()

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

    def _write(self) -> None:
        data = b"".join(self._unsaved)
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
        self._unsaved.clear()
        self._must_sync = False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
