"""F1 over the session's measurements and training loss over epochs."""

from time import monotonic

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual_plotext import PlotextPlot

REDRAW_S = 1.0
"""Shortest time between two drawings."""


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
        layout: horizontal;
        & > Vertical { width: 1fr; }
        & > Vertical > Static { color: $text-muted; text-align: center; }
        & > Vertical > PlotextPlot { height: 1fr; }
        & > Static { width: 1fr; padding: 0 1; color: $text-muted; }
    }
    """

    view: reactive[CurvesView] = reactive(CurvesView((), ()))

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._drawn_at = 0.0

    def compose(self) -> ComposeResult:
        """A word, and the plots."""
        yield Static("No curves yet: e measures F1, f fine-tunes.")
        for name, title in (("f1", "F1 by measurement"), ("loss", "training loss by epoch")):
            with Vertical(id=name):
                yield Static(title)
                yield PlotextPlot()

    def on_mount(self) -> None:
        """Show what there is."""
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
        self.query_one("Curves > Static").display = not view.f1 and not view.loss
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
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        plt.yfrequency(4)
        plt.xfrequency(3)
        widget.refresh()
