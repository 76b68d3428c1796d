"""A recording as a timeline: the state at any moment, and a clock that can pause, step and seek.

A moment is a number of records. A timeline is made in one pass over them, which keeps a state now
and then, so that from there to any moment it is never far.
"""

import contextlib
import gc
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from sessions.codec import Record
from sessions.edits import EditError
from sessions.events import Edited, EditRequested, JobProgressed
from sessions.log import Scan, SessionError
from sessions.marks import Marks, nearest
from sessions.records import Records
from sessions.reducer import Reduction, reduce
from sessions.state import SessionState

SNAPSHOT_EVERY = 2048
"""Records between stored states, so that a seek reduces at most this many."""
EDIT_COUNTS = 40
"""Records that take as long to reduce as one edit."""
EDITS = (Edited, EditRequested)
IDLE_LIMIT_S = 2.0
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
MISFITS = (EditError, KeyError, ValueError, TypeError)
"""What reducing an event raises that does not fit the ones before it."""


def steps(records: Iterable[Record]) -> Iterator[tuple[SessionState, Record, SessionState]]:
    """Every record between the states before and after it.

    Raises:
        SessionError: an event does not fit the ones before it; its line is named.
    """
    state = SessionState()
    for index, record in enumerate(records):
        before = state
        try:
            state = reduce(before, record.event)
        except MISFITS as error:
            raise _misfit(records, index, error) from error
        yield before, record, state


def rebuilt(records: Iterable[Record]) -> SessionState:
    """The state after the last record.

    Raises:
        SessionError: an event does not fit the ones before it; its line is named.
    """
    reduction = Reduction()
    with unwatched():
        for index, record in enumerate(records):
            try:
                reduction.add(record.event)
            except MISFITS as error:
                raise _misfit(records, index, error) from error
        return reduction.state


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Without the collector of garbage, which would walk all that is being read again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Clock:
    """When each record happened, in seconds that never run back."""

    def __init__(self, longest_pause_s: float = float("inf")) -> None:
        self.times = array("d")
        self._longest_pause_s = longest_pause_s
        self._last = 0.0
        self._now = 0.0

    def add(self, t: float) -> None:
        """Note the next record."""
        pause = t - self._last
        if pause > 0:
            self._now += pause if pause < self._longest_pause_s else self._longest_pause_s
        self._last = t
        self.times.append(self._now)

    @property
    def seconds(self) -> float:
        """Of the last record."""
        return self.times[-1] if self.times else 0.0

    def index_at(self, seconds: float) -> int:
        """How many records have happened at a time."""
        return bisect_right(self.times, seconds)

    def time_of(self, moment: int) -> float:
        """When a moment began."""
        return self.times[moment - 1] if moment else 0.0


