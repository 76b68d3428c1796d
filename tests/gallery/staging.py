"""A workbench on fixed answers and a fixed clock: every screen is reached without torch."""

import asyncio
import contextvars
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import fixed
from textual.pilot import Pilot

from sessions import macs
from sessions.commands import AnyCommand, ApplyEdit
from sessions.events import AnyEvent, Edited, Unknown
from sessions.network import Network
from widgets import curves
from workbench import asking, job_queue, recorder
from workbench import live as live_module
from workbench.app import WorkbenchApp
from workbench.config import Config
from workbench.live import LiveSession
from workbench.player import Player
from workbench.session import Opening

THEMES = {"dark": "workbench-dark", "light": "workbench-light", "none": "workbench-dark"}
"""Names of looks, with their themes; none has no colours."""
STEP_S = 1.5
"""Of the clock, from one event to the next."""


class Clock:
    """Time that passes with the events alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += STEP_S
        return self.now


class Answering:
    """In the place of a child process: answers questions, keeps edits and jobs for the story."""

    network: Network

    def __init__(
        self, name: str, log_file: Path, on_event: Callable[[AnyEvent | Unknown], None]
    ) -> None:
        self.commands: list[AnyCommand] = []
        self._on_event = on_event
        self._context = contextvars.copy_context()

    async def send(self, command: AnyCommand) -> None:
        self._context = contextvars.copy_context()
        self.commands.append(command)
        self.answer(*fixed.answers(command, self.network))

    def answer(self, *said: AnyEvent) -> None:
        for event in said:
            self._context.copy().run(self._on_event, event)

    def terminate(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Stage:
    """The running application, and the processes that the story speaks for."""

    def __init__(self, app: WorkbenchApp, pilot: Pilot[Any], network: Network) -> None:
        self.app, self.pilot, self.network = app, pilot, network

    @property
    def live(self) -> LiveSession:
        assert self.app.live is not None
        return self.app.live

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
        await self.settle()

    async def settle(self) -> None:
        """Let what was asked be answered and drawn."""
        for _ in range(4):
            await self.pilot.pause()

    async def engine(self, *said: AnyEvent) -> None:
        self.live._engine.answer(*said)  # type: ignore[attr-defined]
        await self.settle()

    async def trainer(self, *said: AnyEvent) -> None:
        self.live._trainer.answer(*said)  # type: ignore[attr-defined]
        await self.settle()

    async def searcher(self, *said: AnyEvent) -> None:
        self.live._searcher.answer(*said)  # type: ignore[attr-defined]
        await self.settle()

    async def confirm_edits(self, kept: float = 1.0) -> None:
        """The engine has done every edit that waits."""
        await self.settle()
        for command in list(self.live._engine.commands):  # type: ignore[attr-defined]
            variant = getattr(command, "variant", None)
            pending = self.live.state.variants.get(variant)
            if isinstance(command, ApplyEdit) and pending is not None and pending.is_pending:
                await self.engine(
                    Edited(
                        variant=command.variant, parent=command.parent, edit=command.edit,
                        macs=macs.count(pending.network), weights_sha256="34" * 32,
                        exact=kept == 1.0, kept=kept,
                    )
                )  # fmt: skip

    @property
    def job(self) -> int:
        """The number of the latest job."""
        return max(self.live.state.jobs)


@asynccontextmanager
async def staged(
    source: Opening | Player, size: tuple[int, int], look: str = "dark"
) -> AsyncIterator[Stage]:
    """The application on fixed answers, at a size and in a look."""
    network = fixed.network()
    with ExitStack() as patched:
        use = patched.enter_context
        use(mock.patch.object(Answering, "network", network, create=True))
        use(mock.patch.object(live_module, "Child", Answering))
        use(mock.patch.object(asking, "Child", Answering))
        use(mock.patch.object(job_queue, "SETTLE_S", 3600.0))
        use(mock.patch.object(recorder, "time", Clock()))
        use(mock.patch.object(curves, "REDRAW_S", 0.0))  # what is seen is what has been told
        use(mock.patch.dict(os.environ, {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}))
        os.environ.pop("NO_COLOR", None)
        if look == "none":
            os.environ["NO_COLOR"] = "1"
        shown: LiveSession | Player = source if isinstance(source, Player) else LiveSession(source)
        if isinstance(shown, LiveSession):
            shown.claim()
        app = WorkbenchApp(shown, Config(theme=THEMES[look]))  # type: ignore[arg-type]
        async with app.run_test(size=size, notifications=True) as pilot:
            stage = Stage(app, pilot, network)
            await stage.settle()
            yield stage
            await asyncio.sleep(0)
