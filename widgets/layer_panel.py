"""The selected row in detail, with the histogram of its weights."""

from typing import Any

import msgspec
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static
from textual_plotext import PlotextPlot

from sessions.events import LayerStats
from widgets import numbers


class LayerView(msgspec.Struct, frozen=True, kw_only=True):
    """What the panel shows of a row."""

    title: str
    lines: tuple[str, ...]
    stats: LayerStats | None = None
    stats_of: str = ""
    """Which layer the histogram is of."""


class LayerPanel(Widget):
    """Facts above, weight histogram below."""

    DEFAULT_CSS = """
    LayerPanel {
        layout: vertical;
        & > Static { height: 6; padding: 0 1; }
        & > PlotextPlot { height: 1fr; min-height: 4; }
        &.-flat { layout: horizontal; }
        &.-flat > Static { width: 38; height: 1fr; }
    }
    """

    view: reactive[LayerView | None] = reactive(None)

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[LayerStats | None, str] = (None, "")

    def compose(self) -> ComposeResult:
        """Text and plot."""
        yield Static("", markup=False)
        yield PlotextPlot()

    def on_resize(self) -> None:
        """Side by side where the panel is flat; the histogram gets as many bins as fit."""
        self._drawn = (None, "")
        self.set_class(self.size.height < 12 and self.size.width >= 64, "-flat")
        self.watch_view(self.view)

    def watch_view(self, view: LayerView | None) -> None:
        """Write the facts and draw the histogram."""
        if not self.is_mounted or view is None:
            return
        # No new layout, and no new histogram where the weights are the same: a key press has to
        # be on the screen at once.
        self.query_one(Static).update("\n".join((view.title, *view.lines)), layout=False)
        plot = self.query_one(PlotextPlot)
        plot.display = view.stats is not None
        drawn = (view.stats, view.stats_of)
        if view.stats is not None and drawn != self._drawn:
            self._drawn = drawn
            name = view.stats_of if plot.size.height > 5 else ""
            draw_histogram(plot.plt, view.stats, name, self.size.width // 3)
            plot.refresh()


def draw_histogram(plt: Any, stats: LayerStats, name: str, most_bins: int) -> None:
    """Bars of the weight histogram on a plotext figure, bins joined where there is little room."""
    joined = next((n for n in (1, 2, 4) if len(stats.histogram) // n <= most_bins), 5)
    bins = [sum(stats.histogram[at : at + joined]) for at in range(0, len(stats.histogram), joined)]
    width = (stats.high - stats.low) / len(bins)
    centres = [stats.low + width * (index + 0.5) for index in range(len(bins))]
    ends = [stats.low, (stats.low + stats.high) / 2, stats.high]
    plt.clear_data()
    plt.clear_figure()
    plt.bar(centres, bins, width=1.0, marker="hd")
    if name:
        plt.xlabel(f"weights of {name}")
    plt.xticks(ends, [f"{value:.2f}" for value in ends])
    plt.xaxes(True, False)
    plt.yaxes(False, False)
    plt.yfrequency(0)


def stats_lines(stats: LayerStats) -> tuple[str, ...]:
    """Numbers of a weight tensor in words."""
    return (
        f"{stats.count:,} weights  std {numbers.ratio(stats.std)}  mean {stats.mean:+.3f}",
        f"{stats.low:.2f} to {stats.high:.2f}  near zero {stats.near_zero:.1%}",
    )
