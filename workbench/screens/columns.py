"""The choice of the tree's columns: a list to switch them in, with the tree changing behind it."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, OptionList
from textual.widgets.option_list import Option

from widgets.network_tree import NetworkTree
from widgets.tree_columns import ABSENT, COLUMNS, NAMES
from workbench.screens.dialog import Dialog


class ColumnsScreen(Dialog[None]):
    """Every column with what it shows; enter or space switches one."""

    STYLE = """
    ColumnsScreen > .dialog { width: 80; }
    ColumnsScreen OptionList { border: none; padding: 0; height: auto; max-height: 16; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,C,q", "dismiss", "Close"),
        Binding("space", "switch", "Switch"),
        Binding("r", "reset", "As usual"),
    ]

    def __init__(self, tree: NetworkTree) -> None:
        super().__init__()
        self._tree = tree

    def compose(self) -> ComposeResult:
        """A line a column."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Columns of the tree"
            dialog.border_subtitle = "space switches one, escape closes"
            yield OptionList(*(Option(line) for line in self._lines()))
            with Horizontal(classes="buttons"):
                yield Button("As usual (r)", id="reset", compact=True)
                yield Button("Close (escape)", id="close", compact=True)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Switch a column."""
        self._switch(event.option_index)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Close, or the usual columns."""
        if event.button.id == "reset":
            self.action_reset()
        else:
            self.dismiss()

    def action_switch(self) -> None:
        """Switch the column of the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self._switch(at)

    def action_reset(self) -> None:
        """As many as fit, the most important first."""
        self._show(())

    def _switch(self, at: int) -> None:
        before = self._tree.columns or tuple(c.name for c in self._tree.layout_of(()).columns)
        name = NAMES[at]
        after = [known for known in before if known != name]
        if name not in before:
            # Where the columns stand as usual, it comes to its usual place.
            is_usual = after == sorted(after, key=NAMES.index)
            after.append(name)
            after = sorted(after, key=NAMES.index) if is_usual else after
        self._show(tuple(after))

    def _show(self, chosen: tuple[str, ...]) -> None:
        self._tree.columns = chosen
        values = self.query_one(OptionList)
        for at, line in enumerate(self._lines()):
            values.replace_option_prompt_at_index(at, line)

    def _lines(self) -> list[Text]:
        chosen, filled = self._tree.columns, self._tree.filled
        shown = {column.name for column in self._tree.layout_of(chosen).columns}
        return [column_line(at, shown, chosen, filled) for at in range(len(COLUMNS))]


def column_line(at: int, shown: set[str], chosen: tuple[str, ...], filled: frozenset[str]) -> Text:
    """A column: whether it is on, its title, what it shows, and why it is not there."""
    column = COLUMNS[at]
    is_on = column.name in chosen if chosen else column.name in shown
    line = Text(f"{'●' if is_on else '○'} {column.title:<9} {column.meaning}")
    if column.name not in filled:
        line.append(f"\n  {'':<9} {ABSENT[column.name]}", style="dim")
    elif is_on and column.name not in shown:
        line.append(f"\n  {'':<9} no room: switch another one off, or widen the terminal", "yellow")
    if not is_on:
        line.stylize("dim")
    return line
