"""How the plane of F1 against MACs is drawn, by the character.

Without colour too: a point is a mark and its number. Lines of equal score are dots of braille;
where the score falls off a cliff, the cliff is drawn instead.
"""

from collections.abc import Callable
from itertools import pairwise

import msgspec
from rich.cells import cell_len
from rich.text import Text

from sessions.score import Rule
from widgets import numbers
from widgets.plane_canvas import Canvas, Frame

JUMP = 1e-4
"""Of the score: where halving comes no nearer, the rule jumps and no line runs."""
ENOUGH = 2
"""Labels of MACs."""
MARKS = {"current": "◉", "opened": "■", "front": "◆", "plain": "●"}
Items = tuple[tuple[str, str], ...]
LEGEND: Items = (
    ("◉", "current"), ("■", "opened"), ("★", "best score"), ("⠤⠤", "equal score"),
    ("◆", "best for its MACs"), ("●", "other"),
)  # fmt: skip


class PlanePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One measured variant."""

    number: int
    name: str
    macs: int
    f1: float
    score: float
    is_current: bool = False
    is_opened: bool = False
    is_front: bool = False
    """Whether no other variant has both fewer MACs and a higher F1."""
    is_best: bool = False
    """Whether no other has a lower score."""
    interval: tuple[float, float] | None = None
    label: str = ""
    """Written beside the point; empty for the variant's number."""


class PlaneView(msgspec.Struct, frozen=True, kw_only=True):
    """All measured variants, and the rule of the lines."""

    points: tuple[PlanePoint, ...]
    rule: Rule


def frame_of(view: PlaneView, width: int, height: int) -> Frame | None:
    """Where MACs and F1 lie on a canvas of this size; None where there is no room."""
    return Frame.around(
        [point.macs for point in view.points], [point.f1 for point in view.points], width, height
    )


def plane_text(view: PlaneView, cursor: int | None, width: int, height: int) -> Text:
    """The plane as lines."""
    frame = frame_of(view, width, height)
    if frame is None:
        return Text("too small a terminal for the plane", style="dim")
    canvas = Canvas(width, height)
    _draw_lines(canvas, frame, view.rule)
    _draw_front(canvas, frame, view)
    _draw_axes(canvas, frame)
    _draw_points(canvas, frame, view, cursor)
    return canvas.text()


