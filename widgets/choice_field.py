"""A field of a form that takes one of a few words; left and right go through them."""

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers
from widgets.binding import Binding


class ChoiceField(Widget, can_focus=True):
    """Shows the chosen word between two arrows."""

    DEFAULT_CSS = """
    ChoiceField {
        height: 1;
        background: $panel;
        &:focus { background: $primary-muted; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", "Before", show=False, tooltip="The choice before"),
        Binding("right,space", "choose(1)", "Next", show=False, tooltip="The next choice"),
    ]

    at: reactive[int] = reactive(0)

    class Changed(Message):
        """Another word was chosen."""

        def __init__(self, field: "ChoiceField") -> None:
            self.field = field
            super().__init__()

        @property
        def control(self) -> "ChoiceField":
            """The field."""
            return self.field

    def __init__(self, words: tuple[str, ...], at: int = 0, *, id: str) -> None:
        super().__init__(id=id)
        self.words = words
        self.set_reactive(ChoiceField.at, at)

    def render(self) -> Text:
        """The word, and that there are others."""
        word = numbers.shortened(self.words[self.at], max(self.size.width - 4, 1))
        return Text(f"‹ {word} ›", no_wrap=True)

    def action_choose(self, step: int) -> None:
        """Another word; after the last comes the first."""
        self.at = (self.at + step) % len(self.words)
        self.post_message(self.Changed(self))

    def on_click(self) -> None:
        """The next word."""
        self.action_choose(1)
