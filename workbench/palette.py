"""The command palette: every action that is possible now, by name, with its key and its help."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from workbench import replaying
from workbench.themes import THEMES


class Command(NamedTuple):
    """A line of the palette."""

    name: str
    key: str
    help: str
    run: IgnoreReturnCallbackType


class Actions(Provider):
    """The bindings that are active on the screen below, and the themes."""

    async def discover(self) -> Hits:
        """Everything, before something is typed."""
        for command in self._commands():
            yield DiscoveryHit(
                _line(Content(command.name), command.key), command.run, command.name, command.help
            )

    async def search(self, query: str) -> Hits:
        """What matches in its name or its help."""
        matcher = self.matcher(query)
        for command in self._commands():
            by_name, by_help = matcher.match(command.name), matcher.match(command.help)
            if by_name or by_help:
                line = _line(matcher.highlight(command.name), command.key)
                score = max(by_name, by_help / 2)
                yield Hit(score, line, command.run, command.name, command.help)

    def _commands(self) -> Iterator[Command]:
        """The program's own actions first, those of the row that is selected last."""
        by_action: dict[tuple[object, str], list[ActiveBinding]] = {}
        for active in self.screen.active_bindings.values():
            is_ours = active.binding.id is not None  # Textual's own have none
            if is_ours and active.enabled and active.binding.description:
                by_action.setdefault((active.node, active.binding.action), []).append(active)
        own_first = sorted(by_action.values(), key=lambda found: len(found[0].node.ancestors))
        for found in own_first:
            node, binding, _, _ = found[0]
            keys = dict.fromkeys(self.app.get_key_display(active.binding) for active in found)
            run = partial(self.app.run_action, binding.action, node)
            if isinstance(self.app, replaying.Replaying) and self.app.player is not None:
                binding = replaying.told(binding)
            yield Command(binding.description, " ".join(keys), binding.tooltip, run)
        for theme in THEMES:
            now = ", shown now" if theme.name == self.app.theme else ""
            run = partial(self.app.run_action, f"show_theme('{theme.name}')", self.app)
            yield Command(f"Theme {theme.name}", "", f"Colours of the screen{now}", run)


def _line(name: Content, key: str) -> Content:
    return Content.assemble(name, "  ", (key, "bold")) if key else name
