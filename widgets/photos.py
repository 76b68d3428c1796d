"""Images in a terminal: two pixels a cell, the upper in the foreground, the lower behind it."""

from rich.color import Color
from rich.style import Style
from rich.text import Text
from textual.widgets import Static

UPPER_HALF = "▀"


class Photos(Static):
    """Rows of images under their names."""

    DEFAULT_CSS = "Photos { height: auto; width: auto; }"

    def show(self, rows: tuple[tuple[bytes, ...], ...], names: tuple[str, ...], edge: int) -> None:
        """Draw these images, RGB bytes of edge * edge * 3."""
        lines = [
            line
            for name, images in zip(names, rows, strict=True)
            for line in (Text(name, style="bold"), *photo_lines(images, edge))
        ]
        self.update(Text("\n").join(lines))


def photo_lines(images: tuple[bytes, ...], edge: int) -> list[Text]:
    """Images side by side, edge / 2 lines (rounded up)."""
    lines = []
    for top in range(0, edge, 2):
        line = Text()
        for image in images:
            for x in range(edge):
                line.append(UPPER_HALF, _style(image, edge, x, top))
            line.append(" ")
        lines.append(line)
    return lines


def _style(image: bytes, edge: int, x: int, y: int) -> Style:
    upper = _colour(image, edge, x, y)
    lower = _colour(image, edge, x, y + 1) if y + 1 < edge else None
    return Style(color=upper, bgcolor=lower)


def _colour(image: bytes, edge: int, x: int, y: int) -> Color:
    at = 3 * (y * edge + x)
    return Color.from_rgb(*image[at : at + 3])
