"""Asks where a session that branches off is to lie."""

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Static

from widgets import numbers
from widgets.binding import Binding
from workbench.screens.dialog import Dialog


class BranchScreen(Dialog[Path | None]):
    """Answers with a folder that does not exist yet."""

    STYLE = "BranchScreen > .dialog { width: 80; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("enter", "answer", "Branch"),  # also before the field has the focus
    ]

    def __init__(self, source: Path, seconds: float) -> None:
        super().__init__()
        self._source, self._seconds = source, seconds

    def compose(self) -> ComposeResult:
        """A folder to type."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Go on from {numbers.duration(self._seconds)}"
            dialog.border_subtitle = "escape closes"
            yield Static("Live, in a new session; the recording stays as it is")
            yield Input(str(free_folder(self._source)))
            yield Label("", id="hint")
            with Horizontal(classes="buttons"):
                yield Button("Branch (enter)", id="branch", compact=True, variant="primary")
                yield Button("Cancel (escape)", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        """Answer with the folder."""
        self.action_answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Branch, or not."""
        if event.button.id == "branch":
            self.action_answer()
        else:
            self.dismiss(None)

    def action_answer(self) -> None:
        """Answer with the folder, where it is free."""
        typed = self.query_one(Input).value.strip()
        out = Path(typed).expanduser().absolute()
        if not typed:
            self._hint("type the name of a folder that does not exist yet")
        elif out.exists() and (not out.is_dir() or any(out.iterdir())):
            self._hint("this folder is in use: type one that does not exist yet")
        else:
            self.dismiss(out)

    def _hint(self, words: str) -> None:
        self.query_one("#hint", Label).update(Text(words, style="bold yellow"))


def free_folder(source: Path) -> Path:
    """A folder beside the session that does not exist."""
    source = source.absolute()
    number = 1
    while (out := source.with_name(f"{source.name}-branch{number}")).exists():
        number += 1
    return out
