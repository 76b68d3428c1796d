"""Images in a terminal: two pixels a cell, the upper in the foreground, the lower behind it.

A screen of photos is tens of thousands of cells with a style each: lines are made when they come
into sight, and colours that no eye can tell apart share a style.
"""

from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

UPPER_HALF = "▀"
SHADES = bytes(value & 0xF8 | value >> 5 for value in range(256))
"""What is shown of a channel: 32 steps from 0 to 255."""


class Photos(Widget):
    """Rows of images under their names."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Photos { height: auto; width: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[tuple[bytes, ...], ...] = ()
        self._names: tuple[str, ...] = ()
        self._edge = 1

    def show(self, rows: tuple[tuple[bytes, ...], ...], names: tuple[str, ...], edge: int) -> None:
        """Draw these images, RGB bytes of edge * edge * 3."""
        self._rows = tuple(tuple(shown(image) for image in row) for row in rows)
        self._names, self._edge = names, edge
        self.refresh(layout=True)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Of the longest row."""
        return max((len(row) for row in self._rows), default=0) * (self._edge + 1)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Of all rows."""
        return len(self._rows) * (1 + photo_height(self._edge))

    def render_line(self, y: int) -> Strip:
        """A name or a line of images."""
        row, line = divmod(y, 1 + photo_height(self._edge))
        if row >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        if not line:
            return Strip([Segment(self._names[row], self.rich_style + Style(bold=True))])
        gap = Segment(" ", self.rich_style)
        cells: list[Segment] = []
        for image in self._rows[row]:
            cells += [*photo_cells(image, self._edge, line - 1), gap]
        return Strip(cells)


def shown(image: bytes) -> bytes:
    """An image in the colours that `photo_cells` is given: the fewer, the less there is to hold."""
    return image.translate(SHADES)


def photo_height(edge: int) -> int:
    """Lines of an image."""
    return -(-edge // 2)


def photo_cells(image: bytes, edge: int, line: int) -> list[Segment]:
    """One of an image's lines, `edge` cells; equal neighbours are one segment."""
    width, upper = 3 * edge, 6 * edge * line
    cells: list[Segment] = []
    run, before = 0, None
    for at in range(upper, upper + width, 3):
        style = _style(image[at : at + 3], image[at + width : at + width + 3])
        if style is not before and before is not None:
            cells.append(Segment(UPPER_HALF * run, before))
            run = 0
        run, before = run + 1, style
    cells.append(Segment(UPPER_HALF * run, before))
    return cells


@lru_cache(4096)
def _style(upper: bytes, lower: bytes) -> Style:
    """Of a cell; the lower pixel may be missing in the last line."""
    return Style(color=_colour(upper), bgcolor=_colour(lower) if lower else None)


@lru_cache(4096)
def _colour(pixel: bytes) -> Color:
    return Color.from_rgb(*pixel)
