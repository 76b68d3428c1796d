"""The selected row in detail, with the histogram of its weights now and before."""

import msgspec
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from sessions.events import LayerStats
from widgets import numbers
from widgets.histogram import Histogram, HistogramView


class LayerView(msgspec.Struct, frozen=True, kw_only=True):
    """What the panel shows of a row."""

    title: str
    lines: tuple[str, ...]
    stats: LayerStats | None = None
    stats_of: str = ""
    """Which layer the histogram is of."""
    before: LayerStats | None = None
    """Of the same layer at another moment; None where it is the same or was not there."""
    before_name: str = ""
    """That moment; where there is none to show, why."""


class LayerPanel(Widget):
    """Facts above, weight histogram below."""

    DEFAULT_CSS = """
    LayerPanel {
        layout: vertical;
        & > Static { height: 6; padding: 0 1; }
        & > Histogram { width: 1fr; height: 1fr; min-height: 4; padding: 0 1; }
        &.-flat { layout: horizontal; }
        &.-flat > Static { width: 43; height: 1fr; }
    }
    """

    view: reactive[LayerView | None] = reactive(None, repaint=False)

    def compose(self) -> ComposeResult:
        """Text and plot."""
        yield Static("no row is selected yet", markup=False)
        yield Histogram()

    def on_resize(self) -> None:
        """Side by side where the panel is flat."""
        self.set_class(self.size.height < 12 and self.size.width >= 64, "-flat")

    def on_mount(self) -> None:
        """Show what was set before."""
        self.watch_view(self.view)

    def watch_view(self, view: LayerView | None) -> None:
        """Write the facts and draw the histogram."""
        if not self.is_mounted or view is None:
            return
        # No new layout: a key press has to be on the screen at once.
        self.query_one(Static).update("\n".join((view.title, *view.lines)), layout=False)
        self.query_one(Histogram).view = None if view.stats is None else HistogramView(
            view.stats, view.before, view.stats_of, view.before_name
        )  # fmt: skip


def stats_lines(stats: LayerStats) -> tuple[str, ...]:
    """Numbers of a weight tensor in words."""
    return (
        f"{stats.count:,} weights  std {numbers.ratio(stats.std)}  mean {stats.mean:+.3f}",
        f"{stats.low:.2f} to {stats.high:.2f}  near zero {stats.near_zero:.1%}",
    )