class Timeline:
    """Records with two clocks, their marks, and the state at every moment."""

    def __init__(
        self,
        records: Sequence[Record] | Scan,
        idle_limit_s: float = IDLE_LIMIT_S,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        """Read all records once.

        Raises:
            SessionError: a line is broken, or its event does not fit the ones before it.
        """
        self.clock = Clock(idle_limit_s)
        """On which no pause is longer than the limit."""
        self.real = Clock()
        self.marks = Marks()
        self._significant = bytearray()
        """For every record, whether it is more than progress."""
        self._moments = [0]
        self._snapshots = [SessionState()]
        with unwatched():
            self._read(records, snapshot_every)
        self.records = records.records if isinstance(records, Scan) else records
        self._latest = (0, SessionState())

    @property
    def times(self) -> "array[float]":
        """When each record happened, pauses cut short."""
        return self.clock.times

    @property
    def seconds(self) -> float:
        """Length of the timeline."""
        return self.clock.seconds

    def index_at(self, seconds: float) -> int:
        """How many records have happened at a time."""
        return self.clock.index_at(seconds)

    def state_at(self, moment: int) -> SessionState:
        """The state after that many records."""
        at, state = self._latest
        nearer = bisect_right(self._moments, moment) - 1
        if not self._moments[nearer] <= at <= moment:
            at, state = self._moments[nearer], self._snapshots[nearer]
        if at < moment:
            reduction = Reduction(state)
            for record in self._light(at, moment):
                reduction.add(record.event)
            state = reduction.state
        self._latest = (moment, state)
        return state

    def last_fact(self, moment: int) -> int:
        """The latest moment up to one at which more than progress happened."""
        while moment and not self._significant[moment - 1]:
            moment -= 1
        return moment

    def step(self, moment: int, direction: int) -> int:
        """The next (1) or previous (-1) moment at which more than progress happens, or the end."""
        while 0 <= moment + direction <= len(self._significant):
            moment += direction
            if moment == 0 or self._significant[moment - 1]:
                break
        return moment

    def _read(self, records: Sequence[Record] | Scan, snapshot_every: int) -> None:
        reduction = Reduction()
        moment = cost = 0
        for moment, record in enumerate(records, start=1):
            event = record.event
            self.clock.add(record.t)
            self.real.add(record.t)
            self.marks.add(moment, event)
            self._significant.append(not isinstance(event, JobProgressed))
            try:
                reduction.add(event)
            except MISFITS as error:
                raise _misfit(records, moment - 1, error) from error
            cost += EDIT_COUNTS if isinstance(event, EDITS) else 1
            if cost >= snapshot_every:
                self._moments.append(moment)
                self._snapshots.append(reduction.state)
                cost = 0
        self._moments.append(moment)
        self._snapshots.append(reduction.state)
        self.marks.close(moment)

    def _light(self, start: int, stop: int) -> Iterable[Record]:
        if isinstance(self.records, Records):
            return self.records.light(start, stop)
        return self.records[start:stop]


class Playback:
    """A position on a timeline that moves with the clock."""

    def __init__(self, timeline: Timeline, speed: float = 1.0) -> None:
        self.timeline = timeline
        self.clock = timeline.clock
        self.seconds = 0.0
        self.index = 0
        self.speed = speed
        self.is_playing = True

    @property
    def state(self) -> SessionState:
        """The state at the position."""
        return self.timeline.state_at(self.index)

    @property
    def is_at_end(self) -> bool:
        """Whether every record has been played."""
        return self.index >= len(self.timeline.records)

    @property
    def skips_idle(self) -> bool:
        """Whether long pauses are cut short."""
        return self.clock is self.timeline.clock

    def skip_idle(self, *, is_on: bool) -> None:
        """Cut long pauses short, or play them; the position stays."""
        since = self.seconds - self.clock.time_of(self.index)
        self.clock = self.timeline.clock if is_on else self.timeline.real
        began = self.clock.time_of(self.index)
        over = self.clock.time_of(min(self.index + 1, len(self.timeline.records)))
        self.seconds = began + min(since, max(over - began, 0.0) * 0.999)

    def advance(self, elapsed_s: float) -> bool:
        """Let time pass; returns whether the state may have changed."""
        if not self.is_playing:
            return False
        before = self.index
        self.seek(self.seconds + elapsed_s * self.speed)
        if self.is_at_end:
            self.is_playing = False
        return self.index != before

    def seek(self, seconds: float) -> None:
        """Go to a time; outside the timeline, to its nearer end."""
        self.seconds = min(max(seconds, 0.0), self.clock.seconds)
        self.index = self.clock.index_at(self.seconds)

    def step(self, direction: int = 1) -> None:
        """Go to the next (or previous) fact that is more than progress, and pause."""
        self.go_to(self.timeline.step(self.index, direction))

    def jump(self, moments: "array[int]", direction: int) -> bool:
        """Go to the next (or previous) of some moments, and pause; False where there is none."""
        found = nearest(moments, self.index, direction)
        if found is None:
            return False
        self.go_to(found)
        return True

    def go_to(self, moment: int) -> None:
        """Go to a moment, and pause."""
        self.is_playing = False
        self.index = moment
        self.seconds = self.clock.time_of(moment)

    def play_or_pause(self) -> None:
        """Pause, or play on; at the end, from the start."""
        if not self.is_playing and self.is_at_end:
            self.seek(0.0)
        self.is_playing = not self.is_playing

    def change_speed(self, direction: int) -> None:
        """One notch faster (1) or slower (-1)."""
        nearest_speed = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[min(max(nearest_speed + direction, 0), len(SPEEDS) - 1)]


def _misfit(records: Iterable[Record], index: int, error: Exception) -> SessionError:
    if isinstance(records, Scan):
        return records.misfit(index, error)
    return SessionError(f"record {index + 1} does not fit the ones before it ({error})")
