"""Ways to look at every screen as it goes to the terminal, whatever widgets it is made of."""

from collections.abc import AsyncIterator
from typing import Any

from rich.segment import Segment
from textual.command import CommandPalette
from textual.pilot import Pilot

from widgets.network_tree import NetworkTree
from workbench import keymap
from workbench.app import WorkbenchApp, contexts

LEFT_OUT = frozenset({"quit", "branch"})
"""Actions that end the session that is looked at."""
HANGUL = (
    "고철",
    "유리병",
    "판지",
    "a plain name",
    "플라스틱 포장재와 아주 긴 이름",
    "종이",
    "7",
    "금속",
    "쓰레기",
)


def lines_of(app: WorkbenchApp) -> list[list[Segment]]:
    """What is on the terminal, line by line, after every filter."""
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def text_of(app: WorkbenchApp) -> list[str]:
    """The same without styles."""
    return ["".join(segment.text for segment in line) for line in lines_of(app)]


async def every_screen(app: WorkbenchApp, pilot: Pilot[Any]) -> AsyncIterator[str]:
    """Goes through the main screen and all that a key opens; gives the name of the action."""
    yield "main"
    bindings = contexts()[0 if app.live is not None else 1]
    moving = {keymap.name(binding) for binding in keymap.gathered(NetworkTree.BINDINGS)}
    for binding in bindings:
        name = keymap.name(binding)
        if name in LEFT_OUT | moving or not app.check_action(binding.action.partition("(")[0], ()):
            continue
        await pilot.press(keymap.keys_of(binding)[0])
        await pilot.pause()
        if app.screen is not app.main or app.focused is not app.main.query_one(NetworkTree):
            yield name
            await back(app, pilot)
    app.action_command_palette()
    for _ in range(50):
        await pilot.pause()
        if isinstance(app.screen, CommandPalette) and app.screen.query("OptionList"):
            break
    yield "palette"
    await back(app, pilot)


async def back(app: WorkbenchApp, pilot: Pilot[Any]) -> None:
    """Back to the main screen, with the keys on the tree."""
    for _ in range(4):
        if app.screen is app.main:
            break
        await pilot.press("escape")
        await pilot.pause()
    assert app.screen is app.main
    await pilot.press("escape")  # a line to type in, over the tree
    await pilot.pause()
