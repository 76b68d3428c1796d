"""The first line: which model and variant, at which size, on which data."""

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers


class TitleLine(Widget):
    """Name to the left, facts to the right; the name gives way."""

    DEFAULT_CSS = """
    TitleLine { height: 1; padding: 0 1; background: $primary-background; }
    """

    name_text: reactive[str] = reactive("workbench")
    facts: reactive[str] = reactive("")

    def render(self) -> Text:
        """The line."""
        width = self.size.width
        facts = numbers.shortened(self.facts, max(width - 24, 0))
        name = numbers.shortened(self.name_text, max(width - len(facts) - 2, 0))
        text = Text(name, style="bold", no_wrap=True)
        text.append(" " * max(width - len(name) - len(facts), 1))
        text.append(facts, style="not bold")
        return text
