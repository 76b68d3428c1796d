"""What happened, a line an event; the end is followed while the cursor stands on it."""

from collections.abc import Callable

import msgspec
from textual.reactive import reactive

from widgets import numbers
from widgets.line_list import LineList, Parts

TIME = 9
STYLES = {"good": "green", "bad": "red", "quiet": "dim", "": ""}


class EventLine(msgspec.Struct, frozen=True):
    """One event."""

    seconds: float
    """Since the session began."""
    words: str
    tone: str = ""
    """good, bad, quiet, or nothing."""
    variant: int | None = None
    """The variant that it is about."""


class EventsView(msgspec.Struct, frozen=True):
    """Events that are looked up when they are seen; equal views show the same."""

    count: int
    revision: int
    """Another one where the events before have become others."""
    line: Callable[[int], EventLine]
    word: str = ""
    """Why there are none."""


def _nothing(index: int) -> EventLine:
    raise IndexError(index)


class EventList(LineList):
    """Events with their time."""

    view: reactive[EventsView] = reactive(EventsView(0, 0, _nothing))

    @property
    def count(self) -> int:
        """Events that are shown."""
        return self.view.count

    @property
    def word(self) -> str:
        """Why none is shown."""
        return self.view.word

    def parts(self, index: int, width: int) -> Parts:
        """Time, then words."""
        return event_parts(self.view.line(index), width)

    def watch_view(self, before: EventsView, view: EventsView) -> None:
        """Go on following the end where the cursor was there."""
        if not self.is_mounted:
            return
        is_following = self.cursor >= before.count - 1 or before.revision != view.revision
        self.update()
        if is_following:
            self.cursor = max(view.count - 1, 0)


def event_parts(line: EventLine, width: int) -> Parts:
    """A line with its time."""
    return (
        (f"{numbers.duration(line.seconds):>{TIME - 2}}  ", "dim"),
        (numbers.shortened(line.words, width - TIME), STYLES[line.tone]),
    )
