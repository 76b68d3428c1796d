"""Legal values in a row: the present one marked, the chosen one inverted, MACs and kept below.

More values than fit scroll with the chosen one; an ellipsis says that there are more.
"""

import msgspec
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

LEVELS = " ▁▂▃▄▅▆▇█"
BAR_ROWS = 2
TITLES = ("value", "MACs", "", "kept %")
TITLE_WIDTH = 8
MORE = 2
"""Cells on either side for the ellipsis."""
MARK = "•"


class StripValue(msgspec.Struct, frozen=True):
    """One legal value."""

    value: str
    macs: int
    kept: str
    """What it would keep, in percent; an ellipsis until that is known."""
    is_present: bool = False
    """Whether it is the value now, or that of some units."""


class StripView(msgspec.Struct, frozen=True):
    """The values in ascending order, and which is chosen."""

    values: tuple[StripValue, ...]
    at: int


class ValueStrip(Widget):
    """A click chooses a value, the wheel moves by one."""

    DEFAULT_CSS = """
    ValueStrip { height: 4; }
    """

    view: reactive[StripView | None] = reactive(None)

    class Pointed(Message):
        """The user pointed at a value."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self._first = 0

    def render(self) -> Text:
        """The rows."""
        if self.view is None:
            return Text("")
        self._first = first_shown(self.view, self._first, self.size.width)
        return strip_text(self.view, self._first, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Point at the value under the mouse."""
        if self.view is None:
            return
        index = value_at(self.view, self._first, self.size.width, event.x)
        if index is not None:
            self.post_message(self.Pointed(index))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """To the next smaller value."""
        self._step(event, -1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """To the next larger value."""
        self._step(event, 1)

    def _step(self, event: events.MouseEvent, by: int) -> None:
        event.stop()
        if self.view is not None and 0 <= self.view.at + by < len(self.view.values):
            self.post_message(self.Pointed(self.view.at + by))


def cell_width(view: StripView) -> int:
    """Cells that each value takes."""
    return max(max(len(v.value) for v in view.values) + 2, 4)


def shown_count(view: StripView, width: int) -> int:
    """Values that fit."""
    room = width - TITLE_WIDTH
    size = cell_width(view)
    if len(view.values) * size <= room:
        return len(view.values)
    return max((room - 2 * MORE) // size, 1)


def first_shown(view: StripView, before: int, width: int) -> int:
    """The first value to show, so that the chosen one is in sight and little moves."""
    count = shown_count(view, width)
    least, most = view.at - count + 1, view.at
    return min(max(before, least, 0), most, len(view.values) - count)


def value_at(view: StripView, first: int, width: int, x: int) -> int | None:
    """The value at a column; the ellipses stand for the values next to what is shown."""
    count, size = shown_count(view, width), cell_width(view)
    left = TITLE_WIDTH + (MORE if count < len(view.values) else 0)
    index = first + (x - left) // size
    if x < TITLE_WIDTH or index < max(first - 1, 0) or index > first + count:
        return None
    return index if index < len(view.values) else None


def strip_text(view: StripView, first: int, width: int) -> Text:
    """Values, bars of their MACs from the least to the most, and what they keep."""
    count, size = shown_count(view, width), cell_width(view)
    shown = view.values[first : first + count]
    is_scrolled = count < len(view.values)
    low, high = min(v.macs for v in view.values), max(v.macs for v in view.values)
    rows = [Text(title.ljust(TITLE_WIDTH), style="dim") for title in TITLES]
    for row in rows if is_scrolled else ():
        row.append(("…" if first else "").ljust(MORE), style="not dim")
    for index, value in enumerate(shown, first):
        chosen = "not dim bold reverse" if index == view.at else "not dim"
        mark = MARK if value.is_present else ""
        rows[0].append(f"{mark}{value.value}".rjust(size - 1), style=chosen)
        rows[0].append(" ")
        bars = bar_cells(value.macs, low, high)
        style = "not dim bold" if index == view.at else "not dim cyan"
        for row, level in zip(rows[1 : 1 + BAR_ROWS], bars, strict=True):
            row.append(f"{level * (size - 2):>{size - 1}} ", style=style)
        style = "not dim bold" if index == view.at else "dim"
        rows[-1].append(f"{value.kept:>{size - 1}} ", style=style)
    if first + count < len(view.values):
        for row in rows:
            row.append("…".rjust(MORE), style="not dim")
    return Text("\n", no_wrap=True).join(rows)


def bar_cells(macs: int, low: int, high: int) -> list[str]:
    """One cell a row, from the top, of a bar that is lowest at the least MACs and full at most."""
    share = (macs - low) / (high - low) if high > low else 0.0
    eighths = 1 + round(share * (8 * BAR_ROWS - 1))
    cells = [min(max(eighths - 8 * row, 0), 8) for row in range(BAR_ROWS)]
    return [LEVELS[cell] for cell in reversed(cells)]
