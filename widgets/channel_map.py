"""One cell a channel in the order they have now: which stay, which change groups, which go."""

from itertools import pairwise

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from sessions.events import CUT, KEPT, MOVED

GLYPHS = {KEPT: ("█", "green"), MOVED: ("▒", "yellow"), CUT: ("·", "red")}
MEANINGS = ((KEPT, "stays"), (MOVED, "stays, in another group"), (CUT, "goes"))
NUMBER = 5
"""Cells for the number of a line's first channel."""
LEAST_CELLS = 8


class AxisMap(msgspec.Struct, frozen=True):
    """The channels of one axis."""

    title: str
    fates: str
    """KEPT, MOVED or CUT for each channel."""
    groups: int = 1
    """Runs of equal length with a gap between them."""


class MapView(msgspec.Struct, frozen=True):
    """What the map shows."""

    axes: tuple[AxisMap, ...] = ()
    note: str = ""
    """Why there is no axis to draw."""


class ChannelMap(Widget):
    """A leaf: it draws what it is given into the room it has."""

    DEFAULT_CSS = """
    ChannelMap { height: 5; }
    """

    view: reactive[MapView] = reactive(MapView())

    def render(self) -> Text:
        """The map, or a word why there is none."""
        return map_text(self.view, self.size.width, self.size.height)


def map_text(view: MapView, width: int, height: int) -> Text:
    """The map in so many lines: one axis wrapped, several with a line each; legend below."""
    if not view.axes:
        return Text(view.note, style="dim")
    rows, axes = max(height - 1, 1), view.axes
    first, rest = axes[0], axes[1:]
    is_long = len(first.fates) + max(first.groups, 1) > width // 2
    if not rest:
        lines = _one(first, width, rows)
    elif is_long and [a for a in axes if CUT in a.fates] == [first]:  # the rest follows it
        lines = [*_one(first, width, rows - 1), _rest(rest, width)]
    else:
        lines = _some(axes, width, rows)
    return Text("\n", no_wrap=True).join((*lines, _legend()))


def counts(fates: str) -> str:
    """How many stay, move and go, in words."""
    kept, moved, cut = (fates.count(fate) for fate in (KEPT, MOVED, CUT))
    words = [f"{kept + moved} of {len(fates)} stay"]
    if moved:
        words.append(f"{moved} in another group")
    if cut:
        words.append(f"{cut} {'goes' if cut == 1 else 'go'}")
    return ", ".join(words)


def _one(axis: AxisMap, width: int, rows: int) -> list[Text]:
    """A title, then the channels in lines that begin with the number of their first."""
    lines = [_cut(Text(f"{axis.title}: {counts(axis.fates)}"), width)]
    room = max(width - NUMBER, LEAST_CELLS)
    starts = line_starts(axis, room)
    if len(starts) > max(rows - 1, 1):
        starts = line_starts(axis, room, is_aligned=False)
    shown = starts[: max(rows - 1, 1)]
    for start, end in pairwise((*shown, *(starts[len(shown) :] or [len(axis.fates)])[:1])):
        is_last = start == shown[-1] and len(shown) < len(starts)
        line = Text.assemble((f"{start + 1:>{NUMBER - 1}} ", "dim"))
        line.append_text(_cells(axis, start, end, room - 1 if is_last else room))
        if is_last:
            line.append("…", style="bold")
        lines.append(line)
    return lines


def line_starts(axis: AxisMap, room: int, *, is_aligned: bool = True) -> list[int]:
    """The first channel of each line; aligned, they break between groups that fit in a line."""
    length = len(axis.fates) // max(axis.groups, 1)
    starts, used = [0], 0
    for channel in range(len(axis.fates)):
        is_border = axis.groups > 1 and channel % length == 0 and channel > starts[-1]
        used += is_border
        ahead = length if is_aligned and channel % length == 0 and length <= room else 1
        if channel > starts[-1] and used + ahead > room:
            starts.append(channel)
            used = 0
        used += 1
    return starts


def _some(axes: tuple[AxisMap, ...], width: int, rows: int) -> list[Text]:
    """A line for each axis; what does not fit is counted."""
    shown = axes if len(axes) <= rows else axes[: max(rows - 1, 1)]
    title = max(cell_len(axis.title) for axis in shown) + 1
    lines = []
    for axis in shown:
        line = Text(axis.title.ljust(title))
        tail = _changes(axis.fates)
        room = max(width - title - len(tail) - 1, LEAST_CELLS)
        needed = len(axis.fates) + max(axis.groups, 1) - 1
        line.append_text(_cells(axis, 0, len(axis.fates), room if needed <= room else room - 1))
        line.append("" if needed <= room else "…", style="bold")
        line.append(f" {tail}", style="dim")
        lines.append(_cut(line, width))
    if len(shown) < len(axes):
        lines.append(_rest(axes[len(shown) :], width))
    return lines


def _rest(axes: tuple[AxisMap, ...], width: int) -> Text:
    """Axes for which there is no room, counted."""
    whose = axes[0].title if len(axes) == 1 else f"{len(axes)} more"
    fates = "".join(axis.fates for axis in axes)
    return _cut(Text(f"… and {whose}: {counts(fates)}", style="dim"), width)


def _changes(fates: str) -> str:
    found = ((CUT, "go"), (MOVED, "move"))
    return ", ".join(f"{fates.count(fate)} {word}" for fate, word in found if fate in fates)


def _cells(axis: AxisMap, start: int, end: int, room: int) -> Text:
    """The channels of a line, a gap between groups, at most as many as fit."""
    length = len(axis.fates) // max(axis.groups, 1)
    runs: list[tuple[str, str]] = []
    for channel in range(start, end):
        is_border = axis.groups > 1 and channel > start and channel % length == 0
        if room < 1 + is_border:
            break
        room -= 1 + is_border
        fate, gap = axis.fates[channel], " " * is_border
        if runs and runs[-1][0] == fate:
            runs[-1] = (fate, runs[-1][1] + gap + GLYPHS[fate][0])
        else:
            runs.append((fate, gap + GLYPHS[fate][0]))
    return Text.assemble(*((cells, GLYPHS[fate][1]) for fate, cells in runs))


def _legend() -> Text:
    text = Text()
    for fate, meaning in MEANINGS:
        glyph, style = GLYPHS[fate]
        text.append(glyph, style=style)
        text.append(f" {meaning}   ", style="dim")
    return text


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text
