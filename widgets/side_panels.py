"""Panels beside the tree: stacked where there is room, else one at a time under a strip."""

from collections.abc import Iterable

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static


class Strip(Static):
    """The names of the panels, the shown one marked; a click shows another."""

    DEFAULT_CSS = """
    Strip { display: none; height: 1; background: $panel; padding: 0 1; }
    """


class SidePanels(Vertical):
    """Holds named panels. `is_narrow` shows only the active one."""

    DEFAULT_CSS = """
    SidePanels {
        background: $surface;
        & > .panel { border: round $panel-lighten-2; border-title-color: $text-muted;
            border-subtitle-color: $text-muted; height: 1fr; }
        & > LayerPanel.panel { height: 7fr; }
        & > Curves.panel { height: 5fr; }
        & > ClassPanel.panel { height: 4fr; }
        &.-narrow > Strip { display: block; }
        &.-narrow > .panel { border: none; display: none; height: 1fr; }
        &.-narrow > .panel.-active { display: block; }
    }
    """

    active: reactive[int] = reactive(0)
    is_narrow: reactive[bool] = reactive(False)

    def __init__(self, panels: Iterable[tuple[str, Widget]], id: str | None = None) -> None:
        super().__init__(id=id)
        self._panels = list(panels)

    def compose(self) -> ComposeResult:
        """The strip, then the panels."""
        yield Strip()
        for title, panel in self._panels:
            panel.border_title = title
            panel.add_class("panel")
            yield panel

    def on_mount(self) -> None:
        """Apply the first state."""
        self._apply()

    def watch_active(self) -> None:
        """Show the active panel."""
        self._apply()

    def watch_is_narrow(self) -> None:
        """Change between the stack and the strip."""
        self._apply()

    def on_click(self, event: events.Click) -> None:
        """A click on a name in the strip shows its panel."""
        if isinstance(event.widget, Strip):
            at = 1
            for index, (title, _) in enumerate(self._panels):
                at += len(title) + 5
                if event.x < at:
                    self.active = index
                    return

    def _apply(self) -> None:
        if not self.is_mounted:
            return
        self.set_class(self.is_narrow, "-narrow")
        strip = self.query_one(Strip)
        text = Text()
        for index, (title, panel) in enumerate(self._panels):
            panel.set_class(index == self.active, "-active")
            style = "reverse bold" if index == self.active else "dim"
            text.append(f" {index + 1} {title} ", style=style)
            text.append(" ")
        strip.update(text)
