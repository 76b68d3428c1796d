"""What a timeline marks of a recording: edits, evaluations, epochs; jobs and searches as a whole.

A moment is a number of records: what a mark stands for has happened at it.
"""

from array import array
from bisect import bisect_left, bisect_right
from typing import Literal

import msgspec

from sessions import edits
from sessions.events import (
    AnyEvent,
    CheckpointWritten,
    Edited,
    Evaluated,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobKind,
    JobPaused,
    JobProgressed,
    JobQueued,
    JobStarted,
    ProcessExited,
    SessionResumed,
    Unknown,
)
from sessions.search_events import SearchFinished, SearchStarted

LETTERS = {
    "off": "○", "on": "●", "width": "w", "mid": "b", "groups": "g", "kernel": "k", "widen": "+",
    "rank": "r", "head": "h", "classes": "c", "input": "i",
}  # fmt: skip
"""The letter of an edit by its name."""


class Span(msgspec.Struct, frozen=True):
    """A run of a job or of a search."""

    number: int
    """Of the job, or of the search."""
    kind: JobKind | Literal["search"]
    start: int
    end: int
    ending: str
    """finished, paused, failed, cancelled or cut off; empty where the recording ends before."""


class Marks:
    """Collects marks while records are read in order."""

    def __init__(self) -> None:
        self.edits = array("L")
        self.letters: list[str] = []
        """Of the edits, one each."""
        self.evaluations = array("L")
        self.epochs = array("L")
        """Where an epoch was over and on disk."""
        self.spans: list[Span] = []
        self._kinds: dict[int, JobKind] = {}
        self._running: dict[int, int] = {}
        """Where a job started, by its number."""
        self._searching: dict[int, int] = {}
        """The same of searches."""

    def add(self, moment: int, event: AnyEvent | Unknown) -> None:
        """Look at the record that happened at a moment."""
        match event:
            case JobProgressed():
                return
            case Edited(edit=edit):
                self.edits.append(moment)
                self.letters.append(letter(edit))
            case Evaluated():
                self.evaluations.append(moment)
            case CheckpointWritten(epoch=epoch) if epoch >= 1 and float(epoch).is_integer():
                self.epochs.append(moment)
            case JobQueued(job=job, job_kind=kind):
                self._kinds[job] = kind
            case JobStarted(job=job):
                self._running[job] = moment
            case JobFinished(job=job):
                self._end(job, moment, "finished")
            case JobPaused(job=job):
                self._end(job, moment, "paused")
            case JobFailed(job=job):
                self._end(job, moment, "failed")
            case JobCancelled(job=job):
                self._end(job, moment, "cancelled")
            case SearchStarted(search=search):
                self._searching[search] = moment
            case SearchFinished(search=search, is_stopped=is_stopped, reason=reason):
                ending = "paused" if is_stopped else "failed" if reason else "finished"
                self._end_search(search, moment, ending)
            case SessionResumed():
                self._end_all(moment, "cut off")
                self._end_searches(moment, "cut off")
            case ProcessExited(process="trainer"):
                self._end_all(moment, "cut off")
            case ProcessExited(process="searcher"):
                self._end_searches(moment, "cut off")

    def close(self, moment: int) -> None:
        """The recording ends."""
        self._end_all(moment, "")
        self._end_searches(moment, "")
        self._kinds.clear()

    def _end(self, job: int, moment: int, ending: str) -> None:
        start = self._running.pop(job, None)
        if start is not None and job in self._kinds:
            self.spans.append(Span(job, self._kinds[job], start, moment, ending))

    def _end_all(self, moment: int, ending: str) -> None:
        for job in list(self._running):
            self._end(job, moment, ending)

    def _end_search(self, search: int, moment: int, ending: str) -> None:
        start = self._searching.pop(search, None)
        if start is not None:
            self.spans.append(Span(search, "search", start, moment, ending))

    def _end_searches(self, moment: int, ending: str) -> None:
        for search in list(self._searching):
            self._end_search(search, moment, ending)


def letter(edit: edits.Edit) -> str:
    """What an edit is marked by."""
    return LETTERS[edits.text(edit).partition(":")[0]]


def nearest(moments: "array[int]", moment: int, direction: int) -> int | None:
    """The next moment after one (1), or the last before it (-1); None where there is none."""
    if direction > 0:
        at = bisect_right(moments, moment)
        return moments[at] if at < len(moments) else None
    at = bisect_left(moments, moment) - 1
    return moments[at] if at >= 0 else None
