"""Many values to type, a line each, of which only the one at hand is an input: it opens at once.

A widget for each of forty names, values and hints takes most of a second to lay out.
"""

from typing import ClassVar

import msgspec
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from widgets import numbers
from widgets.binding import Binding

NAME, VALUE = 20, 22
"""Cells of a field's name and of its value."""


class Field(msgspec.Struct, frozen=True):
    """A line of the form."""

    name: str
    label: str
    hint: str
    group: str
    """Fields of one group stand together under its name."""


class FieldForm(VerticalScroll, can_focus=False):
    """Up, down and a click go to another field."""

    DEFAULT_CSS = f"""
    FieldForm {{
        layers: lines field;
        scrollbar-size-vertical: 1;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
        & > Input {{ layer: field; width: {VALUE}; }}
    }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", tooltip="The next field"),
        Binding("up", "move(-1)", "Previous", tooltip="The field before"),
        Binding("pagedown", "move(10)", "Further", show=False, tooltip="Ten fields on"),
        Binding("pageup", "move(-10)", "Back", show=False, tooltip="Ten fields back"),
        Binding("tab", "tab(1)", "Next", show=False, tooltip="The next field, then the buttons"),
        Binding("shift+tab", "tab(-1)", "Previous", show=False, tooltip="What was before that"),
    ]

    at: reactive[int] = reactive(0, init=False)
    """Place of the field at hand."""

    class Moved(Message):
        """Another field is at hand."""

        def __init__(self, field: Field) -> None:
            self.field = field
            super().__init__()

    def __init__(self, fields: tuple[Field, ...], values: dict[str, str]) -> None:
        super().__init__()
        self._fields, self._values = fields, dict(values)

    @property
    def values(self) -> dict[str, str]:
        """What stands in every field, by name."""
        return self._values | {self._fields[self.at].name: self.query_one(Input).value}

    def compose(self) -> ComposeResult:
        """All lines, and the input over one of them."""
        yield _Lines(self._fields, self._values)
        yield Input(compact=True)

    def on_mount(self) -> None:
        """Start at the first field."""
        self._show_field()

    def go_to(self, name: str) -> None:
        """Make a field the one at hand."""
        self.at = next(i for i, field in enumerate(self._fields) if field.name == name)

    def validate_at(self, at: int) -> int:
        """Neither end is passed."""
        return min(max(at, 0), len(self._fields) - 1)

    def watch_at(self, before: int, at: int) -> None:
        """Leave what was typed behind as words, and take up the next value."""
        self._values[self._fields[before].name] = self.query_one(Input).value
        lines = self.query_one(_Lines)
        lines.values = dict(self._values)
        self._show_field()

    def on_click(self, event: events.Click) -> None:
        """The field under the mouse."""
        lines = self.query_one(_Lines)
        if event.widget is lines and event.y in lines.rows:
            self.at = lines.rows.index(event.y)
        self.query_one(Input).focus()

    def action_move(self, step: int) -> None:
        """To another field."""
        self.at += step

    def action_tab(self, step: int) -> None:
        """To the next field; from the last one to what comes behind the form."""
        if 0 <= self.at + step < len(self._fields):
            self.at += step
        elif step > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def _show_field(self) -> None:
        field, row = self._fields[self.at], self.query_one(_Lines).rows[self.at]
        entry = self.query_one(Input)
        entry.value = self._values[field.name]
        entry.cursor_position = len(entry.value)
        entry.offset = (NAME, row)
        above = 0 if self.at == 0 else row  # with its group's name
        self.scroll_to_region(Region(0, above, 1, row - above + 1), animate=False)
        self.post_message(self.Moved(field))


class _Lines(Widget):
    """Names, values and hints as words."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--group", "lines--value", "lines--hint"}
    DEFAULT_CSS = """
    _Lines {
        layer: lines;
        height: auto;
        & > .lines--group { color: $primary; text-style: bold; }
        & > .lines--value { background: $panel; }
        & > .lines--hint { color: $text-muted; }
        &:nocolor > .lines--value { text-style: underline; }
    }
    """
    values: reactive[dict[str, str]] = reactive(dict)

    def __init__(self, fields: tuple[Field, ...], values: dict[str, str]) -> None:
        super().__init__()
        self._fields = fields
        self.set_reactive(_Lines.values, dict(values))
        groups = [field.group for field in fields]
        heads = [at == 0 or group != groups[at - 1] for at, group in enumerate(groups)]
        self.rows = [at + sum(heads[: at + 1]) for at in range(len(fields))]
        """Lines of the fields; a group's name stands on the line above its first one."""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Of all fields and groups."""
        return self.rows[-1] + 1

    def render(self) -> Text:
        """The lines."""
        group, value, hint = (
            self.get_component_rich_style(f"lines--{name}", partial=True)
            for name in ("group", "value", "hint")
        )
        lines: list[Text] = []
        room = max(self.size.width - NAME - VALUE - 2, 0)
        for field, row in zip(self._fields, self.rows, strict=True):
            if row > len(lines):
                lines.append(Text(field.group, style=group))
            lines.append(
                Text.assemble(
                    numbers.fitted(field.label, NAME),
                    (numbers.fitted(self.values[field.name], VALUE), value),
                    (f"  {numbers.shortened(field.hint, room)}", hint),
                )
            )
        return Text("\n", no_wrap=True).join(lines)
