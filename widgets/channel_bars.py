"""The channels of an axis, a line each: importance, spread of the activation, what a cut takes."""

import msgspec
from textual.reactive import reactive

from widgets import numbers
from widgets.line_list import LineList, Parts

FIGURE = 6
NUMBER = 6
MARK = 6
LEAST_BAR = 8


class ChannelRow(msgspec.Struct, frozen=True):
    """One channel."""

    number: int
    """From 1."""
    importance: float | None
    """1 is the mean of the axis; None while it is not known."""
    std: float | None
    """Of its activation; None while it is not known."""
    is_taken: bool
    """Whether the next cut would take it."""


class ChannelsView(msgspec.Struct, frozen=True):
    """All channels in the order to show, and what their bars are measured by."""

    rows: tuple[ChannelRow, ...] = ()
    word: str = ""
    """Why there are none."""
    most_importance: float = 1.0
    most_std: float = 1.0

    @classmethod
    def of(cls, rows: tuple[ChannelRow, ...], word: str = "") -> "ChannelsView":
        """Bars are as long as the largest value asks for."""
        return cls(
            rows,
            word,
            max((row.importance or 0.0 for row in rows), default=0.0) or 1.0,
            max((row.std or 0.0 for row in rows), default=0.0) or 1.0,
        )


class ChannelBars(LineList):
    """Bars of every channel."""

    view: reactive[ChannelsView] = reactive(ChannelsView())

    @property
    def count(self) -> int:
        """Channels."""
        return len(self.view.rows)

    @property
    def word(self) -> str:
        """Why none is shown."""
        return self.view.word

    def parts(self, index: int, width: int) -> Parts:
        """A channel."""
        return channel_parts(self.view, index, width)

    def watch_view(self) -> None:
        """Draw the lines anew."""
        if self.is_mounted:
            self.update()


def bar_width(width: int) -> int:
    """Cells of each of the two bars."""
    return max((width - NUMBER - 2 * (FIGURE + 2) - MARK) // 2, LEAST_BAR)


def heading(width: int) -> str:
    """What is above the columns."""
    bar = bar_width(width)
    first = numbers.fitted("importance (mean = 1)", bar + FIGURE + 2)
    second = numbers.fitted("std of activations", bar + FIGURE + 2)
    return f"{'#':>{NUMBER - 2}}  {first}{second}"


def channel_parts(view: ChannelsView, index: int, width: int) -> Parts:
    """A line: number, two bars with their figures, and whether it would be cut."""
    row = view.rows[index]
    bar = bar_width(width)
    color = "red" if row.is_taken else "cyan"
    return (
        (f"{row.number:>{NUMBER - 2}}  ", "dim"),
        *_bar(row.importance, view.most_importance, bar, color),
        *_bar(row.std, view.most_std, bar, "red" if row.is_taken else "green"),
        ("cut" if row.is_taken else "", "bold red"),
    )


def _bar(value: float | None, most: float, width: int, color: str) -> Parts:
    if value is None:
        return ((f"{'':<{width}} {'—':>{FIGURE}} ", "dim"),)
    figure = numbers.plain(value, ".2f" if most >= 0.1 else ".4f")
    return ((numbers.bar(value / most, width), color), (f" {figure:>{FIGURE}} ", ""))
