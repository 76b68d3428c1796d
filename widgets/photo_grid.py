"""Photos in rows, each with a few lines of words under it."""

from typing import NamedTuple

from rich.text import Text
from textual.widgets import Static

from widgets import numbers
from widgets.photos import photo_lines

SMALLEST, LARGEST = 16, 32
"""Edges of a photo in cells."""
GAP = 2


class Photo(NamedTuple):
    """An image and its words."""

    image: bytes
    """RGB, edge * edge * 3."""
    lines: tuple[str, ...]


def edge_for(width: int) -> int:
    """The edge of photos of which as many as possible stand beside each other, and are seen."""
    beside = max(width // (24 + GAP), 1)
    return min(max(width // beside - GAP, SMALLEST), LARGEST)


class PhotoGrid(Static):
    """As many photos beside each other as there is room for."""

    DEFAULT_CSS = "PhotoGrid { height: auto; }"

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._photos: tuple[Photo, ...] = ()
        self._edge = 1

    def show(self, photos: tuple[Photo, ...], edge: int) -> None:
        """Draw these."""
        self._photos, self._edge = photos, edge
        self.update(grid_text(photos, edge, self.size.width))

    def on_resize(self) -> None:
        """Another number may fit."""
        if self._photos:
            self.update(grid_text(self._photos, self._edge, self.size.width))


def grid_text(photos: tuple[Photo, ...], edge: int, width: int) -> Text:
    """The photos as lines."""
    beside = max((width + GAP) // (edge + GAP), 1)
    lines: list[Text] = []
    for start in range(0, len(photos), beside):
        row = photos[start : start + beside]
        drawn = [photo_lines((photo.image,), edge) for photo in row]
        for parts in zip(*drawn, strict=True):
            # photo_lines puts one space behind each image
            lines.append(Text(" " * (GAP - 1)).join(parts))
        for words in zip(*(photo.lines for photo in row), strict=True):
            fitted = (numbers.fitted(word, edge) for word in words)
            lines.append(Text((" " * GAP).join(fitted)))
        lines.append(Text(""))
    return Text("\n", no_wrap=True).join(lines)
