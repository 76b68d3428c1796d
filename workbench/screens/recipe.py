"""The dialog that shows and changes every field of the recipe, then starts a fine-tuning."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label

from sessions import recipe
from sessions.recipe import GROUPS, Recipe, RecipeError
from widgets.field_form import Field, FieldForm
from workbench.screens.dialog import Dialog

FIELDS = tuple(
    Field(name, name.replace("_", " "), recipe.hint(name), group)
    for group, names in GROUPS.items()
    for name in names
)


class RecipeScreen(Dialog[Recipe | None]):
    """Asks for the choices of a fine-tuning."""

    STYLE = """
    RecipeScreen > .dialog { width: 136; height: 90%; }
    RecipeScreen {
        & FieldForm { height: 1fr; }
        & #about { width: 100%; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, shown: Recipe) -> None:
        super().__init__()
        self._recipe = shown

    def compose(self) -> ComposeResult:
        """A line a field, by groups."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Fine-tune with this recipe"
            yield FieldForm(
                FIELDS, {field.name: recipe.shown(self._recipe, field.name) for field in FIELDS}
            )
            yield Label("", id="about")
            yield Label("", id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Start (enter)", id="start", compact=True, variant="primary")
                yield Button("Cancel (escape)", id="cancel", compact=True)
                yield Label("↑ ↓ move")

    def on_mount(self) -> None:
        """Start at the first field."""
        self.query_one(Input).focus()

    def on_field_form_moved(self, message: FieldForm.Moved) -> None:
        """Tell of the field what its line may have no room for."""
        field = message.field
        about = f"{field.label}: {field.hint}" if field.hint else ""
        self.query_one("#about", Label).update(Text(about))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start, or not."""
        if event.button.id == "start":
            self.on_input_submitted()
        else:
            self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Answer with the recipe, or say what is wrong with it."""
        changed = [
            f"{field}={value}"
            for field, value in self.query_one(FieldForm).values.items()
            if value.strip() != recipe.shown(self._recipe, field)
        ]
        try:
            self.dismiss(recipe.assigned(self._recipe, changed))
        except RecipeError as error:
            self.query_one("#problem", Label).update(Text(str(error), style="bold red"))
