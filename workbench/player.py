"""A recorded session behind the same screen: plays the timeline instead of running processes."""

import asyncio
from array import array
from collections.abc import Callable
from pathlib import Path

from sessions import log
from sessions.marks import Marks
from sessions.replay import Clock, Playback, Timeline
from sessions.state import SessionState
from widgets.replay_bar import ReplayView
from widgets.timeline import JobSpan, Track
from workbench.errors import UserError
from workbench.happened import happened

FRAME_S = 1 / 20


class Player:
    """Moves a playback with the clock and tells when the state changed."""

    def __init__(self, folder: Path, speed: float = 1.0, *, is_paused: bool = False) -> None:
        """Read the session.

        Raises:
            UserError: it cannot be read, or a line of it is broken.
        """
        try:
            scan = log.Scan(folder)
            timeline = Timeline(scan)
        except log.SessionError as error:
            raise UserError(str(error)) from error
        self.folder = folder
        self.playback = Playback(timeline, speed)
        self.playback.is_playing = not is_paused
        self.is_torn = scan.is_torn
        self.mark: int | None = None
        """The moment to compare with."""
        self.listener: Callable[[], None] = lambda: None
        self._tracks: dict[bool, Track] = {}
        """By whether long pauses are cut short."""

    @property
    def state(self) -> SessionState:
        """The state at the position."""
        return self.playback.state

    @property
    def view(self) -> ReplayView:
        """The position for the replay bar."""
        playback, clock = self.playback, self.playback.clock
        return ReplayView(
            seconds=playback.seconds,
            total_s=clock.seconds,
            speed=playback.speed,
            is_playing=playback.is_playing,
            step=playback.index,
            steps=len(playback.timeline.records),
            words=self.words,
            mark_s=None if self.mark is None else clock.time_of(self.mark),
            skips_idle=playback.skips_idle,
            track=self._track(),
        )

    @property
    def words(self) -> str:
        """What happened last."""
        moment = self.playback.index
        if not moment:
            return "the session begins"
        return happened(self.playback.timeline.records[moment - 1].event, self.state)

    async def run(self) -> None:
        """Let the clock run until cancelled."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(FRAME_S)
            now = loop.time()
            if self.playback.is_playing:
                self.playback.advance(now - before)
                self.listener()
            before = now

    def seek_share(self, share: float) -> None:
        """Go to a share of the whole, 0..1."""
        self.playback.seek(share * self.playback.clock.seconds)
        self.listener()

    def seek_by(self, seconds: float) -> None:
        """Go forward or back."""
        self.playback.seek(self.playback.seconds + seconds)
        self.listener()

    def step(self, direction: int) -> None:
        """Go to the next or previous fact."""
        self.playback.step(direction)
        self.listener()

    def jump_to_edit(self, direction: int) -> bool:
        """Go to the next or previous edit; False where there is none."""
        return self._jump(self.playback.timeline.marks.edits, direction)

    def jump_to_evaluation(self, direction: int) -> bool:
        """Go to the next or previous evaluation; False where there is none."""
        return self._jump(self.playback.timeline.marks.evaluations, direction)

    def change_speed(self, direction: int) -> None:
        """One notch faster or slower."""
        self.playback.change_speed(direction)
        self.listener()

    def play_or_pause(self) -> None:
        """Pause, or play on."""
        self.playback.play_or_pause()
        self.listener()

    def skip_idle(self) -> None:
        """Cut long pauses short, or play them."""
        self.playback.skip_idle(is_on=not self.playback.skips_idle)
        self.listener()

    def set_mark(self, moment: int | None) -> None:
        """Mark a moment to compare with, or none."""
        self.mark = moment
        self.listener()

    def _jump(self, moments: "array[int]", direction: int) -> bool:
        is_found = self.playback.jump(moments, direction)
        self.listener()
        return is_found

    def _track(self) -> Track:
        playback = self.playback
        if playback.skips_idle not in self._tracks:
            self._tracks[playback.skips_idle] = track_of(playback.timeline.marks, playback.clock)
        return self._tracks[playback.skips_idle]


def track_of(marks: Marks, clock: Clock) -> Track:
    """The marks of a recording as shares of a clock's time."""
    total = clock.seconds or 1.0

    def share(moment: int) -> float:
        return clock.time_of(moment) / total

    return Track(
        jobs=tuple(JobSpan(share(s.start), share(s.end), s.kind) for s in marks.spans),
        epochs=tuple(map(share, marks.epochs)),
        evaluations=tuple(map(share, marks.evaluations)),
        edits=tuple(
            (share(moment), letter)
            for moment, letter in zip(marks.edits, marks.letters, strict=True)
        ),
    )
