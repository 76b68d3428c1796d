"""F1 over the session's measurements and training loss over epochs."""

from time import monotonic

import msgspec
from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual_plotext import Plot, PlotextPlot

REDRAW_S = 1.0
"""Shortest time between two drawings."""
AROUND = 0.05
"""What the y axis shows above and below a single point."""
TALL = 12
"""Lines of a plot from which on the x axis has a line of its own for its name."""
ROWS_OF_FOUR = 4
"""Rows of points from which on the y axis has four figures."""
LEGEND_FROM = 8
"""Lines of a panel without a border from which on the legend has one."""
CUT = "#ff4040"
"""Where the network was cut: 3:1 at least on the light and on the dark surface."""
AXES = {"f1": ("F1", "measurement"), "loss": ("training loss", "epoch over all jobs")}
"""What is drawn along what; their names where the axis has a line for its own."""
TITLES = {
    "f1": ("F1 by measurement", "F1"),
    "loss": ("training loss by epoch, all jobs", "loss by epoch, all jobs", "loss, all jobs"),
}
"""The title where it has not, ever shorter."""


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
        & > Horizontal { height: 1fr; padding: 0 1; }
        & Vertical { width: 1fr; }
        & Vertical > Static {
            color: $text-muted; text-align: center; height: 1;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        & Vertical > PlotextPlot { height: 1fr; }
        & > Horizontal > #loss { margin-left: 1; }
        & > Static { padding: 0 1; height: auto; }
        & > #legend { height: 1; color: $text-muted; }
    }
    """

    view: reactive[CurvesView] = reactive(CurvesView((), ()))

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._drawn_at = 0.0
        self._subtitle = Text("")
        self._made_of: dict[str, object] = {}
        """What each plot, and the legend, was drawn from: a frame with both takes long."""

    def compose(self) -> ComposeResult:
        """A word, and the plots."""
        word = "No F1 and no loss yet: measuring and training draw them."
        yield Static(Text(word, style="dim"), id="word")
        with Horizontal():
            for name in AXES:
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
        self._place_legend(view if view.f1 and (view.marks or view.rungs) else None)
        self._draw("#f1", view.f1, "green", view)
        self._draw("#loss", view.loss, "orange", None)

    @property
    def _has_border(self) -> bool:
        return self.outer_size.height > self.size.height

    def _place_legend(self, view: CurvesView | None) -> None:
        """In the border where there is one, else in a line; where it is low, beside the title."""
        legend, width = self.query_one("#legend", Static), self.size.width
        is_below = self.size.height >= LEGEND_FROM and not self._has_border
        legend.display = view is not None and is_below
        if self._is_new("#legend", (view and (view.marks, view.rungs), self.size)):
            legend.update(legend_text(view, width - 2, "marks:"), layout=False)
        subtitle = legend_text(view if self._has_border else None, width - 4, "")
        if subtitle.markup != self._subtitle.markup:
            self._subtitle = subtitle
            self.border_subtitle = subtitle or None

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
        has_legend = self.query_one("#legend").display
        marks = marked and (marked.marks, marked.rungs)
        are_both = bool(self.view.f1 and self.view.loss)
        if not self._is_new(selector, (points, marks, self.size, has_legend, are_both)):
            return
        widget = box.query_one(PlotextPlot)
        plt = widget.plt
        height = self.size.height - (2 if has_legend else 1)  # its own is not known at first
        is_tall = height >= TALL
        rows = height - (3 if is_tall else 2)
        what, along = AXES[selector.removeprefix("#")]
        titles = (what,) if is_tall else TITLES[selector.removeprefix("#")]
        box.query_one(Static).update(self._title(titles, marked), layout=False)
        plt.clear_data()
        plt.clear_figure()
        # A braille cell is two points wide: more points only take time, and keys wait for it.
        spare = len(points) // (2 * max(widget.size.width, 10)) + 1
        drawn = points[::-spare][::-1]
        xs, ys = [x for x, _ in drawn], [y for _, y in drawn]
        if marked is not None:
            for mark in marked.marks:
                plt.vertical_line(mark, color=RichColor.parse(CUT).get_truecolor())
        if len(points) == 1:
            plt.scatter(xs, ys, color=color, marker="●")
            plt.ylim(ys[0] - AROUND, ys[0] + AROUND)
            plt.yticks(ys, [f"{ys[0]:.3f}"])
            plt.xticks(xs)
        else:
            plt.plot(xs, ys, color=color, marker="braille")
        if marked is not None:
            _mark(plt, marked)
        if is_tall:
            plt.xlabel(along)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        if len(points) > 1:
            plt.yfrequency(4 if rows >= ROWS_OF_FOUR else 3)
        if len(points) > 1 and marked is None:
            plt.xfrequency(3)
        widget.refresh()

    def _is_new(self, selector: str, made_of: object) -> bool:
        is_new = self._made_of.get(selector) != made_of
        self._made_of[selector] = made_of
        return is_new

    def _title(self, titles: tuple[str, ...], marked: CurvesView | None) -> Text:
        """The longest title that fits; in a low panel without a border the legend is behind it."""
        has_room = self.size.height >= LEGEND_FROM or self._has_border
        are_both = bool(self.view.f1 and self.view.loss)
        width = (self.size.width - 2 - are_both) // (1 + are_both)
        legends = [legend_text(None if has_room else marked, width, title) for title in titles]
        whole = (legend for legend in legends if legend.cell_len <= width)
        return next((legend for legend in whole if not legend.plain.endswith("…")), legends[-1])


def _mark(plt: Plot, view: CurvesView) -> None:
    """Letters at the steps of recoveries, and whole numbers of measurements."""
    for at, value, name in view.rungs:
        plt.scatter([at], [value], color="orange", marker=name[0])
    ticks = whole_ticks(view.f1)
    plt.xticks(list(map(float, ticks)), list(map(str, ticks)))


def whole_ticks(points: tuple[tuple[float, float], ...]) -> list[int]:
    """First, middle and last of numbered points; whole, and none of them twice."""
    first, last = round(points[0][0]), round(points[-1][0])
    return sorted({first, (first + last) // 2, last})


def legend_text(view: CurvesView | None, width: int, title: str) -> Text:
    """The title with what letters and lines mean, of those that are drawn; as much as fits."""
    text = Text(title)
    if view is None:
        return text
    items = [("│", "cut", CUT)] if view.marks else []
    names = dict.fromkeys(name for _, _, name in view.rungs)
    items += [(name[0], name, "orange1") for name in names]
    for at, (mark, meaning, style) in enumerate(items):
        shown = meaning.removeprefix(mark) if meaning.startswith(mark) else f" {meaning}"
        room = width - text.cell_len - (2 if at + 1 < len(items) else 0)
        if cell_len(mark + shown) + 2 > room:
            text.append(" …" if text.cell_len + 2 <= width else "")
            break
        text.append("  " if text else "").append(mark, f"bold {style}").append(shown)
    return text
