"""A few words in a line of which one is chosen; a click chooses another."""

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

GAP = 2


class ChoiceLine(Widget):
    """Shows its titles; whoever holds it says which is chosen."""

    DEFAULT_CSS = """
    ChoiceLine { height: auto; }
    """

    titles: reactive[tuple[str, ...]] = reactive(())
    at: reactive[int] = reactive(0)

    class Chosen(Message):
        """The user pointed at one."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many lines as the titles need."""
        places = choice_places(self.titles, width)
        return places[-1][1] + 1 if places else 1

    def render(self) -> Text:
        """The titles, the chosen one inverted."""
        text, line, x = Text(no_wrap=True), 0, 0
        for index, (start, row) in enumerate(choice_places(self.titles, self.size.width)):
            if row > line:
                text.append("\n")
                line, x = row, 0
            text.append(" " * (start - x))
            style = "reverse bold" if index == self.at else "dim"
            text.append(self.titles[index], style=style)
            x = start + cell_len(self.titles[index])
        return text

    def on_click(self, event: events.Click) -> None:
        """Choose the title under the mouse."""
        for index, (start, row) in enumerate(choice_places(self.titles, self.size.width)):
            if row == event.y and start <= event.x < start + cell_len(self.titles[index]):
                self.post_message(self.Chosen(index))


def choice_places(titles: tuple[str, ...], width: int) -> list[tuple[int, int]]:
    """Column and line of each title, in lines of at most a width."""
    places, x, row = [], 0, 0
    for title in titles:
        if x and x + cell_len(title) > width:
            x, row = 0, row + 1
        places.append((x, row))
        x += cell_len(title) + GAP
    return places
