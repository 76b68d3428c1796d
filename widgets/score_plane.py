"""F1 against MACs: every measured variant a point between lines of equal score."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from widgets.binding import Binding
from widgets.plane_drawing import PlanePoint, PlaneView, frame_of, plane_text


class ScorePlane(Widget, can_focus=True):
    """The plane with a cursor that goes from point to point."""

    DEFAULT_CSS = """
    ScorePlane { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "along('macs', -1)", "Fewer", show=False, tooltip="To fewer MACs"),
        Binding("right,l", "along('macs', 1)", "More", show=False, tooltip="To more MACs"),
        Binding("up,k", "along('f1', 1)", "Higher", show=False, tooltip="To a higher F1"),
        Binding("down,j", "along('f1', -1)", "Lower", show=False, tooltip="To a lower F1"),
        Binding("enter", "choose", "Jump", show=False, tooltip="Jump to this variant"),
    ]

    view: reactive[PlaneView | None] = reactive(None)
    cursor: reactive[int | None] = reactive(None)
    """Number of the selected variant."""
    word: reactive[str] = reactive(
        "No F1 has been measured yet: e on the main screen measures it.", layout=False
    )
    """What is written where there is no point."""
    has_first = True
    """Whether a point is selected before the user selects one."""

    class Moved(Message):
        """Another point is selected."""

        def __init__(self, number: int) -> None:
            self.number = number
            super().__init__()

    class Chosen(Moved):
        """A point was chosen."""

    def watch_view(self, view: PlaneView | None) -> None:
        """Keep the cursor on a point that is there."""
        if self.selected is None:
            self.cursor = self._first if self.has_first else None

    @property
    def selected(self) -> PlanePoint | None:
        """The point under the cursor."""
        points = () if self.view is None else self.view.points
        return next((point for point in points if point.number == self.cursor), None)

    @property
    def _first(self) -> int | None:
        """Where a cursor begins: the current point, the best, or any."""
        points = () if self.view is None else self.view.points
        order = sorted(points, key=lambda point: (not point.is_current, not point.is_best))
        return order[0].number if order else None

    def watch_cursor(self, cursor: int | None) -> None:
        """Tell."""
        if cursor is not None:
            self.post_message(self.Moved(cursor))

    def render(self) -> Text:
        """The plane for the present size."""
        if self.view is None or not self.view.points:
            return Text(self.word)
        return plane_text(self.view, self.cursor, self.size.width, self.size.height)

    def action_along(self, axis: str, step: int) -> None:
        """To the next point by MACs or by F1, so that every point is reached."""
        points = () if self.view is None else self.view.points

        def place(point: PlanePoint) -> tuple[float, float, int]:
            first, second = (point.macs, point.f1) if axis == "macs" else (point.f1, point.macs)
            return first, second, point.number

        order = [point.number for point in sorted(points, key=place)]
        if self.cursor not in order:
            self.cursor = self._first
        else:
            at = order.index(self.cursor) + step
            self.cursor = order[min(max(at, 0), len(order) - 1)]

    def action_choose(self) -> None:
        """Tell that the point is chosen."""
        if self.selected is not None:
            self.post_message(self.Chosen(self.selected.number))

    def on_click(self, event: events.Click) -> None:
        """Select the point nearest to the mouse; a double click chooses it."""
        if self.view is None or not self.view.points:
            return
        frame = frame_of(self.view, self.size.width, self.size.height)
        if frame is None:
            return

        def distance(point: PlanePoint) -> float:
            column, row = frame.cell(point.macs, point.f1)
            return (column - event.x) ** 2 + 4 * (row - event.y) ** 2  # a cell is twice as high

        self.cursor = min(self.view.points, key=distance).number
        if event.chain > 1:
            self.action_choose()