def levels(low: float, high: float, wanted: int) -> tuple[float, ...]:
    """Round numbers between two, about as many as wanted."""
    span = high - low
    if span <= 0:
        return ()
    step = 10.0**-12
    for exponent in range(-9, 10):
        for times in (1, 2, 5):
            step = times * 10.0**exponent
            if span / step <= wanted:
                first = int(low // step) + 1
                return tuple(i * step for i in range(first, int(high // step) + 1))
    return ()


def _draw_lines(canvas: Canvas, frame: Frame, rule: Rule) -> None:
    """Lines of equal score with their score, and the cliff."""
    f1s = [min(max(f1, rule.cliff, 0.0), 1.0) for f1 in (frame.f1_low, frame.f1_high)]
    corners = [
        rule.score(max(round(macs), 0), f1)
        for macs in (frame.macs_low, frame.macs_high)
        for f1 in f1s
    ]
    if frame.f1_high > rule.cliff:
        labels: list[tuple[int, int, str]] = []
        wanted = max(min(frame.rows // 3, 8), 2)
        found = levels(min(corners), max(corners), wanted)
        digits = 3 if len(found) > 1 and found[1] - found[0] < 0.01 else 2
        for level in found:
            end = _draw_level(canvas, frame, level, rule)
            if end is not None:
                labels.append((*end, numbers.plain(level, f".{digits}f")))
        for column, row, label in labels:
            left = min(column, frame.right - len(label) + 1)
            canvas.put_if_free(left, row, label, "cyan")
    if frame.f1_low < rule.cliff:
        _draw_below_cliff(canvas, frame, rule)
    if frame.f1_low < rule.cliff < frame.f1_high:
        _, row = frame.cell(frame.macs_low, rule.cliff)
        for column in range(frame.left, frame.right + 1):
            canvas.put(column, row, "┄", "red")
        canvas.put(frame.left + 1, row, f" below F1 {rule.cliff:g} the score jumps up ", "red")


def _draw_below_cliff(canvas: Canvas, frame: Frame, rule: Rule) -> None:
    """There MACs alone make the difference: lines of equal score are upright."""
    at_nothing = rule.score(0, frame.f1_low)
    least, most = (at_nothing + x / rule.base_macs for x in (frame.macs_low, frame.macs_high))
    found = levels(least, most, max(frame.columns // 16, 2))
    digits = 3 if len(found) > 1 and found[1] - found[0] < 0.01 else 2
    upper = max(frame.dot_row(rule.cliff), 0)
    for level in found:
        column, row = frame.cell((level - at_nothing) * rule.base_macs, frame.f1_low)
        for y in range(upper, 4 * frame.rows, 2):
            canvas.dot(2 * column, 4 * frame.top + y, "dim cyan")
        canvas.put_if_free(column, row, numbers.plain(level, f".{digits}f"), "cyan")


def _draw_level(canvas: Canvas, frame: Frame, level: float, rule: Rule) -> tuple[int, int] | None:
    """One line, in dots; returns its last cell to the right."""
    last = None
    for x in range(2 * frame.columns):
        macs = frame.macs_at(frame.left + (x + 0.5) / 2)
        f1 = f1_of(level, macs, rule, frame)
        if f1 is None:
            continue
        y = frame.dot_row(f1)
        if 0 <= y < 4 * frame.rows:
            canvas.dot(2 * frame.left + x, 4 * frame.top + y, "dim cyan")
            last = (frame.left + x // 2, frame.top + y // 4)
    return last


def f1_of(level: float, macs: float, rule: Rule, frame: Frame) -> float | None:
    """The F1 that gives a score at these MACs, by halving; None where none in sight does."""
    low, high = max(frame.f1_low, rule.cliff, 0.0), min(frame.f1_high, 1.0)
    score: Callable[[float], float] = lambda f1: rule.score(max(round(macs), 0), f1)  # noqa: E731
    if low >= high or not min(score(low), score(high)) <= level <= max(score(low), score(high)):
        return None
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > level else (low, middle)
    middle = (low + high) / 2
    return middle if abs(score(middle) - level) < JUMP else None


def _draw_front(canvas: Canvas, frame: Frame, view: PlaneView) -> None:
    """Steps from one variant of the front to the next."""
    front = sorted((p for p in view.points if p.is_front), key=lambda p: p.macs)
    for before, after in pairwise(front):
        left, low = frame.cell(before.macs, before.f1)
        right, high = frame.cell(after.macs, after.f1)
        for column in range(left + 1, right):
            canvas.put_behind(column, low, "─", "green")
        for row in range(high + 1, low):
            canvas.put_behind(right, row, "│", "green")
        if high != low and right != left:
            canvas.put_behind(right, low, "╯", "green")


def _draw_axes(canvas: Canvas, frame: Frame) -> None:
    for row in range(frame.top, frame.bottom + 1):
        canvas.put(frame.left - 1, row, "│", "dim")
    for column in range(frame.left - 1, frame.right + 1):
        canvas.put(column, frame.bottom + 1, "─", "dim")
    canvas.put(frame.left - 1, frame.bottom + 1, "└", "dim")
    for f1 in levels(frame.f1_low, frame.f1_high, max(frame.rows // 3, 2)):
        row = frame.top + frame.dot_row(f1) // 4
        canvas.put(0, row, numbers.ratio(f1).rjust(frame.left - 2), "none")
        canvas.put(frame.left - 1, row, "┤", "dim")
    for column, start, label in macs_labels(frame, canvas.width - len(" MACs")):
        canvas.put(column, frame.bottom + 1, "┴", "dim")
        canvas.put(start, frame.bottom + 2, label, "none")
    canvas.put(0, 0, "F1", "bold")
    canvas.put_if_free(canvas.width - 5, frame.bottom + 2, " MACs", "bold")


def macs_labels(frame: Frame, end: int) -> list[tuple[int, int, str]]:
    """Column, start and words of the labels below the plane, in full where two have room."""
    found: list[tuple[int, int, str]] = []
    least = max(frame.columns // 14, ENOUGH)
    for wanted in range(least, max(least + 1, 10)):
        for is_short in (False, True):
            shown, edge = [], 0
            for macs in levels(frame.macs_low, frame.macs_high, wanted):
                column, _ = frame.cell(macs, frame.f1_low)
                label = short_macs(round(macs)) if is_short else f"{round(macs):,}"
                start = column - len(label) // 2
                if start > edge and start + len(label) <= end:
                    shown.append((column, start, label))
                    edge = start + len(label) + 1
            if len(shown) >= ENOUGH:
                return shown
            found = max(found, shown, key=len)
    return found


def short_macs(macs: int) -> str:
    """Millions, or thousands below one: 1.25M, 850k."""
    unit, sign = (1_000_000, "M") if macs >= 1_000_000 else (1_000, "k")
    return f"{macs / unit:.4f}".rstrip("0").rstrip(".") + sign


def legend_lines(items: Items, width: int, most: int = 1) -> list[str]:
    """What signs are, in at most so many lines; those without room are left out."""
    lines = [""]
    for sign, meaning in items:
        item = f"{sign} {meaning}"
        for at in range(len(lines) - 1, most):
            if at == len(lines):
                lines.append("")
            longer = f"{lines[at]}  {item}" if lines[at] else item
            if cell_len(longer) <= width:
                lines[at] = longer
                break
    return [line for line in lines if line]


def _draw_points(canvas: Canvas, frame: Frame, view: PlaneView, cursor: int | None) -> None:
    """Marks and numbers; those that matter most are written last, and over the others."""

    def weight(point: PlanePoint) -> tuple[bool, bool, bool, bool, bool, int]:
        return (
            point.number == cursor, point.is_current, point.is_best, point.is_opened,
            point.is_front, point.number,
        )  # fmt: skip

    order = sorted(view.points, key=weight)
    for point in order:
        column, row = frame.cell(point.macs, point.f1)
        canvas.put(column, row, mark_of(point), style_of(point, cursor))
        canvas.take(column, row)
    for point in reversed(order):
        column, row = frame.cell(point.macs, point.f1)
        label = (point.label or f"v{point.number}") + ("★" if point.is_best else "")
        style = style_of(point, cursor)
        for start in (column + 1, column - len(label)):
            if (
                frame.left <= start
                and start + len(label) - 1 <= frame.right
                and (canvas.put_if_free(start, row, label, style) or point.number == cursor)
            ):
                canvas.put(start, row, label, style)
                if point.label:  # numbers alone would run together
                    canvas.take(start - 1, row)
                    canvas.take(start + len(label), row)
                break


def mark_of(point: PlanePoint) -> str:
    """The sign of a point."""
    if point.is_current:
        return MARKS["current"]
    if point.is_opened:
        return MARKS["opened"]
    return MARKS["front" if point.is_front else "plain"]


def style_of(point: PlanePoint, cursor: int | None) -> str:
    """How a point is written; the selected one reversed, in no colour, legible in any theme."""
    if point.number == cursor:
        return "bold reverse"
    return "bold yellow" if point.is_current else "green" if point.is_front else ""
