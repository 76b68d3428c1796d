"""Which classes are taken for which: a heat map of the confusion matrix, a row a true class.

A cell's shade is its share of the row's images: green where the class was found, red where it was
taken for another. The figures are in the cells, so that nothing hangs on colour alone.
"""

from typing import ClassVar

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from sessions.events import Evaluation
from widgets import numbers
from widgets.binding import Binding

Rgb = tuple[int, int, int]
NONE, FOUND, TAKEN = (36, 36, 42), (24, 108, 58), (196, 62, 48)
"""Colours of no image of a row on a dark screen, and of all of them."""
LIGHT = 140
"""Mean of red, green and blue from which on figures are dark."""
CELL, LARGEST_CELL = 4, 12
LEAST_LABEL, LARGEST_NAME = 6, 20
LABELS, WIDE_CELL = (25, 18), 8
"""Columns of a row's name with the space behind it: most of all, and where cells would be narrow.
"""
SHARE = 6
"""Columns of the share that was found."""
MUCH = 0.1
"""Share of a row's images from which on a confusion is bold where there are no colours."""
LEGENDS = (
    " · green: found, red: taken for another", " · green: found, red: not",
    " · reversed: found, bold: a tenth or more of the row", " · reversed: found",
)  # fmt: skip
"""What the shades mean, in two lengths; then the same without colours."""
Cell = tuple[int, int]
"""A true class and a predicted one."""
TITLES = ("true ╲ predicted", "true ╲ pred", "true")


