"""F1 against MACs: where every measured variant stands between lines of equal score."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from sessions.state import SessionState, Variant
from widgets import numbers
from widgets.binding import Binding
from widgets.plane_drawing import LEGEND, PlanePoint, legend_lines
from widgets.score_plane import ScorePlane
from workbench.screens import names, panel_views
from workbench.screens.panel import PanelScreen

WIDE = 110
"""Columns from which on variants without F1 are listed beside the plane."""
BESIDE = 28


class PlaneScreen(PanelScreen[int | None]):
    """The score plane; enter answers with a variant to jump to."""

    STYLE = """
    PlaneScreen {
        & ScorePlane { height: 1fr; width: 1fr; }
        & #unmeasured { width: 30; padding: 0 0 0 2; }
        & #below, & #selected, & #legend { height: 1; }
        & #legend { color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("P", "close_panel", "Close", show=False, tooltip="Close the score plane"),
    ]

    def compose_body(self) -> ComposeResult:
        """The plane, what has no place on it, and the selected point in words."""
        with Horizontal():
            yield ScorePlane()
            with VerticalScroll(id="unmeasured", can_focus=False):
                yield Static("", id="beside")
        yield Static("", id="below")
        yield Static("", id="selected")
        yield Static("", id="legend")

    def on_mount(self) -> None:
        """The plane has the keys."""
        super().on_mount()
        self.query_one(ScorePlane).focus()

    def on_resize(self) -> None:
        """Beside the plane where there is room, else a line below it."""
        self._draw()

    def show_state(self, state: SessionState) -> None:
        """Points come, and the current one moves."""
        before, self.state = self.state, state
        shown = (before.variants, before.current, before.rule)
        if before is state or shown != (state.variants, state.current, state.rule):
            self._draw()

    def _draw(self) -> None:
        state = self.state
        plane = self.query_one(ScorePlane)
        plane.view = panel_views.plane_view(state)
        jumps = "enter jumps, " if self.is_live else ""
        lines = f"lines of equal score ({state.rule.name}), lower is better"
        self.head(f"F1 by MACs, {lines}", f"arrows, {jumps}escape closes")
        width = self.app.size.width - 4
        missing = panel_views.unmeasured(state)
        is_beside = bool(missing) and self.app.size.width >= WIDE
        self.query_one("#unmeasured").display = is_beside
        self.query_one("#below").display = bool(missing) and not is_beside
        self.query_one("#beside", Static).update(unmeasured_text(missing, BESIDE))
        self.query_one("#below", Static).update(unmeasured_line(missing, width))
        self.query_one("#legend", Static).update(legend_text(width))
        self._show_selected()

    def on_score_plane_moved(self, message: ScorePlane.Moved) -> None:
        """Say what is selected."""
        self._show_selected()

    def on_score_plane_chosen(self, message: ScorePlane.Chosen) -> None:
        """Answer with it; a recording cannot be changed."""
        if self.is_live:
            self.dismiss(message.number)
        else:
            self.notify("a recording stays as it is: its session can be opened to go on from here")

    def _show_selected(self) -> None:
        point = self.query_one(ScorePlane).selected
        width = self.app.size.width - 4
        self.query_one("#selected", Static).update(
            Text("" if point is None else point_text(point, width))
        )


def point_text(point: PlanePoint, width: int) -> str:
    """A point in one line; its name is shortened, its figures are not."""
    interval = "" if point.interval is None else " [{:.2f}, {:.2f}]".format(*point.interval)
    best = ", the best" if point.is_best else ""
    score = numbers.plain(point.score, ".4f")
    figures = f"  {point.macs:,} MACs  F1 {point.f1:.4f}{interval}  score {score}{best}"
    name = f"v{point.number} {point.name}"
    return numbers.shortened(name, max(width - len(figures), 4)) + figures


def unmeasured_text(variants: tuple[Variant, ...], width: int) -> Text:
    """Variants without F1, a line each."""
    text = Text("not measured\n", style="bold")
    for variant in variants:
        name = f"v{variant.number} {names.title(variant)}"
        text.append(f"{numbers.shortened(name, width)}\n", style="not bold")
    return text


def unmeasured_line(variants: tuple[Variant, ...], width: int) -> Text:
    """Their numbers in a line, the rest counted."""
    words = [f"v{variant.number}" for variant in variants]
    for shown in range(len(words), -1, -1):
        rest = f" and {len(words) - shown} more" if shown < len(words) else ""
        line = f"not measured: {' '.join(words[:shown])}{rest}"
        if len(line) <= width:
            return Text(line, style="dim")
    return Text("")


def legend_text(width: int) -> Text:
    """What the marks are, as many as there is room for."""
    return Text("\n".join(legend_lines(LEGEND, width)))
