"""Draws rows of the tree as strips of styled text, each once until it changes."""

import re
from collections.abc import Callable
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from widgets import tree_columns
from widgets.rows import Row
from widgets.tree_columns import Layout, Scale

GAP = re.compile(r"(^ +|  +)")
MOST = 2_000
"""Strips that are kept: what scrolled away long ago is drawn again when it comes back."""


class TreeStrips:
    """Rows as last drawn. `style` looks a part's style up; without a name, the widget's own."""

    def __init__(self, style: Callable[[str], Style]) -> None:
        self.layout = Layout()
        self.scale = Scale()
        self.width = 0
        self._style = style
        self._drawn: dict[str, Strip] = {}

    def clear(self) -> dict[str, Strip]:
        """Draw everything anew from now on; gives what was drawn."""
        drawn, self._drawn = self._drawn, {}
        return drawn

    def forget(self, path: str) -> None:
        """Draw a row anew."""
        self._drawn.pop(path, None)

    def row(self, row: Row, *, is_open: bool, is_cursor: bool, is_marked: bool) -> Strip:
        """One row over the whole width."""
        if row.path not in self._drawn:
            if len(self._drawn) >= MOST:
                self._drawn.clear()
            base = self._base(row, is_cursor=is_cursor, is_marked=is_marked)
            self._drawn[row.path] = self._row(row, base, is_open=is_open, is_marked=is_marked)
        return self._drawn[row.path]

    def line(self, text: str, name: str) -> Strip:
        """A line of one style."""
        style = self._style("") + self._style(name)
        return Strip(_pieces(text, style)).adjust_cell_length(self.width, style)

    def _base(self, row: Row, *, is_cursor: bool, is_marked: bool) -> Style:
        base = self._style("") + self._style(row.level if row.is_on else "off")
        if row.change is not None:
            base += self._style("equal" if row.change.is_equal else "changed")
        elif row.is_changed:
            base += self._style("changed")
        if is_marked:
            base += self._style("marked")
        return base + self._style("cursor") if is_cursor else base

    def _row(self, row: Row, base: Style, *, is_open: bool, is_marked: bool) -> Strip:
        label = tree_columns.label(row, self.layout.name_width, is_open=is_open)
        pieces = [("✓" if is_marked else " ", ""), (label, "")]
        gap = tree_columns.letter(row)
        for column in self.layout.columns:
            pieces += [(gap, ""), *tree_columns.cell(column, row, self.scale)]
            gap = " "
        segments: list[Segment] = []
        for name, run in groupby(pieces, key=lambda piece: piece[1]):
            style = base + self._style(name) if name else base
            segments += _pieces("".join(text for text, _ in run), style)
        return Strip(segments).adjust_cell_length(self.width, base)


def _pieces(text: str, style: Style) -> list[Segment]:
    """Text with its gaps as pieces of their own.

    So pictures stay aligned: some SVG viewers drop leading spaces, and few have every sign as wide
    as a letter.
    """
    return [Segment(part, style) for part in GAP.split(text) if part]
