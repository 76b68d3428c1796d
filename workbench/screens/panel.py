"""A screen over the main one that is opened and closed by one key, and follows the state."""

from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from sessions.state import SessionState
from widgets.binding import Binding

Answer = TypeVar("Answer")


class PanelScreen(ModalScreen[Answer], Generic[Answer]):
    """Fills the terminal; `show_state` is called whenever something happened."""

    DEFAULT_CSS = """
    PanelScreen {
        background: $surface;
        & > .panel-body {
            width: 100%;
            height: 100%;
            padding: 0 1;
            border: round $primary;
            border-title-style: bold;
            border-subtitle-color: $text-muted;
            background: $surface;
        }
        & .hint { color: $text-muted; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close_panel", "Close", tooltip="Back to the main screen"),
    ]

    def __init__(self, state: SessionState, *, is_live: bool) -> None:
        super().__init__()
        self.state = state
        self.is_live = is_live

    def compose(self) -> ComposeResult:
        """A frame, with what the panel puts into it."""
        with Vertical(classes="panel-body"):
            yield from self.compose_body()

    def compose_body(self) -> ComposeResult:
        """What is inside of the frame."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show the state that it was opened with."""
        self.show_state(self.state)

    def show_state(self, state: SessionState) -> None:
        """Show a state."""
        raise NotImplementedError

    def head(self, text: str, subtitle: str = "escape closes") -> None:
        """Write on the frame; what a user typed is no markup there."""
        body = self.query_one(".panel-body")
        body.border_title = Text(text)
        body.border_subtitle = subtitle

    def action_close_panel(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
