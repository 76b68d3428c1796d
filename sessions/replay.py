"""A recording as a timeline: the state at any moment, and a clock that can pause, step and seek."""

from bisect import bisect_right

from sessions.codec import Record
from sessions.edits import EditError
from sessions.events import JobProgressed
from sessions.log import Recording, SessionError
from sessions.reducer import reduce
from sessions.state import SessionState

SNAPSHOT_EVERY = 256
"""Records between stored states, so that a seek reduces at most this many."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def rebuilt(recording: Recording) -> SessionState:
    """The state at the end of a recording.

    Raises:
        SessionError: an event does not fit the ones before it; its line is named.
    """
    state = SessionState()
    for number, record in enumerate(recording.records, start=2):
        try:
            state = reduce(state, record.event)
        except (EditError, KeyError, ValueError, TypeError) as error:
            raise SessionError(f"line {number} of the session does not fit: {error}") from error
    return state


class Timeline:
    """Records with times in which no pause is longer than the idle limit."""

    def __init__(self, records: list[Record], idle_limit_s: float = 2.0) -> None:
        self.records = records
        self.times: list[float] = []
        self._snapshots: list[SessionState] = [SessionState()]
        at = last = 0.0
        for record in records:
            at += min(max(record.t - last, 0.0), idle_limit_s)
            last = record.t
            self.times.append(at)

    @property
    def seconds(self) -> float:
        """Length of the timeline."""
        return self.times[-1] if self.times else 0.0

    def index_at(self, seconds: float) -> int:
        """How many records have happened at a time."""
        return bisect_right(self.times, seconds)

    def state_at(self, index: int) -> SessionState:
        """The state after that many records."""
        wanted = index // SNAPSHOT_EVERY
        while len(self._snapshots) <= wanted:
            start = (len(self._snapshots) - 1) * SNAPSHOT_EVERY
            self._snapshots.append(
                self._reduced(self._snapshots[-1], start, start + SNAPSHOT_EVERY)
            )
        return self._reduced(self._snapshots[wanted], wanted * SNAPSHOT_EVERY, index)

    def _reduced(self, state: SessionState, start: int, stop: int) -> SessionState:
        for record in self.records[start:stop]:
            state = reduce(state, record.event)
        return state


class Playback:
    """A position on a timeline that moves with the clock."""

    def __init__(self, timeline: Timeline, speed: float = 1.0) -> None:
        self.timeline = timeline
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
        self.seconds = min(max(seconds, 0.0), self.timeline.seconds)
        self.index = self.timeline.index_at(self.seconds)

    def step(self, direction: int = 1) -> None:
        """Go to the next (or previous) fact that is more than progress, and pause."""
        self.is_playing = False
        records = self.timeline.records
        index = self.index
        while 0 <= index + direction <= len(records):
            index += direction
            if index == 0 or not isinstance(records[index - 1].event, JobProgressed):
                break
        self.index = index
        self.seconds = self.timeline.times[index - 1] if index else 0.0

    def play_or_pause(self) -> None:
        """Pause, or play on; at the end, from the start."""
        if not self.is_playing and self.is_at_end:
            self.seek(0.0)
        self.is_playing = not self.is_playing

    def change_speed(self, direction: int) -> None:
        """One notch faster (1) or slower (-1)."""
        nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[min(max(nearest + direction, 0), len(SPEEDS) - 1)]
