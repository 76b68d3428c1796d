"""A recorded session behind the same screen: plays the timeline instead of running processes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from sessions import log
from sessions.replay import Playback, Timeline, rebuilt
from sessions.state import SessionState
from widgets.replay_bar import ReplayView
from workbench.errors import UserError

FRAME_S = 1 / 20


class Player:
    """Moves a playback with the clock and tells when the state changed."""

    def __init__(self, folder: Path, speed: float = 1.0, *, is_paused: bool = False) -> None:
        try:
            recording = log.read(folder)
            rebuilt(recording)
        except log.SessionError as error:
            raise UserError(str(error)) from error
        self.folder = folder
        self.playback = Playback(Timeline(recording.records), speed)
        self.playback.is_playing = not is_paused
        self.is_torn = recording.is_torn
        self.listener: Callable[[], None] = lambda: None

    @property
    def state(self) -> SessionState:
        """The state at the position."""
        return self.playback.state

    @property
    def view(self) -> ReplayView:
        """The position for the replay bar."""
        playback = self.playback
        return ReplayView(
            playback.seconds,
            playback.timeline.seconds,
            playback.speed,
            playback.is_playing,
            playback.index,
            len(playback.timeline.records),
        )

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
        self.playback.seek(share * self.playback.timeline.seconds)
        self.listener()

    def seek_by(self, seconds: float) -> None:
        """Go forward or back."""
        self.playback.seek(self.playback.seconds + seconds)
        self.listener()

    def step(self, direction: int) -> None:
        """Go to the next or previous fact."""
        self.playback.step(direction)
        self.listener()

    def change_speed(self, direction: int) -> None:
        """One notch faster or slower."""
        self.playback.change_speed(direction)
        self.listener()

    def play_or_pause(self) -> None:
        """Pause, or play on."""
        self.playback.play_or_pause()
        self.listener()
