"""The tree of stages, units and layers: aligned columns, a cursor, folds, a sticky header.

Lines are drawn one by one, so that only rows that changed are painted again.
"""

from typing import ClassVar

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets import numbers
from widgets.rows import Row

NAME_WIDTH = 20
BAR_WIDTH = 6


class Column(msgspec.Struct, frozen=True):
    """A column that is shown where there is room for it and all before it in importance."""

    title: str
    width: int
    importance: int


COLUMNS = (
    Column("output", 10, 5),
    Column("mid", 4, 8),
    Column("g", 3, 4),
    Column("MACs", 9, 1),
    Column("share", 4 + BAR_WIDTH, 3),
    Column("params", 7, 6),
    Column("std", 5 + BAR_WIDTH, 2),
    Column("worth F1", 8, 7),
)


class NetworkTree(ScrollView, can_focus=True):
    """Shows rows; asks for a unit to be toggled; tells which row is selected."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "tree--header",
        "tree--stage",
        "tree--unit",
        "tree--layer",
        "tree--off",
        "tree--share",
        "tree--std",
        "tree--changed",
        "tree--cursor",
    }
    DEFAULT_CSS = """
    NetworkTree {
        background: $surface;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .tree--header { color: $text-muted; background: $panel; }
        & > .tree--stage { text-style: bold; color: $text-accent; }
        & > .tree--unit { color: $foreground; }
        & > .tree--layer { color: $text-muted; }
        & > .tree--off { color: $text-disabled; text-style: dim; }
        & > .tree--share { color: $primary; }
        & > .tree--std { color: $success; }
        & > .tree--changed { color: $warning; }
        & > .tree--cursor { background: $panel-lighten-1; }
        &:focus > .tree--cursor { background: $primary-muted; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "First row", show=False),
        Binding("end,G", "edge(1)", "Last row", show=False),
        Binding("left,h", "fold", "Fold, or go to the parent", show=False),
        Binding("right,l", "unfold", "Unfold", show=False),
        Binding("enter", "fold_or_unfold", "Fold or unfold", show=False),
    ]

    rows: reactive[tuple[Row, ...]] = reactive(())
    cursor: reactive[str] = reactive("")
    """Path of the selected row."""

    class ToggleRequested(Message):
        """The user wants a unit off, or on again."""

        def __init__(self, unit: str) -> None:
            self.unit = unit
            super().__init__()

    class RowSelected(Message):
        """The cursor is on another row."""

        def __init__(self, path: str) -> None:
            self.path = path
            super().__init__()

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles: dict[str, Style] = {}
        self._lines: dict[str, Strip] = {}
        """Rows as last drawn, by path."""
        self._open: set[str] = set()
        self._visible: list[Row] = []
        self._columns: tuple[Column, ...] = ()
        self._largest_share = self._largest_std = 1.0

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self._choose_columns()
        self._lines.clear()
        self.virtual_size = Size(self.size.width, len(self._visible) + 1)
        self.call_after_refresh(self._scroll_to_cursor)
        self.refresh()

    def watch_rows(self, before: tuple[Row, ...], rows: tuple[Row, ...]) -> None:
        """Repaint what changed; folds and cursor stay."""
        if not before and rows:
            self._open = {row.path for row in rows if row.level == "stage" and row.unit == ""}
            self._open -= {row.parent for row in rows if row.level == "unit" and not row.unit}
            self.cursor = next((row.path for row in rows if row.is_removable), rows[0].path)
        shares = [row.share for row in rows]
        stds = [row.std for row in rows if row.std is not None]
        self._largest_share = max(shares, default=1.0) or 1.0
        self._largest_std = max(stds, default=1.0) or 1.0
        shown = [row.path for row in self._visible]
        drawn, self._lines = self._lines, {}
        self._find_visible()
        if shown != [row.path for row in self._visible]:
            self.refresh()
            return
        for y, row in enumerate(self._visible):
            # A change of a share that leaves its figure and its bar costs no repaint.
            if row.path in drawn and list(self._line(row)) != list(drawn[row.path]):
                self._refresh_row(y)

    def watch_cursor(self, before: str, cursor: str) -> None:
        """Repaint both rows, keep the cursor in sight, tell."""
        for path in (before, cursor):
            self._lines.pop(path, None)
            if (y := self._index(path)) is not None:
                self._refresh_row(y)
        self._scroll_to_cursor()
        if cursor:
            self.post_message(self.RowSelected(cursor))

    def render_line(self, y: int) -> Strip:
        """The header on the first line, rows below it."""
        if y == 0:
            return self._header_line()
        index = y - 1 + self.scroll_offset.y
        if index >= len(self._visible):
            return Strip.blank(self.size.width, self.rich_style)
        return self._line(self._visible[index])

    def action_toggle_unit(self) -> None:
        """Ask for the unit of the selected row to be switched; a stage is folded instead."""
        row = self._selected()
        if row is None:
            return
        if row.level == "stage":
            self.action_fold_or_unfold()
        else:
            self.post_message(self.ToggleRequested(row.unit or row.parent))

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self._go_to((self._index(self.cursor) or 0) + step)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a screen."""
        self.action_move(direction * max(self.size.height - 2, 1))

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first or last row."""
        self._go_to(len(self._visible) - 1 if end else 0)

    def action_fold(self) -> None:
        """Fold the row, or go to its parent."""
        row = self._selected()
        if row is None:
            return
        if row.path in self._open:
            self._set_open(row, is_open=False)
        elif row.parent:
            self.cursor = row.parent

    def action_unfold(self) -> None:
        """Show what is inside the row."""
        row = self._selected()
        if row is not None and row.has_children:
            self._set_open(row, is_open=True)

    def action_fold_or_unfold(self) -> None:
        """Change the fold of the row."""
        row = self._selected()
        if row is not None and row.has_children:
            self._set_open(row, is_open=row.path not in self._open)

    def on_click(self, event: events.Click) -> None:
        """Select a row; a click on its arrow folds, on its mark toggles."""
        index = event.y - 1 + self.scroll_offset.y
        if event.y == 0 or not 0 <= index < len(self._visible):
            return
        row = self._visible[index]
        self.cursor = row.path
        arrow = 1 + 2 * row.depth
        if row.has_children and event.x in (arrow, arrow + 1):
            self.action_fold_or_unfold()
        elif row.unit and event.x in (arrow + 2, arrow + 3):
            self.action_toggle_unit()

    def _selected(self) -> Row | None:
        index = self._index(self.cursor)
        return None if index is None else self._visible[index]

    def _index(self, path: str) -> int | None:
        return next((y for y, row in enumerate(self._visible) if row.path == path), None)

    def _go_to(self, index: int) -> None:
        if self._visible:
            self.cursor = self._visible[min(max(index, 0), len(self._visible) - 1)].path

    def _set_open(self, row: Row, *, is_open: bool) -> None:
        (self._open.add if is_open else self._open.discard)(row.path)
        self._lines.pop(row.path, None)
        self._find_visible()
        self._scroll_to_cursor()
        self.refresh()

    def _find_visible(self) -> None:
        shown: set[str] = {""}
        self._visible = []
        for row in self.rows:
            if row.parent in shown:
                self._visible.append(row)
                if row.path in self._open:
                    shown.add(row.path)
        self.virtual_size = Size(self.size.width, len(self._visible) + 1)

    def _scroll_to_cursor(self) -> None:
        index = self._index(self.cursor)
        height = self.size.height - 1
        if index is None or height < 1:
            return
        top = self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)

    def _refresh_row(self, index: int) -> None:
        y = index + 1 - self.scroll_offset.y
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling moves every row under the header."""
        super().watch_scroll_y(old_value, new_value)
        self.refresh()

    def _choose_columns(self) -> None:
        room = self.size.width - NAME_WIDTH - 2
        chosen: list[Column] = []
        for column in sorted(COLUMNS, key=lambda c: c.importance):
            if column.width + 1 > room:
                break
            room -= column.width + 1
            chosen.append(column)
        self._columns = tuple(column for column in COLUMNS if column in chosen)

    def notify_style_update(self) -> None:
        """Look the styles up again."""
        super().notify_style_update()
        self._styles.clear()
        self._lines.clear()

    def _style(self, name: str) -> Style:
        """A part's style; without a name, that of the widget itself."""
        if name not in self._styles:
            self._styles[name] = (
                self.get_component_rich_style(f"tree--{name}", partial=True)
                if name
                else self.rich_style
            )
        return self._styles[name]

    def _header_line(self) -> Strip:
        text = " " + "network".ljust(NAME_WIDTH)
        for column in self._columns:
            text += " " + _placed(column, column.title)
        style = self._style("") + self._style("header")
        return Strip([Segment(text.ljust(self.size.width), style)]).crop(0, self.size.width)

    def _line(self, row: Row) -> Strip:
        if row.path not in self._lines:
            self._lines[row.path] = self._drawn(row)
        return self._lines[row.path]

    def _drawn(self, row: Row) -> Strip:
        base = self._style("") + self._style(row.level if row.is_on else "off")
        if row.is_changed:
            base += self._style("changed")
        if row.path == self.cursor:
            base += self._style("cursor")
        indent = "  " * row.depth
        label = self._label(row)
        segments = [
            Segment(" " + indent, base),
            Segment(label.ljust(NAME_WIDTH - len(indent)), base),
        ]
        for column in self._columns:
            segments.append(Segment(" ", base))
            segments += self._cell(column, row, base)
        used = sum(segment.cell_length for segment in segments)
        segments.append(Segment(" " * max(self.size.width - used, 0), base))
        return Strip(segments).crop(0, self.size.width)

    def _label(self, row: Row) -> str:
        arrow = ("▾ " if row.path in self._open else "▸ ") if row.has_children else "  "
        mark = ("● " if row.is_on else "○ ") if row.unit else ""
        down = " ↓" if row.is_downsampling else ""
        return numbers.shortened(arrow + mark + row.name + down, NAME_WIDTH - 2 * row.depth)

    def _cell(self, column: Column, row: Row, base: Style) -> list[Segment]:
        match column.title:
            case "share" if row.is_on and row.macs:
                share = numbers.percent(row.share)
                filled = numbers.bar(row.share / self._largest_share, BAR_WIDTH)
                return [
                    Segment(filled, base + self._style("share")),
                    Segment(" " * (4 - len(share)), base),
                    Segment(share, base),
                ]
            case "std" if row.std is not None:
                filled = numbers.bar(row.std / self._largest_std, BAR_WIDTH - 1)
                return [
                    Segment(numbers.ratio(row.std).rjust(5) + " ", base),
                    Segment(filled, base + self._style("std") if row.is_on else base),
                ]
            case _:
                text = self._value(column, row)
                # The pad is a segment of its own: some SVG viewers drop leading spaces.
                return [Segment(" " * (column.width - len(text)), base), Segment(text, base)]

    def _value(self, column: Column, row: Row) -> str:
        match column.title:
            case "output":
                return row.output
            case "mid":
                return "" if row.mid is None else str(row.mid)
            case "g":
                return "" if row.groups is None else str(row.groups)
            case "MACs":
                if row.unit and not row.is_on:
                    return "off"
                return f"{row.macs:,}" if row.macs and row.is_on else ""
            case "params":
                return f"{row.params:,}" if row.params else ""
            case "worth F1" if row.level == "unit" and row.unit:
                return "needed" if row.worth is None else numbers.ratio(row.worth, 4)
            case _:
                return ""


def _placed(column: Column, text: str) -> str:
    """Numbers to the right; bars have their title over the bar."""
    if column.title == "share" and text == "share":
        return text.ljust(column.width)
    if column.title == "std" and text == "std":
        return text.rjust(5).ljust(column.width)
    return text.rjust(column.width)
