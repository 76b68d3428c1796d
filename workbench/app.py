"""The application: keys to requests, events to the screen. Only the source makes a replay."""

import asyncio
import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from sessions import history, offers
from sessions.edits import Edit
from sessions.events import (
    AnyEvent,
    JobFailed,
    JobFinished,
    ModelOpened,
    ProcessExited,
    RanksDescribed,
    SamplesDrawn,
    Unknown,
)
from sessions.recipe import Recipe
from widgets.network_tree import NetworkTree
from widgets.replay_bar import ReplayBar
from workbench.live import LiveSession, RequestError
from workbench.player import Player
from workbench.screens import views
from workbench.screens.confusion import ConfusionScreen
from workbench.screens.dialogs import (
    HelpScreen,
    SaveScreen,
    help_rows,
)
from workbench.screens.main import MainScreen
from workbench.screens.recipe import RecipeScreen
from workbench.screens.reshape import ReshapeScreen
from workbench.screens.samples import SamplesScreen
from workbench.screens.variants import VariantsScreen
from workbench.toasts import describe

EDITING = frozenset(
    {
        "toggle_unit", "reshape", "undo", "redo", "recover", "fine_tune", "fine_tune_with",
        "distil", "samples", "evaluate", "stop", "pause", "resume", "carry_over", "save",
    }
)  # fmt: skip
PALETTE = Binding("ctrl+p", "command_palette", "Palette", tooltip="Every command, by name")
REPLAYING = frozenset({"play", "step", "seek", "speed", "start", "end"})


