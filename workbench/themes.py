"""The colours: dark, light and high contrast, and what marks a row where there are none."""

import os
from collections.abc import Mapping

from textual.app import App
from textual.filter import LineFilter
from textual.theme import Theme

from workbench import filters
from workbench.config import Ascii

HIGH_CONTRAST = "high-contrast"
THEMES = (
    Theme(
        name="workbench-dark",
        primary="#3d9bea", secondary="#1c5d99", accent="#ffb454", warning="#ffb454",
        error="#f0707f", success="#5fcf80", foreground="#e4e4e4", dark=True,
    ),
    Theme(
        name="workbench-light",
        primary="#0b5cad", secondary="#2f6f9f", accent="#8a4b00", warning="#8a4b00",
        error="#b3132b", success="#17702f", foreground="#1c1c1c", background="#f7f7f4",
        surface="#ffffff", panel="#e6e8ea", dark=False,
        variables={"footer-key-foreground": "#0b5cad", "primary-background": "#d3e3f2",
                   "secondary-background": "#dde6ee", "panel-lighten-2": "#aab1b8"},
    ),
    Theme(
        name=HIGH_CONTRAST,
        primary="#7cc4ff", secondary="#7cc4ff", accent="#ffd75f", warning="#ffd75f",
        error="#ff9c9c", success="#67e88b", foreground="#ffffff", background="#000000",
        surface="#000000", panel="#16181a", dark=True, text_alpha=1.0,
        variables={
            "primary-muted": "#004fc4", "block-cursor-background": "#004fc4",
            "block-cursor-foreground": "#ffffff", "border": "#ffffff",
            "footer-key-foreground": "#ffd75f", "primary-background": "#16181a",
            "secondary-background": "#16181a",
        },
    ),
)  # fmt: skip
LEAST_CONTRAST = {HIGH_CONTRAST: 7.0}
"""Contrast that text has at least, by theme. Source: WCAG 2.2, 1.4.6 (enhanced)."""
USUAL_CONTRAST = 4.5
"""Of the other themes. Source: WCAG 2.2, 1.4.3 (minimum)."""
COLOURLESS_CSS = """
NetworkTree:nocolor > .tree--cursor { text-style: reverse; }
OptionList:nocolor > .option-list--option-highlighted { text-style: reverse; }
Input:nocolor > .input--placeholder { text-style: dim italic; }
Input:nocolor:focus, SearchForm Input:nocolor { text-style: underline; }
ChoiceField:nocolor:focus { text-style: reverse; }
Button.-primary:nocolor { text-style: bold underline; }
Button:nocolor:focus { text-style: reverse; }
LineList:nocolor:blur > .lines--cursor { background: $surface; text-style: underline; }
Toast:nocolor { border: round $foreground; padding: 0 1; }
"""


def register(app: App[str], name: str) -> None:
    """Offer these themes and no others, and show one of them."""
    for theme in THEMES:
        app.register_theme(theme)
    app.theme = name
    for known in set(app.available_themes) - {theme.name for theme in THEMES}:
        app.unregister_theme(known)


def filters_of(theme: str, *, is_colourless: bool, ascii_mode: Ascii) -> tuple[LineFilter, ...]:
    """What makes lines fit the theme and the terminal."""
    is_only_ascii = ascii_mode == "auto" and not can_show_unicode(os.environ)
    return filters.chosen(
        LEAST_CONTRAST.get(theme, USUAL_CONTRAST),
        has_marks=theme == HIGH_CONTRAST,
        is_colourless=is_colourless,
        is_ascii=ascii_mode == "always" or is_only_ascii,
        is_strict=is_only_ascii,
    )


def can_show_unicode(environment: Mapping[str, str]) -> bool:
    """Whether the terminal's encoding is UTF-8, or unknown, by the locale's name."""
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        locale = environment.get(variable, "").lower()
        if locale:
            if locale in ("c", "posix"):
                return variable != "LC_ALL"  # elsewhere it says nothing about the terminal
            return "utf-8" in locale or "utf8" in locale
    return True
