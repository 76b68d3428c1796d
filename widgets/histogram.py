"""A weight histogram, with that of the same layer at another moment over it.

Both are shares of their weights over the same bins, so that tensors of other sizes compare. Bins
are never finer than those that were counted; a counted bin that lies in several is divided among
them by overlap, as if its values were spread evenly.
"""

import msgspec
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from sessions.events import LayerStats
from widgets import numbers

BLOCKS = " ▁▂▃▄▅▆▇█"
BEFORE = "○"
NOW_STYLE, BEFORE_STYLE = "cyan", "bold yellow"
MOSTLY = 0.8
"""Share of the width that the plot is to fill."""
LEAST_HEIGHT = 3
"""Lines below which there is only the plot."""
LEAST_OVERLAID = 6
"""Lines of plot below which the series lie one above the other: rings would hide in the bars."""


class HistogramView(msgspec.Struct, frozen=True):
    """What is drawn."""

    now: LayerStats
    before: LayerStats | None = None
    name: str = ""
    """Whose weights."""
    before_name: str = ""
    """The moment of the second series; where there is none, why."""


class Histogram(Widget):
    """Bars of the weights now, rings for those before; where it is low, one above the other."""

    view: reactive[HistogramView | None] = reactive(None)
    is_apart: reactive[bool] = reactive(False)
    """Whether the first line stays free, where enough are left."""

    def render(self) -> Text:
        """The plot in the room there is."""
        if self.view is None:
            return Text("")
        width, height = self.size
        if self.is_apart and height > LEAST_HEIGHT + (self.view.before is not None):
            return Text("\n").append_text(histogram_text(self.view, width, height - 1))
        return histogram_text(self.view, width, height)


