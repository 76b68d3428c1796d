"""The search panel: scans, studies and the autopilot; what runs, what they found, what to do next.

It shows one of them at a time and posts what the user asks for; everything else is in the state.
"""

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Static

from sessions.searching import ScanPlan
from sessions.state import Search, SessionState
from widgets import numbers
from widgets.binding import Binding
from widgets.choice_line import GAP, ChoiceLine
from workbench.screens import search_keys, search_requests, search_tables, search_words
from workbench.screens.panel import PanelScreen
from workbench.screens.search_form import SearchForm
from workbench.screens.search_requests import Begin, Request
from workbench.screens.search_results import PilotResults, Results, ScanResults
from workbench.screens.search_study import StudyResults

PILOT = 0
"""The place of the autopilot among the searches, which count from 1."""
LONGEST_WORD = 16
"""Cells that the first of two lines may leave empty."""
RECORDED = "a recording stays as it is: its session can be opened to go on from here"
EMPTY = """Nothing has been searched yet. n starts one of

  a sensitivity scan   what each cut would cost, about a second each
  a study              many networks trained in the background
  the autopilot        cuts and recovers, step by step, to a target

All of them leave the keys to you: edits, undo and jobs go on as before."""
EMPTY_RECORDING = "Nothing was searched up to this moment of the recording."


