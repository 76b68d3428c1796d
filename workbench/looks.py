"""How an application looks: its theme, and the filters that lines pass on their way out."""

from collections.abc import Sequence

from textual.app import App
from textual.filter import ANSIToTruecolor, DimFilter, LineFilter, Monochrome
from textual.notifications import SeverityLevel

from workbench import themes
from workbench.config import Config, config_file

TITLES = {"warning": "Warning", "error": "Error"}
"""Of messages, by severity: a border's colour alone says it to nobody who sees no colours."""


class Looks(App[str]):
    """An application whose themes are the program's own, with legible colours, none, or ASCII."""

    _filters_used: tuple[LineFilter, ...] = ()

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        themes.register(self, config.theme)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line passes; Textual's shades of grey are colours too.

        Without colours dim stays dim: Textual would make a colour of it, which is lost then.
        """
        without = (Monochrome, ANSIToTruecolor, DimFilter) if self.no_color else (Monochrome,)
        return [
            *(line for line in super().get_line_filters() if not isinstance(line, without)),
            *self._filters_used,
        ]

    def watch_theme(self) -> None:
        """The least contrast is the theme's."""
        self._filters_used = themes.filters_of(
            self.theme, is_colourless=self.no_color, ascii_mode=self.config.ascii
        )

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a message for a while, with how grave it is."""
        super().notify(
            message,
            title=title or TITLES.get(severity, ""),
            severity=severity,
            timeout=timeout,
            markup=markup,
        )

    def action_show_theme(self, name: str) -> None:
        """Other colours, until the program ends."""
        self.theme = name
        self.notify(f'theme = "{name}" in {config_file()} keeps it', markup=False)

    def copy(self, text: str, words: str) -> None:
        """To the terminal's clipboard, and say what."""
        self.copy_to_clipboard(text)
        self.notify(f"copied {words}", markup=False)
