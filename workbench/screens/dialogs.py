"""Small dialogs over the main screen: help, save as."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

DIALOG_CSS = """
{name} {{
    align: center middle;
    & > .dialog {{
        width: {width};
        max-width: 95%;
        height: auto;
        max-height: 90%;
        padding: 1 2;
        border: round $primary;
        background: $surface;
    }}
}}
"""
EXPLAINED = (
    ("● ○", "unit on, unit off"),
    ("↓", "halves the resolution, has to stay"),
    ("share", "part of all MACs that run"),
    ("std", "standard deviation of the weights; low ones are cut first by the usual rule"),
    ("worth F1", "cutting the unit lowers the score if it costs less F1 than this"),
    ("→ .185", "F1 that measuring batch norm anew would bring, no weight changed"),
    ("r b f s", "on the F1 curve: raw, batch norm anew, layers fitted, short fine-tune"),
    ("score", "MACs and F1 in one number by the score rule; lower is better"),
)


class HelpScreen(ModalScreen[None]):
    """The keys, read from the bindings, and the words of the screen."""

    CSS = DIALOG_CSS.format(name="HelpScreen", width=76)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close"),
    ]

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self._rows = list(rows)

    def compose(self) -> ComposeResult:
        """Keys, then words."""
        keys = Table.grid(padding=(0, 2))
        for key, meaning in self._rows:
            keys.add_row(Text(key, style="bold"), meaning)
        words = Table.grid(padding=(0, 2))
        for word, meaning in EXPLAINED:
            words.add_row(Text(word, style="bold"), meaning)
        with VerticalScroll(classes="dialog"):
            yield Static(Text("Keys", style="bold underline"))
            yield Static(keys)
            yield Static(Text("\nOn the screen", style="bold underline"))
            yield Static(words)
            yield Static(Text("\nescape closes", style="dim"))


def help_rows(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """Keys and meaning of bindings, the keys of one meaning together."""
    rows: dict[str, list[str]] = {}
    for binding in bindings:
        assert isinstance(binding, Binding)
        keys = rows.setdefault(binding.tooltip or binding.description, [])
        keys += [binding.key_display] if binding.key_display else binding.key.split(",")
    return [(" ".join(keys), meaning) for meaning, keys in rows.items()]


class SaveScreen(ModalScreen[str | None]):
    """Asks for the file to save to."""

    CSS = DIALOG_CSS.format(name="SaveScreen", width=76)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, suggestion: str) -> None:
        super().__init__()
        self._suggestion = suggestion
        self._warned_of = ""
        """A file that exists, and that the user has been told of."""

    def compose(self) -> ComposeResult:
        """A path to type."""
        with Vertical(classes="dialog"):
            yield Label("Save the current variant as (.pt, .pth or .safetensors)")
            yield Input(self._suggestion)
            yield Label("enter saves, escape cancels", id="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer with the path; one that exists is to be confirmed."""
        path = event.value.strip()
        if path and Path(path).expanduser().exists() and path != self._warned_of:
            self._warned_of = path
            warning = f"{Path(path).name} exists: enter again overwrites it, escape cancels"
            self.query_one("#hint", Label).update(Text(warning, style="bold yellow"))
            return
        self.dismiss(path or None)
