"""The variants of a session: a list to jump in, names, and two of them side by side."""

from typing import ClassVar

import msgspec
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from sessions import history
from sessions.state import SessionState
from widgets import numbers
from workbench.screens import names
from workbench.screens.dialog import Dialog
from workbench.screens.variant_lines import variant_lines

WIDEST = 120
"""Columns of the dialog in a wide terminal."""
FRAME = 10
"""Columns that are not the list's."""


class VariantsScreen(Dialog[int | None]):
    """Every variant of the session; enter jumps to one."""

    STYLE = f"""
    VariantsScreen > .dialog {{ width: {WIDEST}; }}
    VariantsScreen OptionList {{ border: none; padding: 0; max-height: 20; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,t", "dismiss", "Close"),
        Binding("n", "name", "Name"),
        Binding("d", "compare", "Compare"),
        Binding("D", "compare_rows", "Compare in the tree"),
    ]

    class Named(Message):
        """A variant is to have a name."""

        def __init__(self, variant: int, name: str) -> None:
            self.variant, self.name = variant, name
            super().__init__()

    class Against(Message):
        """The tree is to show the changes against a variant."""

        def __init__(self, variant: int) -> None:
            self.variant = variant
            super().__init__()

    def __init__(self, state: SessionState, *, is_live: bool = True) -> None:
        super().__init__()
        self._state = state
        self._is_live = is_live
        self._order: list[int] = []
        self._lines: list[str] = []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A recording takes no names."""
        return action != "name" or self._is_live

    def compose(self) -> ComposeResult:
        """A line a variant."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Variants"
            dialog.border_subtitle = "escape closes"
            yield Label("", id="title")
            yield OptionList()
            yield Input(placeholder="a name for this variant", id="name")
            going = " · enter goes there, n names it" if self._is_live else ""
            yield Label(f"★ best score{going}")
            yield Label("d compares it with the current one, D shows the changes in the tree")

    def on_mount(self) -> None:
        """Start at the current variant."""
        self.query_one(Input).display = False
        self._fill()
        if self._state.current in self._order:
            self.query_one(OptionList).highlighted = self._order.index(self._state.current)

    def on_resize(self) -> None:
        """Names have another width."""
        self._fill()

    def show_state(self, state: SessionState) -> None:
        """Variants come, are measured, and are gone to."""
        before, self._state = self._state, state
        if (before.variants, before.current) != (state.variants, state.current):
            self._fill()

    def _fill(self) -> None:
        """Write the lines anew where they changed; the cursor stays on its variant."""
        values, chosen = self.query_one(OptionList), self._highlighted
        order = [number for number, _ in history.tree(self._state)]
        heading, *lines = variant_lines(self._state, self._room)
        self.query_one("#title", Label).update(Text(heading, style="bold"))
        if order == self._order and values.option_count == len(order):
            for at, line in enumerate(lines):
                if line != self._lines[at]:
                    values.replace_option_prompt_at_index(at, Text(line))
        else:
            self._order = order
            values.clear_options()
            values.add_options(
                Option(Text(line), id=str(number))
                for number, line in zip(order, lines, strict=True)
            )
            if chosen in order:
                values.highlighted = order.index(chosen)
        self._lines = lines

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with the variant."""
        if self._is_live:
            self.dismiss(int(event.option.id or 0))
        else:
            self.notify("a recording stays as it is: its session can be opened to go on from here")

    @property
    def _room(self) -> int:
        return min(WIDEST, int(self.app.size.width * 0.95)) - FRAME

    @property
    def _highlighted(self) -> int | None:
        at = self.query_one(OptionList).highlighted
        return None if at is None or at >= len(self._order) else self._order[at]

    def action_name(self) -> None:
        """Ask for a name."""
        if self._highlighted is not None:
            field = self.query_one(Input)
            field.value = self._state.variants[self._highlighted].name
            field.display = True
            field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Tell the name, and show it."""
        number = self._highlighted
        self.query_one(Input).display = False
        values = self.query_one(OptionList)
        values.focus()
        if number is None:
            return
        name = event.value.strip()
        self.post_message(self.Named(number, name))
        variants = self._state.variants
        named = msgspec.structs.replace(variants[number], name=name)
        self._state = msgspec.structs.replace(self._state, variants=variants | {number: named})
        self._fill()

    def action_compare_rows(self) -> None:
        """Show in the tree what differs from the chosen variant."""
        if self._highlighted is not None:
            self.post_message(self.Against(self._highlighted))
            self.dismiss()

    def action_compare(self) -> None:
        """Show what differs from the current variant."""
        current, other = self._state.current, self._highlighted
        if current is None or other is None:
            return
        if other == current:
            self.notify("choose another variant than the current one to compare with")
            return
        height = self.query_one(".dialog").outer_size.height
        self.app.push_screen(CompareScreen(self._state, other, current, height))


class CompareScreen(Dialog[None]):
    """Two variants row by row: structure, MACs, F1, score."""

    STYLE = f"CompareScreen > .dialog {{ width: {WIDEST}; }}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,d,enter", "dismiss", "Close")]

    def __init__(self, state: SessionState, a: int, b: int, height: int = 0) -> None:
        """`height`: lines of the dialog below, which is hidden whole."""
        super().__init__()
        self._state, self._a, self._b, self._height = state, a, b, height

    def compose(self) -> ComposeResult:
        """The figures, then what differs."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = f"v{self._a} and v{self._b} side by side"
            dialog.border_subtitle = "escape closes"
            dialog.styles.min_height = self._height
            yield Static(comparison(self._state, self._a, self._b))


def comparison(state: SessionState, a: int, b: int) -> Table:
    """Two variants as a table: the whole, then every unit in which they differ."""
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    variants = (state.variants[a], state.variants[b])
    table.add_column("")
    for variant in variants:
        table.add_column(Text(f"v{variant.number} {names.title(variant)}"), ratio=1)
    table.add_column("change", justify="right")
    first, second = variants
    change = second.macs - first.macs
    table.add_row("MACs", f"{first.macs:,}", f"{second.macs:,}", numbers.signed(change, ",d"))
    f1s = [None if v.evaluation is None else v.evaluation.f1 for v in variants]
    scores = [
        None if f1 is None else state.rule.score(v.macs, f1)
        for v, f1 in zip(variants, f1s, strict=True)
    ]
    for name, values in (("F1", f1s), ("score", scores)):
        shown = ["—" if v is None else numbers.plain(v, ".4f") for v in values]
        known = [v for v in values if v is not None]
        moved = numbers.signed(known[1] - known[0], ".4f") if len(known) == 2 else "—"
        table.add_row(name, *shown, moved)
    differences = history.differences(first.network, second.network)
    for row in differences:
        table.add_row(row.path, Text(row.before), Text(row.after), numbers.signed(row.macs, ",d"))
    if not differences:
        table.add_row("structure", "the same in both", "", "")
    return table
