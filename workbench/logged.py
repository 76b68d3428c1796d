"""The records of a session's file, live or recorded, looked up when they are seen.

Only where lines end is held, nine bytes a record, whatever is in them.
"""

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sessions import codec
from sessions.codec import Record
from sessions.events import JobProgressed
from sessions.log import LOG_NAME

BLOCK = 1 << 20
HEAD = 80
"""Bytes of a line in which its kind stands."""
STEP = f'"kind":"{JobProgressed.__struct_config__.tag}"'.encode()


class LoggedRecords:
    """Those on disk; `refresh` finds what was added since."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME
        self._file: BinaryIO | None = None
        self._ends = array("Q")
        """Where each whole line ends, that of the header first."""
        self._steps = bytearray()
        """For each of them, whether it is a step of a job."""

    def refresh(self) -> None:
        """Find lines that were written since; of a file that is not there, there are none."""
        if self._file is None:
            try:
                self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115
            except OSError:
                return
        start = self._ends[-1] if self._ends else 0
        rest = b""
        while block := os.pread(self._file.fileno(), BLOCK, start + len(rest)):
            *lines, rest = (rest + block).split(b"\n")
            self._steps.extend(STEP in line[:HEAD] for line in lines)
            for line in lines:
                start += len(line) + 1
                self._ends.append(start)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return max(len(self._ends) - 1, 0)

    def record(self, index: int) -> Record:
        """Read one of them."""
        assert self._file is not None
        start, end = self._ends[index], self._ends[index + 1]
        return codec.decode_record(os.pread(self._file.fileno(), end - start - 1, start))

    def facts(self, start: int, end: int) -> Iterator[int]:
        """Those that are more than a step of a job."""
        return (at for at in range(start, end) if not self._steps[at + 1])
