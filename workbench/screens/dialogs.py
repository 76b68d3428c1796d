"""Small dialogs over the main screen: help, save as."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.keys import format_key
from textual.widgets import Button, Input, Label, Static

from widgets import numbers
from workbench.screens.dialog import Dialog

EXPLAINED = (
    ("● ○", "unit on, unit off"),
    ("E D ✓", "edited, decomposed into thinner layers, marked"),
    ("↓", "halves the resolution, has to stay"),
    ("share", "part of all MACs that run"),
    ("std", "standard deviation of the weights; low ones are cut first by the usual rule"),
    ("worth F1", "cutting the unit lowers the score if it costs less F1 than this"),
    ("cost F1", "F1 lost with the unit off, as measured; v2 before it: measured in v2"),
    ("→ 0.772", "F1 that a recovery would bring, tried by itself, and the step it was tried to"),
    ("r b f s", "on the F1 curve: raw, batch norm anew, layers fitted, short fine-tune"),
    ("^r ^p", "ctrl and the letter together"),
    ("score", "MACs and F1 in one number by the score rule; lower is better"),
)


BY_MOUSE = (
    ("a row", "a click selects it, on its arrow it folds, on its ● it switches the unit"),
    ("the wheel", "scrolls the tree, and whatever is longer than its place"),
    ("the first line", "all variants"),
    ("the job's line", "puts the job aside; again: goes on with it"),
    ("the last line", "its keys; what is not there is in the palette"),
    ("beside a dialog", "closes it"),
)


class HelpScreen(Dialog[None]):
    """The keys, read from the bindings, and the words of the screen."""

    STYLE = "HelpScreen > .dialog { width: 104; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close"),
    ]

    def __init__(
        self,
        rows: Iterable[tuple[str, str]],
        config_file: str = "",
        timeline: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`timeline`: what the signs of a replay's timeline mean."""
        super().__init__()
        self._rows = list(rows)
        self._timeline = [("\nOn the timeline", timeline)] if timeline else []
        self._config_file = config_file

    def compose(self) -> ComposeResult:
        """Keys, mouse, words, and where keys are changed."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "Keys and words"
            dialog.border_subtitle = "escape closes, arrows scroll"
            for title, rows in (
                ("Keys", self._rows), *self._timeline,
                ("\nMouse", BY_MOUSE), ("\nOn the screen", EXPLAINED),
            ):  # fmt: skip
                yield Static(Text(title, style="bold underline"))
                yield Static(_explained(rows))
            if self._config_file:
                own = f"\nOther keys and colours: {self._config_file}"
                yield Static(Text(f"{own} (`workbench config` prints it whole)", style="dim"))
            with Horizontal(classes="buttons"):
                yield Button("Close (escape)", compact=True)

    def on_button_pressed(self) -> None:
        """Close."""
        self.dismiss()


def _explained(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for word, meaning in rows:
        table.add_row(Text(word, style="bold"), Text(meaning))
    return table


def help_rows(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """Keys and meaning of bindings, the keys of one meaning together."""
    rows: dict[str, list[str]] = {}
    for binding in bindings:
        assert isinstance(binding, Binding)
        keys = rows.setdefault(binding.tooltip or binding.description, [])
        shown = [binding.key_display] if binding.key_display else _shown(binding.key)
        keys += [key for key in shown if not any(key in known for known in keys)]
    return [(" ".join(keys), meaning) for meaning, keys in rows.items()]


def _shown(keys: str) -> list[str]:
    """Keys as they stand on a keyboard; what has no sign of its own by its name, as below."""
    named = [(key, format_key(key)) for key in keys.split(",")]
    return [shown if len(shown) == 1 else key.replace("ctrl+", "^") for key, shown in named]


class SaveScreen(Dialog[str | None]):
    """Asks for the file to save to."""

    STYLE = "SaveScreen > .dialog { width: 80; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, suggestion: str, *, confirms: bool = True) -> None:
        """`confirms`: whether a file that exists is asked about before it is overwritten."""
        super().__init__()
        self._suggestion, self._confirms = suggestion, confirms
        self._warned_of = ""
        """A file that exists, and that the user has been told of."""

    def compose(self) -> ComposeResult:
        """A path to type."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Save the current variant"
            dialog.border_subtitle = "escape closes"
            yield Label("As a file that ends in .pt, .pth or .safetensors\n")
            yield Input(self._suggestion)
            yield Label("", id="hint")
            with Horizontal(classes="buttons"):
                yield Button("Save (enter)", id="save", compact=True, variant="primary")
                yield Button("Cancel (escape)", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        """Answer with the path."""
        self._save()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Save, or not."""
        if event.button.id == "save":
            self._save()
        else:
            self.dismiss(None)

    def _save(self) -> None:
        """A file that exists is to be confirmed: its content cannot come back."""
        path = self.query_one(Input).value.strip()
        exists = bool(path) and Path(path).expanduser().exists()
        if exists and self._confirms and path != self._warned_of:
            self._warned_of = path
            name = numbers.shortened(Path(path).name, max(self.query_one(Input).size.width - 40, 8))
            warning = f"{name} exists: save again overwrites it"
            self.query_one("#hint", Label).update(Text(warning, style="bold yellow"))
            return
        self.dismiss(path or None)
