"""Memory of the screen: what closed dialogs leave is freed at moments in which nobody types.

Textual's widgets and painted lines are cycles, which only the garbage collector frees, and a
collection of all of them takes up to a tenth of a second.
"""

import gc
from time import monotonic

from textual._styles_cache import StylesCache
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.events import Event, InputEvent

LOOK_S = 0.5
"""Between two looks at whether somebody types."""
RESTED_S = 1.0
"""Without a key or the mouse, after which a pause is not noticed."""
LATEST_S = 15.0
"""After which it is done all the same."""


class Tidy(App[str]):
    """An application that holds what it shows, and not what it has shown."""

    _input_at = 0.0
    """When a key or the mouse was used last."""
    _tidy_by: float | None = None
    """When it has to be done at the latest; None where nothing was closed."""

    async def on_event(self, event: Event) -> None:
        """Note when somebody does something."""
        if isinstance(event, InputEvent):
            self._input_at = monotonic()
        await super().on_event(event)

    def is_used(self) -> bool:
        """Whether somebody has just done something, and may do more."""
        return monotonic() < self._input_at + RESTED_S

    def pop_screen(self) -> AwaitComplete:
        """A closed screen is tens of thousands of objects."""
        if self._tidy_by is None:
            self._tidy_by = monotonic() + LATEST_S
            self.set_timer(LOOK_S, self._look)
        return super().pop_screen()

    def _look(self) -> None:
        if self._tidy_by is not None and monotonic() < self._tidy_by and self.is_used():
            self.set_timer(LOOK_S, self._look)
            return
        self._tidy_by = None
        StylesCache.get_inner_outer.cache_clear()  # it holds the lines of widgets that are gone
        gc.collect()


def settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight.

    Walking it again and again would stop the screen for a tenth of a second at a time. What is
    made later is mostly painted lines, which only the collector frees: few at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 5, 25)