def histogram_text(view: HistogramView, width: int, height: int) -> Text:
    """Bars and rings in so many lines: plot, axis, legend, as far as there is room for them."""
    both = [view.now] if view.before is None else [view.now, view.before]
    low, high = min(s.low for s in both), max(s.high for s in both)
    bins, cell = bin_layout(both, low, high, width)
    shares = [rebinned(stats, low, high, bins) for stats in both]
    most = max(max(share) for share in shares) or 1.0
    has_words = height >= LEAST_HEIGHT
    # Two series need a line each, and the legend says which is which: the axis goes first.
    has_axis = has_words and (view.before is None or height > LEAST_HEIGHT)
    rows = max(height - has_words - has_axis, 1)
    is_stacked = view.before is not None and rows < LEAST_OVERLAID
    if is_stacked and rows > 1:
        halves = ((shares[0], rows - rows // 2, NOW_STYLE), (shares[1], rows // 2, BEFORE_STYLE))
        lines = [
            line
            for share, room, style in halves
            for line in _bars([value / most for value in share], room, cell, style)
        ]
    else:
        eighths = [bar_height(share / most, rows) for share in shares[0]]
        rings = [] if is_stacked else [ring_row(s / most, rows) for s in shares[-1]]
        rings = rings if view.before is not None else []
        lines = [_row(row, eighths, rings, cell) for row in reversed(range(rows))]
    if has_axis:
        lines.append(_axis(low, high, cell * bins))
    if has_words:
        lines.append(_legend(view, width, is_stacked=is_stacked))
    return Text("\n", no_wrap=True).join(lines)


def _bars(shares: list[float], rows: int, cell: int, style: str) -> list[Text]:
    """One series alone in so many lines."""
    eighths = [bar_height(share, rows) for share in shares]
    return [
        Text("".join(BLOCKS[min(max(n - row * 8, 0), 8)] * cell for n in eighths), style=style)
        for row in reversed(range(rows))
    ]


def bin_layout(both: list[LayerStats], low: float, high: float, width: int) -> tuple[int, int]:
    """How many bins, and cells for each: none finer than the coarser of the counted ones.

    Of those that fill most of the width the one with most bins.
    """
    counted = max((s.high - s.low) / max(len(s.histogram), 1) for s in both)
    finest = int((high - low) / counted + 1e-9) if counted > 0 and high > low else 1
    layouts = [(max(min(finest, width // cell), 1), cell) for cell in range(1, max(width, 1) + 1)]
    layouts = [layout for layout in layouts if layout[0] * layout[1] <= width] or layouts[:1]
    return max(layouts, key=lambda it: (it[0] * it[1] >= MOSTLY * width, it[0], it[0] * it[1]))


def rebinned(stats: LayerStats, low: float, high: float, bins: int) -> list[float]:
    """The share of the weights in each of `bins` equal bins from low to high; they sum to 1."""
    total = sum(stats.histogram)
    found = [0.0] * bins
    if not total:
        return found
    step = (high - low) / bins
    if not stats.high > stats.low or not step > 0:
        at = int((stats.low - low) / step) if step > 0 else 0
        found[min(at, bins - 1)] = 1.0
        return found
    edge = (stats.high - stats.low) / len(stats.histogram)
    for index, count in enumerate(stats.histogram):
        left = (stats.low + index * edge - low) / step
        right = left + edge / step
        for at in range(max(int(left), 0), min(int(right) + 1, bins)):
            overlap = min(right, at + 1) - max(left, at)
            if overlap > 0:
                found[at] += count / total * overlap / (right - left)
    return found


def bar_height(share: float, rows: int) -> int:
    """Of a bar in eighths of a line; anything above nothing shows."""
    return max(round(share * rows * 8), int(share > 0))


def ring_row(share: float, rows: int) -> int | None:
    """The line, from below, that a ring lies in; none where nothing is."""
    return min(max(bar_height(share, rows) - 1, 0) // 8, rows - 1) if share > 0 else None


def _row(row: int, eighths: list[int], rings: list[int | None], cell: int) -> Text:
    """One line of the plot, counted from below. A ring is drawn where it is not the bar's end."""
    text = Text()
    for column, height in enumerate(eighths):
        block = BLOCKS[min(max(height - row * 8, 0), 8)] * cell
        is_ring = bool(rings) and rings[column] == row
        if not is_ring or (height and (height - 1) // 8 == row):
            text.append(block, style=NOW_STYLE)
            continue
        middle = cell // 2
        text.append(block[:middle], style=NOW_STYLE)
        text.append(BEFORE, style=f"{BEFORE_STYLE} on {NOW_STYLE}" if height else BEFORE_STYLE)
        text.append(block[middle + 1 :], style=NOW_STYLE)
    return text


def _axis(low: float, high: float, width: int) -> Text:
    """The values at both ends, and where zero is if there is room between them."""
    ends = [numbers.plain(value, ".2g" if abs(value) < 0.01 else ".2f") for value in (low, high)]
    line = list(" " * max(width, len(ends[0]) + len(ends[1]) + 1))
    line[: len(ends[0])] = ends[0]
    line[-len(ends[1]) :] = ends[1]
    if low < 0 < high:
        zero = min(int(-low / (high - low) * width), width - 1)
        if len(ends[0]) < zero < len(line) - len(ends[1]) - 1:
            line[zero] = "0"
    return Text("".join(line), style="dim")


def _legend(view: HistogramView, width: int, *, is_stacked: bool) -> Text:
    """Which series is which, and whose weights."""
    text = Text()
    signs = ("above: ", "below: ") if is_stacked else ("█ ", f"{BEFORE} ")
    if view.before is not None:
        named = ((signs[0], "now", NOW_STYLE), (signs[1], view.before_name, BEFORE_STYLE))
        for sign, name, style in named:
            text.append(sign, style=style)
            text.append(f"{name}  ", style="dim")
    text.append(view.name if view.before is not None else f"weights of {view.name}", style="dim")
    if view.before is None and view.before_name:
        text.append(f", {view.before_name}", style="dim")
    text.truncate(width, overflow="ellipsis")
    return text
