"""Where a replay is: the track with what happened when, and a line of words about the moment."""

import msgspec
from rich.cells import cell_len
from rich.console import Group
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers, timeline
from widgets.timeline import Track


class ReplayView(msgspec.Struct, frozen=True):
    """Position of a replay."""

    seconds: float
    total_s: float
    speed: float
    is_playing: bool
    step: int
    steps: int
    words: str = ""
    """What happened last."""
    mark_s: float | None = None
    """The moment to compare with; None where there is none."""
    skips_idle: bool = True
    track: Track = Track()

    @property
    def share(self) -> float:
        """Of the whole that is over, 0..1."""
        return self.seconds / self.total_s if self.total_s else 1.0


class ReplayBar(Widget):
    """Marks, jobs and words; a click or a drag on the track seeks."""

    DEFAULT_CSS = """
    ReplayBar {
        height: 3; padding: 0 1; background: $secondary-background;
        &.-low { height: 2; }
    }
    """

    view: reactive[ReplayView] = reactive(ReplayView(0, 0, 1, False, 0, 0))
    is_low: reactive[bool] = reactive(False, layout=True)
    """Whether the track has one line instead of two."""

    class SeekRequested(Message):
        """The user wants another moment: a share of the whole, 0..1."""

        def __init__(self, share: float) -> None:
            self.share = share
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[Track | None, int] = (None, 0)
        self._cells: tuple[timeline.Cells, timeline.Cells] = ((), ())
        self._is_dragged = False

    def watch_is_low(self) -> None:
        """One line less."""
        self.set_class(self.is_low, "-low")

    def render(self) -> Group:
        """Track and words."""
        view, width = self.view, max(self.size.width, 2)
        if self._drawn[0] is not view.track or self._drawn[1] != width:
            self._drawn = (view.track, width)
            self._cells = (
                timeline.job_cells(view.track, width), timeline.mark_cells(view.track, width)
            )  # fmt: skip
        mark = None
        if view.mark_s is not None:
            mark = view.mark_s / view.total_s if view.total_s else 0.0
        track = timeline.lines(*self._cells, view.share, mark, is_low=self.is_low)
        return Group(*track, words(view, width))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Seek, and hold on to the mouse."""
        if event.y < self.size.height - 1:
            self._is_dragged = True
            self.capture_mouse()
            self._seek(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Seek along."""
        if self._is_dragged:
            self._seek(event.x)

    def on_mouse_up(self) -> None:
        """Let go."""
        if self._is_dragged:
            self._is_dragged = False
            self.release_mouse()

    def _seek(self, x: int) -> None:
        share = (x - self.styles.padding.left) / max(self.size.width - 1, 1)
        self.post_message(self.SeekRequested(min(max(share, 0.0), 1.0)))


def words(view: ReplayView, width: int) -> Text:
    """The line below the track: time and speed, what happened last, and what there is room for."""
    text = Text(no_wrap=True)
    text.append("▶ " if view.is_playing else "‖ ", style="bold")
    text.append(f"{numbers.duration(view.seconds)} / {numbers.duration(view.total_s)}")
    text.append(f"  {view.speed:g}x  ")
    facts = [f"event {view.step:,}/{view.steps:,}"]
    if view.mark_s is not None:
        facts.insert(0, f"A {numbers.duration(view.mark_s)}")
    if not view.skips_idle:
        facts.insert(0, "idle times too")
    room = width - text.cell_len
    while facts and room - cell_len(" · ".join(facts)) < min(cell_len(view.words), 24) + 2:
        facts.pop()
    right = " · ".join(facts)
    text.append(numbers.fitted(view.words, max(room - cell_len(right), 0)), style="bold")
    text.append(right, style="dim")
    return text
