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

    view: reactive[TableView] = reactive(TableView())

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
        return ((line(self.view.columns, row.cells, width), row.style),)

    def watch_view(self, before: TableView, view: TableView) -> None:
        """Keep the cursor on its row; on the first place it stays there."""
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


def line(columns: tuple[Column, ...], cells: tuple[str, ...], width: int) -> str:
    """Cells in their columns, in a line of at most a width."""
    shown = [
        (column, cell)
        for column, cell in zip(columns, cells, strict=True)
        if column.least <= width <= (column.most or width)
    ]
    fixed = sum(column.width for column, _ in shown) + len(GAP) * max(len(shown) - 1, 0)
    room = max(width - fixed, 4)
    words = []
    for column, cell in shown:
        wide = column.width or room
        short = numbers.shortened(cell, wide)
        pad = " " * (wide - cell_len(short))
        words.append(pad + short if column.is_right else short + pad)
    return numbers.shortened(GAP.join(words).rstrip(), width)


def heading(view: TableView, width: int) -> Text:
    """The titles over the columns; nothing where there are no rows."""
    if not view.rows:
        return Text("")
    titles = tuple(column.title for column in view.columns)
    return Text(line(view.columns, titles, width), style="bold", no_wrap=True)
