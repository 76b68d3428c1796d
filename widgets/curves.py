"""F1 over the session's measurements and training loss over epochs."""

from time import monotonic

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual_plotext import PlotextPlot

REDRAW_S = 1.0
"""Shortest time between two drawings."""


TALL = 12
"""Lines of a plot from which on the x axis has a line of its own for its name."""
ROWS_OF_FOUR = 4
"""Rows of points from which on the y axis has four figures."""
LEGEND_FROM = 8
"""Lines of the panel from which on the legend has one."""
TITLES = {"f1": ("F1", "measurement"), "loss": ("training loss", "epoch over all jobs")}


class CurvesView(msgspec.Struct, frozen=True):
    """Points of both curves and where jobs begin."""

    f1: tuple[tuple[float, float], ...]
    """(measurement, macro F1)"""
    loss: tuple[tuple[float, float], ...]
    """(epoch over all jobs, training loss)"""
    marks: tuple[float, ...] = ()
    """Measurements at which the network was cut."""
    rungs: tuple[tuple[float, float, str], ...] = ()
    """(measurement, macro F1, name) of the steps of recoveries; drawn as their first letter."""


class Curves(Widget):
    """Two plots side by side, or a word while there is nothing to draw."""

    DEFAULT_CSS = """
    Curves {
        & > Horizontal { height: 1fr; }
        & Vertical { width: 1fr; }
        & Vertical > Static { color: $text-muted; text-align: center; height: 1; }
        & Vertical > PlotextPlot { height: 1fr; }
        & > Horizontal > #loss { margin-left: 1; }
        & > Static { padding: 0 1; color: $text-muted; height: auto; }
        & > #legend { height: 1; }
    }
    """

    view: reactive[CurvesView] = reactive(CurvesView((), ()))

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._drawn_at = 0.0

    def compose(self) -> ComposeResult:
        """A word, and the plots."""
        yield Static("No F1 and no loss yet: measuring and training draw them.", id="word")
        with Horizontal():
            for name in TITLES:
                with Vertical(id=name):
                    yield Static("")
                    yield PlotextPlot()
        yield Static("", id="legend")

    def on_mount(self) -> None:
        """Show what there is."""
        self._draw_view()

    def on_resize(self) -> None:
        """Other titles and another legend may fit."""
        self._draw_view()

    def watch_view(self) -> None:
        """Draw now, or a little later where this has just been done: drawing takes a while."""
        if not self.is_mounted or self._timer is not None:
            return
        since = monotonic() - self._drawn_at
        if since >= REDRAW_S:
            self._draw_view()
        else:
            self._timer = self.set_timer(REDRAW_S - since, self._draw_view)

    def _draw_view(self) -> None:
        view = self.view
        self._timer = None
        if view.f1 or view.loss:
            self._drawn_at = monotonic()
        self.query_one("#word").display = not view.f1 and not view.loss
        legend = self.query_one("#legend", Static)
        has_marks = bool(view.f1) and bool(view.marks or view.rungs)
        legend.display = has_marks and self.size.height >= LEGEND_FROM
        legend.update(legend_text(view, self.size.width - 2, "marks:"), layout=False)
        self._draw("#f1", view.f1, "green", view)
        self._draw("#loss", view.loss, "orange", None)

    def _draw(
        self,
        selector: str,
        points: tuple[tuple[float, float], ...],
        color: str,
        marked: CurvesView | None,
    ) -> None:
        box = self.query_one(selector)
        box.display = bool(points)
        if not points:
            return
        widget = box.query_one(PlotextPlot)
        plt = widget.plt
        has_legend = self.query_one("#legend").display
        height = self.size.height - (2 if has_legend else 1)  # its own is not known at first
        is_tall = height >= TALL
        rows = height - (3 if is_tall else 2)
        what, along = TITLES[selector.removeprefix("#")]
        title = what if is_tall else f"{what} by {along}"
        box.query_one(Static).update(self._title(title, marked), layout=False)
        plt.clear_data()
        plt.clear_figure()
        # A braille cell is two points wide: more points only take time, and keys wait for it.
        spare = len(points) // (2 * max(widget.size.width, 10)) + 1
        drawn = points[::-spare][::-1]
        xs, ys = [x for x, _ in drawn], [y for _, y in drawn]
        for mark in marked.marks if marked is not None else ():
            plt.vertical_line(mark, color="red")
        if len(points) == 1:
            plt.scatter(xs, ys, color=color, marker="●")
            plt.ylim(ys[0] - 0.05, ys[0] + 0.05)
        else:
            plt.plot(xs, ys, color=color, marker="braille")
        for at, value, name in marked.rungs if marked is not None else ():
            plt.scatter([at], [value], color="orange", marker=name[0])
        if is_tall:
            plt.xlabel(along)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        plt.yfrequency(4 if rows >= ROWS_OF_FOUR else 3)
        plt.xfrequency(3)
        if len(points) == 1:
            plt.xticks(xs)
        widget.refresh()

    def _title(self, title: str, marked: CurvesView | None) -> Text:
        """A plot's title; in a low panel the legend stands behind it."""
        is_low = self.size.height < LEGEND_FROM
        width = self.size.width // 2 if self.view.f1 and self.view.loss else self.size.width
        return legend_text(marked if is_low else None, width, title)


def legend_text(view: CurvesView | None, width: int, title: str) -> Text:
    """The title with what letters and lines mean, of those that are drawn; as much as fits."""
    text = Text(title)
    if view is None:
        return text
    items = [("│", "cut", "red")] if view.marks else []
    names = dict.fromkeys(name for _, _, name in view.rungs)
    items += [(name[0], name, "orange1") for name in names]
    for at, (mark, meaning, style) in enumerate(items):
        shown = meaning.removeprefix(mark) if meaning.startswith(mark) else f" {meaning}"
        room = width - text.cell_len - (2 if at + 1 < len(items) else 0)
        if cell_len(mark + shown) + 2 > room:
            text.append(" …" if text.cell_len + 2 <= width else "")
            break
        text.append("  ").append(mark, f"bold {style}").append(shown)
    return text
