"""F1 of every class as bars, with its changes since the opened model and the step before."""

import msgspec
from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers

LONGEST, LONGEST_WIDE, WIDE = 16, 24, 60
"""Cells of a class's name; where the panel is so wide, more."""
OPENED, BEFORE, IMAGES = "± opened", "± before", "images"
F1, CHANGE = 5, 6
"""Cells of an F1 and of a change without a title."""
LEAST_HEADED = 5
"""Lines from which on titles over changes are worth that of a class."""
LEAST_LOW_BAR, LEAST_BAR, MOST_BAR = 6, 8, 30
"""Cells of a bar: at least, at least beside a second change, and at most."""


class ClassRow(msgspec.Struct, frozen=True):
    """One class."""

    name: str
    f1: float
    change: float | None
    """Since the model was opened; None where that is not known."""
    support: int
    step: float | None = None
    """Since the variant before, where that is not the opened model."""


class ClassPanel(Widget):
    """A line a class, as many as there is room for, the worst first."""

    DEFAULT_CSS = """
    ClassPanel { padding: 0 1; }
    """

    rows: reactive[tuple[ClassRow, ...]] = reactive(())
    word: reactive[str] = reactive("No F1 by class yet: measuring tells it.")
    """Why there are none."""

    def render(self) -> Table | Text:
        """The classes, or a word while none are known."""
        if not self.rows:
            return Text(self.word, style="dim")
        return class_table(self.rows, self.size.width, self.size.height)


def class_table(rows: tuple[ClassRow, ...], width: int, height: int) -> Table:
    """The panel as a table; where it is too low, the worst are shown and the rest counted."""
    ordered = sorted(rows, key=lambda row: row.f1)
    has_changes = any(row.change is not None for row in rows)
    is_headed = len(rows) < height or (has_changes and height >= LEAST_HEADED)
    room = max(height - is_headed, 1)
    shown = ordered if len(ordered) <= room else ordered[: max(room - 1, 1)]
    rest = f"and {len(ordered) - len(shown)} better" if len(shown) < len(ordered) else ""
    counts = [f"{row.support:,}" if is_headed else f"n {row.support:,}" for row in shown]
    count_width = max(len(count) for count in (*counts, IMAGES if is_headed else ""))
    change_width = (len(OPENED) if is_headed else CHANGE) if has_changes else 0
    limit = LONGEST if width < WIDE else LONGEST_WIDE
    longest = min(max(cell_len(row.name) for row in shown), limit)
    others = F1 + count_width + change_width + 3 + has_changes
    has_steps = (
        is_headed
        and any(row.step is not None for row in rows)
        and width - longest - others - len(BEFORE) - 1 >= LEAST_BAR
    )
    others += (len(BEFORE) + 1) * has_steps
    longest = max(min(max(longest, cell_len(rest)), width - others - LEAST_LOW_BAR), 4)
    bar_width = max(min(width - longest - others, MOST_BAR), LEAST_LOW_BAR)
    changes = (OPENED,) * has_changes + (BEFORE,) * has_steps
    table = Table(box=None, show_header=is_headed, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("", "", "F1", *changes, IMAGES):
        side: JustifyMethod = "right" if title and is_headed else "left"
        table.add_column(title, header_style="not bold dim", justify=side, no_wrap=True)
    for row, count in zip(shown, counts, strict=True):
        table.add_row(
            Text(numbers.fitted(row.name, longest), no_wrap=True),
            Text(numbers.bar(row.f1, bar_width), style="green"),
            numbers.ratio(row.f1),
            *((_change(row.change),) * has_changes),
            *((_change(row.step),) * has_steps),
            Text(count, style="dim"),
        )
    if rest:
        table.add_row(Text(rest, style="dim"))
    return table


def _change(value: float | None) -> Text:
    if value is None:
        return Text("")
    style = "green" if value > 0 else "red" if value < 0 else "dim"
    return Text(numbers.signed(value, ".3f"), style=style)
