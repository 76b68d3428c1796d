"""The keys of a replay beside play, step and seek: jumps, two moments compared, a branch."""

import asyncio
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from textual.binding import Binding as AnyBinding

from sessions.branching import branch
from sessions.log import SessionError
from widgets.binding import Binding
from workbench.errors import UserError
from workbench.live import LiveSession
from workbench.player import Player
from workbench.screens.branching import BranchScreen
from workbench.screens.moments import Moment, MomentsScreen
from workbench.session import Opening

if TYPE_CHECKING:
    from textual.app import App

    Base = App[str]
else:
    Base = object

JUMPS = frozenset({"jump_edit", "jump_evaluation", "mark", "unmark", "branch", "skip_idle"})
"""The actions below, which a live session does not have."""
BINDINGS = (
    Binding("n", "jump_edit(1)", "Next edit", show=False, tooltip="To the next or previous edit"),
    Binding("N", "jump_edit(-1)", "Previous edit", show=False, key_display="N",
            tooltip="To the next or previous edit"),
    Binding("e", "jump_evaluation(1)", "Next F1", show=False,
            tooltip="To the next or previous measurement of F1"),
    Binding("E", "jump_evaluation(-1)", "Previous F1", show=False, key_display="E",
            tooltip="To the next or previous measurement of F1"),
    Binding("a", "mark", "Mark A", show=False, id="mark_moment",
            tooltip="Mark this moment as A; at another moment, compare the two"),
    Binding("A", "unmark", "Clear A", show=False, key_display="A", tooltip="Take mark A away",
            id="unmark_moment"),
    Binding("B", "branch", "Branch", show=False, key_display="B",
            tooltip="Go on live from this moment, in a session of its own"),
    Binding("z", "skip_idle", "Idle times", show=False,
            tooltip="Cut times in which nothing happened short, or play them too"),
)  # fmt: skip


TOOLTIPS = {"search": "Searches as they were: scans, studies and the autopilot"}
"""Of actions that do less in a replay."""


def told(binding: AnyBinding) -> AnyBinding:
    """A binding as the help of a replay tells it."""
    tooltip = TOOLTIPS.get(binding.action, binding.tooltip)
    return dataclasses.replace(binding, tooltip=tooltip)


class Replaying(Base):
    """Actions of an application that has a player, and may have a live session in its place."""

    player: Player | None
    live: LiveSession | None
    _play_task: asyncio.Task[None] | None

    def action_jump_edit(self, direction: int) -> None:
        """To the next or previous edit."""
        if self.player is not None and not self.player.jump_to_edit(direction):
            self.notify(f"no edit {'after' if direction > 0 else 'before'} this moment")

    def action_jump_evaluation(self, direction: int) -> None:
        """To the next or previous F1."""
        if self.player is not None and not self.player.jump_to_evaluation(direction):
            self.notify(f"no F1 was measured {'after' if direction > 0 else 'before'} this moment")

    def action_skip_idle(self) -> None:
        """Cut idle times short, or play them."""
        if self.player is not None:
            self.player.skip_idle()

    def action_mark(self) -> None:
        """Mark A; at another moment, compare."""
        player = self.player
        if player is None:
            return
        if player.state.variant is None:
            self.notify("no model is open yet at this moment: go to a later one")
        elif player.mark is None:
            player.set_mark(player.playback.index)
            self.notify("A is marked: go to another moment and press the key again to compare")
        elif player.mark == player.playback.index:
            self.notify("this is A: go to another moment to compare with it")
        else:
            moments = sorted((player.mark, player.playback.index))
            timeline = player.playback.timeline
            names = ("A", "here") if moments[0] == player.mark else ("here", "A")
            before, after = (
                Moment(name, player.playback.clock.time_of(at), timeline.state_at(at))
                for name, at in zip(names, moments, strict=True)
            )
            self.clear_notifications()  # they would lie on the comparison
            self.push_screen(MomentsScreen(before, after))

    def action_unmark(self) -> None:
        """Take A away."""
        if self.player is not None:
            self.player.set_mark(None)

    def action_branch(self) -> None:
        """Ask where to, then go on live from here."""
        player = self.player
        if player is None:
            return
        playback = player.playback
        playback.is_playing = False
        player.listener()
        if playback.state.variant is None:
            self.notify("no model is open yet at this moment: go to a later one")
            return
        moment = playback.index

        def make(out: Path | None) -> None:
            if out is not None:
                self.run_worker(self._branch(player.folder, out, moment))

        self.push_screen(BranchScreen(player.folder, playback.seconds), make)

    async def _branch(self, source: Path, out: Path, moment: int) -> None:
        try:
            made = await asyncio.to_thread(branch, source, out, moment)
            live = LiveSession(Opening(folder=out))
            live.claim()
        except (SessionError, UserError) as error:
            self.notify(str(error), severity="error", timeout=8, markup=False)
            return
        if self._play_task is not None:
            self._play_task.cancel()
        self.player, self.live = None, live
        self.go_live()
        cut_off = "; c goes on with the job that was cut off" if made.cut_off else ""
        self.notify(f"live in {out}{cut_off}", timeout=8, markup=False)

    def go_live(self) -> None:
        """Show the live session in the place of the recording."""
        raise NotImplementedError
