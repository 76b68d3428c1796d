"""Which classes are taken for which, over the main screen."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from widgets.confusion import ConfusionMap, ConfusionView, f1_text, most_frequent
from workbench.screens.dialogs import DIALOG_CSS

NAMED = 3
"""Confusions told in words below the map."""
MAPPED = 12
"""Classes of which the map has room in any terminal; of more it may be words itself."""


class ConfusionScreen(ModalScreen[None]):
    """The confusions of one evaluation, with the F1 they make and its split."""

    CSS = DIALOG_CSS.format(name="ConfusionScreen", width=100)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,m,enter", "dismiss", "Close")]

    def __init__(self, view: ConfusionView | None, title: str = "") -> None:
        super().__init__()
        self._view, self._title = view, title

    def compose(self) -> ComposeResult:
        """F1, the map, the most frequent confusions in words."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = Text(f"Confusions {self._title}".rstrip())
            dialog.border_subtitle = "escape closes"
            if self._view is not None:
                yield Static(f1_text(self._view))
            yield ConfusionMap(self._view)
            if self._view is not None and 0 < len(self._view.counts) <= MAPPED:
                yield Static(Text("\n").append_text(most_frequent(self._view, NAMED)))
