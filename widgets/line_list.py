"""A list of lines that are drawn when they are seen: a hundred thousand cost what thirty do.

Subclasses say how many there are and what is in one; cursor, keys, mouse and scrolling are here.
"""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets.binding import Binding

Parts = tuple[tuple[str, str], ...]
"""A line as text and its rich style, one after the other."""


class LineList(ScrollView, can_focus=True):
    """Lines with a cursor; enter, or a click on the line of the cursor, chooses one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", "lines--word"}
    DEFAULT_CSS = """
    LineList {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
        background: $surface;
        & > .lines--word { color: $text-muted; }
        & > .lines--cursor { background: $panel-lighten-1; }
        &:light > .lines--cursor { background: $panel; }
        &:focus > .lines--cursor { background: $primary-muted; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, tooltip="One line up"),
        Binding("down,j", "move(1)", "Down", show=False, tooltip="One line down"),
        Binding("pageup", "page(-1)", "Page up", show=False, tooltip="One page up"),
        Binding("pagedown", "page(1)", "Page down", show=False, tooltip="One page down"),
        Binding("home,g", "edge(0)", "First", show=False, tooltip="To the first line"),
        Binding("end,G", "edge(1)", "Last", show=False, tooltip="To the last line"),
        Binding("enter", "choose", "Choose", show=False, tooltip="Choose the line"),
    ]

    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor is on another line."""

        def __init__(self, lines: "LineList", index: int) -> None:
            self.lines, self.index = lines, index
            super().__init__()

        @property
        def control(self) -> "LineList":
            """The list."""
            return self.lines

    class Chosen(Moved):
        """A line was chosen."""

    @property
    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    @property
    def word(self) -> str:
        """What is written where there is no line."""
        return ""

    def parts(self, index: int, width: int) -> Parts:
        """What is in a line, at most so wide."""
        raise NotImplementedError

    def update(self) -> None:
        """Lines came, went or changed."""
        self.virtual_size = Size(self.size.width, self.count)
        self.cursor = min(self.cursor, max(self.count - 1, 0))
        self.refresh()

    def on_resize(self) -> None:
        """Lines are drawn for the width."""
        self.update()
        self.call_after_refresh(self.show_cursor)

    def render_line(self, y: int) -> Strip:
        """The line that is there, or the word."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        base = self.rich_style
        if index >= self.count:
            if index == 0 and self.word:
                muted = base + self.get_component_rich_style("lines--word", partial=True)
                return Strip([Segment(self.word, muted)]).adjust_cell_length(width, base)
            return Strip.blank(width, base)
        if index == self.cursor:
            base += self.get_component_rich_style("lines--cursor", partial=True)
        segments = []
        for text, style in self.parts(index, width):
            # The pad is a segment of its own: some SVG viewers drop leading spaces.
            words = text.lstrip()
            segments.append(Segment(" " * (len(text) - len(words)), base))
            segments.append(Segment(words, base + Style.parse(style)))
        return Strip(segments).adjust_cell_length(width, base)

    def watch_cursor(self, before: int, cursor: int) -> None:
        """Repaint both lines, keep the cursor in sight, tell."""
        for index in (before, cursor):
            y = index - self.scroll_offset.y
            if 0 <= y < self.size.height:
                self.refresh(Region(0, y, self.size.width, 1))
        self.show_cursor()
        self.post_message(self.Moved(self, cursor))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling moves every line."""
        super().watch_scroll_y(old_value, new_value)
        self.refresh()

    def show_cursor(self) -> None:
        """Scroll until the cursor is in sight."""
        top, height = self.scroll_offset.y, self.size.height
        if height < 1:
            return
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the line; on the line of the cursor, choose it."""
        index = event.y + self.scroll_offset.y
        if not 0 <= index < self.count:
            return
        if index == self.cursor and event.chain > 1:
            self.action_choose()
        self.cursor = index

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.cursor = min(max(self.cursor + step, 0), max(self.count - 1, 0))

    def action_page(self, direction: int) -> None:
        """Move the cursor by a screen."""
        self.action_move(direction * max(self.size.height - 1, 1))

    def action_edge(self, end: int) -> None:
        """To the first line, or the last."""
        self.cursor = max(self.count - 1, 0) if end else 0

    def action_choose(self) -> None:
        """Tell that the line is chosen."""
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))
