"""The columns of the tree: which fit, what stands in a cell, and what a header says.

Pure functions of rows; a cell is pieces of text, each with the name of the style it is drawn in.
"""

from collections.abc import Iterable, Sequence

import msgspec
from rich.cells import cell_len

from sessions.events import LayerStats
from widgets import numbers
from widgets.rows import Row
from widgets.tree_order import SORTS

NAME_WIDTH = 20
BAR_WIDTH = 6
LEVELS = "▁▂▃▄▅▆▇█"
EQUAL = "="
Piece = tuple[str, str]
"""Text, and the name of its style; empty for the style of the row."""


class Column(msgspec.Struct, frozen=True):
    """A column that is shown where there is room for it and all before it in importance."""

    name: str
    title: str
    width: int
    importance: int
    meaning: str


COLUMNS = (
    Column("output", "output", 10, 5, "channels × height × width of what comes out"),
    Column("width", "width", 5, 12, "channels of what comes out"),
    Column("mid", "mid", 4, 8, "channels of the bottleneck"),
    Column("groups", "g", 3, 4, "groups of the convolutions"),
    Column("macs", "MACs", 9, 1, "multiply-adds for one image"),
    Column("share", "share", 4 + BAR_WIDTH, 3, "part of all MACs that run"),
    Column("params", "params", 7, 6, "weights and biases"),
    Column("std", "std", 5 + BAR_WIDTH, 2, "standard deviation of the weights"),
    Column("weights", "weights", 10, 10, "how many weights there are from lowest to highest"),
    Column("worth", "worth F1", 8, 7, "F1 that cutting a unit may cost before it stops paying"),
    Column("cost", "cost F1", 8, 9, "F1 lost with the unit off, as measured; negative is a gain"),
    Column("kept", "kept", 5, 11, "importance of the weights that the last edit kept"),
)
NAMES = tuple(column.name for column in COLUMNS)
ABSENT = {
    "weights": "no weights are known yet",
    "cost": "no unit was off and measured yet",
    "kept": "the last step cut no weights",
}
"""Why a column has nothing to show; these are left out then."""
SEVERAL = 3
"""Units whose cost is known from which on the column comes before others."""
AS_SCANNED = 2.5
"""Its importance then."""


class Scale(msgspec.Struct, frozen=True):
    """What the cells are measured against: the largest of all rows."""

    share: float = 1.0
    std: float = 1.0
    widths: tuple[int, ...] = ()
    """Cells that each of `COLUMNS` needs, at least its own width."""
    name_width: int = NAME_WIDTH
    filled: frozenset[str] = frozenset(NAMES)
    """Columns in which some row has a value."""
    is_compared: bool = False
    is_scanned: bool = False
    """Whether the cost of several units was measured, which is then worth its room."""


class Layout(msgspec.Struct, frozen=True):
    """The columns that are shown, each as wide as it needs, and the room for names."""

    columns: tuple[Column, ...] = ()
    name_width: int = NAME_WIDTH


def scale(rows: Sequence[Row]) -> Scale:
    """What the cells of these rows are measured against."""
    most = {
        "output": max((len(row.output) for row in rows), default=0),
        "macs": len(f"{max((row.macs for row in rows), default=0):,}"),
        "params": len(f"{max((row.params for row in rows), default=0):,}"),
        "cost": max((len(_cost(row)) for row in rows), default=0),
    }
    filled = set(NAMES) - set(ABSENT)
    filled |= {"weights"} if any(row.weights for row in rows) else set()
    filled |= {"cost"} if any(row.cost is not None for row in rows) else set()
    filled |= {"kept"} if any(row.kept is not None for row in rows) else set()
    is_compared = any(row.change is not None for row in rows)
    return Scale(
        share=max((row.share for row in rows), default=0.0) or 1.0,
        std=max((row.std for row in rows if row.std is not None), default=0.0) or 1.0,
        widths=tuple(max(c.width, most.get(c.name, 0) + is_compared) for c in COLUMNS),
        name_width=max((_label_width(row) for row in rows), default=0),
        filled=frozenset(filled),
        is_compared=is_compared,
        is_scanned=sum(row.cost is not None for row in rows) >= SEVERAL,
    )


def layout(width: int, of: Scale, chosen: tuple[str, ...] = ()) -> Layout:
    """The columns that fit: those chosen, in their order, or the usual ones.

    Of the usual ones none is shown that is less important than one without room.
    """
    room = width - NAME_WIDTH - 2
    wide = dict(zip(NAMES, of.widths or [c.width for c in COLUMNS], strict=True))
    by_name = {column.name: column for column in COLUMNS}
    usual = sorted(COLUMNS, key=lambda column: _importance(column, of))
    shown: list[str] = []
    for name in chosen or [column.name for column in usual]:
        if name not in of.filled:
            continue
        if wide[name] + 1 > room:
            if chosen:
                continue
            break
        room -= wide[name] + 1
        shown.append(name)
    if not chosen:
        shown.sort(key=NAMES.index)
    return Layout(
        tuple(msgspec.structs.replace(by_name[name], width=wide[name]) for name in shown),
        min(max(of.name_width, NAME_WIDTH), NAME_WIDTH + room + 1),
    )


def _importance(column: Column, of: Scale) -> float:
    return AS_SCANNED if column.name == "cost" and of.is_scanned else column.importance


