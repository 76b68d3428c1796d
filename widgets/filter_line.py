"""The line under the tree in which a filter is typed; it tells every letter as it comes."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.widgets import Input, Label

from widgets.binding import Binding

WITH_KEYS = 68
"""Columns from which on the keys are told beside the text."""


class _OneLine(Input):
    """Its place does not depend on its text, so that a letter moves nothing else."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0))


class FilterLine(Horizontal):
    """Not shown until `start`; enter keeps the filter, escape takes it away."""

    DEFAULT_CSS = """
    FilterLine {
        display: none;
        height: 1;
        background: $panel;
        & > Label { padding: 0 1; color: $text-muted; }
        & > _OneLine { width: 1fr; background: $panel; }
        & > .hint { padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Show all rows", show=False, id="close_filter"),
    ]

    class Typed(Message):
        """The filter has another text."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Closed(Message):
        """The filter has been typed; its text says what is kept."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def compose(self) -> ComposeResult:
        """A sign, the text, and what can be typed."""
        yield Label("/")
        yield _OneLine(
            compact=True,
            select_on_focus=False,
            placeholder="path, *conv*, :off, :edited, :decomposed",
        )
        yield Label("enter keeps, esc clears", classes="hint")

    def on_resize(self) -> None:
        """What can be typed comes before what the keys do."""
        self.query_one(".hint").display = self.size.width >= WITH_KEYS

    def start(self, text: str) -> None:
        """Take the keys, with a text to go on from."""
        self.display = True
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(text)
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the text."""
        event.stop()
        self.post_message(self.Typed(event.value.strip()))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        event.stop()
        self._close(event.value.strip())

    def action_close(self) -> None:
        """Take the filter away."""
        self._close("")

    def _close(self, text: str) -> None:
        self.display = False
        self.post_message(self.Closed(text))
