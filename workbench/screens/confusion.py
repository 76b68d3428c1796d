"""Which classes are taken for which, over the main screen; a cell opens its photos."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from widgets.binding import Binding
from widgets.confusion import ConfusionMap, ConfusionView, f1_text, most_frequent
from workbench.screens.confused import ConfusedScreen
from workbench.screens.dialog import Dialog

WIDEST, FRAME = 140, 7
"""Columns of the dialog in a wide terminal, and those that are not its words'."""
NAMED = 3
"""Confusions told in words below the map."""
MAPPED = 12
"""Classes of which the map has room in any terminal; of more it may be words itself."""


class ConfusionScreen(Dialog[None]):
    """The confusions of one evaluation, with the F1 they make and its split."""

    STYLE = f"ConfusionScreen > .dialog {{ width: {WIDEST}; }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,m", "dismiss", "Close", tooltip="Back to the main screen"),
    ]

    def __init__(self, view: ConfusionView | None, title: str = "", note: str = "") -> None:
        super().__init__()
        self._view, self._title, self._note = view, title, note
        self._is_shown = False

    def compose(self) -> ComposeResult:
        """F1, the map, the most frequent confusions in words."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static("", id="f1")
            yield ConfusionMap(self._view)
            yield Static("", id="frequent")

    def on_mount(self) -> None:
        """The map has the keys."""
        self.query_one(ConfusionMap).focus()
        self.show_view(self._view, self._title, self._note)

    def show_view(self, view: ConfusionView | None, title: str, note: str = "") -> None:
        """Show an evaluation, also while the next one replaces it."""
        if self._is_shown and (view, title, note) == (self._view, self._title, self._note):
            return
        self._view, self._title, self._note = view, title, note
        self._is_shown = True
        has_cells = view is not None and bool(view.counts)
        dialog = self.query_one(".dialog")
        dialog.border_title = Text(f"Confusions {title}".rstrip())
        opens = "arrows, enter shows the photos, " if has_cells else ""
        dialog.border_subtitle = f"{opens}escape closes"
        self.query_one(ConfusionMap).view = view
        self.query_one("#f1", Static).display = view is not None
        has_words = view is not None and 0 < len(view.counts) <= MAPPED
        self.query_one("#frequent", Static).display = has_words
        if view is not None:
            room = min(WIDEST, self.app.size.width) - FRAME
            legend = room if has_cells else 0
            f1 = f1_text(view, legend, is_colourless=self.app.no_color)
            self.query_one("#f1", Static).update(f1)
            words = Text("\n").append_text(most_frequent(view, NAMED, width=room))
            self.query_one("#frequent", Static).update(words)

    def on_resize(self) -> None:
        """There is more or less room for words."""
        self._is_shown = False
        self.show_view(self._view, self._title, self._note)

    def on_confusion_map_chosen(self, message: ConfusionMap.Chosen) -> None:
        """Show the photos of a cell."""
        if self._view is not None:
            cell = (message.true, message.predicted)
            self.app.push_screen(ConfusedScreen(cell, self._view.classes, self._note))
