"""The keys of the moment: those that mean something on the selected row, each a button."""

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

LAST = 2
"""Keys at the end that are always there: help and quit."""

URGENT = frozenset({"stop", "resume"})
"""Actions that there is always room for while they are possible."""


class KeyFooter(Footer):
    """Leaves out actions that the selected row cannot have, and those there is no room for."""

    hidden: reactive[frozenset[str]] = reactive(frozenset())
    """Actions that are not shown; their keys still say why."""
    _composed_of: tuple[object, ...] = ()
    """What the keys shown were made of."""

    def compose(self) -> ComposeResult:
        """The keys that remain."""
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        for key in keys:  # bound to this footer, a key would outlive its removal
            key._reactive_connect = None
            key.compact = self.compact
        keys = [key for key in keys if key.action not in self.hidden]
        palette = [key for key in keys if key.has_class("-command-palette")]
        keys = [key for key in keys if key not in palette]
        room = self.size.width - sum(map(_width, palette))
        spare = [key for key in keys[:-LAST] if key.action not in URGENT]
        while spare and sum(map(_width, keys)) > room + 1:
            keys.remove(spare.pop())
        yield from keys
        yield from palette

    async def recompose(self) -> None:
        """Only where other keys would come of it: every dialog that opens or closes asks for it."""
        bindings = [key for key in self.screen.active_bindings.values() if key.binding.show]
        made_of = (
            self.size.width, self.compact, self.show_command_palette, self.hidden,
            [(key.binding, key.enabled, key.tooltip) for key in bindings],
        )  # fmt: skip
        if made_of != self._composed_of:
            self._composed_of = made_of
            await super().recompose()

    def watch_hidden(self) -> None:
        """Draw it anew, after what is more urgent."""
        if self.is_mounted:
            self.call_after_refresh(self.recompose)

    def on_resize(self, event: events.Resize) -> None:
        """There is room for more keys, or for fewer."""
        self.call_after_refresh(self.recompose)


def _width(key: FooterKey) -> int:
    """Cells of a key, its words and the space behind them."""
    return cell_len(key.key_display) + cell_len(key.description) + 2
