"""Which classes are taken for which: a heat map of the confusion matrix, a row a true class.

A cell's shade is its share of the row's images: green where the class was found, red where it was
taken for another. The figures are in the cells, so that nothing hangs on colour alone.
"""

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from sessions.events import Evaluation
from widgets import numbers

NONE, FOUND, TAKEN = (36, 36, 42), (28, 122, 66), (196, 62, 48)
"""Colours of no image of a row, and of all of them."""
CELL, LARGEST_CELL = 4, 9
LEAST_LABEL, LARGEST_LABEL, LARGEST_NAME = 6, 18, 20
SHARE = 6
"""Columns of the share that was found."""
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


class ConfusionMap(Widget):
    """The heat map; where it has no room, the most frequent confusions."""

    DEFAULT_CSS = """
    ConfusionMap { height: auto; }
    """

    view: reactive[ConfusionView | None] = reactive(None, layout=True)

    def __init__(self, view: ConfusionView | None = None) -> None:
        super().__init__()
        self.set_reactive(ConfusionMap.view, view)

    def render(self) -> Text:
        """The matrix, or why there is none."""
        return self._drawn(self.size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as are drawn at this width."""
        return len(self._drawn(width).plain.splitlines())

    def _drawn(self, width: int) -> Text:
        if self.view is None:
            return Text("No F1 of this variant yet: e measures it.", style="dim")
        return confusion_text(self.view, width)


def confusion_text(view: ConfusionView, width: int) -> Text:
    """The matrix as lines of this width; the most frequent confusions where it is too wide."""
    if not view.counts:
        return Text("No confusions were kept of this evaluation: e measures them.", style="dim")
    number = len(view.classes)
    names = [_printable(name) for name in view.classes]
    longest = _label(names)
    widest = len(f"{max(map(max, view.counts)):,}") + 1
    room = (width - SHARE - longest) // number
    cell = min(max(room, CELL), max(LARGEST_CELL, widest))
    titles = [_fitted(name, cell - 1) for name in names]
    if len(set(titles)) < number:
        titles = [str(at + 1) for at in range(number)]
        names = [f"{at + 1:>{len(str(number))}} {name}" for at, name in enumerate(names)]
        cell = min(max((width - SHARE - _label(names)) // number, CELL), cell)
    label = min(max(*map(cell_len, (TITLES[0], *names))), width - SHARE - cell * number)
    if label < LEAST_LABEL:
        return most_frequent(view, number)
    heading = next(title for title in TITLES if len(title) <= label)
    lines = [Text(_padded(heading, label), style="dim")]
    for title in titles:
        lines[0].append(_centred(title, cell))
    lines[0].append("found".rjust(SHARE))
    for at, (name, row) in enumerate(zip(names, view.counts, strict=True)):
        lines.append(_line(_padded(_fitted(name, label), label), row, at, cell))
    return Text("\n", no_wrap=True).join(lines)


def most_frequent(view: ConfusionView, number: int) -> Text:
    """The confusions that happen most, a line each."""
    found = sorted(
        (
            (-count, true, predicted)
            for true, row in enumerate(view.counts)
            for predicted, count in enumerate(row)
            if count and true != predicted
        ),
    )
    if not found:
        return Text("Every image is found." if view.counts else "", style="dim")
    lines = []
    for count, true, predicted in found[:number]:
        total = sum(view.counts[true])
        taken, wrongly = (
            _fitted(_printable(view.classes[at]), LARGEST_NAME) for at in (true, predicted)
        )
        line = Text(f"{taken} taken for {wrongly}")
        line.append(f"  {-count:,} of {total:,}, {numbers.percent(-count / total)}", style="dim")
        lines.append(line)
    return Text("\n").join(lines)


def f1_text(view: ConfusionView) -> Text:
    """F1 with its interval, and the images it was measured on."""
    text = Text.assemble("F1 ", (f"{view.f1:.4f}", "bold"))
    if view.interval is not None:
        text.append(" [{:.2f}, {:.2f}]".format(*view.interval))
    text.append(f" on {view.images:,} {view.split} images", style="dim")
    return text


def _line(label: str, row: tuple[int, ...], at: int, cell: int) -> Text:
    total = sum(row)
    line = Text(label)
    for column, count in enumerate(row):
        if not count:
            line.append(_centred("·", cell), style="dim")
            continue
        line.append(
            _centred(_short(count, cell - 1), cell),
            style=_shade(count / total, FOUND if column == at else TAKEN),
        )
    found = numbers.percent(row[at] / total) if total else "none"
    line.append(found.rjust(SHARE), style="dim")
    return line


def _label(names: list[str]) -> int:
    """Columns that the names of rows ask for."""
    return min(max(len(TITLES[1]), *map(cell_len, names)), LARGEST_LABEL)


def _shade(share: float, color: tuple[int, int, int]) -> Style:
    """By the root of the share, so that rare confusions differ to the eye as well."""
    mixed = (low + (high - low) * share**0.5 for low, high in zip(NONE, color, strict=True))
    return Style(color="#ffffff", bgcolor=Color.from_rgb(*mixed), bold=color == FOUND)


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
