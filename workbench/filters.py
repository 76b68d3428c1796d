"""The last step before the terminal: legible colours, no colours, nothing but ASCII.

They see every line of every widget, so that no widget has to know of them.
"""

from collections.abc import Sequence
from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import BLACK, WHITE, Color
from textual.filter import LineFilter

from widgets.glyphs import UPPER_HALF, ascii_text, shade

STEPS = 20
SIGNS = frozenset("●○◉◆★■✓*")
"""Signs that are read like letters."""
MARKED = 1.4
"""Contrast of two backgrounds from which on one of them is a mark."""


class Legible(LineFilter):
    """Text that would be too near to its background is moved away from it."""

    def __init__(self, least: float, *, has_marks: bool) -> None:
        """`has_marks`: bars, lines and other signs as well as words."""
        super().__init__()
        self._least, self._has_marks = least, has_marks

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:
        """The same text; photos are left alone."""
        least = self._least
        return [
            segment
            if segment.text.isspace() or not self._concerns(segment)
            else Segment(segment.text, _legible(segment.style, background, least), segment.control)
            for segment in segments
        ]

    def _concerns(self, segment: Segment) -> bool:
        text, style, _ = segment
        if text.isascii():
            return True
        if _is_photo(text, style):
            return False
        return self._has_marks or any(letter.isalnum() or letter in SIGNS for letter in text)


class Colourless(LineFilter):
    """No colour at all: what had a background of its own is shown reversed, photos as shades."""

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:
        """The same text with bold, dim, italic, underline and reverse alone."""
        return [
            Segment(_shaded(text, style), _of_shade(style), None)
            if _is_photo(text, style)
            else Segment(text, _without_colour(style, background), None)
            for text, style, _ in segments
        ]


class OnlyAscii(LineFilter):
    """Signs as ASCII; where the terminal can show nothing else, letters as question marks."""

    def __init__(self, *, is_strict: bool = False) -> None:
        super().__init__()
        self._is_strict = is_strict

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:
        """The same widths and styles; a photo's cell becomes a space in its mean colour."""
        return [
            segment if segment.text.isascii() else self._replaced(segment) for segment in segments
        ]

    def _replaced(self, segment: Segment) -> Segment:
        text, style, control = segment
        if _is_photo(text, style):
            return Segment(" " * len(text), _mean(style), control)
        return Segment(ascii_text(text, is_strict=self._is_strict), style, control)


@lru_cache(64)
def chosen(
    least_contrast: float, *, has_marks: bool, is_colourless: bool, is_ascii: bool, is_strict: bool
) -> tuple[LineFilter, ...]:
    """The filters in order. The same ones every time: lines are kept by the filter they passed."""
    first: LineFilter = Legible(least_contrast, has_marks=has_marks)
    if is_colourless:
        first = Colourless()
    return (first, OnlyAscii(is_strict=is_strict)) if is_ascii else (first,)


def _is_photo(text: str, style: Style | None) -> bool:
    return (
        text.startswith(UPPER_HALF)
        and text == UPPER_HALF * len(text)
        and style is not None
        and style.color is not None
        and style.bgcolor is not None
        and style.color.triplet is not None
        and style.bgcolor.triplet is not None
    )


def _shaded(text: str, style: Style | None) -> str:
    mean = _mean(style).bgcolor
    assert mean is not None
    return shade(Color.from_rich_color(mean).brightness) * len(text)


@lru_cache(4096)
def _mean(style: Style | None) -> Style:
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    both = Color.from_rich_color(style.color).blend(Color.from_rich_color(style.bgcolor), 0.5)
    return Style(bgcolor=both.rich_color)


@lru_cache(4096)
def _legible(style: Style | None, background: Color, least: float) -> Style | None:
    if style is None or style.color is None or style.color.triplet is None:
        return style
    behind = background
    if style.bgcolor is not None and style.bgcolor.triplet is not None:
        behind = Color.from_rich_color(style.bgcolor)
    front = Color.from_rich_color(style.color)
    if contrast(front, behind) >= least:
        return style
    end = max((WHITE, BLACK), key=lambda color: contrast(color, behind))
    away = BLACK if end is WHITE else WHITE
    steps = [share / STEPS for share in range(1, STEPS + 1)]
    for share in steps:
        if contrast(moved := front.blend(end, share), behind) >= least:
            return style + Style(color=moved.rich_color)
    for share in steps:  # no text is legible enough on this background
        if contrast(end, moved := behind.blend(away, share)) >= least:
            break
    return style + Style(color=end.rich_color, bgcolor=moved.rich_color)


@lru_cache(4096)
def _without_colour(style: Style | None, background: Color) -> Style | None:
    if style is None:
        return None
    is_marked = not style.reverse and _stands_out(style.bgcolor, background)
    plain = Style(
        bold=style.bold, dim=style.dim and not (style.reverse or is_marked), italic=style.italic,
        underline=style.underline, reverse=style.reverse or is_marked, strike=style.strike,
        link=style.link,
    )  # fmt: skip
    return plain + Style.from_meta(style.meta) if style.meta else plain


def _of_shade(style: Style | None) -> Style | None:
    """A photo's cell is told by its letter alone: reversed, a bright one would look dark."""
    return Style.from_meta(style.meta) if style is not None and style.meta else None


def _stands_out(color: RichColor | None, background: Color) -> bool:
    if color is None or color.is_default:
        return False
    return contrast(Color.from_rich_color(color), background) > MARKED


def contrast(one: Color, other: Color) -> float:
    """How well two colours are told apart, 1 to 21. Source: WCAG 2.2, contrast ratio."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    parts = [value / 255 for value in color.rgb]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
