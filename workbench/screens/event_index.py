"""Which events of a session are shown, found a little at a time so that no frame waits for it."""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from time import perf_counter

from widgets.event_list import EventLine, EventsView
from workbench.logged import LoggedRecords
from workbench.screens.event_words import Jobs, event_line

BATCH, LARGE_BATCH = 32, 4096
"""Records between looks at the clock: where words are made of them, and where they are not."""
KEPT = 512
"""Lines that are not worked out again while they are looked at."""


class EventIndex:
    """Numbers of the records that are shown; the records themselves stay where they are."""

    def __init__(self, records: LoggedRecords) -> None:
        self.records = records
        self.jobs: Jobs = {}
        self.wanted = ""
        """What the words of an event must contain, in any case."""
        self.has_progress = False
        """Whether the many steps of training are shown too."""
        self._shown = array("Q")
        self._next = 0
        """The first record that has not been looked at."""
        self._revision = 0
        self._lines: OrderedDict[int, EventLine] = OrderedDict()

    def choose(self, wanted: str, *, has_progress: bool) -> None:
        """Show other events, from the first on."""
        self.wanted, self.has_progress = wanted.casefold(), has_progress
        self._shown, self._next = array("Q"), 0
        self._revision += 1

    def scan(self, end: int, limit_s: float) -> bool:
        """Look at records up to `end` for so long; tells whether some are left."""
        if end < self._next:  # a replay went back
            del self._shown[bisect_left(self._shown, end) :]
            self._next = end
            self._revision += 1
        until = perf_counter() + limit_s
        while self._next < end:
            stop = min(self._next + (BATCH if self.wanted else LARGE_BATCH), end)
            found = range(self._next, stop)
            numbers = found if self.has_progress else self.records.facts(self._next, stop)
            self._shown.extend(number for number in numbers if self._is_wanted(number))
            self._next = stop
            if perf_counter() > until:
                break
        return self._next < end

    @property
    def view(self) -> EventsView:
        """What is shown now."""
        word = "no event has these words" if self.wanted else "nothing has happened yet"
        return EventsView(len(self._shown), self._revision, self.line, word)

    @property
    def looked_at(self) -> int:
        """Records that were looked at."""
        return self._next

    def line(self, index: int) -> EventLine:
        """The line of a shown event."""
        return self._line(self._shown[index])

    def _line(self, number: int) -> EventLine:
        found = self._lines.get(number)
        if found is None:
            record = self.records.record(number)
            found = self._lines[number] = event_line(record.t, record.event, self.jobs)
            if len(self._lines) > KEPT:
                self._lines.popitem(last=False)
        return found

    def _is_wanted(self, number: int) -> bool:
        if not self.wanted:
            return True
        record = self.records.record(number)
        return self.wanted in event_line(record.t, record.event, self.jobs).words.casefold()
