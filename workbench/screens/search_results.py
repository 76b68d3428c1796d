"""What searches found, as tables: of a scan, of the autopilot.

Each is shown a search and a state, and tells which row was chosen.
"""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from sessions.state import Search, SessionState
from widgets import numbers, table_list
from widgets.line_list import LineList
from widgets.table_list import TableList, TableView
from workbench.screens import search_tables


class Results(Vertical):
    """A table with its heading, what its signs are, and lines below it."""

    DEFAULT_CSS = """
    Results {
        height: 1fr;
        & .heading { height: 1; }
        & TableList { height: 1fr; }
        & .signs { height: 1; color: $text-muted; }
        & .below { height: auto; max-height: 11; margin-top: 1; }
    }
    """

    class Chosen(Message):
        """A row was chosen."""

        def __init__(self, key: str) -> None:
            self.key = key
            super().__init__()

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._below: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Heading, table, lines."""
        yield Static("", classes="heading")
        yield TableList()
        yield Static("", classes="signs")
        yield Static("", classes="below")

    def on_mount(self) -> None:
        """What is not there takes no room."""
        self.query_one(".signs").display = False

    def on_resize(self) -> None:
        """The heading is written for the width."""
        self._write()

    def take_keys(self) -> None:
        """The table has the keys."""
        self.query_one(TableList).focus()

    def show_table(self, view: TableView, below: tuple[str, ...] = ()) -> None:
        """Show rows, and lines below them."""
        self.query_one(TableList).view = view
        self._below = below
        self._write()

    def _write(self) -> None:
        self._write_heading()
        width = self._width
        part = self.query_one(".below", Static)
        part.display = bool(self._below)
        part.update(Text("\n".join(numbers.shortened(line, width) for line in self._below)))

    def _write_heading(self) -> None:
        heading = table_list.heading(self.query_one(TableList).view, self._width)
        self.query_one(".heading", Static).update(heading, layout=False)

    @property
    def _width(self) -> int:
        """Cells of a line of the table."""
        room = self.query_one(TableList).scrollable_content_region.width or self.size.width
        return room - table_list.AT_RIGHT

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


class TrialResults(Results):
    """Trials; the lines below are those of the selected one, in a height of their own."""

    DEFAULT_CSS = """
    TrialResults {
        & .below { height: 2; margin-top: 0; }
    }
    """

    def tell(self, words: str) -> None:
        """Write below the table."""
        self.query_one(".below", Static).update(Text(words), layout=False)

    def _write(self) -> None:
        self._write_heading()
