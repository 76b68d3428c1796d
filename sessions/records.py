"""The records of a session on disk, decoded when they are asked for.

Only where each line starts is in memory; the lines were checked when they were scanned.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from typing import BinaryIO, overload
from weakref import finalize

import msgspec

from sessions import codec
from sessions.codec import Record
from sessions.events import Edited, JobFinished, JobProgressed, ModelOpened
from sessions.search_events import TrialOpened
from sessions.stored_stats import Shelf, Stats

WITH_STATS = (ModelOpened, Edited, JobFinished, TrialOpened)


class Records(Sequence[Record]):
    """Records by their index; a slice is a list."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._descriptor = file.fileno()
        self._starts = array("Q", [start])
        """Offset of every line, and of the end."""
        self._shelf = Shelf(self._stats)
        finalize(self, file.close)

    @property
    def end(self) -> int:
        """Bytes up to the end of the last line."""
        return self._starts[-1]

    def added(self, line: bytes, record: Record, *, is_shown: bool = False) -> Record:
        """Note where the next line lies; returns its record without what can be read again.

        `is_shown`: its statistics are looked at next, and stay in memory for a while.
        """
        self._starts.append(self._starts[-1] + len(line))
        return self._lighter(len(self) - 1, record, is_shown=is_shown)

    def light(self, start: int, stop: int) -> Iterator[Record]:
        """The records from one index to before another, their statistics left on disk."""
        for index, record in enumerate(self._decoded(start, stop), start):
            yield self._lighter(index, record)

    def blocks(self, stop: int) -> Iterator[bytes]:
        """The lines up to a number of records, as they are on disk."""
        for start in range(0, stop, 1024):
            yield self._read(start, min(start + 1024, stop))

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, int):
            at = range(len(self))[index]
            return next(self._decoded(at, at + 1))
        wanted = range(len(self))[index]
        return [self[at] for at in wanted]

    def __iter__(self) -> Iterator[Record]:
        for start in range(0, len(self), 256):
            yield from self._decoded(start, min(start + 256, len(self)))

    def _decoded(self, start: int, stop: int) -> Iterator[Record]:
        content, first = self._read(start, stop), self._starts[start]
        for index in range(start, stop):
            line = content[self._starts[index] - first : self._starts[index + 1] - first]
            yield codec.decode_record(line)

    def _read(self, start: int, stop: int) -> bytes:
        first = self._starts[start]
        return os.pread(self._descriptor, self._starts[stop] - first, first)

    def _lighter(self, index: int, record: Record, *, is_shown: bool = False) -> Record:
        event = record.event
        if isinstance(event, JobProgressed):  # nearly all are
            return record
        if not isinstance(event, WITH_STATS) or not event.stats:
            return record
        stats = self._shelf.put(index, event.stats, is_shown=is_shown)
        return Record(record.t, msgspec.structs.replace(event, stats=stats))

    def _stats(self, index: int) -> Stats:
        event = self[index].event
        assert isinstance(event, WITH_STATS)
        return event.stats
