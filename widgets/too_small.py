"""What the screen says where it has no room for the rest."""

from rich.text import Text
from textual.widget import Widget

from widgets import numbers

LEAST = (64, 16)
"""Columns and rows below which the tree shows no figures or no rows."""


class TooSmall(Widget):
    """A line or two that name the size needed."""

    DEFAULT_CSS = """
    TooSmall { display: none; height: 1fr; width: 1fr; content-align: center middle; }
    """

    def render(self) -> Text:
        """How large the terminal is, and how large it should be."""
        size = self.screen.size
        lines = (
            "terminal too small",
            f"{size.width}×{size.height}, at least {LEAST[0]}×{LEAST[1]}",
        )
        shown = [numbers.shortened(line, self.size.width) for line in lines[: self.size.height]]
        return Text("\n".join(shown), justify="center", no_wrap=True)


def is_too_small(width: int, height: int) -> bool:
    """Whether the screen has too little room."""
    return width < LEAST[0] or height < LEAST[1]
