"""What opens over the main screen to look at: variants, plane, channels, confusions, activity.

The part of the application that feeds them; live and replay differ in who answers questions.
"""

from collections.abc import Callable
from pathlib import Path

from textual.app import App

from sessions.events import ActivationsMeasured, AnyEvent, ChannelsDescribed, ConfusedDrawn, Unknown
from sessions.splits import Splits
from sessions.state import SessionState
from widgets.confusion import ConfusionView
from widgets.network_tree import NetworkTree
from workbench import asking
from workbench.asking import ReplayProcesses
from workbench.live import LiveSession
from workbench.logged import LoggedRecords
from workbench.player import Player
from workbench.screens import panel_views, search_requests, views
from workbench.screens.activity import ActivityScreen
from workbench.screens.channels import ChannelsScreen
from workbench.screens.confused import ConfusedScreen
from workbench.screens.confusion import ConfusionScreen
from workbench.screens.main import MainScreen
from workbench.screens.panel import PanelScreen
from workbench.screens.plane import PlaneScreen
from workbench.screens.search import SearchScreen
from workbench.screens.variants import VariantsScreen
from workbench.session import Question


class PanelsApp(App[str]):
    """Opens panels over a live session or a recorded one."""

    live: LiveSession | None
    player: Player | None
    main: MainScreen
    _processes: ReplayProcesses | None = None

    def _ask(self, request: Callable[[LiveSession], None]) -> None:
        raise NotImplementedError

    def _request(self, request: Callable[[], None]) -> None:
        raise NotImplementedError

    async def close_panels(self) -> None:
        """End what a replay started."""
        if self._processes is not None:
            await self._processes.close()

    def show_panel(self) -> None:
        """The panel follows the state; one that is just opening, once it has its widgets."""
        screen = self.screen
        if not screen.is_mounted:
            self.call_after_refresh(self.show_panel)
        elif isinstance(screen, ActivityScreen) and self.player is not None:
            screen.show_state(self._state, self.player.playback.index)
        elif isinstance(screen, PanelScreen | VariantsScreen):
            screen.show_state(self._state)
        elif isinstance(screen, ConfusionScreen):
            screen.show_view(*confusion(self._state))

    def take_answer(self, event: AnyEvent | Unknown) -> None:
        """Give an answer to the panel that asked."""
        for screen in self.screen_stack:
            if isinstance(event, ChannelsDescribed) and isinstance(screen, ChannelsScreen):
                screen.take_channels(event)
            if isinstance(event, ActivationsMeasured) and isinstance(screen, ChannelsScreen):
                screen.take_activations(event)
            if isinstance(event, ConfusedDrawn) and isinstance(screen, ConfusedScreen):
                screen.take_confused(event)

    def action_score_plane(self) -> None:
        """F1 against MACs."""
        self.push_screen(PlaneScreen(self._state, is_live=self._is_live), self._jump)

    def action_activity(self) -> None:
        """Jobs and events."""
        records = LoggedRecords(self._folder)
        self.push_screen(ActivityScreen(self._state, records, is_live=self._is_live), self._jump)
        self.call_after_refresh(self.show_panel)

    def on_activity_screen_cancel_requested(self, message: ActivityScreen.CancelRequested) -> None:
        """Take a job out of the queue."""
        self._ask(lambda live: live.cancel_job(message.job))

    def action_channels(self) -> None:
        """The channels behind the selected row."""
        path = self.main.query_one(NetworkTree).cursor
        if path:
            self.push_screen(ChannelsScreen(self._state, path, is_live=self._is_live))

    def on_channels_screen_channels_asked(self, message: ChannelsScreen.ChannelsAsked) -> None:
        """The engine knows."""
        asked = (message.axis, message.criterion, message.scores, message.edit)
        self._put(lambda: asking.describe_channels(self._state, self._folder, *asked))

    def on_channels_screen_activations_asked(
        self, message: ChannelsScreen.ActivationsAsked
    ) -> None:
        """The trainer has the images."""
        self._put(
            lambda: asking.measure_activations(
                self._state, self._folder, self._splits, message.images
            )
        )

    def on_channels_screen_measure_asked(self, message: ChannelsScreen.MeasureAsked) -> None:
        """A job measures channel scores."""
        self._ask(lambda live: live.queue_job("measure"))

    def action_confusion(self) -> None:
        """Show which classes are taken for which."""
        self.push_screen(ConfusionScreen(*confusion(self._state)))

    def on_confused_screen_asked(self, message: ConfusedScreen.Asked) -> None:
        """The trainer has the images."""
        asked = (message.cell, message.photos, message.edge)
        self._put(lambda: asking.draw_confused(self._state, self._folder, self._splits, *asked))

    def action_search(self) -> None:
        """Scans, studies and the autopilot."""
        self.push_screen(SearchScreen(self._state, is_live=self._is_live))

    def on_search_screen_requested(self, message: SearchScreen.Requested) -> None:
        """The session searches."""
        self._ask(lambda live: search_requests.hand_over(live, message.request))

    def action_variants(self) -> None:
        """Show all variants; jump to one."""
        self.push_screen(VariantsScreen(self._state, is_live=self._is_live), self._jump)

    def on_variants_screen_against(self, message: VariantsScreen.Against) -> None:
        """The tree shows what differs from a variant."""
        self.main.compare_with(message.variant)

    def on_variants_screen_named(self, message: VariantsScreen.Named) -> None:
        """Record the name."""
        self._ask(lambda live: live.name_variant(message.variant, message.name))

    def _jump(self, variant: int | None) -> None:
        if variant is not None and variant != self._state.current:
            self._ask(lambda live: live.select(variant))

    def _put(self, question: Callable[[], Question]) -> None:
        def ask() -> None:
            if self.live is not None:
                self.live.ask(question())
                return
            if self._processes is None:
                self._processes = ReplayProcesses(self.take_answer)
            self._processes.ask(question())

        self._request(ask)

    @property
    def _is_live(self) -> bool:
        return self.live is not None

    @property
    def _state(self) -> SessionState:
        source = self.live or self.player
        assert source is not None
        return source.state

    @property
    def _folder(self) -> Path:
        source = self.live or self.player
        assert source is not None
        return source.folder

    @property
    def _splits(self) -> Splits:
        if self.live is not None:
            return self.live.splits
        data = self._state.data
        return (data and data.splits) or Splits()


def confusion(state: SessionState) -> tuple[ConfusionView | None, str, str]:
    """What the confusions are of, and what their photos are not of."""
    title = "" if state.current is None else f"of v{state.current}"
    note = ""
    if panel_views.is_training(state):
        title += ", in training"
        note = "; the figures are of the weights in training, the photos of those before"
    return views.confusion_view(state), title, note
