"""The jobs of a session, a line each: what runs, what waits, what came of the others."""

import msgspec
from textual.reactive import reactive

from widgets import numbers
from widgets.line_list import LineList, Parts

MARKS = {
    "running": "▶", "queued": "…", "paused": "‖", "interrupted": "‖", "finished": "✓",
    "stopped": "✓", "failed": "✗", "cancelled": "·",
}  # fmt: skip
WORDS = {"queued": "waiting", "finished": "done", "interrupted": "cut off"}
STYLES = {"running": "bold green", "failed": "red", "cancelled": "dim", "queued": "cyan"}
BAR, LOW_BAR = 10, 6
"""Cells of a bar where there is room, and elsewhere."""
WIDE = 90


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job."""

    number: int
    kind: str
    status: str
    """See `Job`."""
    variant: str
    """What it starts from and what it makes."""
    share: float | None = None
    """How far it is; None where it has not begun or is over."""
    f1: float | None = None
    seconds: float = 0.0
    left_s: float | None = None
    reason: str = ""


class JobList(LineList):
    """Jobs, the latest last."""

    rows: reactive[tuple[JobRow, ...]] = reactive(())

    @property
    def count(self) -> int:
        """Jobs."""
        return len(self.rows)

    @property
    def word(self) -> str:
        """Why there are none."""
        return "No job yet: on the main screen r recovers, f fine-tunes, e measures F1."

    @property
    def selected(self) -> JobRow | None:
        """The job under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def parts(self, index: int, width: int) -> Parts:
        """A job."""
        return job_parts(self.rows[index], width)

    def watch_rows(self, before: tuple[JobRow, ...], rows: tuple[JobRow, ...]) -> None:
        """Go on following the end where the cursor was there."""
        if not self.is_mounted:
            return
        is_following = self.cursor >= len(before) - 1
        self.update()
        if is_following:
            self.cursor = max(len(rows) - 1, 0)


def job_parts(row: JobRow, width: int) -> Parts:
    """A line: what, of which variant, how far, which F1, how long, and why."""
    style = STYLES.get(row.status, "")
    bar = BAR if width >= WIDE else LOW_BAR
    progress = " " * (bar + 5)
    if row.share is not None:
        filled = numbers.bar(row.share, bar).rstrip()
        progress = f"{filled}{'─' * (bar - len(filled))} {numbers.percent(row.share):>4}"
    f1 = f"F1 {numbers.ratio(row.f1)}" if row.f1 is not None else ""
    took = f"{row.seconds:,.1f} s" if row.seconds else ""
    if row.left_s is not None and row.status == "running":
        took = f"{numbers.duration(row.left_s)} left"
    status = WORDS.get(row.status, row.status)
    head = f"{MARKS.get(row.status, ' ')} {status:<10}{row.kind:<10}{row.variant:<11}"
    figures = f"  {f1:<7}{took:>10}  "
    used = len(head) + len(progress) + len(figures)
    return (
        (head, style),
        (progress, "green" if row.status == "running" else "dim"),
        (figures, ""),
        (numbers.shortened(row.reason, max(width - used, 0)), "dim"),
    )
