"""What every dialog is: a box over the screens below, which stand still behind it."""

from typing import ClassVar, Generic, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


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
            background: $surface;
        }
        & .buttons { height: 1; margin-top: 1; }
        & .buttons Button { margin-right: 2; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    _still: tuple[object, "Still"] | None = None
    """What lies below, and for which screen, size and tint."""

    def render(self) -> RenderableType:
        """The screens below, tinted."""
        below = super().render()
        if not isinstance(below, BackgroundScreen):
            return below
        made_for = (below.screen, self.size, below.color)
        if self._still is None or self._still[0] != made_for:
            self._still = made_for, Still(below, self.app.console, self.size)
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

    def __init__(self, what: RenderableType, console: Console, size: Size) -> None:
        options = console.options.update(width=size.width, height=size.height)
        self._segments: list[Segment] = list(console.render(what, options))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As it was."""
        return self._segments
