"""F1 of every class as bars, with the change from the opened model."""

import msgspec
from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers


class ClassRow(msgspec.Struct, frozen=True):
    """One class."""

    name: str
    f1: float
    change: float | None
    support: int


class ClassPanel(Widget):
    """A line a class, as many as there is room for, the worst first."""

    DEFAULT_CSS = """
    ClassPanel { padding: 0 1; }
    """

    rows: reactive[tuple[ClassRow, ...]] = reactive(())

    def render(self) -> Table | Text:
        """The classes, or a word while none are known."""
        if not self.rows:
            return Text("No class scores yet: e measures them.", style="dim")
        return class_table(self.rows, self.size.width, self.size.height)


def class_table(rows: tuple[ClassRow, ...], width: int, height: int) -> Table:
    """The panel as a table; where it is too low, the worst are shown and the rest counted."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    ordered = sorted(rows, key=lambda row: row.f1)
    shown = ordered if len(ordered) <= height else ordered[: max(height - 1, 1)]
    rest = f"{len(ordered) - len(shown)} better" if len(shown) < len(ordered) else ""
    longest = min(max(len(rest), *(len(row.name) for row in rows)), 16)
    bar_width = max(min(width - longest - 26, 30), 6)
    for row in shown:
        change = Text("")
        if row.change is not None:
            style = "green" if row.change > 0 else "red" if row.change < 0 else "dim"
            change = Text(numbers.signed(row.change, ".3f"), style=style)
        table.add_row(
            Text(numbers.shortened(row.name, longest)),
            Text(numbers.bar(row.f1, bar_width), style="green"),
            numbers.ratio(row.f1),
            change,
            Text(f"n {row.support}", style="dim"),
        )
    if rest:
        table.add_row(Text(rest, style="dim"))
    return table
