"""Photos in rows, each with a few lines of words under it."""

from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from widgets import numbers
from widgets.photos import photo_cells, photo_height, shown

SMALLEST, LARGEST = 16, 32
"""Edges of a photo in cells."""
GAP = 2


class Photo(NamedTuple):
    """An image and its words."""

    image: bytes
    """RGB, edge * edge * 3."""
    lines: tuple[str, ...]
    """As many for every photo."""


def edge_for(width: int) -> int:
    """The edge of photos of which as many as possible stand beside each other, and are seen."""
    beside = max(width // (24 + GAP), 1)
    edge = min(max(width // beside - GAP, SMALLEST), LARGEST)
    return edge - edge % 2  # two pixels a cell: the last line has both


class PhotoGrid(Widget):
    """As many photos beside each other as there is room for."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "PhotoGrid { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._photos: tuple[Photo, ...] = ()
        self._edge = 1

    def show(self, photos: tuple[Photo, ...], edge: int) -> None:
        """Draw these."""
        self._photos = tuple(photo._replace(image=shown(photo.image)) for photo in photos)
        self._edge = edge
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Of all rows of photos."""
        rows = -(-len(self._photos) // beside(self._edge, width))
        return rows * block_height(self._photos, self._edge)

    def render_line(self, y: int) -> Strip:
        """A line of photos or of their words."""
        return grid_line(self._photos, self._edge, self.size.width, y, self.rich_style)


def beside(edge: int, width: int) -> int:
    """Photos in a row."""
    return max((width + GAP) // (edge + GAP), 1)


def block_height(photos: tuple[Photo, ...], edge: int) -> int:
    """Lines of a row of photos: images, words, an empty one."""
    return photo_height(edge) + max((len(photo.lines) for photo in photos), default=0) + 1


def grid_line(
    photos: tuple[Photo, ...], edge: int, width: int, y: int, style: Style | None = None
) -> Strip:
    """One of the lines of all photos; the style is that of words and gaps."""
    row, line = divmod(y, block_height(photos, edge))
    count = beside(edge, width)
    cells: list[Segment] = []
    for photo in photos[row * count : (row + 1) * count]:
        words = line - photo_height(edge)
        if words < 0:
            cells += photo_cells(photo.image, edge, line)
        else:
            said = "".join(photo.lines[words : words + 1])
            cells.append(Segment(numbers.fitted(said, edge), style))
        cells.append(Segment(" " * GAP, style))
    return Strip(cells)
