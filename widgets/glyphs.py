"""How the screen is written where only ASCII can be shown: a character for a character.

Every replacement is as wide as what it replaces, so that nothing moves. Letters of any script are
the user's own text; signs, arrows, boxes and blocks are the screen's.
"""

import unicodedata
from functools import lru_cache

from rich.cells import cell_len

UPPER_HALF = "▀"
"""A cell of two pixels; photos are made of it."""
SHADES = " .:-=+*#%@"
"""From black to white, where a cell has no colour to show."""
PAIRS = (
    "…~ −- –- —- ‒- ‑- ±= ×x ÷/ ·. •* ⋅. ‘' ’' ′' “\" ”\" ‹< ›> «< »> ¶P §S ©c °o ¬! ¦| "
    "●* ○o ◉@ ◌. ◆* ◇o ■# □o ▪# ▫o ★* ☆o ✓+ ✔+ ✗x ✘x ✕x ✱* "
    "▾v ▸> ▹> ▴^ ◂< ▶> ▷> ►> ◀< ◁< ◄< ▲^ △^ ▼v ▽v ⏵> ⏸| ⏹# ‖| ∥| "
    "←< ↑^ →> ↓v ↔= ↕| ↖\\ ↗/ ↘\\ ↙/ ⇒> ⇐< ⇑^ ⇓v ↩< ↪> ↵< ⏎< ⌫< ↺< ↻> ⟲< ⟳> ⇄= ⇅| "
    "≤< ≥> ≈~ ≠! ∞8 √v ∑S ∆d ∂d ∅0 ⌈[ ⌉] ⌊[ ⌋] ∩n ∪u "
    "─- ━= │| ┃| ┄- ┅= ┆| ┇| ┈- ┉= ┊| ┋| ╌- ╍= ╎| ╏| ═= ║| ╱/ ╲\\ ╳X "
    "╴- ╵| ╶- ╷| ╸= ╹| ╺= ╻| "
    '█# ▇* ▆+ ▅= ▄- ▃: ▂. ▁_ ▀" ▔" ▉= ▊= ▋= ▌| ▍| ▎| ▏| ▐| ▕| ░. ▒: ▓% '
    "▖. ▗. ▘' ▝' ▙# ▚\\ ▛# ▜# ▞/ ▟# "
)
TABLE = {pair[0]: pair[1] for pair in PAIRS.split()} | {"🔎": "> ", "⭘": "o", "⌛": ". "}
CORNERS = (0x250C, 0x2570)
"""Box drawing from the first corner to the last rounded one: all that is not in the table."""
BRAILLE = (0x2800, 0x28FF)
OURS = (
    (0x00A0, 0x00A9), (0x00AB, 0x00B9), (0x00BB, 0x00BF), (0x00D7, 0x00D7),
    (0x00F7, 0x00F7), (0x02B0, 0x02FF), (0x2000, 0x209F), (0x2150, 0x215F), (0x2190, 0x2BFF),
    (0xE000, 0xF8FF), (0x1FB00, 0x1FBFF),
)  # fmt: skip
"""Code points of signs rather than of letters. Pictures are left alone: they are in names."""


@lru_cache(8192)
def ascii_text(text: str, *, is_strict: bool = False) -> str:
    """Text with every sign replaced by ASCII of the same width; strictly, letters as well."""
    if text.isascii():
        return text
    return "".join(
        letter if letter.isascii() else _replaced(letter, is_strict=is_strict) for letter in text
    )


def shade(luminance: float) -> str:
    """The character whose ink is nearest to a luminance in 0..1."""
    return SHADES[min(int(luminance * len(SHADES)), len(SHADES) - 1)]


@lru_cache(4096)
def _replaced(letter: str, *, is_strict: bool) -> str:
    width = cell_len(letter)
    known = TABLE.get(letter)
    code = ord(letter)
    if known is None and BRAILLE[0] <= code <= BRAILLE[1]:
        known = _dots(code - BRAILLE[0])
    if known is None and CORNERS[0] <= code <= CORNERS[1]:
        known = "+"
    if known is None and any(first <= code <= last for first, last in OURS):
        plain = unicodedata.normalize("NFKD", letter)[:1]
        known = plain if plain.isascii() and plain.isprintable() and plain else "?"
    if known is None:
        return "?" * width if is_strict else letter
    return known.ljust(width)[:width]


def _dots(pattern: int) -> str:
    """A cell of 2 x 4 dots by where its dots lie: high, in the middle, low, or all over."""
    rows = [bool(pattern & bits) for bits in (0x09, 0x12, 0x24, 0xC0)]
    if not any(rows):
        return " "
    high, low = any(rows[:2]), any(rows[2:])
    if rows[0] and rows[3]:
        return "|"
    if high and low:
        return ":" if rows[0] or rows[3] else "-"
    if high:
        return "'" if rows[0] else "-"
    return "." if rows[2] else "_"
