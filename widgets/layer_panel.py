"""The selected row in detail, with the histogram of its weights now and before."""

from textwrap import wrap

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from sessions.events import LayerStats
from widgets import numbers
from widgets.histogram import Histogram, HistogramView

FLAT, FLAT_FROM = 12, 64
"""Lines below which facts and histogram stand side by side, where there are so many cells."""
ROOMY = 14
"""Lines from which on there is room for more facts."""
FACTS, MORE_FACTS = 6, 8
LEAST_PLOT = 3
"""Lines of a histogram: fewer are none."""


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


class Facts(Static):
    """Lines in a room of a fixed size: a new row of the tree needs no new layout."""

    lines: reactive[tuple[str, ...]] = reactive(())
    is_apart: reactive[bool] = reactive(True)
    """Whether a line stays free below them where they leave one."""

    def render(self) -> Text:
        """The facts, or a word while there are none."""
        if not self.lines:
            return Text("No row is selected yet.", style="dim")
        width, height = self.size
        found = fitting(self.lines, width, height, free=int(self.is_apart))
        return Text("\n".join(found), no_wrap=True)


class LayerPanel(Widget):
    """Facts above, weight histogram below; side by side where it is flat."""

    DEFAULT_CSS = """
    LayerPanel {
        layout: vertical;
        & > Facts { width: 1fr; padding: 0 1; }
        & > Histogram { width: 1fr; height: 1fr; padding: 0 1; }
        &.-flat { layout: horizontal; }
        &.-flat > Facts { width: 50%; min-width: 44; max-width: 60; padding: 0 2 0 1; }
    }
    """

    view: reactive[LayerView | None] = reactive(None, repaint=False)

    def compose(self) -> ComposeResult:
        """Text and plot."""
        yield Facts()
        yield Histogram()

    def on_resize(self) -> None:
        """Side by side where the panel is flat; without a plot where it is too low for both."""
        width, height = self.size
        is_flat = height < FLAT and width >= FLAT_FROM
        self.set_class(is_flat, "-flat")
        rows = min(MORE_FACTS if height >= ROOMY else FACTS, height - LEAST_PLOT)
        has_plot = is_flat or rows >= FACTS - 1
        facts, plot = self.query_one(Facts), self.query_one(Histogram)
        facts.styles.height = rows if has_plot and not is_flat else "1fr"
        facts.is_apart = has_plot and not is_flat
        plot.display = has_plot
        self._part(rows)

    def _part(self, rows: int) -> None:
        """Where facts take all their lines, the plot leaves one free above it."""
        facts = self.query_one(Facts)
        self.query_one(Histogram).is_apart = facts.is_apart and len(facts.lines) >= rows

    def on_mount(self) -> None:
        """Show what was set before."""
        self.watch_view(self.view)

    def watch_view(self, view: LayerView | None) -> None:
        """Write the facts and draw the histogram."""
        if not self.is_mounted or view is None:
            return
        facts = self.query_one(Facts)
        facts.lines = (view.title, *view.lines)
        self._part(facts.size.height)
        self.query_one(Histogram).view = None if view.stats is None else HistogramView(
            view.stats, view.before, view.stats_of, view.before_name
        )  # fmt: skip


def fitting(lines: tuple[str, ...], width: int, height: int, *, free: int) -> list[str]:
    """Lines in so many cells and lines: long ones go on in the next where some are left over.

    Otherwise they end in an ellipsis, and what has no line is counted in the last one.

    Args:
        lines: one fact each.
        width: cells.
        height: lines.
        free: lines that stay empty where facts need not have them.
    """
    if len(lines) > height > 0:
        kept = lines[: height - 1]
        return [*(numbers.shortened(line, width) for line in kept),
                numbers.shortened(f"… {len(lines) - len(kept)} more", width)]  # fmt: skip
    spare, found = height - len(lines) - free, []
    for line in lines:
        parts = wrap(line, width) if cell_len(line) > width > 0 else [line]
        if len(parts) - 1 > max(spare, 0):
            parts = [line]
        spare -= len(parts) - 1
        found += [numbers.shortened(part, width) for part in parts]
    return found


def stats_lines(stats: LayerStats, shape: str = "") -> tuple[str, ...]:
    """Numbers of a weight tensor in words."""
    count = f"weights {shape}: {stats.count:,}" if shape else f"{stats.count:,} weights"
    low, high = numbers.plain(stats.low, ".2f"), numbers.plain(stats.high, ".2f")
    mean = numbers.signed(stats.mean, ".3f")
    return (
        f"{count}, near zero {stats.near_zero:.1%}",
        f"std {stats.std:.3f}, mean {mean}, {low} to {high}",
    )