def header(layout: Layout, sort: str, *, is_compared: bool) -> str:
    """The titles over their columns; the sorted one has an arrow, compared ones a sign."""
    text = " " + "network".ljust(layout.name_width)
    for column in layout.columns:
        sign = "±" if is_compared and column.name in ("macs", "params", "width") else ""
        arrow = ("▼" if SORTS[sort].is_descending else "▲") if column.name == sort else ""
        text += _placed(column, arrow + sign + column.title)
    return text


def _placed(column: Column, title: str) -> str:
    """Numbers to the right, over the gap where they must; bars have their title over the bar."""
    if column.name in ("share", "weights"):
        return f" {title}".ljust(column.width + 1)
    if column.name == "std":
        return title.rjust(6).ljust(column.width + 1)
    return title.rjust(column.width + 1)


def column_at(layout: Layout, x: int) -> str:
    """Name of the column at a cell of a line, empty where there is none."""
    at = 1 + layout.name_width
    for column in layout.columns:
        if at <= x <= at + column.width:
            return column.name
        at += column.width + 1
    return ""


def label(row: Row, width: int, *, is_open: bool) -> str:
    """Arrow, mark and name in so many cells, with a gap where a letter comes after them."""
    arrow = ("▾ " if is_open else "▸ ") if row.has_children else "  "
    mark = ("● " if row.is_on else "○ ") if row.unit else ""
    down = " ↓" if row.is_downsampling else ""
    indent = "  " * row.depth
    gap = "" if letter(row) == " " else " "
    room = width - len(indent + arrow + mark + down + gap)
    return numbers.fitted(indent + arrow + mark + _shortened(row.name, room) + down, width)


def _shortened(name: str, room: int) -> str:
    """A name with its middle left out: layers of a unit mostly differ at the end."""
    if cell_len(name) <= room:
        return name
    end = name[-(room // 3) :] if room >= 9 else ""
    return numbers.shortened(name, room - cell_len(end)) + end


def _label_width(row: Row) -> int:
    signs = 2 + 2 * bool(row.unit) + 2 * row.is_downsampling + (letter(row) != " ")
    return 2 * row.depth + signs + cell_len(row.name)


def letter(row: Row) -> str:
    """One letter for what was done to a row, besides switching it off."""
    return "D" if row.is_decomposed else "E" if row.is_changed else " "


def cell(column: Column, row: Row, of: Scale) -> list[Piece]:
    """What stands in a cell, as wide as its column."""
    match column.name:
        case "share" if row.is_on and row.macs:
            share = numbers.percent(row.share)
            filled = numbers.bar(row.share / of.share, BAR_WIDTH)
            return [(filled, "share"), (share.rjust(column.width - BAR_WIDTH), "")]
        case "std" if row.std is not None:
            filled = numbers.bar(row.std / of.std, BAR_WIDTH - 1)
            return [
                (numbers.ratio(row.std).rjust(5) + " ", ""),
                (filled, "std" if row.is_on else ""),
            ]
        case "weights" if row.weights:
            return [(sparkline(row.weights, column.width), "std" if row.is_on else "")]
    text = _text(column.name, row)
    if len(text) > column.width:
        text = numbers.shortened(text, column.width)
    return [(text.rjust(column.width), "")]


def _text(name: str, row: Row) -> str:
    if row.change is not None and name in ("macs", "params", "width"):
        return _changed(name, row)
    match name:
        case "macs" if row.unit and not row.is_on:
            return "off"
        case "macs":
            return f"{row.macs:,}" if row.macs and row.is_on else ""
        case "params":
            return f"{row.params:,}" if row.params else ""
        case "output":
            return row.output
        case "width" | "mid" | "groups":
            value = {"width": row.width, "mid": row.mid, "groups": row.groups}[name]
            return "" if value is None else str(value)
        case "worth" if row.level == "unit" and row.unit:
            return "needed" if row.worth is None else numbers.ratio(row.worth, 4)
        case "cost":
            return _cost(row)
        case "kept" if row.kept is not None:
            return f"{row.kept:.0%}" if row.kept in (0, 1) else f"{row.kept:.1%}"
    return ""


def _changed(name: str, row: Row) -> str:
    assert row.change is not None
    value: int = getattr(row.change, name)
    has_none = (row.width if name == "width" else getattr(row, name)) in (0, None)
    if value == 0:
        return "" if has_none else EQUAL
    return numbers.signed(value, ",d")


def _cost(row: Row) -> str:
    """What a unit was measured to cost; where the network has changed since, in which variant."""
    if row.cost is None:
        return ""
    of = f"v{row.cost.measured_from} " if row.is_cost_old else ""
    return of + lost(-row.cost.best)


def lost(f1: float) -> str:
    """F1 lost, without its leading zero; negative where it was gained."""
    figure = numbers.ratio(abs(f1), 4)
    return f"{numbers.MINUS if f1 < 0 and figure != '.0000' else ''}{figure}"


def sparkline(weights: Iterable[LayerStats], width: int) -> str:
    """How many weights there are from the lowest to the highest, as bars of eight heights."""
    known = [stats for stats in weights if stats.histogram]
    if not known:
        return " " * width
    low, high = min(stats.low for stats in known), max(stats.high for stats in known)
    bins = [0] * width
    for stats in known:
        step = (stats.high - stats.low) / len(stats.histogram)
        for index, count in enumerate(stats.histogram):
            centre = stats.low + (index + 0.5) * step
            at = int((centre - low) / (high - low) * width) if high > low else width // 2
            bins[min(at, width - 1)] += count
    most = max(bins) or 1
    return "".join(LEVELS[round(count / most * 7)] if count else " " for count in bins)
