"""F1 of every class as bars, with its changes since the opened model and the step before."""

import msgspec
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers

LONGEST, LONGEST_WIDE, WIDE = 16, 24, 60
"""Cells of a class's name; where the panel is so wide, more."""
OPENED, BEFORE = "vs opened", "vs before"
FIGURES, CHANGE = 19, 7
"""Cells of F1, number of images and the spaces between; of one change."""
LEAST_BAR = 8


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

    def render(self) -> Table | Text:
        """The classes, or a word while none are known."""
        if not self.rows:
            return Text("No F1 of any class yet: measuring tells it.", style="dim")
        return class_table(self.rows, self.size.width, self.size.height)


def class_table(rows: tuple[ClassRow, ...], width: int, height: int) -> Table:
    """The panel as a table; where it is too low, the worst are shown and the rest counted."""
    ordered = sorted(rows, key=lambda row: row.f1)
    shown = ordered if len(ordered) <= height else ordered[: max(height - 1, 1)]
    limit = LONGEST if width < WIDE else LONGEST_WIDE
    longest = min(max(cell_len(row.name) for row in shown), limit)
    has_steps = (
        any(row.step is not None for row in rows)
        and width - longest - FIGURES - 2 * (len(OPENED) + 1) >= LEAST_BAR
        and height > len(rows)
    )
    table = Table(box=None, show_header=has_steps, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("", "", "F1", OPENED, *((BEFORE,) if has_steps else ()), ""):
        table.add_column(title, header_style="dim", justify="right" if title else "left")
    rest = f"and {len(ordered) - len(shown)} better" if len(shown) < len(ordered) else ""
    longest = max(longest, cell_len(rest))
    has_changes = any(row.change is not None for row in rows)
    changes = 2 * (len(OPENED) + 1) if has_steps else CHANGE if has_changes else 1
    least = 7 + max(len(f"n {row.support}") for row in rows)
    longest = max(min(longest, width - least - changes - 6), 4)
    bar_width = max(min(width - longest - FIGURES - changes, 30), 6)
    for row in shown:
        table.add_row(
            Text(numbers.fitted(row.name, longest), no_wrap=True),
            Text(numbers.bar(row.f1, bar_width), style="green"),
            numbers.ratio(row.f1),
            _change(row.change),
            *((_change(row.step),) if has_steps else ()),
            Text(f"n {row.support}", style="dim"),
        )
    if rest:
        table.add_row(Text(rest, style="dim"))
    return table


def _change(value: float | None) -> Text:
    if value is None:
        return Text("")
    style = "green" if value > 0 else "red" if value < 0 else "dim"
    return Text(numbers.signed(value, ".3f"), style=style)
