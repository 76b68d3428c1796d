"""The first line: which model and variant, at which size, on which data."""

from rich.cells import cell_len
from rich.text import Text
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers


class TitleLine(Widget):
    """Name to the left, facts to the right; each gives way. A click asks for all variants."""

    DEFAULT_CSS = """
    TitleLine { height: 1; padding: 0 1; background: $primary-background; }
    """

    name_text: reactive[str] = reactive("workbench")
    facts: reactive[str] = reactive("")

    class Clicked(Message):
        """The user clicked on the line."""

    def on_click(self) -> None:
        """Tell it."""
        self.post_message(self.Clicked())

    def render(self) -> Text:
        """The line."""
        return title_text(self.name_text, self.facts, self.size.width)


def title_text(name: str, facts: str, width: int) -> Text:
    """The line for a given width: the facts leave the name a third of it at least."""
    facts = numbers.shortened(facts, max(width - 2 - max(width // 3, 22), 0))
    name = numbers.fitted(name, width - cell_len(facts) - (2 if facts else 0))
    gap = "  " if facts else ""
    return Text.assemble((name + gap, "bold"), facts, no_wrap=True)
