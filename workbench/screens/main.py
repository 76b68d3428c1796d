"""The main screen: tree, panels, score, job line. It shows a state; the app does the rest."""

from collections.abc import Callable
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer

from sessions import edits, history, macs, measured
from sessions.state import SessionState
from widgets.binding import Binding
from widgets.class_panel import ClassPanel
from widgets.curves import Curves
from widgets.filter_line import FilterLine
from widgets.job_line import JobLine
from widgets.key_footer import KeyFooter
from widgets.layer_panel import LayerPanel
from widgets.network_tree import NetworkTree
from widgets.replay_bar import ReplayBar, ReplayView
from widgets.rows import Row
from widgets.score_panel import ScorePanel
from widgets.side_panels import SidePanels
from widgets.title_line import TitleLine
from widgets.too_small import TooSmall, is_too_small
from workbench.screens import footer_keys, lens, panel_views, views
from workbench.screens.columns import ColumnsScreen

SETTLED_S = 0.1
"""Time that cursor and state rest before the footer follows them: it is slow to draw."""
BEHIND_S = 2.0
"""Between two drawings of this screen while a dialog lies over it and nobody types."""
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
        &.-tiny > * { display: none; }
        &.-tiny > TooSmall { display: block; }
        &.-narrow #body { layout: vertical; }
        &.-narrow #left { width: 100%; height: 1fr; }
        &.-narrow SidePanels { width: 100%; max-width: 100%; height: 7; }
        &.-tall SidePanels { height: 16; }
        & ToastRack { margin: 0 0 6 0; }  /* score and job stay in sight */
        &.-low ToastRack { margin: 0 0 5 0; }
        &.-replay ToastRack { margin: 0 0 9 0; }
        &.-replay.-low ToastRack { margin: 0 0 7 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "panel(0)", "Layer, curves or classes panel", show=False,
                id="panel_layer"),
        Binding("2", "panel(1)", "Layer, curves or classes panel", show=False,
                id="panel_curves"),
        Binding("3", "panel(2)", "Layer, curves or classes panel", show=False,
                id="panel_classes"),
        Binding("tab", "next_panel", "Next panel, where they are tabs", show=False),
        Binding("slash", "filter", "Filter", show=False, key_display="/",
                tooltip="Show the rows whose path has this in it, or :off, :edited, :decomposed"),
        Binding("C", "columns", "Columns", show=False, key_display="C",
                tooltip="Choose the columns of the tree"),
        Binding("D", "compare", "Compare rows", show=False, key_display="D",
                tooltip="Changes in the tree: against the opened model, the step before, or none"),
        Binding("M", "convention", "MACs lens", show=False, key_display="M",
                tooltip="Count the tree's MACs as the next tool does; the score stays as it is"),
    ]  # fmt: skip

    def __init__(self, columns: tuple[str, ...] = (), convention: str = macs.CONTEST) -> None:
        """The columns of the tree, none for those that fit, and its MACs convention at first."""
        super().__init__()
        self._columns = columns
        self._state = SessionState()
        self._drawn = SessionState()
        """The state that the tree shows; a frame behind at most."""
        self._drawn_beside = SessionState()
        """The state that curves and classes show; two frames behind at most."""
        self.is_busy: Callable[[], bool] = lambda: False
        """Whether somebody types, which comes before what lies under a dialog."""
        self._is_drawing_due = False
        self._figures = (views.score_view(self._state), views.job_view(self._state))
        self._behind_timer: Timer | None = None
        self._rows: dict[str, Row] = {}
        self._selected = ""
        self._footer_timer: Timer | None = None
        self._lens = lens.Lens(convention=convention)

    def compose(self) -> ComposeResult:
        """Title, body, score, job, footer."""
        yield TitleLine()
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield NetworkTree()
                yield FilterLine()
            yield SidePanels(
                [("Layer", LayerPanel()), ("Curves", Curves()), ("Classes", ClassPanel())]
            )
        yield ScorePanel()
        yield JobLine()
        yield ReplayBar()
        yield KeyFooter(compact=True)
        yield TooSmall()

    def on_mount(self) -> None:
        """The tree has the keys."""
        self.query_one(ReplayBar).display = False
        self._fit_footer()
        self.query_one(NetworkTree).columns = self._columns
        self.query_one(NetworkTree).focus()

    def on_resize(self, event: Resize) -> None:
        """Stack the panels, or make them tabs."""
        is_narrow = event.size.width < NARROW
        self.set_class(is_narrow, "-narrow")
        self.set_class(is_too_small(event.size.width, event.size.height), "-tiny")
        self.set_class(is_narrow and event.size.height >= 36, "-tall")
        self.set_class(event.size.height < 30, "-low")
        self.query_one(SidePanels).is_narrow = is_narrow
        self.query_one(KeyFooter).show_command_palette = not is_narrow
        self.query_one(ScorePanel).is_low = event.size.height < 30
        self.query_one(ReplayBar).is_low = event.size.height < 30

    def show(
        self,
        state: SessionState,
        log_error: str = "",
        *,
        refusal: str = "",
        is_live: bool = True,
    ) -> None:
        """Show a state: MACs, F1 and score in this frame, tree and panels in the next one.

        Widgets repaint only what is new to them. Under a dialog they follow more slowly: each
        change there repaints the dialog too.
        """
        self._state = state
        self._figures = (
            views.score_view(state),
            views.job_view(state, log_error, refusal=refusal, is_live=is_live),
        )
        if self.is_active:
            self._show_figures()
            if not self._is_drawing_due:
                self._is_drawing_due = True
                self.call_after_refresh(self._draw)
        elif self._behind_timer is None:
            self._behind_timer = self.set_timer(BEHIND_S, self._catch_up_at_rest)

    def _catch_up_at_rest(self) -> None:
        if self.is_busy():
            self._behind_timer = self.set_timer(BEHIND_S, self._catch_up_at_rest)
        else:
            self._catch_up()

    def on_screen_resume(self) -> None:
        """Nothing lies over this screen any more: show what it held back."""
        self._catch_up()

    def _catch_up(self) -> None:
        if self._behind_timer is not None:
            self._behind_timer.stop()
            self._behind_timer = None
            self._show_figures()
            self._draw()

    def _show_figures(self) -> None:
        self.query_one(ScorePanel).view, self.query_one(JobLine).view = self._figures

    def _draw(self) -> None:
        self._is_drawing_due = False
        before, state = self._drawn, self._state
        self._drawn = state
        data = (before.data is None, before.data_error)
        if before.variant is not state.variant or data != (state.data is None, state.data_error):
            self._fit_footer_soon()
        variant, opened = state.variant, history.baseline(state)
        title = self.query_one(TitleLine)
        title.name_text, title.facts = views.title(state), views.facts(state)
        self.call_after_refresh(self._draw_panels)
        if variant is None or opened is None:
            self.query_one(NetworkTree).rows = ()
            return
        is_scanned = before.searches is not state.searches
        is_scanned = is_scanned and measured.scans(before) != measured.scans(state)
        if before.variant is not variant or before.rule != state.rule or is_scanned:
            self._draw_rows()

    def _draw_panels(self) -> None:
        """A frame after the tree: a key that comes meanwhile has its turn between them."""
        before, state = self._drawn_beside, self._state
        self._drawn_beside = state
        self.query_one(ClassPanel).word = panel_views.class_word(state)
        if before.jobs is not state.jobs or before.variant is not state.variant:
            self.query_one(Curves).view = views.curves_view(state)
            self.query_one(ClassPanel).rows = panel_views.class_rows(state)

    def _draw_rows(self) -> None:
        rows = lens.rows(self._state, self._lens)
        self._rows = {row.path: row for row in rows}
        tree = self.query_one(NetworkTree)
        tree.note = lens.note(self._state, self._lens, rows)
        tree.rows = rows
        self._show_row()

    def show_replay(self, view: ReplayView) -> None:
        """Show where the replay is."""
        bar = self.query_one(ReplayBar)
        bar.display = True
        self.add_class("-replay")
        bar.view = view

    def on_network_tree_row_selected(self, message: NetworkTree.RowSelected) -> None:
        """The layer panel follows the cursor."""
        self._selected = message.path
        self._show_row()
        self._fit_footer_soon()

    def on_network_tree_marked(self) -> None:
        """Where units are marked, any row can switch them."""
        self._fit_footer()

    def on_network_tree_refused(self, message: NetworkTree.Refused) -> None:
        """Why a row cannot be off or marked, and what can be done instead."""
        row, variant = message.row, self._state.variant
        if row.is_sum:
            words = f"{row.path} as a whole cannot be off: v marks its units that can, then space"
        elif variant is not None:
            words = f"{row.path} stays: {edits.why_it_stays(variant.network, row.path)}"
        self.notify(words, severity="warning", markup=False)

    def on_filter_line_typed(self, message: FilterLine.Typed) -> None:
        """The tree follows every letter."""
        self.query_one(NetworkTree).filter_text = message.text

    def on_filter_line_closed(self, message: FilterLine.Closed) -> None:
        """Back to the tree."""
        tree = self.query_one(NetworkTree)
        tree.filter_text = message.text
        tree.focus()

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterLine).start(self.query_one(NetworkTree).filter_text)

    def action_columns(self) -> None:
        """Choose the columns of the tree."""
        tree = self.query_one(NetworkTree)
        self.app.push_screen(ColumnsScreen(tree))

    def action_compare(self) -> None:
        """Compare the tree with the next of: opened model, step before, nothing."""
        self._look(self._lens.with_next_variant(self._state))

    def action_convention(self) -> None:
        """Count MACs in the tree as the next convention does."""
        self._look(self._lens.with_next_convention())

    def compare_with(self, variant: int) -> None:
        """Show the changes of every row against a variant."""
        self._look(msgspec.structs.replace(self._lens, against=variant))

    def _look(self, through: lens.Lens) -> None:
        self._lens = through
        if self._state.variant is not None:
            self._draw_rows()

    def action_panel(self, index: int) -> None:
        """Show a panel where they are tabs."""
        self.query_one(SidePanels).active = index

    def action_next_panel(self) -> None:
        """Show the next panel where they are tabs."""
        panels = self.query_one(SidePanels)
        panels.active = (panels.active + 1) % 3

    def _fit_footer_soon(self) -> None:
        if self._footer_timer is not None:
            self._footer_timer.stop()
        self._footer_timer = self.set_timer(SETTLED_S, self._fit_footer)

    def _fit_footer(self) -> None:
        """Leave out what would do nothing."""
        row, is_marked = self._rows.get(self._selected), bool(self.query_one(NetworkTree).marked)
        hidden = footer_keys.idle(self._state, row, is_marked=is_marked)
        self.query_one(KeyFooter).hidden = hidden

    def _show_row(self) -> None:
        row = self._rows.get(self._selected)
        if row is not None and self._state.variant is not None:
            view = views.layer_view(self._state, row)
            self.query_one(LayerPanel).view = lens.layer_view(view, self._state, row, self._lens)
