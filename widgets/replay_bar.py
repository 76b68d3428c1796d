"""Where a replay is: time, a bar, speed, playing or paused."""

import msgspec
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers


class ReplayView(msgspec.Struct, frozen=True):
    """Position of a replay."""

    seconds: float
    total_s: float
    speed: float
    is_playing: bool
    step: int
    steps: int


class ReplayBar(Widget):
    """One line; a click on the bar seeks."""

    DEFAULT_CSS = """
    ReplayBar { height: 1; padding: 0 1; background: $secondary-background; }
    """

    view: reactive[ReplayView] = reactive(ReplayView(0, 0, 1, False, 0, 0))

    class SeekRequested(Message):
        """The user wants another moment: a share of the whole, 0..1."""

        def __init__(self, share: float) -> None:
            self.share = share
            super().__init__()

    def render(self) -> Text:
        """The line."""
        view = self.view
        text = Text(no_wrap=True)
        text.append("▶ " if view.is_playing else "‖ ", style="bold")
        text.append(self._times())
        width = self._bar_width()
        at = round(view.seconds / view.total_s * (width - 1)) if view.total_s else width - 1
        text.append("━" * at, style="cyan")
        text.append("●", style="bold cyan")
        text.append("─" * (width - 1 - at), style="dim")
        text.append(f"  {view.speed:g}x  event {view.step}/{view.steps}")
        return text

    def on_click(self, event: events.Click) -> None:
        """Seek to where the bar was clicked."""
        offset = event.x - 1 - 2 - len(self._times())
        if 0 <= offset < self._bar_width():
            self.post_message(self.SeekRequested(offset / max(self._bar_width() - 1, 1)))

    def _times(self) -> str:
        view = self.view
        return f"{numbers.duration(view.seconds)} / {numbers.duration(view.total_s)}  "

    def _bar_width(self) -> int:
        return max(self.size.width - len(self._times()) - 36, 10)
