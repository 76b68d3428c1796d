"""The dialog that shows and changes every field of the recipe, then starts a fine-tuning."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.widgets import Button, Input, Label

from sessions import recipe
from sessions.recipe import GROUPS, Recipe, RecipeError
from workbench.screens.dialog import Dialog


class RecipeScreen(Dialog[Recipe | None]):
    """Asks for the choices of a fine-tuning."""

    CSS = """
    RecipeScreen > .dialog { width: 136; }
    RecipeScreen {
        & .dialog { height: 90%; }
        & .group { color: $primary; text-style: bold; }
        & .field { height: 1; & > .name { width: 20; } & > Input { width: 22; } }
        & .field > .hint { width: 1fr; color: $text-muted; padding: 0 1; text-overflow: ellipsis;
            text-wrap: nowrap; }
        & #fields { height: 1fr; }
        & #about { width: 100%; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("down", "app.focus_next", "Next"),
        Binding("up", "app.focus_previous", "Previous"),
    ]

    def __init__(self, shown: Recipe) -> None:
        super().__init__()
        self._recipe = shown

    def compose(self) -> ComposeResult:
        """A line a field, by groups."""
        with Vertical(classes="dialog"):
            with VerticalScroll(id="fields", can_focus=False):
                for group, fields in GROUPS.items():
                    yield Label(group, classes="group")
                    for field in fields:
                        with Horizontal(classes="field"):
                            yield Label(field.replace("_", " "), classes="name")
                            yield Input(recipe.shown(self._recipe, field), id=field, compact=True)
                            yield Label(Text(recipe.hint(field)), classes="hint")
            yield Label("", id="about")
            yield Label("", id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Start (enter)", id="start", compact=True, variant="primary")
                yield Button("Cancel (esc)", id="cancel", compact=True)
                yield Label("↑ ↓ move")

    def on_mount(self) -> None:
        """Start at the first field."""
        self.query_one("#epochs", Input).focus()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Tell of the field what its line may have no room for."""
        field = event.widget.id or ""
        told = recipe.hint(field) if isinstance(event.widget, Input) else ""
        about = f"{field.replace('_', ' ')}: {told}" if told else ""
        self.query_one("#about", Label).update(Text(about))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start, or not."""
        if event.button.id == "start":
            self.on_input_submitted()
        else:
            self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Answer with the recipe, or say what is wrong with it."""
        typed = {
            field: self.query_one(f"#{field}", Input).value for field in Recipe.__struct_fields__
        }
        changed = [
            f"{field}={value}"
            for field, value in typed.items()
            if value.strip() != recipe.shown(self._recipe, field)
        ]
        try:
            self.dismiss(recipe.assigned(self._recipe, changed))
        except RecipeError as error:
            self.query_one("#problem", Label).update(Text(str(error), style="bold red"))
