"""The most confident mistakes of one cell of the confusion matrix, as photos."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from sessions.events import ConfusedDrawn
from widgets.binding import Binding
from widgets.photo_grid import Photo, PhotoGrid, edge_for
from workbench.screens.dialog import Dialog

PHOTOS = 12


class ConfusedScreen(Dialog[None]):
    """Photos of one true class that are taken for another, or found where both are the same."""

    STYLE = """
    ConfusedScreen {
        align: center middle;
        & > Vertical {
            width: 95%; height: 95%; padding: 0 1; border: round $primary; background: $surface;
            border-title-style: bold; border-subtitle-color: $text-muted;
        }
        & #said { height: auto; }
        & VerticalScroll { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,m", "dismiss", "Close", tooltip="Back to the matrix"),
    ]

    class Asked(Message):
        """The images of a cell are to be drawn."""

        def __init__(self, cell: tuple[int, int], photos: int, edge: int) -> None:
            self.cell, self.photos, self.edge = cell, photos, edge
            super().__init__()

    def __init__(self, cell: tuple[int, int], classes: tuple[str, ...], note: str = "") -> None:
        super().__init__()
        self._cell, self._names, self._note = cell, classes, note

    def compose(self) -> ComposeResult:
        """What it is, then the photos."""
        true, predicted = (self._names[at] for at in self._cell)
        with Vertical() as frame:
            what = f"{true} taken for {predicted}" if true != predicted else f"{true}, found"
            frame.border_title = Text(what)
            frame.border_subtitle = "escape closes"
            yield Static("looking at the validation images …", id="said", markup=False)
            with VerticalScroll():
                yield PhotoGrid()

    def on_mount(self) -> None:
        """Ask for the images."""
        edge = edge_for(int(self.app.size.width * 0.95) - 6)
        self.post_message(self.Asked(self._cell, PHOTOS, edge))
        self.query_one(VerticalScroll).focus()

    def take_confused(self, drawn: ConfusedDrawn) -> None:
        """Show what was drawn."""
        if (drawn.true, drawn.predicted) != self._cell:
            return
        words = self.query_one("#said", Static)
        if drawn.reason:
            words.update(Text(drawn.reason, style="red"))
            return
        shown = len(drawn.images)
        if not drawn.total:
            text = f"v{drawn.variant} has no such image in the {drawn.split} split"
        else:
            which = "all" if shown == drawn.total else f"the {shown} most confident of"
            text = f"{which} {drawn.total:,} {drawn.split} images, by v{drawn.variant}"
        words.update(Text(f"{text}{self._note}", style="dim"))
        true, predicted = (self._names[at] for at in self._cell)
        self.query_one(PhotoGrid).show(
            tuple(
                Photo(image, (name, f"is {true}", f"seen as {predicted}, {confidence:.0%} sure"))
                for image, name, confidence in zip(
                    drawn.images, drawn.names, drawn.confidences, strict=True
                )
            ),
            drawn.edge,
        )
