"""Rows of a tree under a sticky header: a cursor, folds, scrolling. What keys ask for is above it.

Lines are drawn one by one, so that only rows that changed are painted again. No step of the cursor
looks at more rows than are shown.
"""

from bisect import bisect_left, bisect_right
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets import tree_columns, tree_order
from widgets.rows import Row
from widgets.tree_columns import Layout
from widgets.tree_order import Children
from widgets.tree_strips import TreeStrips


class TreeBody(ScrollView, can_focus=True):
    """Shows rows and the cursor; tells which row is selected."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "tree--header", "tree--note", "tree--stage", "tree--unit", "tree--layer", "tree--off",
        "tree--share", "tree--std", "tree--changed", "tree--equal", "tree--marked", "tree--cursor",
    }  # fmt: skip
    DEFAULT_CSS = """
    TreeBody {
        background: $surface;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
        & > .tree--header { color: $text-muted; background: $panel; }
        & > .tree--note { color: $text-warning; background: $panel; }
        & > .tree--stage { text-style: bold; color: $text-accent; }
        & > .tree--unit { color: $foreground; }
        & > .tree--layer { color: $text-muted; }
        & > .tree--off { color: $text-disabled; text-style: dim; }
        & > .tree--share { color: $primary; }
        & > .tree--std { color: $success; }
        & > .tree--changed { color: $warning; }
        & > .tree--equal { color: $text-disabled; text-style: dim; }
        & > .tree--marked { color: $text-success; text-style: bold; }
        & > .tree--cursor { background: $panel-lighten-1; }
        &:light > .tree--cursor { background: $panel; }
        &:focus > .tree--cursor { background: $primary-muted; text-style: bold; }
    }
    """
    rows: reactive[tuple[Row, ...]] = reactive((), repaint=False)
    cursor: reactive[str] = reactive("", repaint=False)
    """Path of the selected row."""
    columns: reactive[tuple[str, ...]] = reactive((), repaint=False)
    """Names of the columns to show, in this order, as far as they fit; empty for the usual ones."""
    sort: reactive[str] = reactive("", repaint=False)
    """Name of the column that siblings are sorted by; empty for running order."""

    class RowSelected(Message, namespace="network_tree"):
        """The cursor is on another row."""

        def __init__(self, path: str) -> None:
            self.path = path
            super().__init__()

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles: dict[str, Style] = {}
        self._strips = TreeStrips(self._style)
        self._open: set[str] = set()
        self._marked: set[str] = set()
        self._children: Children = {}
        self._visible: list[Row] = []
        self._index: dict[str, int] = {}
        """Places of the visible rows, by path."""
        self._tops: list[int] = []
        """Places of the stages."""
        self._note_line = ""

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self._lay_out()
        self.call_after_refresh(self._scroll_to_cursor)

    def watch_rows(self, before: tuple[Row, ...], rows: tuple[Row, ...]) -> None:
        """Repaint what changed; folds and cursor stay."""
        if not before and rows:
            self._open = {row.path for row in rows if row.is_sum}
            self.cursor = next((row.path for row in rows if row.is_removable), rows[0].path)
        before_it = self._shape()
        drawn = self._strips.clear()
        self._strips.scale = tree_columns.scale(rows)
        self._choose_columns()
        self._children = tree_order.children_of(rows, self.sort)
        self._find_visible()
        if self._shape() != before_it:
            self.refresh()
            return
        for path, strip in drawn.items():
            # A change of a share that leaves its figure and its bar costs no repaint.
            y = self._index.get(path)
            if y is not None and list(self._line(self._visible[y])) != list(strip):
                self._refresh_row(y)

    def _shape(self) -> tuple[object, ...]:
        """All that moves or heads rows: where it is the same, only rows that differ are painted."""
        strips = self._strips
        paths = [row.path for row in self._visible]
        return strips.layout, strips.scale.is_compared, self._note_line, paths

    def watch_cursor(self, before: str, cursor: str) -> None:
        """Repaint both rows, keep the cursor in sight, tell."""
        for path in (before, cursor):
            self._strips.forget(path)
            if (y := self._index.get(path)) is not None:
                self._refresh_row(y)
        self._scroll_to_cursor()
        if cursor:
            self.post_message(self.RowSelected(cursor))

    def watch_columns(self) -> None:
        """Draw the chosen columns."""
        self._lay_out()

    def watch_sort(self, before: str, sort: str) -> None:
        """Put siblings in their new order; the cursor stays on its row."""
        self._children = tree_order.children_of(self.rows, sort)
        self._show_again()

    def notes(self) -> str:
        """What a second line of the header says; without words there is none."""
        return ""

    def why_empty(self) -> str:
        """Why there is no row."""
        return "" if self.rows else " no model is open yet"

    def paths_shown(self) -> frozenset[str] | None:
        """Rows that may be shown, None for all."""
        return None

    def render_line(self, y: int) -> Strip:
        """The header first, rows below it."""
        strips = self._strips
        if y == 0:
            is_compared = strips.scale.is_compared
            text = tree_columns.header(strips.layout, self.sort, is_compared=is_compared)
            return strips.line(text, "header")
        if y < self.header_height:
            return strips.line(self._note_line, "note")
        index = y - self.header_height + self.scroll_offset.y
        if index < len(self._visible):
            return self._line(self._visible[index])
        return strips.line(self.why_empty() if index == 0 else "", "layer")

    @property
    def header_height(self) -> int:
        """Lines above the rows."""
        return 2 if self._note_line else 1

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self._go_to(self._index.get(self.cursor, 0) + step)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a screen."""
        self.action_move(direction * max(self._page - 1, 1))

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first or last row."""
        self._go_to(len(self._visible) - 1 if end else 0)

    def action_stage(self, direction: int) -> None:
        """Move the cursor to the stage before or after."""
        at = self._index.get(self.cursor, 0)
        place = bisect_right(self._tops, at) if direction > 0 else bisect_left(self._tops, at) - 1
        if 0 <= place < len(self._tops):
            self._go_to(self._tops[place])

    def action_fold(self) -> None:
        """Fold the row, or go to its parent."""
        row = self.selected
        if row is not None and row.path in self._open and row.has_children:
            self._set_open(row, is_open=False)
        elif row is not None and row.parent:
            self.cursor = row.parent

    def action_unfold(self) -> None:
        """Show what is inside the row."""
        row = self.selected
        if row is not None and row.has_children:
            self._set_open(row, is_open=True)

    def action_fold_or_unfold(self) -> None:
        """Change the fold of the row."""
        row = self.selected
        if row is not None and row.has_children:
            self._set_open(row, is_open=row.path not in self._open)

    @property
    def selected(self) -> Row | None:
        """The row of the cursor, where it is shown."""
        index = self._index.get(self.cursor)
        return None if index is None else self._visible[index]

    def row_at(self, event: events.Click) -> Row | None:
        """The row that was clicked."""
        index = event.y - self.header_height + self.scroll_offset.y
        is_row = event.y >= self.header_height and 0 <= index < len(self._visible)
        return self._visible[index] if is_row else None

    @property
    def _page(self) -> int:
        return self.size.height - self.header_height

    def _go_to(self, index: int) -> None:
        if self._visible:
            self.cursor = self._visible[min(max(index, 0), len(self._visible) - 1)].path

    def _set_open(self, row: Row, *, is_open: bool) -> None:
        (self._open.add if is_open else self._open.discard)(row.path)
        self._strips.forget(row.path)
        self._find_visible()
        self._scroll_to_cursor()
        self.refresh()

    def _show_again(self) -> None:
        self._strips.clear()
        self._find_visible()
        self._scroll_to_cursor()
        self.refresh()

    def _find_visible(self) -> None:
        self._visible = tree_order.visible(self._children, self._open, self.paths_shown())
        self._index = {row.path: y for y, row in enumerate(self._visible)}
        self._tops = [y for y, row in enumerate(self._visible) if not row.parent]
        self._take_room()

    def _take_room(self) -> None:
        self._note_line = self.notes()
        self.virtual_size = Size(self.size.width, len(self._visible) + self.header_height)

    def _scroll_to_cursor(self) -> None:
        index = self._index.get(self.cursor)
        if index is None or self._page < 1:
            return
        top = self.scroll_offset.y
        nearest = min(max(top, index - self._page + 1), index)
        if nearest != top:
            # By force: whether there is a scroll bar is only known after the next layout.
            self.scroll_to(y=nearest, animate=False, force=True)

    def _refresh_row(self, index: int) -> None:
        y = index + self.header_height - self.scroll_offset.y
        if self.header_height <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling moves every row under the header."""
        super().watch_scroll_y(old_value, new_value)
        self.refresh()

    def _lay_out(self) -> None:
        self._choose_columns()
        self._strips.clear()
        self._take_room()
        self.refresh()

    def layout_of(self, columns: tuple[str, ...]) -> Layout:
        """What would be shown of a choice of columns."""
        return tree_columns.layout(self.size.width, self._strips.scale, columns)

    @property
    def filled(self) -> frozenset[str]:
        """Columns in which some row has a value."""
        return self._strips.scale.filled

    def _choose_columns(self) -> None:
        self._strips.width = self.size.width
        self._strips.layout = self.layout_of(self.columns)

    def notify_style_update(self) -> None:
        """Look the styles up again."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def _style(self, name: str) -> Style:
        """A part's style; without a name, that of the widget itself."""
        if name not in self._styles:
            self._styles[name] = (
                self.get_component_rich_style(f"tree--{name}", partial=True)
                if name
                else self.rich_style
            )
        return self._styles[name]

    def _line(self, row: Row) -> Strip:
        return self._strips.row(
            row,
            is_open=row.path in self._open,
            is_cursor=row.path == self.cursor,
            is_marked=row.path in self._marked,
        )
