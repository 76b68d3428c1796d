"""What searches found, as tables and plots: of a scan, of a study, of the autopilot.

Each is shown a search and a state, and tells which row was chosen.
"""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Static

from sessions.state import Search, SessionState
from widgets import numbers, table_list
from widgets.line_list import LineList
from widgets.score_plane import ScorePlane
from widgets.table_list import TableList, TableView
from workbench.screens import search_parameters, search_tables

WIDE = 116
"""Columns from which on a study's trials and front are side by side."""
HIGH = 30
"""Lines from which on a study's parameters are below its front."""
PARTS = ("trials", "front", "parameters")
"""Of a study, where there is room for one of them."""


class Results(Vertical):
    """A table with its heading, and lines below it."""

    DEFAULT_CSS = """
    Results {
        height: 1fr;
        & .heading { height: 1; }
        & TableList { height: 1fr; }
        & .below { height: auto; max-height: 11; margin-top: 1; }
    }
    """

    class Chosen(Message):
        """A row was chosen."""

        def __init__(self, key: str) -> None:
            self.key = key
            super().__init__()

    def compose(self) -> ComposeResult:
        """Heading, table, lines."""
        yield Static("", classes="heading")
        yield TableList()
        yield Static("", classes="below")

    def take_keys(self) -> None:
        """The table has the keys."""
        self.query_one(TableList).focus()

    def show_table(self, view: TableView, below: tuple[str, ...] = ()) -> None:
        """Show rows, and lines below them."""
        self.query_one(TableList).view = view
        width = self._width
        self.query_one(".heading", Static).update(table_list.heading(view, width))
        part = self.query_one(".below", Static)
        part.display = bool(below)
        part.update(Text("\n".join(numbers.shortened(line, width) for line in below)))

    @property
    def _width(self) -> int:
        return self.query_one(TableList).scrollable_content_region.width or self.size.width

    def on_line_list_chosen(self, message: LineList.Chosen) -> None:
        """Tell."""
        self.post_message(self.Chosen(self.query_one(TableList).selected))


class ScanResults(Results):
    """Candidates, and which criterion to trust."""

    def show(self, search: Search, state: SessionState) -> None:
        """Show a scan."""
        self.show_table(
            search_tables.candidates(search, state), search_tables.trust_lines(search.trust)
        )


class PilotResults(Results):
    """The steps of the autopilot."""

    def show(self, state: SessionState) -> None:
        """Show where it is."""
        if state.autopilot is not None:
            self.show_table(search_tables.steps(state, state.autopilot))


class StudyResults(Horizontal):
    """Trials, their front, and what the parameters have to do with the score."""

    DEFAULT_CSS = """
    StudyResults {
        height: 1fr;
        & #trials { width: 1fr; }
        & #right { width: 1fr; height: 1fr; }
        & ScorePlane { height: 1fr; width: 1fr; }
        & #parameters { height: auto; max-height: 40%; margin-top: 1; }
        & #point { height: auto; max-height: 3; }
        &.-wide #right { padding-left: 1; }
    }
    """

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._part = 0
        self._search: Search | None = None
        self._state = SessionState()

    def compose(self) -> ComposeResult:
        """Side by side where there is room."""
        yield Results(id="trials")
        with Vertical(id="right"):
            plane = ScorePlane()
            plane.word = "No trial has been measured yet: the front is drawn of those that are."
            yield plane
            yield Static("", id="point")
            yield Static("", id="parameters")

    def take_keys(self) -> None:
        """What is shown has the keys."""
        if self.query_one("#trials").display:
            self.query_one("#trials", Results).take_keys()
        else:
            self.query_one(ScorePlane).focus()

    def show(self, search: Search, state: SessionState) -> None:
        """Show a study."""
        self._search, self._state = search, state
        self._place()
        self.query_one(ScorePlane).view = search_tables.front_plane(search, state)
        self._show_trials()
        is_wide = self.has_class("-wide")
        width, height = self.app.size.width - 4, self.app.size.height
        lines = search_parameters.lines(
            search_parameters.parameters(search, state),
            width // 2 - 2 if is_wide else width,
            height * 2 // 5 - 3 if self._has_both else height - 7,
        )
        self.query_one("#parameters", Static).update(Text("\n".join(lines)))

    def next_part(self) -> str:
        """Show the next of trials, front and parameters; tells which, where all are shown none."""
        if self._has_both:
            return ""
        is_wide = self.has_class("-wide")
        self._part = (self._part + 1) % len(PARTS)
        if is_wide and PARTS[self._part] == "trials":
            self._part += 1
        if self._search is not None:
            self.show(self._search, self._state)
        self.take_keys()
        return PARTS[self._part]

    @property
    def _has_both(self) -> bool:
        return self.has_class("-wide") and self.app.size.height >= HIGH

    def _place(self) -> None:
        is_wide = self.app.size.width >= WIDE
        self.set_class(is_wide, "-wide")
        part = PARTS[self._part]
        self.query_one("#trials").display = is_wide or part == "trials"
        self.query_one("#right").display = is_wide or part != "trials"
        self.query_one(ScorePlane).display = self._has_both or part != "parameters"
        self.query_one("#parameters").display = self._has_both or part == "parameters"
        self.query_one("#point").display = not is_wide and part == "front"

    def _show_trials(self) -> None:
        """The trials, and the selected one with all its words."""
        if self._search is None:
            return
        view = search_tables.trials(self._search, self._state)
        trials = self.query_one("#trials", Results)
        table = trials.query_one(TableList)
        before, table.view = table.selected, view
        key = table.selected or before
        below: tuple[str, ...] = ()
        if key and view.rows:
            below = search_tables.trial_words(self._search, int(key), self._state)
        trials.show_table(view, below)
        width = self.app.size.width - 4
        words = "\n".join(numbers.shortened(line, width) for line in below)
        self.query_one("#point", Static).update(Text(words))

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        """The plane and the words follow."""
        key = self.query_one(TableList).selected
        plane = self.query_one(ScorePlane)
        points = () if plane.view is None else plane.view.points
        if not plane.has_focus and any(str(point.number) == key for point in points):
            plane.cursor = int(key)
        self._show_trials()

    def on_score_plane_moved(self, message: ScorePlane.Moved) -> None:
        """The table follows, where the plane has the keys."""
        if self.query_one(ScorePlane).has_focus:
            self.query_one(TableList).select(str(message.number))

    def on_score_plane_chosen(self, message: ScorePlane.Chosen) -> None:
        """Tell, but for where the study began: that is a variant already."""
        if message.number != search_tables.START:
            self.post_message(Results.Chosen(str(message.number)))
