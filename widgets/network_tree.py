"""The network as a tree: rows to move in, units to switch, marks, sorting and a filter."""

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from widgets import numbers, tree_columns, tree_order
from widgets.binding import Binding
from widgets.rows import Row
from widgets.tree_body import TreeBody
from widgets.tree_order import Filtered

MARKING = frozenset({"mark", "unmark"})
"""The actions on marks."""


class NetworkTree(TreeBody):
    """Shows rows; asks for units to be toggled; tells which row is selected."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="up"),
        Binding("down,j", "move(1)", "Down", show=False, id="down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="page_down"),
        Binding("home,g", "edge(0)", "First row", show=False, id="first_row"),
        Binding("end,G", "edge(1)", "Last row", show=False, id="last_row"),
        Binding("J", "stage(1)", "Next stage", show=False, key_display="J", id="next_stage"),
        Binding(
            "K", "stage(-1)", "Stage before", show=False, key_display="K", id="previous_stage",
        ),
        Binding("left,h", "fold", "Fold, or go to the parent", show=False),
        Binding("right,l", "unfold", "Unfold", show=False),
        Binding("enter", "fold_or_unfold", "Fold or unfold", show=False),
        Binding(
            "v", "mark", "Mark", show=False,
            tooltip="Mark a unit, or a stage's units; space then switches all that are marked",
        ),
        Binding("V", "unmark", "Clear marks", show=False, key_display="V",
                tooltip="Take all marks away"),
        Binding("O", "sort", "Sort", show=False, key_display="O",
                tooltip="Sort by MACs, by std, by worth, or in running order"),
        Binding("escape", "clear_filter", "Clear the filter", show=False,
                tooltip="Show all rows again"),
    ]  # fmt: skip

    filter_text: reactive[str] = reactive("", repaint=False)
    """What paths must contain or match, and words like `:off`; empty for all rows."""
    can_mark: reactive[bool] = reactive(True, bindings=True, repaint=False)
    """Whether units can be marked: not where nothing can be switched."""
    note: reactive[str] = reactive("", repaint=False)
    """What the figures are, where they are not the usual ones."""

    class ToggleRequested(Message):
        """The user wants a unit off, or on again."""

        def __init__(self, unit: str) -> None:
            self.unit = unit
            super().__init__()

    class Marked(Message):
        """Other units are marked."""

    class Refused(Message):
        """The user wants what a row cannot: a whole stage off, or a mark on what stays."""

        def __init__(self, row: Row) -> None:
            self.row = row
            super().__init__()

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._filtered: Filtered | None = None
        self._open_before: set[str] = set()
        """The folds without the filter."""

    def watch_rows(self, before: tuple[Row, ...], rows: tuple[Row, ...]) -> None:
        """Marks and the filter stay as well."""
        self._marked &= {row.path for row in rows}
        known = self._filtered
        if known is not None:
            self._filtered = tree_order.filtered(rows, self.filter_text)
            self._open |= self._filtered.parents - known.parents
        super().watch_rows(before, rows)
        if known is not None and not before:
            self.watch_filter_text("", self.filter_text)

    def watch_note(self) -> None:
        """The header has other words, and perhaps a line more."""
        self._show_again()

    def watch_filter_text(self, before: str, text: str) -> None:
        """Show what matches; without a filter the folds are as before, and the cursor in sight."""
        if text:
            if not before:
                self._open_before = set(self._open)
            self._filtered = tree_order.filtered(self.rows, text)
            self._open = self._open_before | self._filtered.parents
            if self.cursor not in self._filtered.paths and self._filtered.first:
                self.cursor = self._filtered.first
        else:
            self._filtered = None
            self._open = self._open_before | set(self._above(self.cursor))
        self._show_again()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Marks are for switching."""
        return self.can_mark or action not in MARKING

    def paths_shown(self) -> frozenset[str] | None:
        """What the filter leaves."""
        return None if self._filtered is None else self._filtered.paths

    def notes(self) -> str:
        """What is not as usual and no title says: hidden rows, marks, what the figures are."""
        words = []
        if self._filtered is not None:
            found = self._filtered.matches
            words.append(f"/{self.filter_text}: {found:,} found, escape shows all")
        if self._marked:
            words.append(f"{len(self._marked)} marked")
        if self.note:
            words.append(self.note)
        if self.sort and self.sort not in [column.name for column in self._strips.layout.columns]:
            words.append(f"sorted by {self.sort}")
        return numbers.shortened(" " + " · ".join(words), self.size.width) if words else ""

    def why_empty(self) -> str:
        """Why there is no row."""
        if self._filtered is None or not self.rows:
            return super().why_empty()
        unknown = tree_order.unknown_words(self.filter_text)
        if unknown:
            known = ", ".join(f":{word}" for word in tree_order.WORDS)
            return f" there is no {unknown[0]}: use {known}"
        return f" no row matches {self.filter_text}: escape shows all"

    @property
    def marked(self) -> tuple[str, ...]:
        """Units that are marked, in running order."""
        return tuple(row.path for row in self.rows if row.path in self._marked)

    def action_toggle_unit(self) -> None:
        """Ask for the marked units to be switched, else for the unit of the selected row.

        Of marked units those that are on go off; where none is on, all come back.
        """
        row = self.selected
        if self._marked:
            units = [row for row in self.rows if row.path in self._marked]
            for unit in [unit for unit in units if unit.is_on] or units:
                self.post_message(self.ToggleRequested(unit.path))
        elif row is not None and row.is_sum:
            self.post_message(self.Refused(row))
        elif row is not None:
            self.post_message(self.ToggleRequested(row.unit or row.parent or row.path))

    def action_mark(self) -> None:
        """Mark the unit of the selected row, or those of a stage that can be off; or unmark."""
        row = self.selected
        if row is None:
            return
        if not row.is_sum and not row.unit and row.parent in self._index:
            row = self._visible[self._index[row.parent]]
        units = self._children.get(row.path, []) if row.is_sum else [row]
        paths = {unit.path for unit in units if unit.is_removable}
        if not paths:
            self.post_message(self.Refused(row))
            return
        self._mark(self._marked - paths if paths <= self._marked else self._marked | paths)

    def action_unmark(self) -> None:
        """Take all marks away."""
        self._mark(set())

    def action_sort(self) -> None:
        """Sort by the next column, or not."""
        ways = ["", *tree_order.SORTS]
        self.sort = ways[(ways.index(self.sort) + 1) % len(ways)]

    def action_clear_filter(self) -> None:
        """Show all rows."""
        self.filter_text = ""

    def on_click(self, event: events.Click) -> None:
        """Select a row; a click on its arrow folds, on its mark toggles, left of both marks it.

        A click on a title sorts by it.
        """
        if event.y == 0:
            column = tree_columns.column_at(self._strips.layout, event.x)
            if column in tree_order.SORTS:
                self.sort = "" if self.sort == column else column
        row = self.row_at(event)
        if row is None:
            return
        self.cursor = row.path
        arrow = 1 + 2 * row.depth
        if event.x == 0 and self.can_mark:
            self.action_mark()
        elif row.has_children and event.x in (arrow, arrow + 1):
            self.action_fold_or_unfold()
        elif row.unit and event.x in (arrow + 2, arrow + 3):
            self.post_message(self.ToggleRequested(row.unit))

    def _mark(self, paths: set[str]) -> None:
        self._marked = paths
        self._show_again()
        self.post_message(self.Marked())

    def _above(self, path: str) -> list[str]:
        """The parents of a row."""
        parents = {row.path: row.parent for row in self.rows}
        found: list[str] = []
        while path := parents.get(path, ""):
            found.append(path)
        return found