class WorkbenchApp(App[str]):
    """Shows a live session or a recorded one."""

    TITLE = "workbench"
    CSS = """
    ToastRack { dock: top; align: right top; margin: 1 0 0 0; }  /* below lie score and job */
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_unit", "On/off", tooltip="Switch the selected unit"),
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
        Binding("s", "save", "Save", tooltip="Save the current variant to a file"),
        Binding("space", "play", "Play/pause", tooltip="Play or pause the replay"),
        Binding("full_stop", "step(1)", "Step", key_display=".,", tooltip="Next or previous event"),
        Binding("comma", "step(-1)", "Step back", show=False),
        Binding("plus,equals_sign", "speed(1)", "Speed", key_display="+-", tooltip="Replay speed"),
        Binding("minus", "speed(-1)", "Slower", show=False),
        Binding(
            "right_square_bracket", "seek(10)", "Seek", key_display="[]",
            tooltip="Ten seconds forward or back",
        ),
        Binding("left_square_bracket", "seek(-10)", "Back", show=False),
        Binding("0", "start", "Start", show=False, tooltip="To the start of the recording"),
        Binding("9", "end", "End", key_display="9", tooltip="To the end of the recording"),
        Binding("question_mark", "help", "Help", key_display="?", tooltip="Keys and words"),
        Binding("q", "quit", "Quit", tooltip="Quit; everything is kept in the session"),
    ]  # fmt: skip

    def __init__(self, source: LiveSession | Player) -> None:
        super().__init__()
        self.live = source if isinstance(source, LiveSession) else None
        self.player = source if isinstance(source, Player) else None
        self.main = MainScreen()
        self._stop_asked = False
        self._offered = (False, False, False, False)
        """Whether a job can be stopped, resumed, carried over, learned from: for the footer."""
        self._play_task: asyncio.Task[None] | None = None

    async def on_mount(self) -> None:
        """Show the screen, then start what feeds it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):  # the terminal is given back as it was
            loop.add_signal_handler(number, self.exit)
        await self.push_screen(self.main)
        if self.live is not None:
            self.live.listener = self.take
            self.call_after_refresh(self.live.start)
            self._show()
        if self.player is not None:
            self.player.listener = self._show
            self._play_task = asyncio.create_task(self.player.run())
            self._show()

    async def on_unmount(self) -> None:
        """Let the processes save."""
        if self._play_task is not None:
            self._play_task.cancel()
        if self.live is not None:
            self.live.listener = lambda event: None
            await self.live.close()

    def take(self, event: AnyEvent | Unknown) -> None:
        """Something happened in the live session."""
        live = self.live
        assert live is not None
        if live.problem:
            self.exit(live.problem, return_code=1)
            return
        self._show()
        if isinstance(event, RanksDescribed) and isinstance(self.screen, ReshapeScreen):
            self.screen.take_ranks(event)
        if isinstance(event, SamplesDrawn) and isinstance(self.screen, SamplesScreen):
            self.screen.take_samples(event)
        if isinstance(event, ModelOpened):
            self.call_after_refresh(settle_memory)
        if (toast := describe(event, live.state)) is not None:
            words, severity = toast
            self.notify(words, severity=severity, timeout=8, markup=False)
        if isinstance(event, JobFinished | JobFailed | ProcessExited):
            self._stop_asked = False

    def _show(self) -> None:
        if self.live is not None:
            state = self.live.state
            self.main.show(state, self.live.log_error)
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

    def on_replay_bar_seek_requested(self, message: ReplayBar.SeekRequested) -> None:
        """Go to where the bar was clicked."""
        if self.player is not None:
            self.player.seek_share(message.share)

    def action_toggle_unit(self) -> None:
        """Switch the unit of the selected row."""
        self.main.query_one(NetworkTree).action_toggle_unit()

    def action_reshape(self) -> None:
        """Offer what can be changed at the selected row."""
        state = self.live.state if self.live is not None else None
        path = self.main.query_one(NetworkTree).cursor
        if state is None or state.variant is None:
            return
        if not offers.offers(state.variant.network, path):
            self.notify(f"nothing to reshape at {path}: choose a stage, a unit or a 1x1 conv")
            return

        def make(edit: Edit | None) -> None:
            if edit is not None:
                self._ask(lambda live: live.request_edit(edit))

        self.push_screen(ReshapeScreen(state, path), make)

    def on_reshape_screen_ranks_asked(self, message: ReshapeScreen.RanksAsked) -> None:
        """The engine knows what the ranks keep."""
        self._ask(lambda live: live.describe_ranks(message.layer))

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
            return
        source = Path(live.state.source)
        name = f"{source.stem}-v{live.state.current}{source.suffix}"
        suggestion = str(Path.cwd() / name)

        def save(path: str | None) -> None:
            if path is not None:
                self._ask(lambda live: live.save_model(Path(path).expanduser().absolute()))

        self.push_screen(SaveScreen(suggestion), save)

    def action_confusion(self) -> None:
        """Show which classes are taken for which."""
        source = self.live or self.player
        assert source is not None
        state = source.state
        title = "" if state.current is None else f"of v{state.current}"
        self.push_screen(ConfusionScreen(views.confusion_view(state), title))

    def action_variants(self) -> None:
        """Show all variants; jump to one."""
        source = self.live or self.player
        assert source is not None

        def jump(variant: int | None) -> None:
            if variant is not None and self.live is not None:
                self._ask(lambda live: live.select(variant))

        self.push_screen(VariantsScreen(source.state, is_live=self.live is not None), jump)

    def on_variants_screen_named(self, message: VariantsScreen.Named) -> None:
        """Record the name."""
        self._ask(lambda live: live.name_variant(message.variant, message.name))

    def action_help(self) -> None:
        """Keys and words."""
        mine = [b for b in self.BINDINGS if isinstance(b, Binding) and self._is_offered(b)]
        self.push_screen(
            HelpScreen(help_rows([*mine, *NetworkTree.BINDINGS, *MainScreen.BINDINGS, PALETTE]))
        )

    def _is_offered(self, binding: Binding) -> bool:
        name = binding.action.partition("(")[0]
        return name not in (EDITING if self.live is None else REPLAYING)

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

    def _ask(self, request: Callable[[LiveSession], None]) -> None:
        live = self.live
        if live is not None:
            self._request(lambda: request(live))

    def _request(self, request: Callable[[], None]) -> None:
        try:
            request()
        except RequestError as error:
            self.notify(str(error), severity="warning", timeout=8, markup=False)


def settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight.

    Walking it again and again would stop the screen for a tenth of a second at a time. What is
    made later is mostly painted lines, which only the collector frees: few at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 5, 100)
