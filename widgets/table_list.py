"""A table that is a list: columns of fixed width, one that takes the rest, a cursor on a row.

Rows are known by a key: when they come, go or change places, the cursor stays on its row, but on
the first place it stays with whatever is first.
"""

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual.reactive import reactive

from widgets import numbers
from widgets.line_list import LineList, Parts

GAP = "  "
SPARE = 3
"""Cells that the free column may be wider than its longest cell."""
AT_RIGHT = 1
"""Cells that stay empty beside the scrollbar."""


class Column(msgspec.Struct, frozen=True):
    """A column of a table."""

    title: str
    width: int
    """In cells; 0 takes what the others leave."""
    is_right: bool = False
    """Whether it is written to the right, as numbers are."""
    least: int = 0
    """Cells of the whole table below which it is left out."""
    most: int = 0
    """Cells above which it is left out; 0 for none."""


class TableRow(msgspec.Struct, frozen=True):
    """A row: its key, a cell a column, and how it is written."""

    key: str
    cells: tuple[str, ...]
    style: str = ""


class TableView(msgspec.Struct, frozen=True, kw_only=True):
    """What a table shows."""

    columns: tuple[Column, ...] = ()
    rows: tuple[TableRow, ...] = ()
    word: str = ""
    """Why there is none."""


class TableList(LineList):
    """The rows below the heading, which `heading` writes."""

    DEFAULT_CSS = """
    TableList { scrollbar-gutter: stable; }
    """

    view: reactive[TableView] = reactive(TableView())
    _free = 0
    """Cells that the free column needs."""

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.view.rows)

    @property
    def word(self) -> str:
        """Why there are none."""
        return numbers.shortened(self.view.word, self.size.width)

    @property
    def selected(self) -> str:
        """The key of the row under the cursor; empty where there is none."""
        return self.view.rows[self.cursor].key if self.cursor < self.count else ""

    def parts(self, index: int, width: int) -> Parts:
        """A row."""
        row = self.view.rows[index]
        return ((line(self.view.columns, row.cells, width - AT_RIGHT, self._free), row.style),)

    def watch_view(self, before: TableView, view: TableView) -> None:
        """Keep the cursor on its row; on the first place it stays there."""
        self._free = free_width(view)
        if not self.is_mounted:
            return
        if self.cursor == 0:
            self.update()
            return
        key = before.rows[self.cursor].key if self.cursor < len(before.rows) else ""
        self.update()
        self.cursor = next((at for at, row in enumerate(view.rows) if row.key == key), 0)

    def select(self, key: str) -> None:
        """Go to a row, where it is there."""
        found = (at for at, row in enumerate(self.view.rows) if row.key == key)
        self.cursor = next(found, self.cursor)


def free_width(view: TableView) -> int:
    """Cells that the column without a width needs for its longest cell and its title."""
    free = [at for at, column in enumerate(view.columns) if not column.width]
    cells = [row.cells[at] for at in free for row in view.rows]
    return max(map(cell_len, (*cells, *(view.columns[at].title for at in free))), default=0)


def line(columns: tuple[Column, ...], cells: tuple[str, ...], width: int, free: int = 0) -> str:
    """Cells in their columns, in a line of at most a width.

    Args:
        free: cells that the column without a width needs, if it shall not take all that is left.
    """
    shown = [
        (column, cell)
        for column, cell in zip(columns, cells, strict=True)
        if column.least <= width <= (column.most or width)
    ]
    fixed = sum(column.width for column, _ in shown) + len(GAP) * max(len(shown) - 1, 0)
    room = max(width - fixed, 4)
    if free:
        room = min(room, free + SPARE)
    words = []
    for column, cell in shown:
        wide = column.width or room
        short = whole_items(cell, wide)
        pad = " " * (wide - cell_len(short))
        words.append(pad + short if column.is_right else short + pad)
    return numbers.shortened(GAP.join(words).rstrip(), width)


def whole_items(text: str, width: int) -> str:
    """Text of at most `width` cells; of a list, items are left out rather than cut."""
    if cell_len(text) <= width:
        return numbers.shortened(text, width)
    items = text.split(", ")
    for count in range(len(items) - 1, 0, -1):
        head = ", ".join(items[:count]) + ", …"
        if cell_len(head) <= width:
            return numbers.shortened(head, width)
    return numbers.shortened(text, width)


def heading(view: TableView, width: int) -> Text:
    """The titles over the columns; nothing where there are no rows."""
    if not view.rows:
        return Text("")
    titles = tuple(column.title for column in view.columns)
    words = line(view.columns, titles, width, free_width(view))
    return Text(words.replace(", …", "   "), style="bold", no_wrap=True)
