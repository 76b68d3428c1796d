"""A key of the screen, with the name under which a user's config file gives it another key."""

import dataclasses
import re

from textual import binding


@dataclasses.dataclass(frozen=True)
class Binding(binding.Binding):
    """Textual's binding; without an `id` of its own it is known by its action."""

    def __post_init__(self) -> None:
        if self.id is None:
            object.__setattr__(self, "id", action_name(self.action))


def action_name(action: str) -> str:
    """The name of an action and its way: `jump(1)` is `jump_next`, `jump(-1)` `jump_back`."""
    ways = {"(1)": "_next", "(-1)": "_back"}
    name, bracket, arguments = action.partition("(")
    return re.sub(r"\W+", "_", name + ways.get(bracket + arguments, arguments)).strip("_")
