"""The dialog that asks which search to start: a scan, a study or the autopilot, in few fields.

Everything is filled in: enter alone starts what is shown.
"""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input, Label

from sessions.state import SessionState
from widgets.choice_field import ChoiceField
from workbench.screens import search_fields
from workbench.screens.dialog import Dialog
from workbench.screens.search_fields import FieldError, Kind, Pick, Typed
from workbench.screens.search_requests import Begin

AROUND = 5
"""Lines of the dialog that are no fields."""


class SearchForm(Dialog[Begin | None]):
    """Answers with what to start."""

    STYLE = """
    SearchForm > .dialog { width: 92; }
    SearchForm {
        & #groups, & .group { height: auto; }
        & > .dialog { padding: 0 2; max-height: 100%; }
        & .about { color: $text-muted; height: auto; }
        & .about { width: 100%; }
        & #fields { height: auto; }
        & .field { height: 1; & > .name { width: 17; }
            & > Input { width: 27; background: $panel; &:focus { background: $primary-muted; } }
            & > ChoiceField { width: 27; } }
        & .field > .hint { width: 1fr; color: $text-muted; padding: 0 0 0 1;
            text-overflow: ellipsis; text-wrap: nowrap; }
        & #problem { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("enter", "start", "Start"),
        Binding("down", "app.focus_next", "Next"),
        Binding("up", "app.focus_previous", "Previous"),
    ]

    def __init__(self, state: SessionState) -> None:
        super().__init__()
        self._state = state
        self._kinds = search_fields.kinds(state)

    def compose(self) -> ComposeResult:
        """The kind of search, then its fields."""
        with Vertical(classes="dialog"):
            with VerticalScroll(id="fields", can_focus=False):
                with Horizontal(classes="field"):
                    yield Label("search", classes="name")
                    yield ChoiceField(tuple(kind.title for kind in self._kinds), id="kind")
                    yield Label("← → choose", classes="hint")
                for kind in self._kinds:
                    yield from self._group(kind)
            yield Label("", id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Start (enter)", id="start", compact=True, variant="primary")
                yield Button("Cancel (escape)", id="cancel", compact=True)
                yield Label("↑ ↓ move")

    def _group(self, kind: Kind) -> ComposeResult:
        with Vertical(id=kind.name, classes="group"):
            yield Label(kind.about, classes="about")
            for field in kind.fields:
                with Horizontal(classes="field"):
                    yield Label(field.title, classes="name")
                    yield self._entry(kind.name, field)
                    yield Label(Text(field.hint), classes="hint")

    def on_resize(self) -> None:
        """The buttons stay in sight."""
        room = self.app.size.height - AROUND
        self.query_one("#fields").styles.max_height = max(room, 3)

    @staticmethod
    def _entry(kind: str, field: Pick | Typed) -> Widget:
        if isinstance(field, Pick):
            return ChoiceField(field.words, field.at, id=f"{kind}-{field.name}")
        name = f"{kind}-{field.name}"
        return Input(field.value, placeholder=field.empty, id=name, compact=True)

    def on_mount(self) -> None:
        """Start at the kind."""
        self.query_one(".dialog").border_title = "New search"
        self._show_kind()
        self.query_one("#kind").focus()

    def on_choice_field_changed(self, message: ChoiceField.Changed) -> None:
        """Another kind has other fields."""
        if message.field.id == "kind":
            self._show_kind()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start, or not."""
        if event.button.id == "start":
            self.action_start()
        else:
            self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Enter in a field starts as well."""
        self.action_start()

    def action_start(self) -> None:
        """Answer with what was chosen, or say what is wrong with it."""
        kind = self._kinds[self.query_one("#kind", ChoiceField).at]
        values: dict[str, str] = {}
        for field in kind.fields:
            entry = self.query_one(f"#{kind.name}-{field.name}")
            if isinstance(entry, ChoiceField):
                values[field.name] = entry.words[entry.at]
            elif isinstance(entry, Input):
                values[field.name] = entry.value.strip()
        try:
            self.dismiss(kind.made(self._state, values))
        except FieldError as error:
            self.query_one("#problem", Label).update(Text(str(error), style="bold red"))

    def _show_kind(self) -> None:
        at = self.query_one("#kind", ChoiceField).at
        for number, kind in enumerate(self._kinds):
            self.query_one(f"#{kind.name}").display = number == at
        self.query_one("#problem", Label).update("")
