"""A study: its trials, their front, and what the parameters have to do with the score.

Side by side where there is room, else one at a time.
"""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from sessions.searching import StudyPlan
from sessions.state import Search, SessionState
from widgets.line_list import LineList
from widgets.plane_drawing import Items, legend_lines
from widgets.score_plane import ScorePlane
from widgets.table_list import TableList
from workbench.screens import search_parameters, search_tables, search_trials
from workbench.screens.search_results import Results, TrialResults

WIDE = 116
"""Columns from which on a study's trials and front are side by side."""
HIGH = 30
"""Lines from which on a study's parameters are below its front."""
SIGNED = 20
"""Lines from which on there is a legend."""
BESIDE = 3
"""Cells between the trials and what is right of them."""
PARTS = ("trials", "front", "parameters")
"""Of a study, where there is room for one of them."""


class StudyResults(Horizontal):
    """Follows the row or the point that is selected."""

    DEFAULT_CSS = """
    StudyResults {
        height: 1fr;
        & #trials { width: 1fr; }
        & #right { width: 1fr; height: 1fr; }
        & ScorePlane { height: 1fr; width: 1fr; }
        & #parameters { height: auto; }
        & #legend { height: auto; max-height: 2; color: $text-muted; }
        & #point { height: 2; }
        &.-wide #right { padding-left: 3; }
        &.-both #parameters { max-height: 40%; margin-top: 1; }
    }
    """
    ABOUT: ClassVar[Items] = (("★", "best score"), ("◆", "best for its MACs"), ("●", "other"))

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._part = 0
        self._search: Search | None = None
        self._state = SessionState()
        self._written: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Side by side where there is room."""
        yield TrialResults(id="trials")
        with Vertical(id="right"):
            plane = ScorePlane()
            plane.has_first = False
            plane.word = "No trial has been measured yet: the front is drawn of those that are."
            yield plane
            for name in ("legend", "point", "parameters"):
                yield Static("", id=name)

    def on_resize(self) -> None:
        """Words are cut to the room."""
        if self._search is not None:
            self.show(self._search, self._state)

    def take_keys(self) -> None:
        """What is shown has the keys."""
        if self.query_one("#trials").display:
            self.query_one(TrialResults).take_keys()
        else:
            self.query_one(ScorePlane).focus()

    @property
    def can_open(self) -> bool:
        """Whether a trial can be selected in what is shown."""
        has_trials = self._search is not None and bool(self._search.trials)
        return has_trials and (self._is_wide or PARTS[self._part] != "parameters")

    @property
    def next_name(self) -> str:
        """What the next of trials, front and parameters is; empty where all are shown."""
        return "" if self._has_both else PARTS[self._next]

    @property
    def _next(self) -> int:
        following = (self._part + 1) % len(PARTS)
        return 1 if self._is_wide and following == 0 else following

    def next_part(self) -> None:
        """Show the next of trials, front and parameters, where there is no room for all."""
        if self._has_both:
            return
        self._part = self._next
        if self._search is not None:
            self.show(self._search, self._state)
        self.take_keys()

    @property
    def _is_wide(self) -> bool:
        return self.app.size.width >= WIDE

    @property
    def _has_both(self) -> bool:
        return self._is_wide and self.app.size.height >= HIGH

    def show(self, search: Search, state: SessionState) -> None:
        """Show a study."""
        self._search, self._state = search, state
        self._place()
        self.query_one(ScorePlane).view = search_tables.front_plane(search, state)
        self.query_one(TrialResults).show_table(search_tables.trials(search, state))
        self._follow()
        self._tell()
        room = self.size.height or self.app.size.height
        lines = search_parameters.lines(
            search_parameters.parameters(search, state),
            self._right,
            room * 2 // 5 if self._has_both else room,
        )
        self._write("parameters", "\n".join(lines))

    def _place(self) -> None:
        """What is shown, and how high the words are."""
        is_wide, part = self._is_wide, PARTS[self._part]
        if is_wide and part == "trials" and not self._has_both:
            part = "front"
        self.set_class(is_wide, "-wide")
        self.set_class(self._has_both, "-both")
        has_plane = self._has_both or part == "front"
        self.query_one("#trials").display = is_wide or part == "trials"
        self.query_one("#right").display = is_wide or part != "trials"
        self.query_one(ScorePlane).display = has_plane
        self.query_one("#parameters").display = self._has_both or part == "parameters"
        self.query_one("#point").display = not is_wide and part == "front"
        is_signed = self.app.size.height >= SIGNED
        self.query_one("#legend").display = has_plane and is_signed
        signs = self.query_one("#trials .signs", Static)
        signs.display = is_signed
        told = search_tables.SIGNS[2:] if is_wide and has_plane else search_tables.SIGNS
        self._write("trials .signs", "\n".join(legend_lines(told, self._left)))
        self._write("legend", "\n".join(legend_lines(self._about, self._right, self._legend_most)))
        for name in ("point", "trials .below"):
            self.query_one(f"#{name}").styles.height = self._told

    @property
    def _about(self) -> Items:
        number = 0 if self._search is None else self._search.variant
        return (*self.ABOUT, ("■", f"v{number}, the start"), ("⠤⠤", "equal score"))

    @property
    def _legend_most(self) -> int:
        return 2 if self.app.size.height >= HIGH else 1

    @property
    def _told(self) -> int:
        """Lines for a trial in words."""
        plan = None if self._search is None else self._search.plan
        lines = 3 if isinstance(plan, StudyPlan) and plan.space.recipe else 2
        return 2 * lines if self.app.size.height >= HIGH else lines

    @property
    def _left(self) -> int:
        """Cells of the trials."""
        width = self.app.size.width - 4
        return width // 2 if self._is_wide else width

    @property
    def _right(self) -> int:
        """Cells of what is right of the trials, or in their place."""
        width = self.app.size.width - 4
        return width // 2 - BESIDE if self._is_wide else width

    def _write(self, name: str, words: str) -> None:
        """Only what has changed costs a layout."""
        if self._written.get(name) != words:
            self._written[name] = words
            self.query_one(f"#{name}", Static).update(Text(words))

    def _follow(self) -> None:
        """The point of the selected row, while the plane does not have the keys."""
        plane = self.query_one(ScorePlane)
        if plane.has_focus:
            return
        key = self.query_one(TableList).selected
        points = () if plane.view is None else plane.view.points
        has_point = any(str(point.number) == key for point in points)
        plane.cursor = int(key) if has_point else None

    def _tell(self) -> None:
        """What is selected, in words."""
        if self._search is None:
            return
        plane, key = self.query_one(ScorePlane), self.query_one(TableList).selected
        if plane.has_focus and plane.cursor == search_tables.START:
            words = search_trials.start_words(self._search, self._state)
        elif plane.has_focus and plane.cursor is not None:
            words = search_trials.trial_words(self._search, plane.cursor, self._state)
        elif plane.has_focus and key:
            words = search_trials.without_point(self._search, int(key))
        else:
            words = search_trials.trial_words(self._search, int(key), self._state) if key else ()
        self.query_one(TrialResults).tell(search_trials.wrapped(words, self._left, self._told))
        told = search_trials.wrapped(words, self._right, self._told)
        self.query_one("#point", Static).update(Text(told), layout=False)

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        """The plane and the words follow."""
        self._follow()
        self._tell()

    def on_descendant_focus(self) -> None:
        """The table or the plane leads."""
        self._follow()
        self._tell()

    def on_score_plane_moved(self, message: ScorePlane.Moved) -> None:
        """The table follows, where the plane has the keys."""
        if self.query_one(ScorePlane).has_focus:
            self.query_one(TableList).select(str(message.number))
            self._tell()

    def on_score_plane_chosen(self, message: ScorePlane.Chosen) -> None:
        """Tell, but for where the study began: that is a variant already."""
        if message.number != search_tables.START:
            self.post_message(Results.Chosen(str(message.number)))
        elif self._search is not None:
            self.notify(f"v{self._search.variant} is a variant already: t shows all of them")
