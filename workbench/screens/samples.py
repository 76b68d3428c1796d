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
SMALLEST, LARGEST = 14, 40
"""Edges of an image in cells."""
COPIES = 4
"""Beside a photo; more where they would be larger than `LARGEST`."""
FRAME = 7
"""Columns that are not the photos'."""


class SamplesScreen(Dialog[None]):
    """A row a photo: as it is, and changed a few times. a goes through the presets."""

    STYLE = """
    SamplesScreen > .dialog { width: 100%; }
    SamplesScreen VerticalScroll { height: 1fr; margin-top: 1; }
    SamplesScreen .dialog { height: 90%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i", "dismiss", "Close"),
        Binding("a", "preset", "Next preset"),
        Binding("n", "again", "Others"),
        Binding("F", "recipe", "Recipe"),
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
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Training images"
            yield Label("", id="title")
            with VerticalScroll():
                yield Photos()

    def on_mount(self) -> None:
        """Ask for images."""
        self._show_keys()
        self._ask()

    def on_resize(self) -> None:
        """More or less of the photos is in sight."""
        self.call_after_refresh(self._show_keys)

    def action_recipe(self) -> None:
        """Go on to the recipe."""
        self.dismiss()
        self.app.call_later(self.app.run_action, "fine_tune_with")

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
        self.call_after_refresh(self._show_keys)

    def _show_keys(self) -> None:
        """What the keys do; that there is more to scroll to, where there is."""
        scrolls = ", arrows scroll" if self.query_one(VerticalScroll).max_scroll_y else ""
        keys = f"a next preset, n other images, F recipe{scrolls}, escape closes"
        self.query_one(".dialog").border_subtitle = keys

    def _ask(self) -> None:
        self.query_one("#title", Label).update("drawing …")
        copies, edge = sizes_for(self.app.size.width - FRAME)
        self.post_message(self.Asked(self._recipe, PHOTOS, copies, edge))


def sizes_for(width: int) -> tuple[int, int]:
    """How many copies stand beside a photo in so many columns, and the edge of each in cells."""
    images = min((width + 1) // (SMALLEST + 1), COPIES + 1)
    images = max(images, (width + 1) // (LARGEST + 1), 2)
    edge = min(max((width + 1) // images - 1, 2), LARGEST)
    return images - 1, edge - edge % 2  # two pixels a cell: the last line has both
