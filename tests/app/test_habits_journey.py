"""The main job with real processes, once by mouse alone and once by keyboard alone.

Switch a unit off, recover, fine-tune, undo, save.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from sessions.recipe import Recipe
from widgets.network_tree import NetworkTree
from workbench.app import WorkbenchApp
from workbench.live import LiveSession
from workbench.screens.dialogs import SaveScreen
from workbench.screens.main import MainScreen
from workbench.session import Opening

MODEL = Path(__file__).parents[2] / "workbench" / "demo" / "digits.safetensors"
SIZE = (120, 36)
LIMIT_S = 60.0


async def until(pilot: Any, condition: Callable[[], Any]) -> None:
    """Let the processes work until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came true")
        await asyncio.sleep(0.02)  # the processes are real
    await pilot.pause()


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts the demo's model with real processes; ends with the session and what was saved."""
    monkeypatch.chdir(tmp_path)

    @contextlib.asynccontextmanager
    async def demo() -> Any:
        live = LiveSession(
            Opening(
                folder=tmp_path / "session", model=MODEL, data="digits", recipe=Recipe(epochs=1)
            )
        )
        live.claim()
        app = WorkbenchApp(live)
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            await until(pilot, lambda: live.state.variant and live.state.variant.evaluation)
            yield app, pilot, live

    return demo


def ready(live: LiveSession) -> bool:
    """Whether nothing runs and nothing waits."""
    return live.state.running is None and not live.state.queued


def done(live: LiveSession, kind: str) -> bool:
    """Whether a job of a kind has ended well, and nothing runs."""
    jobs = [job for job in live.state.jobs.values() if job.kind == kind]
    return ready(live) and bool(jobs) and jobs[-1].status == "finished"


def is_off(live: LiveSession, unit: str) -> bool:
    assert live.state.variant is not None
    return not live.state.variant.network.units[unit].is_on


async def click_key(pilot: Any, app: WorkbenchApp, description: str) -> None:
    """Click on a key of the footer."""
    await until(
        pilot, lambda: [k for k in app.screen.query("FooterKey") if k.description == description]
    )
    key = next(k for k in app.screen.query("FooterKey") if k.description == description)
    await pilot.click(key)
    await pilot.pause()


async def test_the_main_job_by_mouse_alone(
    demo: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with demo() as (app, pilot, live):
        tree = app.main.query_one(NetworkTree)
        # a click on the mark of a unit switches it off
        row = next(y for y in range(tree.size.height) if "unit3" in tree.render_line(y).text)
        mark = tree.render_line(row).text.index("●")
        await pilot.click(tree, offset=(mark, row))
        await until(pilot, lambda: is_off(live, "stage1.unit3"))
        await until(pilot, lambda: live.state.variant.evaluation and ready(live))
        # keys of the footer are buttons
        await click_key(pilot, app, "Recover")
        await until(pilot, lambda: done(live, "recover"))
        recovered = live.state.current
        # and so are the lines of the palette
        await click_key(pilot, app, "palette")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count > 5)
        lines = app.screen.query_one(OptionList)
        names = [str(lines.get_option_at_index(at).prompt) for at in range(lines.option_count)]
        at = next(at for at, name in enumerate(names) if name.startswith("Fine-tune  f"))
        lines.scroll_to(y=2 * at, animate=False)
        await pilot.pause()
        top = lines.gutter.top - lines.scroll_offset.y
        await pilot.click(lines, offset=(4, top + 2 * at))
        await until(pilot, lambda: done(live, "fine-tune"))
        assert live.state.current != recovered
        await click_key(pilot, app, "Undo")
        await until(pilot, lambda: live.state.current == recovered)
        await click_key(pilot, app, "Save")
        assert isinstance(app.screen, SaveScreen)
        await pilot.click("#save")
        saved = tmp_path / f"digits-v{recovered}.safetensors"
        await until(pilot, saved.exists)


async def test_the_main_job_by_keyboard_alone(demo: Any, tmp_path: Path) -> None:
    async with demo() as (app, pilot, live):
        await pilot.press("home", "down", "down", "down", "down")
        assert app.main.query_one(NetworkTree).cursor == "stage1.unit3"
        await pilot.press("space")
        await until(pilot, lambda: is_off(live, "stage1.unit3"))
        await until(pilot, lambda: live.state.variant.evaluation and ready(live))
        await pilot.press("r")
        await until(pilot, lambda: done(live, "recover"))
        recovered = live.state.current
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"session's recipe")
        await until(pilot, lambda: app.screen.query_one(OptionList).highlighted is not None)
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await until(pilot, lambda: done(live, "fine-tune"))
        await pilot.press("u")
        await until(pilot, lambda: live.state.current == recovered)
        await pilot.press("s")
        await pilot.pause()
        app.screen.query_one(Input).value = ""
        await pilot.press(*"small.pt")
        await pilot.press("enter")
        await until(pilot, (tmp_path / "small.pt").exists)