class ConfusionView(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation's confusions."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """Images by true class and predicted class; empty where it was not kept."""
    split: str
    images: int
    f1: float
    interval: tuple[float, float] | None = None

    @classmethod
    def of(cls, evaluation: Evaluation) -> "ConfusionView":
        """What an evaluation found."""
        return cls(
            classes=tuple(score.name for score in evaluation.classes),
            counts=evaluation.confusion,
            split=evaluation.split,
            images=evaluation.images,
            f1=evaluation.f1,
            interval=evaluation.interval,
        )


class ConfusionMap(Widget, can_focus=True):
    """The heat map, with a cursor; where it has no room, the most frequent confusions."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"confusion--none"}
    DEFAULT_CSS = """
    ConfusionMap {
        height: auto;
        & > .confusion--none { background: rgb(36, 36, 42); }
        &:light > .confusion--none { background: rgb(246, 238, 235); }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "Up", show=False, tooltip="The true class above"),
        Binding("down,j", "move(1, 0)", "Down", show=False, tooltip="The true class below"),
        Binding("left,h", "move(0, -1)", "Left", show=False, tooltip="The predicted class before"),
        Binding("right,l", "move(0, 1)", "Right", show=False, tooltip="The predicted class after"),
        Binding("enter", "choose", "Photos", show=False, tooltip="The photos of this cell"),
    ]

    view: reactive[ConfusionView | None] = reactive(None, layout=True)
    cursor: reactive[Cell] = reactive((0, 0))
    """True and predicted class of the selected cell."""

    class Chosen(Message):
        """A cell was chosen."""

        def __init__(self, true: int, predicted: int) -> None:
            self.true, self.predicted = true, predicted
            super().__init__()

    def __init__(self, view: ConfusionView | None = None) -> None:
        super().__init__()
        self.set_reactive(ConfusionMap.view, view)
        self.set_reactive(ConfusionMap.cursor, first_cell(view))

    def render(self) -> Text:
        """The matrix, or why there is none."""
        return self._drawn(self.size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as are drawn at this width."""
        return len(self._drawn(width).plain.splitlines())

    def _drawn(self, width: int) -> Text:
        if self.view is None:
            return Text("No F1 of this variant yet: e measures it.", style="dim")
        none = self.get_component_styles("confusion--none").background.rgb
        return confusion_text(self.view, width, self.cursor, None if self.app.no_color else none)

    def action_move(self, down: int, right: int) -> None:
        """To another cell; where confusions are told in words, to the next of them."""
        view = self.view
        if view is None or not view.counts:
            return
        last = len(view.counts) - 1
        if layout_of(view, self.size.width) is None:
            found = frequent(view)
            at = found.index(self.cursor) if self.cursor in found else 0
            if found:
                self.cursor = found[min(max(at + down + right, 0), min(last, len(found) - 1))]
            return
        true, predicted = self.cursor
        self.cursor = (min(max(true + down, 0), last), min(max(predicted + right, 0), last))

    def action_choose(self) -> None:
        """Tell that the cell is chosen, where there is an image in it."""
        true, predicted = self.cursor
        if self.view is not None and self.view.counts and self.view.counts[true][predicted]:
            self.post_message(self.Chosen(true, predicted))

    def on_click(self, event: events.Click) -> None:
        """Choose the cell under the mouse."""
        if self.view is not None and self.view.counts:
            cell = cell_at(self.view, self.size.width, event.x, event.y)
            if cell is not None:
                self.cursor = cell
                self.action_choose()


class Layout(msgspec.Struct, frozen=True):
    """How the matrix is written at a width."""

    names: tuple[str, ...]
    titles: tuple[str, ...]
    """Of the columns."""
    label: int
    """Columns of a row's name."""
    cell: int
    """Columns of a cell."""


def layout_of(view: ConfusionView, width: int) -> Layout | None:
    """The widest that fits; None where the matrix is too wide."""
    number = len(view.classes)
    names = [_printable(name) for name in view.classes]
    widest = len(f"{max(map(max, view.counts)):,}") + 1
    cell = min(max(_room(names, width), CELL), max(LARGEST_CELL, widest))
    titles = [_fitted(name, cell - 1) for name in names]
    if len(set(titles)) < number:
        titles = [str(at + 1) for at in range(number)]
        names = [f"{at + 1:>{len(str(number))}} {name}" for at, name in enumerate(names)]
        cell = min(max(_room(names, width), CELL), cell)
    label = min(max(*map(cell_len, (TITLES[0], *names))) + 1, width - SHARE - cell * number)
    if label < LEAST_LABEL:
        return None
    return Layout(tuple(names), tuple(titles), label, cell)


def confusion_text(
    view: ConfusionView, width: int, cursor: Cell | None = None, none: Rgb | None = NONE
) -> Text:
    """The matrix as lines of this width; the most frequent confusions where it is too wide.

    `none`: the colour of no image; None without colours, where what is found is reversed.
    """
    if not view.counts:
        return Text("No confusions were kept of this evaluation: e measures them.", style="dim")
    layout = layout_of(view, width)
    if layout is None:
        return most_frequent(view, len(view.classes), cursor, width)
    label, cell = layout.label, layout.cell
    heading = next(title for title in TITLES if len(title) <= label)
    lines = [Text(_padded(heading, label), style="dim")]
    for title in layout.titles:
        lines[0].append(_centred(title, cell))
    lines[0].append("found".rjust(SHARE))
    for at, (name, row) in enumerate(zip(layout.names, view.counts, strict=True)):
        column = cursor[1] if cursor is not None and cursor[0] == at else None
        label_text = Text(_padded(_fitted(name, label - 1), label))
        lines.append(label_text.append_text(_cells(row, at, cell, column, none)))
    return Text("\n", no_wrap=True).join(lines)


def cell_at(view: ConfusionView, width: int, x: int, y: int) -> Cell | None:
    """The cell at a place of the drawn matrix, or of the confusions in words."""
    layout = layout_of(view, width)
    if layout is None:
        found = frequent(view)[: len(view.classes)]
        return found[y] if 0 <= y < len(found) else None
    true, predicted = y - 1, (x - layout.label) // layout.cell
    is_inside = 0 <= true < len(view.counts) and 0 <= predicted < len(view.counts)
    return (true, predicted) if is_inside else None


def first_cell(view: ConfusionView | None) -> Cell:
    """Where the cursor begins: at the most frequent confusion."""
    found = frequent(view) if view is not None else ()
    return found[0] if found else (0, 0)


def frequent(view: ConfusionView) -> tuple[Cell, ...]:
    """The cells of confusions, the most frequent first."""
    found = sorted(
        (-count, true, predicted)
        for true, row in enumerate(view.counts)
        for predicted, count in enumerate(row)
        if count and true != predicted
    )
    return tuple((true, predicted) for _, true, predicted in found)


def most_frequent(
    view: ConfusionView, number: int, cursor: Cell | None = None, width: int = 0
) -> Text:
    """The confusions that happen most, a line each; names are cut where there is no room."""
    found = frequent(view)
    if not found:
        return Text("Every image is found." if view.counts else "", style="dim")
    lines = []
    for true, predicted in found[:number]:
        count, total = view.counts[true][predicted], sum(view.counts[true])
        figures = f"  {count:,} of {total:,}, {numbers.percent(count / total)}"
        room = max((width - len(figures) - len(" taken for ")) // 2, LARGEST_NAME)
        taken, wrongly = (_fitted(_printable(view.classes[at]), room) for at in (true, predicted))
        is_selected = (true, predicted) == cursor
        line = Text(f"{taken} taken for {wrongly}", style="reverse" if is_selected else "")
        line.append(figures, style="dim")
        lines.append(line)
    return Text("\n").join(lines)


def f1_text(view: ConfusionView, width: int = 0, *, is_colourless: bool = False) -> Text:
    """F1 with its interval, and the images it was measured on; what shades mean if it fits."""
    text = Text.assemble("F1 ", (f"{view.f1:.4f}", "bold"))
    if view.interval is not None:
        text.append(" [{:.2f}, {:.2f}]".format(*view.interval))
    text.append(f" on {view.images:,} {view.split} images", style="dim")
    legends = LEGENDS[2:] if is_colourless else LEGENDS[:2]
    fitting = [words for words in legends if text.cell_len + len(words) <= width]
    return text.append(fitting[0], style="dim") if fitting else text


def _cells(
    row: tuple[int, ...], at: int, cell: int, selected: int | None, none: Rgb | None
) -> Text:
    total = sum(row)
    line = Text()
    for column, count in enumerate(row):
        figure = _short(count, cell - 1) if count else "·"
        if column == selected:
            marked = f"[{figure}]" if len(figure) + 2 <= cell else figure
            line.append(_centred(marked, cell), style="bold reverse")
        elif not count:
            line.append(_centred(figure, cell), style="dim")
        else:
            shade = _shade(count / total, none, is_found=column == at)
            line.append(_centred(figure, cell), style=shade)
    found = numbers.percent(row[at] / total) if total else "none"
    line.append(found.rjust(SHARE), style="dim")
    return line


def _room(names: list[str], width: int) -> int:
    """Columns of a cell that the names of rows leave, of which long ones are cut for it."""
    longest = max(len(TITLES[1]), *map(cell_len, names)) + 1
    rooms = [(width - SHARE - min(longest, most)) // len(names) for most in LABELS]
    return rooms[0] if rooms[0] >= WIDE_CELL else rooms[-1]


def _shade(share: float, none: Rgb | None, *, is_found: bool) -> Style:
    """By the root of the share, so that rare confusions differ to the eye as well."""
    if none is None:
        return Style(reverse=is_found, bold=is_found or share >= MUCH)
    color = FOUND if is_found else TAKEN
    mixed = [low + (high - low) * share**0.5 for low, high in zip(none, color, strict=True)]
    front = "#ffffff" if sum(mixed) < 3 * LIGHT else "#1c1c1c"
    return Style(color=front, bgcolor=Color.from_rgb(*mixed), bold=is_found)


def _short(count: int, width: int) -> str:
    """A number of images in so many columns: 12,345 is 12k where it has to be."""
    for text in (f"{count:,}", str(count), f"{count / 1e3:.0f}k", f"{count / 1e6:.0f}M"):
        if len(text) <= width:
            return text
    return "…"


def _printable(name: str) -> str:
    """A folder's name as it can be written in one line."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _fitted(name: str, width: int) -> str:
    """A name of at most so many columns, with an ellipsis where it was longer."""
    if cell_len(name) <= width:
        return name
    return set_cell_size(name, width - 1).rstrip() + "…" if width > 0 else ""


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _centred(text: str, width: int) -> str:
    """In the middle, to the right of it where it has none, so that figures keep a space."""
    left = (width - cell_len(text) + 1) // 2
    return _padded(" " * left + text, width)