class SearchScreen(PanelScreen[None]):
    """Follows what runs, until the user looks at another."""

    STYLE = """
    SearchScreen {
        & ChoiceLine { max-height: 1; }
        & .line { height: auto; max-height: 2; }
        & #asked { color: $text-muted; margin-bottom: 1; }
        & #empty { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("S", "close_panel", "Close", show=False, tooltip="Close the searches"),
        Binding("n", "begin", "New", tooltip="Start a scan, a study or the autopilot"),
        Binding("x", "stop", "Stop", tooltip="Stop the search, or take over from the autopilot"),
        Binding("p", "go_on", "Go on", tooltip="Go on with the search that is shown"),
        Binding("v", "part", "View", tooltip="Trials, front or parameters of a study"),
        Binding("left_square_bracket", "other(-1)", "Before", tooltip="The search before"),
        Binding("right_square_bracket", "other(1)", "After", tooltip="The search after"),
    ]

    class Requested(Message):
        """The user asks for something."""

        def __init__(self, request: Request) -> None:
            self.request = request
            super().__init__()

    def __init__(self, state: SessionState, *, is_live: bool) -> None:
        super().__init__(state, is_live=is_live)
        self._shown: int | None = None
        """Number of the search, PILOT for the autopilot; None where there is neither."""
        self._known: frozenset[int] = frozenset()
        self._first = 0
        """Place of the first title that is written."""

    def compose_body(self) -> ComposeResult:
        """Which, how far, the best; then what was found."""
        yield ChoiceLine()
        for line in ("status", "best", "asked"):
            yield Static("", id=line, classes="line")
        yield Static(Text(EMPTY if self.is_live else EMPTY_RECORDING), id="empty")
        yield ScanResults(id="scan")
        yield StudyResults(id="study")
        yield PilotResults(id="pilot")

    def on_resize(self) -> None:
        """Side by side, or one at a time."""
        self.call_after_refresh(self._draw)

    def show_state(self, state: SessionState) -> None:
        """Searches begin, go on and end."""
        self.state = state
        places = self._places()
        is_new = bool(frozenset(places) - self._known)
        self._known = frozenset(places)
        before = self._shown
        if self._shown not in places or (is_new and self._shown != PILOT):
            self._shown = self._foremost(places)
        self._draw()
        if before != self._shown:
            self._take_keys()

    def _places(self) -> list[int]:
        pilot = [] if self.state.autopilot is None else [PILOT]
        return [*self.state.searches, *pilot]

    def _foremost(self, places: list[int]) -> int | None:
        """The autopilot while it steers, what runs, or what came last."""
        pilot, running = self.state.autopilot, self.state.searching
        if pilot is not None and pilot.is_on:
            return PILOT
        return running.number if running is not None else max(places, default=None)

    @property
    def _search(self) -> Search | None:
        return None if self._shown is None else self.state.searches.get(self._shown)

    @property
    def _is_study(self) -> bool:
        return self._search is not None and not isinstance(self._search.plan, ScanPlan)

    def _draw(self) -> None:
        places = self._places()
        choices = self.query_one(ChoiceLine)
        choices.display = len(places) > 1
        if self._shown in places:
            at, width = places.index(self._shown), self.app.size.width - 4
            titles = tuple(map(self._title, places))
            self._first, choices.titles = around(titles, at, width)
            choices.at = at - self._first
        search = self._search
        shown = "study" if self._is_study else "scan" if search is not None else "pilot"
        shown = shown if places else "empty"
        for part in ("empty", "scan", "study", "pilot"):
            self.query_one(f"#{part}").display = part == shown
        if search is None:
            self.query_one(PilotResults).show(self.state)
        elif self._is_study:
            self.query_one(StudyResults).show(search, self.state)
        else:
            self.query_one(ScanResults).show(search, self.state)
        self._draw_head()

    def _title(self, place: int) -> str:
        if place == PILOT:
            pilot = self.state.autopilot
            return "▶ autopilot" if pilot is not None and pilot.is_on else "autopilot"
        search = self.state.searches[place]
        running = "▶ " if search.status == "running" else ""
        return f"{running}{place} {search_words.name(search)}"

    def _draw_head(self) -> None:
        state, search, pilot = self.state, self._search, self.state.autopilot
        what, lines = "Searches", ("", "", "")
        if search is not None:
            what = f"Search {search.number}: {search_words.name(search)}"
            lines = (
                search_words.status(search, is_live=self.is_live),
                search_words.best_of(search, state),
                search_words.asked(search),
            )
        elif pilot is not None and self._shown == PILOT:
            what = "Autopilot"
            lines = (
                search_words.pilot_status(state, pilot),
                "",
                search_words.target(pilot.steering),
            )
        self.head(what, self._keys())
        width = self.app.size.width - 4
        for name, line in zip(("status", "best", "asked"), lines, strict=True):
            part = self.query_one(f"#{name}", Static)
            part.update(Text(numbers.shortened(line, 2 * width - LONGEST_WORD)))
            part.display = bool(line)

    def _keys(self) -> str:
        search, chosen, view = self._search, "", ""
        if self._is_study:
            study = self.query_one(StudyResults)
            chosen, view = "opens" if study.can_open else "", study.next_name
        elif search is not None and len(search.measured) > 1:
            chosen = "makes the edit"
        return search_keys.keys(
            self.state, search, is_live=self.is_live, chosen=chosen, view=view,
            has_others=len(self._places()) > 1,
        )  # fmt: skip

    def _take_keys(self) -> None:
        search = self._search
        if search is None:
            self.query_one(PilotResults).take_keys()
        elif self._is_study:
            self.query_one(StudyResults).take_keys()
        else:
            self.query_one(ScanResults).take_keys()

    def on_results_chosen(self, message: Results.Chosen) -> None:
        """Make the edit, or open the trial."""
        search, key = self._search, message.key
        if search is None or not key:
            return
        if not self.is_live:
            self.notify(RECORDED)
        elif self._is_study:
            self._ask(search_requests.Open(search.number, int(key)))
        else:
            found = next(m for m in search.measured if search_tables.key_of(m) == key)
            self._ask(search_requests.Try(found.edits))

    def on_choice_line_chosen(self, message: ChoiceLine.Chosen) -> None:
        """Look at another search."""
        self._look_at(self._places()[self._first + message.index])

    def action_other(self, step: int) -> None:
        """Look at the next search, or the one before."""
        places = self._places()
        if self._shown in places:
            at = places.index(self._shown) + step
            self._look_at(places[min(max(at, 0), len(places) - 1)])

    def _look_at(self, place: int) -> None:
        self._shown = place
        self._draw()
        self._take_keys()

    def action_part(self) -> None:
        """Another view of a study."""
        if self._is_study:
            self.query_one(StudyResults).next_part()
            self._draw_head()

    def action_begin(self) -> None:
        """Ask which search, then start it."""
        if not self.is_live:
            self.notify(RECORDED)
        elif self.state.searching is not None:
            self.notify("a search is running: x stops it, and what it found is kept")
        else:

            def begin(request: Begin | None) -> None:
                if request is not None:
                    self._ask(request)

            self.app.push_screen(SearchForm(self.state), begin)

    def action_stop(self) -> None:
        """Stop what runs."""
        pilot = self.state.autopilot
        if not self.is_live:
            self.notify(RECORDED)
        elif pilot is not None and pilot.is_on:
            self._ask(search_requests.TakeOver())
        elif self.state.searching is not None:
            self._ask(search_requests.Stop())
        else:
            self.notify("no search is running: n starts one")

    def action_go_on(self) -> None:
        """Go on with what is shown."""
        search = self._search
        if not self.is_live:
            self.notify(RECORDED)
        elif search is None or not search.is_resumable:
            self.notify("only a search that was stopped or cut off can go on")
        else:
            self._ask(search_requests.Resume(search.number))

    def _ask(self, request: Request) -> None:
        self.post_message(self.Requested(request))


def around(titles: tuple[str, ...], at: int, width: int) -> tuple[int, tuple[str, ...]]:
    """The titles about one of them that fit in a line, and which of all is the first of these."""
    first, last = at, at + 1
    while last - first < len(titles):
        wider = (max(first - 1, 0), last) if first > 0 and last - at > at - first else (first, last)
        if wider == (first, last):
            wider = (first, last + 1) if last < len(titles) else (first - 1, last)
        if sum(cell_len(title) + GAP for title in titles[wider[0] : wider[1]]) > width + GAP:
            break
        first, last = wider
    return first, titles[first:last]
