"""Charts as SVG text: the score plane, F1 by measurement, the loss. Colours are the page's."""

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil, floor, log10

import msgspec

from sessions.score import Rule
from widgets import numbers

WIDTH, HEIGHT = 520, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 32, 14, 46
SAMPLES = 64
"""Points of a line of equal score."""
Point = tuple[float, float]


class Dot(msgspec.Struct, frozen=True):
    """A point with what it is."""

    x: float
    y: float
    title: str
    kind: str = ""
    """Class of its style: opened, best, current, or nothing."""
    label: str = ""


class Frame(msgspec.Struct, frozen=True):
    """Where values lie in the picture."""

    low: Point
    high: Point

    def at(self, x: float, y: float) -> Point:
        """Pixels of a value."""
        across = (x - self.low[0]) / (self.high[0] - self.low[0])
        up = (y - self.low[1]) / (self.high[1] - self.low[1])
        wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * wide, TOP + (1 - up) * high


def around(xs: Sequence[float], ys: Sequence[float], *, floor_y: float | None = None) -> Frame:
    """A frame with some air around values."""
    ends = []
    for values in (xs, ys):
        low, high = min(values), max(values)
        air = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        ends.append((low - air, high + air))
    (left, right), (low, high) = ends
    if floor_y is not None:
        low = max(low, floor_y)
    return Frame((left, low), (right, high))


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values in a range, about as many as wanted."""
    raw = (high - low) / wanted
    power = 10.0 ** floor(log10(raw))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= raw)
    first = ceil(low / step)
    return [number * step for number in range(first, floor(high / step) + 1)]


def chart(name: str, frame: Frame, body: Iterable[str], *, x: str, y: str) -> str:
    """A picture with axes.

    Args:
        name: what it shows, for those who cannot see it.
        frame: of the values.
        body: SVG within.
        x: name of the axis along.
        y: name of the axis upwards.
    """
    (left, low), (right, high) = frame.low, frame.high
    parts = []
    for value in ticks(low, high):
        at = frame.at(left, value)[1]
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_tick(value)}</text>'
        )
    for value in ticks(left, right):
        at = frame.at(value, low)[0]
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">'
            f"{_tick(value)}</text>"
        )
    base = HEIGHT - BOTTOM
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(x)}</text>')
    parts.append(f'<text x="{LEFT + 6}" y="{TOP + 4}">{escape(y)}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
        f"{''.join(parts)}{''.join(body)}</svg>"
    )


def score_plane(rule: Rule, dots: Sequence[Dot], path: Sequence[Point]) -> str:
    """F1 against MACs, with lines of equal score.

    Args:
        rule: of the score.
        dots: every measured variant.
        path: from the opened to the current variant.
    """
    frame = around([dot.x for dot in dots], [dot.y for dot in dots])
    frame = Frame((max(frame.low[0], 0), frame.low[1]), (frame.high[0], min(frame.high[1], 1.02)))
    body = [*iso_lines(rule, frame), _line(frame, path, "way")]
    named: list[Point] = []
    for dot in dots:
        x, y = frame.at(dot.x, dot.y)
        is_below = any(abs(x - a) < 120 and abs(y - b) < 20 for a, b in named)
        body.append(_dot(frame, dot, drop=28 if is_below else 0))
        if dot.label:
            named.append((x, y))
    return chart("F1 against MACs, with lines of equal score", frame, body, x="MACs", y="F1")


def iso_lines(rule: Rule, frame: Frame) -> list[str]:
    """Lines on which the score is the same, each with its score."""
    (left, low), (right, high) = frame.low, frame.high
    corners = [
        rule.score(round(max(m, 0)), min(max(f, 0), 1)) for m in (left, right) for f in (low, high)
    ]
    found = []
    for score in ticks(min(corners), max(corners), 7):
        for line in iso_line(rule, score, frame):
            found.append(_line(frame, line, "iso"))
            x, y = frame.at(*line[-1])
            found.append(
                f'<text class="iso" x="{x - 4:.1f}" y="{y + 12:.1f}" text-anchor="end">'
                f"{_tick(score)}</text>"
            )
    return found


def iso_line(rule: Rule, score: float, frame: Frame) -> list[list[Point]]:
    """The pieces of a line of equal score within a frame; the halving can break it in two."""
    (left, low), (right, high) = frame.low, frame.high
    pieces: list[list[Point]] = []
    for factor, least, most in ((1, rule.cliff, rule.halved_from), (2, rule.halved_from, 9.0)):
        piece: list[Point] = []
        for number in range(SAMPLES + 1):
            macs = left + (right - left) * number / SAMPLES
            f1 = rule.base_f1 * (1 - factor * (score - macs / rule.base_macs))
            if max(least, rule.cliff, low) <= f1 < min(most, high):
                piece.append((macs, f1))
        if len(piece) > 1:
            pieces.append(piece)
    return pieces


def f1_curve(values: Sequence[tuple[float, str, str]], edits: Sequence[tuple[int, str]]) -> str:
    """F1 in the order of measurement.

    Args:
        values: F1, what it is of, and the letter of a rung or nothing.
        edits: measurements before which the network was edited, and how.
    """
    xs = [float(number) for number in range(1, len(values) + 1)]
    frame = around([*xs, xs[0] + 1], [value for value, _, _ in values], floor_y=0.0)
    body = []
    for number, words in edits:
        x = frame.at(number + 0.5, 0)[0]
        body.append(
            f'<path class="edit" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}">'
            f"<title>{escape(words)}</title></path>"
        )
    body.append(_line(frame, [(x, v[0]) for x, v in zip(xs, values, strict=True)], "curve"))
    for x, (value, title, letter) in zip(xs, values, strict=True):
        body.append(_dot(frame, Dot(x, value, title, "rung" if letter else "", letter)))
    return chart("F1 in the order of measurement", frame, body, x="measurement", y="F1")


def loss_curve(jobs: Sequence[Sequence[Point]]) -> str:
    """The training loss over the epochs of all jobs, one after the other."""
    lines, offset = [], 0.0
    for losses in jobs:
        lines.append([(offset + epoch, loss) for epoch, loss in losses])
        offset += losses[-1][0]
    every = [point for line in lines for point in line]
    frame = around([0.0, *(x for x, _ in every)], [y for _, y in every], floor_y=0.0)
    body = [_line(frame, line, "curve") for line in lines]
    return chart("Training loss by epoch", frame, body, x="epochs of all jobs", y="loss")


def _line(frame: Frame, points: Sequence[Point], kind: str) -> str:
    if len(points) < 2:
        return ""
    at = " ".join("{:.1f},{:.1f}".format(*frame.at(*point)) for point in points)
    return f'<polyline class="{kind}" points="{at}"/>'


def _dot(frame: Frame, dot: Dot, drop: int = 0) -> str:
    x, y = frame.at(dot.x, dot.y)
    title = f"<title>{escape(dot.title)}</title>"
    radius = 6 if dot.kind in ("opened", "best", "current") else 3.5
    label = ""
    if dot.label:
        near_end = x > WIDTH - RIGHT - 90
        side, anchor = (x - 10, "end") if near_end else (x + 10, "start")
        label = (
            f'<text class="label" x="{side:.1f}" y="{y - 8 + drop:.1f}" text-anchor="{anchor}">'
            f"{escape(dot.label)}</text>"
        )
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius}"'
    return f'<circle class="dot {dot.kind}" {place}>{title}</circle>{label}'


def _tick(value: float) -> str:
    if abs(value) >= 1e6:
        return numbers.plain(value / 1e6, "g") + " M"
    if abs(value) >= 1e4:
        return numbers.plain(value / 1e3, "g") + " k"
    return numbers.plain(round(value, 6), "g")
