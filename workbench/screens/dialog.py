"""What every dialog is: a box over the screens below, which stand still behind it."""

from typing import Generic, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen

Answer = TypeVar("Answer")
DIM = Style(dim=True, bold=False)
"""Of what lies below where there are no colours; bold would undo it in some terminals."""


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """The `.dialog` inside is the box; a subclass gives it a width.

    A screen that opens is painted several times, and each time Textual would draw and tint
    everything below it anew, which takes longer than the dialog itself. Here that is done once,
    and again when something below has changed.
    """

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > .dialog {
            max-width: 100%;
            height: auto;
            max-height: 90%;
            padding: 1 2;
            border: round $primary;
            border-title-style: bold;
            border-subtitle-color: $text-muted;
            background: $surface;
        }
        & .dialog, & VerticalScroll, & OptionList {
            scrollbar-size-vertical: 1;
            scrollbar-background: $surface;
            scrollbar-background-hover: $surface;
            scrollbar-background-active: $surface;
        }
        & .buttons { height: 1; margin-top: 1; }
        & .buttons Button { margin-right: 2; }
    }
    """

    _still: tuple[object, "Still"] | None = None
    """What lies below, and for which screen, size and tint."""

    def render(self) -> RenderableType:
        """The screens below, tinted."""
        below = super().render()
        if not isinstance(below, BackgroundScreen):
            return below
        is_dim = self.app.no_color  # where a tint is not seen
        made_for = (below.screen, self.size, below.color, is_dim)
        if self._still is None or self._still[0] != made_for:
            self._still = made_for, Still(below, self.app.console, self.size, is_dim=is_dim)
        return self._still[1]

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> "Dialog[Answer]":
        """Paint again; a screen below that has changed names the regions where."""
        if regions:
            self._still = None
        super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        return self

    def on_screen_suspend(self) -> None:
        """What changes below while another dialog lies over this one is not told to this one."""
        self._still = None


class Still:
    """The segments of a renderable, drawn once."""

    def __init__(
        self, what: RenderableType, console: Console, size: Size, *, is_dim: bool = False
    ) -> None:
        options = console.options.update(width=size.width, height=size.height)
        segments = console.render(what, options)
        self._segments = list(Segment.apply_style(segments, None, DIM) if is_dim else segments)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As it was."""
        return self._segments
