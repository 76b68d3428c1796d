"""The dialog that shows training images as the recipe's augmentation makes them."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Label

from sessions import recipe
from sessions.events import SamplesDrawn
from sessions.recipe import Recipe
from widgets.photos import Photos
from workbench.screens.dialog import Dialog

PHOTOS = 6
SMALLEST, LARGEST = 14, 32
"""Edges of an image in cells."""
COPIES = 4


class SamplesScreen(Dialog[None]):
    """A row a photo: as it is, and changed a few times. a goes through the presets."""

    CSS = """
    SamplesScreen > .dialog { width: 100%; }
    SamplesScreen VerticalScroll { height: 1fr; }
    SamplesScreen .dialog { height: 90%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i", "dismiss", "Close"),
        Binding("a", "preset", "Next preset"),
        Binding("n", "again", "Others"),
    ]

    class Asked(Message):
        """Images are to be drawn."""

        def __init__(self, recipe: Recipe, photos: int, copies: int, edge: int) -> None:
            self.recipe, self.photos, self.copies, self.edge = recipe, photos, copies, edge
            super().__init__()

    def __init__(self, shown: Recipe) -> None:
        super().__init__()
        self._recipe = shown

    def compose(self) -> ComposeResult:
        """Photos, and what made them."""
        with Vertical(classes="dialog"):
            yield Label("", id="title")
            with VerticalScroll():
                yield Photos()
            yield Label("a next preset, n other images, escape closes; F sets the recipe")

    def on_mount(self) -> None:
        """Ask for images."""
        self._ask()

    def action_preset(self) -> None:
        """Look at another preset; the recipe stays as it is."""
        presets = recipe.choices("augmentation")
        now = self._recipe.augmentation
        after = presets[(presets.index(now) + 1) % len(presets)] if now in presets else presets[0]
        self._recipe = recipe.changed(self._recipe, augmentation=after)
        self._ask()

    def action_again(self) -> None:
        """Look at other images."""
        self._recipe = recipe.changed(self._recipe, seed=self._recipe.seed + 1)
        self._ask()

    def take_samples(self, drawn: SamplesDrawn) -> None:
        """Show what was drawn."""
        name = self._recipe.augmentation
        what = f"augmentation {name}" if name in recipe.choices("augmentation") else "own pipeline"
        title = (
            f"{what}: {drawn.reason}" if drawn.reason else f"{what}: first as it is, then changed"
        )
        self.query_one("#title", Label).update(Text(title, style="red" if drawn.reason else "bold"))
        self.query_one(Photos).show(drawn.rows, drawn.names, drawn.edge)

    def _ask(self) -> None:
        self.query_one("#title", Label).update("drawing …")
        room = int(self.app.size.width * 0.95) - 8
        edge = min(max(room // (COPIES + 1) - 1, SMALLEST), LARGEST)
        copies = max(room // (edge + 1) - 1, 1)
        self.post_message(self.Asked(self._recipe, PHOTOS, min(copies, COPIES), edge))
