"""Jobs and everything that happened: what runs, what waits, and the log of the session."""

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from sessions.state import SessionState
from widgets import numbers
from widgets.binding import Binding
from widgets.event_list import EventList
from widgets.job_list import JobList
from widgets.line_list import LineList
from workbench.logged import LoggedRecords
from workbench.screens import panel_views
from workbench.screens.event_index import EventIndex
from workbench.screens.panel import PanelScreen

SLICE_S = 0.008
"""Longest time in which events are looked through at once: half a frame."""
SCAN_EVERY_S = 1 / 30


class ActivityScreen(PanelScreen[int | None]):
    """Answers with a variant to jump to."""

    STYLE = """
    ActivityScreen {
        & .heading { color: $text-muted; height: 1; }
        & JobList { height: auto; max-height: 35%; min-height: 3; }
        & EventList { height: 1fr; }
        & #whole { height: auto; max-height: 4; color: $text; display: none; }
        & Input { height: 3; }
        & Input.-hidden { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L", "close_panel", "Close", show=False, tooltip="Close the activity"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Only events with a word"),
        Binding("a", "all", "All", tooltip="Also every step of training, or not"),
        Binding("x", "cancel", "Cancel", tooltip="Take a waiting job out of the queue"),
    ]

    class CancelRequested(Message):
        """A waiting job is to be taken out of the queue."""

        def __init__(self, job: int) -> None:
            self.job = job
            super().__init__()

    def __init__(self, state: SessionState, records: LoggedRecords, *, is_live: bool) -> None:
        super().__init__(state, is_live=is_live)
        self._records = records
        self._index = EventIndex(records)
        self._end = 0
        """Records up to here have happened."""
        self._timer: Timer | None = None
        self._whole = ""
        """What is told below the events."""

    def compose_body(self) -> ComposeResult:
        """Jobs, then events, then the selected event with all its words."""
        yield Static("", id="jobs", classes="heading")
        yield JobList()
        yield Static("", id="events", classes="heading")
        yield EventList()
        yield Static("", id="whole")
        yield Input(placeholder="words that an event must have", classes="-hidden")

    def on_mount(self) -> None:
        """The events have the keys, the last one first."""
        super().on_mount()
        self._timer = self.set_interval(SCAN_EVERY_S, self._scan, pause=True)
        self._scan()
        self.query_one(EventList).focus()

    def on_unmount(self) -> None:
        """Give the file back."""
        self._records.close()

    def show_state(self, state: SessionState, position: int | None = None) -> None:
        """Jobs change, events come; a replay also goes back."""
        self.state = state
        rows = panel_views.job_rows(state)
        self.query_one(JobList).rows = rows
        waiting = sum(row.status == "queued" for row in rows)
        text = f"jobs: {len(rows):,}, {waiting} waiting" if rows else "jobs"
        self.query_one("#jobs", Static).update(text)
        self._records.refresh()
        self._end = len(self._records) if position is None else position
        self._index.jobs = state.jobs
        cancels = ", x cancels" if self.is_live and waiting else ""
        goes = ", enter goes to its variant" if self.is_live else ""
        self.head("Activity", f"tab jobs, / filters{cancels}{goes}, escape closes")
        if self._timer is not None:
            self._scan()

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        """All words of the selected event, or why the selected job ended as it did."""
        self._show_whole(message.lines)

    def on_line_list_chosen(self, message: LineList.Chosen) -> None:
        """Go to the variant of an event, or that a job made."""
        if isinstance(message.lines, JobList):
            job = self.state.jobs[message.lines.rows[message.index].number]
            made = job.result if job.result in self.state.variants else job.variant
            variant: int | None = made
        else:
            variant = self._index.line(message.index).variant
        if variant is None or variant not in self.state.variants:
            self.notify("no variant came of this")
        elif not self.is_live:
            self.notify("a recording stays as it is: its session can be opened to go on from here")
        else:
            self.dismiss(variant)

    def action_filter(self) -> None:
        """Ask for words."""
        field = self.query_one(Input)
        field.remove_class("-hidden")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._choose(event.value, has_progress=self._index.has_progress)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the events, filtered."""
        if not event.value:
            event.input.add_class("-hidden")
        self.query_one(EventList).focus()

    def action_all(self) -> None:
        """With the steps of training, or without."""
        self._choose(self._index.wanted, has_progress=not self._index.has_progress)

    def action_cancel(self) -> None:
        """Take the selected job out of the queue."""
        row = self.query_one(JobList).selected
        if row is None:
            return
        if not self.is_live:
            self.notify("a recording stays as it is")
        elif row.status == "queued":
            self.post_message(self.CancelRequested(row.number))
        elif row.status == "running":
            self.notify("this job runs: escape, then x stops it and keeps its result")
        else:
            self.notify("only a waiting job can be cancelled: choose one with tab and the arrows")

    def action_close_panel(self) -> None:
        """Escape takes a filter away first."""
        field = self.query_one(Input)
        if field.has_class("-hidden"):
            self.dismiss(None)
            return
        field.value = ""
        field.add_class("-hidden")
        self.query_one(EventList).focus()

    def _choose(self, wanted: str, *, has_progress: bool) -> None:
        self._index.choose(wanted, has_progress=has_progress)
        self._scan()

    def _scan(self) -> None:
        """Look through what was not looked through yet, a slice at a time."""
        assert self._timer is not None
        is_more = self._index.scan(self._end, SLICE_S)
        (self._timer.resume if is_more else self._timer.pause)()
        events = self.query_one(EventList)
        events.view = self._index.view
        self._show_heading(is_more=is_more)
        if self.focused is not self.query_one(JobList):
            self._show_whole(events)

    def _show_heading(self, *, is_more: bool) -> None:
        shown = f"events: {self._index.view.count:,} of {self._end:,}"
        if is_more:
            shown += f", looked through {self._index.looked_at / self._end:.0%}"
        wanted = f" with “{self._index.wanted}”" if self._index.wanted else ""
        steps = (
            "a leaves the steps of training out"
            if self._index.has_progress
            else ("a shows the steps of training too")
        )
        text = numbers.shortened(f"{shown}{wanted} · {steps}", self.app.size.width - 4)
        self.query_one("#events", Static).update(Text(text))

    def _show_whole(self, lines: LineList) -> None:
        words = ""
        if isinstance(lines, JobList) and lines.selected is not None:
            words = lines.selected.reason
        elif isinstance(lines, EventList) and lines.cursor < lines.count:
            words = self._index.line(lines.cursor).words
        # Most events are told whole by their line: what is below it only jumps about then.
        words = words if cell_len(words) > self.app.size.width - 16 else ""
        if words != self._whole:  # a new layout costs more than a line
            self._whole = words
            whole = self.query_one("#whole", Static)
            whole.display = bool(words)
            whole.update(Text(words))
