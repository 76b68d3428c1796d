"""Cells to draw a plane on: characters, dots of braille beneath them, and where values lie."""

import msgspec
from rich.text import Text

BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell by row and column."""
LABELS = 6
"""Columns left of the plane."""
LEAST_SPAN = 0.04
"""Of F1: differences below are noise, and are not blown up."""
LEAST_SHARE = 0.1
"""Of the largest MACs that the plane spans at least."""
MARGIN = 0.08


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The plane inside a canvas, and what it spans."""

    left: int
    right: int
    top: int
    bottom: int
    """First and last cells, all inside."""
    macs_low: float
    macs_high: float
    f1_low: float
    f1_high: float

    @classmethod
    def around(cls, macs: list[int], f1s: list[float], width: int, height: int) -> "Frame | None":
        """With room for all values and the labels; None where the canvas is too small."""
        left, right, top, bottom = LABELS, width - 1, 1, height - 3
        if right - left < 12 or bottom - top < 3 or not macs:
            return None
        macs_low, macs_high = _widened(min(macs), max(macs), LEAST_SHARE * max(macs))
        f1_low, f1_high = _widened(min(f1s), max(f1s), LEAST_SPAN)
        return cls(
            left=left, right=right, top=top, bottom=bottom,
            macs_low=max(macs_low, 0.0), macs_high=macs_high,
            f1_low=max(f1_low, 0.0), f1_high=f1_high,
        )  # fmt: skip

    @property
    def columns(self) -> int:
        """Cells from left to right."""
        return self.right - self.left + 1

    @property
    def rows(self) -> int:
        """Cells from top to bottom."""
        return self.bottom - self.top + 1

    def cell(self, macs: float, f1: float) -> tuple[int, int]:
        """Column and row of a value on the canvas; those outside are put on the rim."""
        across = (macs - self.macs_low) / (self.macs_high - self.macs_low)
        column = self.left + min(max(int(across * self.columns), 0), self.columns - 1)
        row = self.top + min(max(self.dot_row(f1) // 4, 0), self.rows - 1)
        return column, row

    def macs_at(self, column: float) -> float:
        """MACs at a place between columns."""
        across = (column - self.left) / self.columns
        return self.macs_low + across * (self.macs_high - self.macs_low)

    def dot_row(self, f1: float) -> int:
        """Dots below the upper rim, four a row."""
        down = (self.f1_high - f1) / (self.f1_high - self.f1_low)
        return int(down * 4 * self.rows)


def _widened(low: float, high: float, least: float) -> tuple[float, float]:
    span = max(high - low, least)
    middle = (low + high) / 2
    half = span * (0.5 + MARGIN)
    return middle - half, middle + half


class Canvas:
    """Characters with a style; what is put later stands over what was put before."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells: dict[tuple[int, int], tuple[str, str]] = {}
        self._dots: dict[tuple[int, int], tuple[int, str]] = {}
        self._taken: set[tuple[int, int]] = set()

    def dot(self, x: int, y: int, style: str) -> None:
        """A dot, two to a column and four to a row."""
        cell = (x // 2, y // 4)
        bits, _ = self._dots.get(cell, (0, ""))
        self._dots[cell] = (bits | DOTS[y % 4][x % 2], style)

    def put(self, column: int, row: int, text: str, style: str) -> None:
        """Characters of one cell each."""
        for offset, character in enumerate(text):
            if 0 <= column + offset < self.width and 0 <= row < self.height:
                self._cells[column + offset, row] = (character, style)

    def put_behind(self, column: int, row: int, character: str, style: str) -> None:
        """A character that leaves labels alone."""
        if (column, row) not in self._taken:
            self.put(column, row, character, style)

    def take(self, column: int, row: int) -> None:
        """Keep labels off a cell."""
        self._taken.add((column, row))

    def put_if_free(self, column: int, row: int, text: str, style: str) -> bool:
        """Put a label where no other label and nothing that was taken stands; tells whether."""
        cells = [(column + offset, row) for offset in range(len(text))]
        if any(cell in self._taken for cell in cells):
            return False
        self._taken.update(cells)
        self.put(column, row, text, style)
        return True

    def text(self) -> Text:
        """All lines."""
        lines = []
        for row in range(self.height):
            line = Text(no_wrap=True)
            for column in range(self.width):
                character, style = self._cells.get((column, row), ("", ""))
                if not character:
                    bits, style = self._dots.get((column, row), (0, ""))
                    character = chr(BRAILLE + bits) if bits else " "
                line.append(character, style)
            lines.append(line)
        return Text("\n").join(lines)
