"""The application: keys to requests, events to the screen. Only the source makes a replay."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group
from rich.traceback import Traceback
from textual.binding import Binding as AnyBinding
from textual.binding import BindingType
from textual.driver import Driver as AnyDriver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Click
from textual.screen import ModalScreen

from sessions import history, offers
from sessions.edits import Edit
from sessions.events import (
    AnyEvent,
    CutDescribed,
    DataOpened,
    EditRejected,
    JobFailed,
    JobFinished,
    ModelOpened,
    ProcessExited,
    RanksDescribed,
    SamplesDrawn,
    Unknown,
)
from sessions.recipe import Recipe
from sessions.state import SessionState
from widgets import timeline
from widgets.binding import Binding
from widgets.job_line import JobLine
from widgets.network_tree import MARKING, NetworkTree
from widgets.replay_bar import ReplayBar
from widgets.title_line import TitleLine
from workbench import keymap, replaying, themes
from workbench.config import Config, config_file
from workbench.driver import Driver
from workbench.live import LiveSession
from workbench.looks import Looks
from workbench.palette import Actions
from workbench.panels import PanelsApp
from workbench.player import Player
from workbench.processes import FATAL
from workbench.replaying import Replaying
from workbench.screens import shell, styles
from workbench.screens.dialogs import (
    HelpScreen,
    SaveScreen,
    help_rows,
)
from workbench.screens.main import MainScreen
from workbench.screens.recipe import RecipeScreen
from workbench.screens.reshape import ReshapeScreen
from workbench.screens.samples import SamplesScreen
from workbench.session import RequestError
from workbench.tidying import Tidy, settle_memory
from workbench.toasts import describe, refused

EDITING = frozenset(
    {
        "toggle_unit", "reshape", "undo", "redo", "recover", "fine_tune", "fine_tune_with",
        "distil", "samples", "evaluate", "stop", "pause", "resume", "carry_over", "save",
    }
)  # fmt: skip
PALETTE = Binding("ctrl+p", "command_palette", "Palette", tooltip="Every command, by name")
REPLAYING = frozenset({"play", "step", "seek", "speed", "start", "end", *replaying.JUMPS})


class WorkbenchApp(Replaying, PanelsApp, Tidy, Looks):
    """Shows a live session or a recorded one."""

    TITLE = "workbench"
    COMMANDS: ClassVar[set[type[Actions]]] = {Actions}  # type: ignore[assignment]
    CSS = (
        styles.SHEET
        + themes.COLOURLESS_CSS
        + """
    Toast { width: 42%; max-width: 76; background: $panel; }  /* as wide as the panels */
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "toggle_unit", "On/off",
            tooltip="Switch the selected unit, or all marked ones; u undoes them one by one",
        ),
        Binding("w", "reshape", "Reshape", tooltip="Width, bottleneck, groups, kernel or rank"),
        Binding("r", "recover", "Recover", tooltip="Fit the cut network to its old outputs"),
        Binding("f", "fine_tune", "Fine-tune", tooltip="Fine-tune with the session's recipe"),
        Binding(
            "d", "distil", "Distil", show=False,
            tooltip="Fine-tune with the network before the cut as teacher",
        ),
        Binding(
            "F", "fine_tune_with", "Fine-tune with…", show=False, key_display="F",
            tooltip="Choose epochs, learning rate and more, then fine-tune",
        ),
        Binding("i", "samples", "Images", show=False, tooltip="Training images, as changed"),
        Binding("e", "evaluate", "Eval", tooltip="Measure F1 now, also during an epoch"),
        Binding("x", "stop", "Stop", tooltip="Stop the job and keep its result; twice: at once"),
        Binding("p", "pause", "Pause", show=False, tooltip="Put the job aside; c goes on with it"),
        Binding("c", "resume", "Continue", tooltip="Go on with a job that was put aside"),
        Binding("u", "undo", "Undo", tooltip="Back to the variant before, with its weights"),
        Binding("ctrl+r", "redo", "Redo", show=False, tooltip="Forward again"),
        Binding(
            "o", "carry_over", "Carry over",
            tooltip="Give a finished job's weights to the edits made since it began",
        ),
        Binding("m", "confusion", "Confusions", show=False, tooltip="Classes taken for others"),
        Binding("t", "variants", "Variants", show=False, tooltip="All variants, to jump to"),
        Binding("P", "score_plane", "Score plane", show=False, key_display="P",
                tooltip="F1 against MACs: every variant, and lines of equal score"),
        Binding("S", "search", "Search", show=False, key_display="S",
                tooltip="Sensitivity scans, studies and the autopilot: start, follow, take over"),
        Binding("b", "channels", "Channels", show=False,
                tooltip="The selected row's channels: importance, activation, what a cut takes"),
        Binding("L", "activity", "Activity", show=False, key_display="L",
                tooltip="Jobs that run and wait, and the log of everything that happened"),
        Binding("s", "save", "Save", tooltip="Save the current variant to a file"),
        Binding("y", "copy_path", "Copy path", show=False, tooltip="Copy the selected row's path"),
        Binding(
            "Y", "copy_command", "Copy command", show=False, key_display="Y",
            tooltip="Copy the command line that makes this variant's structure",
        ),
        Binding("space", "play", "Play/pause", tooltip="Play or pause the replay"),
        Binding("full_stop", "step(1)", "Step", key_display=".,", tooltip="Next or previous event",
                id="step"),
        Binding("comma", "step(-1)", "Step back", show=False, id="step_back",
                tooltip="Next or previous event"),
        Binding("plus,equals_sign", "speed(1)", "Speed", key_display="+-", tooltip="Replay speed",
                id="faster"),
        Binding("minus", "speed(-1)", "Slower", show=False, id="slower", tooltip="Replay speed"),
        Binding(
            "right_square_bracket", "seek(10)", "Seek", key_display="[]",
            tooltip="Ten seconds back or forward", id="seek",
        ),
        Binding("left_square_bracket", "seek(-10)", "Seek back", show=False, id="seek_back",
                tooltip="Ten seconds back or forward"),
        Binding("0", "start", "Start", show=False, tooltip="To the start of the recording"),
        Binding("9", "end", "End", key_display="9", tooltip="To the end of the recording"),
        *replaying.BINDINGS,
        Binding("question_mark", "help", "Help", key_display="?", tooltip="Keys and words"),
        Binding("q", "quit", "Quit", tooltip="Quit; everything is kept in the session"),
    ]  # fmt: skip

    def __init__(self, source: LiveSession | Player, config: Config | None = None) -> None:
        super().__init__(config or Config())
        self.live = source if isinstance(source, LiveSession) else None
        self.player = source if isinstance(source, Player) else None
        self.main = MainScreen(self.config.columns, self.config.convention)
        self.main.is_busy = self.is_used
        self._stop_asked = False
        self._refusal = ""
        """Why the last edit was not made; empty when something else happened since."""
        self._offered = (False, False, False, False)
        """Whether a job can be stopped, resumed, carried over, learned from: for the footer."""
        self._shown: tuple[SessionState | None, str] = (None, "")
        self._play_task: asyncio.Task[None] | None = None
        self.set_keymap(keymap.keymap(self.config.keys, contexts()))

    def get_driver_class(self) -> type[AnyDriver]:
        """Textual's own where that is not a terminal."""
        found = super().get_driver_class()
        return Driver if found is LinuxDriver else found

    async def on_mount(self) -> None:
        """Show the screen, then start what feeds it."""
        loop = asyncio.get_running_loop()
        self._handler_before = loop.get_exception_handler()
        loop.set_exception_handler(self._loop_failed)
        loop.add_signal_handler(signal.SIGTERM, self.exit)  # the terminal is given back as it was
        signal.signal(signal.SIGHUP, self._hung_up)
        await self.push_screen(self.main)
        if self.live is not None:
            self.go_live()
        if self.player is not None:
            self.call_after_refresh(settle_memory)
            self.main.query_one(NetworkTree).can_mark = False
            self.player.listener = self._show
            self._play_task = asyncio.create_task(self.player.run())
            self._show()

    def go_live(self) -> None:
        """Start the live session and show it, also in the place of a recording."""
        assert self.live is not None
        self.live.listener = self.take
        self.call_after_refresh(self.live.start)
        self.main.query_one(ReplayBar).display = False
        self.main.remove_class("-replay")
        self.main.query_one(NetworkTree).can_mark = True
        self._show()
        self.refresh_bindings()

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody waits for failed: without events to come, the screen ends with the reason."""
        if context.get(FATAL):
            error = context["exception"]
            words = f"{context['message']}; what happened before it is in {self._folder}"
            trace = Traceback.from_exception(type(error), error, error.__traceback__)
            self.exit(return_code=1, message=Group(trace, words))
        elif self._handler_before is not None:
            self._handler_before(loop, context)
        else:
            loop.default_exception_handler(context)

    def _hung_up(self, *_: object) -> None:
        """The terminal is gone: end, and do not take it up again.

        A hang-up sends SIGCONT too, on which the driver would start a second thread for input,
        and leave one of the two reading the end of a file for ever.
        """
        signal.signal(signal.SIGCONT, lambda *_: None)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.exit)

    async def on_unmount(self) -> None:
        """Let the processes save."""
        if self._play_task is not None:
            self._play_task.cancel()
        if self.live is not None:
            self.live.listener = lambda event: None  # there is nothing left to show it on
        await self.close_panels()
        if self.live is not None:
            await self.live.close()

    def take(self, event: AnyEvent | Unknown) -> None:
        """Something happened in the live session."""
        live = self.live
        assert live is not None
        if not self.is_running:
            return  # screens lose their widgets before the session is closed
        if live.problem:
            self.exit(live.problem, return_code=1)
            return
        if live.state is not self._shown[0] or live.log_error != self._shown[1]:
            self._refusal = refused(event) if isinstance(event, EditRejected) else ""
            self._show()
        self.take_answer(event)
        if isinstance(event, RanksDescribed) and isinstance(self.screen, ReshapeScreen):
            self.screen.take_ranks(event)
        if isinstance(event, CutDescribed) and isinstance(self.screen, ReshapeScreen):
            self.screen.take_cut(event)
        if isinstance(event, SamplesDrawn) and isinstance(self.screen, SamplesScreen):
            self.screen.take_samples(event)
        if isinstance(event, ModelOpened | DataOpened):
            self.call_after_refresh(settle_memory)
        if (toast := describe(event, live.state)) is not None:
            words, severity = toast
            self.notify(words, severity=severity, timeout=8, markup=False)
        if isinstance(event, JobFinished | JobFailed | ProcessExited):
            self._stop_asked = False

    def _show(self) -> None:
        self.show_panel()
        if self.live is not None:
            state = self.live.state
            self._shown = (state, self.live.log_error)
            self.main.show(state, self.live.log_error, refusal=self._refusal)
            offered = (
                bool(state.running or state.queued),
                state.resumable is not None,
                history.carriable(state) is not None,
                self.live.can_distil,
            )
            if offered != self._offered:  # the footer is slow to draw
                self._offered = offered
                self.refresh_bindings()
        elif self.player is not None:
            self.main.show(self.player.state, is_live=False)
            self.main.show_replay(self.player.view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Replay edits nothing; live has nothing to play. The one place that decides it."""
        if self.live is None and action in EDITING:
            return False
        if self.live is not None:
            state = self.live.state
            if action in REPLAYING or (action == "resume" and state.resumable is None):
                return False
            if action == "pause" and (state.running is None or state.running.is_automatic):
                return False
            if action == "distil" and not self.live.can_distil:
                return False
            if action == "carry_over" and history.carriable(state) is None:
                return False
            if action == "stop" and state.running is None and not state.queued:
                return False
        return True

    def on_network_tree_toggle_requested(self, message: NetworkTree.ToggleRequested) -> None:
        """Switch a unit."""
        self._ask(lambda live: live.toggle(message.unit))

    async def on_title_line_clicked(self, message: TitleLine.Clicked) -> None:
        """The name of the variant leads to all of them."""
        await self.run_action("variants")

    async def on_job_line_clicked(self, message: JobLine.Clicked) -> None:
        """A click puts the job aside, the next goes on with it."""
        for action in ("pause", "resume"):
            if self.check_action(action, ()) and self.screen is self.main:
                await self.run_action(action)
                return

    def on_click(self, event: Click) -> None:
        """Beside a dialog: it closes, as with escape."""
        if isinstance(event.widget, ModalScreen) and event.widget is self.screen:
            self.simulate_key("escape")

    def on_replay_bar_seek_requested(self, message: ReplayBar.SeekRequested) -> None:
        """Go to where the bar was clicked."""
        if self.player is not None:
            self.player.seek_share(message.share)

    def action_toggle_unit(self) -> None:
        """Switch the unit of the selected row."""
        if self.live is not None and self.live.state.variant is None:
            self._say_opening()
        self.main.query_one(NetworkTree).action_toggle_unit()

    def action_reshape(self) -> None:
        """Offer what can be changed at the selected row."""
        state = self.live.state if self.live is not None else None
        path = self.main.query_one(NetworkTree).cursor
        if state is None or state.variant is None:
            self._say_opening()
            return
        if not offers.are_there(state.variant.network, path):
            self.notify(f"nothing to reshape at {path}: choose a stage, a unit or a 1x1 conv")
            return

        variant = state.variant.number

        def make(edit: Edit | None) -> None:
            if edit is not None:
                self._ask(lambda live: live.request_edit(edit))
            else:
                self._ask(lambda live: live.describe_cuts(variant, ()))  # nobody looks any more

        self.push_screen(ReshapeScreen(state, path), make)

    def on_reshape_screen_ranks_asked(self, message: ReshapeScreen.RanksAsked) -> None:
        """The engine knows what the ranks keep."""
        self._ask(lambda live: live.describe_ranks(message.layer))

    def on_reshape_screen_cuts_asked(self, message: ReshapeScreen.CutsAsked) -> None:
        """The engine knows what the values would keep."""
        self._ask(lambda live: live.describe_cuts(message.variant, message.edits))

    def action_carry_over(self) -> None:
        """Put a finished job's weights under the edits made since."""
        self._ask(lambda live: live.carry_over())

    def action_undo(self) -> None:
        """Back to the variant before."""
        self._ask(lambda live: live.undo())

    def action_redo(self) -> None:
        """Forward again."""
        self._ask(lambda live: live.redo())

    def action_recover(self) -> None:
        """Fit the cut network to what it put out before."""
        self._ask(lambda live: live.queue_job("recover"))

    def action_fine_tune(self) -> None:
        """Fine-tune with the session's recipe."""
        self._ask(lambda live: live.queue_job("fine-tune"))

    def action_fine_tune_with(self) -> None:
        """Ask for a recipe, then fine-tune."""
        if self.live is None:
            return

        def start(recipe: Recipe | None) -> None:
            if recipe is not None and self.live is not None:
                self.live.choose_recipe(recipe)
                self._ask(lambda live: live.queue_job("fine-tune"))

        self.push_screen(RecipeScreen(self.live.state.recipe), start)

    def action_distil(self) -> None:
        """Fine-tune with the network before the cut as teacher."""
        self._ask(lambda live: live.distil())

    def action_pause(self) -> None:
        """Put the job aside."""
        self._ask(lambda live: live.pause_job())

    def action_samples(self) -> None:
        """Show training images as the recipe changes them."""
        if self.live is not None:
            self.push_screen(SamplesScreen(self.live.state.recipe))

    def on_samples_screen_asked(self, message: SamplesScreen.Asked) -> None:
        """The trainer has the images."""
        asked = (message.recipe, message.photos, message.copies, message.edge)
        self._ask(lambda live: live.draw_samples(*asked))

    def action_evaluate(self) -> None:
        """Measure F1 now."""
        self._ask(lambda live: live.evaluate_now())

    def action_stop(self) -> None:
        """Ask the job to stop; the second time, end it."""
        by_force, self._stop_asked = self._stop_asked, True
        self._ask(lambda live: live.stop_job(by_force=by_force))

    def action_resume(self) -> None:
        """Go on with the job that was cut off."""
        self._ask(lambda live: live.resume_job())

    def action_save(self) -> None:
        """Ask for a file and save."""
        live = self.live
        if live is None or live.state.current is None:
            self._say_opening()
            return
        source = Path(live.state.source)
        name = f"{source.stem}-v{live.state.current}{source.suffix}"
        suggestion = str(Path.cwd() / name)

        def save(path: str | None) -> None:
            if path is not None:
                self._ask(lambda live: live.save_model(Path(path).expanduser().absolute()))

        self.push_screen(SaveScreen(suggestion, confirms=self.config.confirm_overwrite), save)

    def action_help(self) -> None:
        """Keys and words."""
        live, replay = contexts()
        offered = [*(live if self.live is not None else replay), PALETTE]
        chosen = keymap.keymap(self.config.keys, (live, replay))
        legend = () if self.player is None else timeline.LEGEND
        rows = help_rows(keymap.applied(chosen, offered))
        self.push_screen(HelpScreen(rows, str(config_file()), legend))

    def action_copy_path(self) -> None:
        """The selected row's path to the clipboard."""
        if path := self.main.query_one(NetworkTree).cursor:
            self.copy(path, path)

    def action_copy_command(self) -> None:
        """The command line of the current variant to the clipboard."""
        source = self.live or self.player
        assert source is not None
        state = source.state
        if state.current is None:
            return
        words = f"the command that makes v{state.current}"
        if shell.is_trained(state, state.current):
            words += "'s structure; its trained weights are not in it: s saves them"
        self.copy(shell.edit_command(state, state.current), words)

    def action_play(self) -> None:
        """Play or pause."""
        if self.player is not None:
            self.player.play_or_pause()

    def action_step(self, direction: int) -> None:
        """To the next or previous event."""
        if self.player is not None:
            self.player.step(direction)

    def action_seek(self, seconds: int) -> None:
        """Forward or back in time."""
        if self.player is not None:
            self.player.seek_by(seconds)

    def action_speed(self, direction: int) -> None:
        """Faster or slower."""
        if self.player is not None:
            self.player.change_speed(direction)

    def action_start(self) -> None:
        """To the start."""
        if self.player is not None:
            self.player.seek_share(0.0)

    def action_end(self) -> None:
        """To the end."""
        if self.player is not None:
            self.player.seek_share(1.0)

    def _say_opening(self) -> None:
        self.notify("the model is still opening", severity="warning")

    def _ask(self, request: Callable[[LiveSession], None]) -> None:
        live = self.live
        if live is not None:
            self._request(lambda: request(live))

    def _request(self, request: Callable[[], None]) -> None:
        try:
            request()
        except RequestError as error:
            self.notify(str(error), severity="warning", timeout=8, markup=False)


def contexts() -> tuple[list[AnyBinding], list[AnyBinding]]:
    """The keys of a live session, and those of a replay."""
    own = keymap.gathered(WorkbenchApp.BINDINGS)
    tree, screen = keymap.gathered(NetworkTree.BINDINGS), keymap.gathered(MainScreen.BINDINGS)
    live, replay = (
        [b for b in own if b.action.partition("(")[0] not in without]
        for without in (REPLAYING, EDITING)
    )
    looking = [binding for binding in tree if binding.action not in MARKING]
    return [*live, *tree, *screen], [*map(replaying.told, replay), *looking, *screen]
