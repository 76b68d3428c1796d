"""The main screen: tree, panels, score, job line. It shows a state; the app does the rest."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer

from sessions import history
from sessions.state import SessionState
from widgets.class_panel import ClassPanel
from widgets.curves import Curves
from widgets.job_line import JobLine
from widgets.layer_panel import LayerPanel
from widgets.network_tree import NetworkTree
from widgets.replay_bar import ReplayBar, ReplayView
from widgets.rows import Row, tree_rows
from widgets.score_panel import ScorePanel
from widgets.side_panels import SidePanels
from widgets.title_line import TitleLine
from workbench.screens import views

NARROW = 116
"""Columns below which the panels become tabs under the tree."""


class MainScreen(Screen[None]):
    """One look tells where the MACs are, what the last step cost, what is running."""

    CSS = """
    MainScreen {
        layers: base;
        & #body { height: 1fr; }
        & #left { width: 1fr; }
        & NetworkTree { height: 1fr; }
        & SidePanels { width: 42%; max-width: 76; }
        & Footer { background: $panel; }
        &.-narrow #body { layout: vertical; }
        &.-narrow #left { width: 100%; height: 1fr; }
        &.-narrow SidePanels { width: 100%; max-width: 100%; height: 7; }
        &.-tall SidePanels { height: 16; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "panel(0)", "Layer, curves or classes panel", show=False),
        Binding("2", "panel(1)", "Layer, curves or classes panel", show=False),
        Binding("3", "panel(2)", "Layer, curves or classes panel", show=False),
        Binding("tab", "next_panel", "Next panel, where they are tabs", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._state = SessionState()
        self._drawn = SessionState()
        """The state that tree and panels show; a frame behind at most."""
        self._is_drawing_due = False
        self._rows: dict[str, Row] = {}
        self._selected = ""

    def compose(self) -> ComposeResult:
        """Title, body, score, job, footer."""
        yield TitleLine()
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield NetworkTree()
            yield SidePanels(
                [("Layer", LayerPanel()), ("Curves", Curves()), ("Classes", ClassPanel())]
            )
        yield ScorePanel()
        yield JobLine()
        yield ReplayBar()
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """The tree has the keys."""
        self.query_one(ReplayBar).display = False
        self.query_one(NetworkTree).focus()

    def on_resize(self, event: Resize) -> None:
        """Stack the panels, or make them tabs."""
        is_narrow = event.size.width < NARROW
        self.set_class(is_narrow, "-narrow")
        self.set_class(is_narrow and event.size.height >= 36, "-tall")
        self.query_one(SidePanels).is_narrow = is_narrow
        self.query_one(Footer).show_command_palette = not is_narrow
        self.query_one(ScorePanel).is_low = event.size.height < 30

    def show(self, state: SessionState, log_error: str = "", *, is_live: bool = True) -> None:
        """Show a state: MACs, F1 and score in this frame, tree and panels in the next one.

        Widgets repaint only what is new to them.
        """
        self._state = state
        self.query_one(ScorePanel).view = views.score_view(state)
        self.query_one(JobLine).view = views.job_view(state, log_error, is_live=is_live)
        if not self._is_drawing_due:
            self._is_drawing_due = True
            self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        self._is_drawing_due = False
        before, state = self._drawn, self._state
        self._drawn = state
        variant, opened = state.variant, history.baseline(state)
        title = self.query_one(TitleLine)
        title.name_text, title.facts = views.title(state), views.facts(state)
        if variant is None or opened is None:
            self.query_one(NetworkTree).rows = ()
            self.query_one(ClassPanel).rows = ()
            self.query_one(Curves).view = views.curves_view(state)
            return
        if before.variant is not variant or before.rule != state.rule:
            rows = tree_rows(variant, opened.network, state.rule)
            self._rows = {row.path: row for row in rows}
            self.query_one(NetworkTree).rows = rows
            self._show_row()
        if before.jobs is not state.jobs or before.variant is not variant:
            self.query_one(Curves).view = views.curves_view(state)
            self.query_one(ClassPanel).rows = views.class_rows(state)

    def show_replay(self, view: ReplayView) -> None:
        """Show where the replay is."""
        bar = self.query_one(ReplayBar)
        bar.display = True
        bar.view = view

    def on_network_tree_row_selected(self, message: NetworkTree.RowSelected) -> None:
        """The layer panel follows the cursor."""
        self._selected = message.path
        self._show_row()

    def action_panel(self, index: int) -> None:
        """Show a panel where they are tabs."""
        self.query_one(SidePanels).active = index

    def action_next_panel(self) -> None:
        """Show the next panel where they are tabs."""
        panels = self.query_one(SidePanels)
        panels.active = (panels.active + 1) % 3

    def _show_row(self) -> None:
        row = self._rows.get(self._selected)
        if row is not None and self._state.variant is not None:
            self.query_one(LayerPanel).view = views.layer_view(self._state, row)
