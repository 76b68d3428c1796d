"""Looks at real processes: who is a child of whom, and what a live session says meanwhile."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import workbench
from sessions.events import AnyEvent, Unknown
from sessions.recipe import Recipe
from workbench.live import LiveSession
from workbench.session import Opening

DEMO = Path(workbench.__file__).parent / "demo" / "digits.safetensors"
LIMIT_S = 120.0


class Process(NamedTuple):
    """A line of the process table."""

    pid: int
    parent: int
    state: str
    command: str


def process_table() -> list[Process]:
    """Every process, as ps lists them on Linux and macOS."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,command="],
        capture_output=True,
        text=True,
        check=True,
    )
    parts = (line.split(None, 3) for line in listed.stdout.splitlines())
    return [Process(int(p[0]), int(p[1]), p[2], p[3]) for p in parts if len(p) == 4]


def workers_of(pid: int) -> dict[int, str]:
    """Engines, trainers and searchers that a process started and that run, by process id."""
    return {
        found.pid: name
        for found in process_table()
        for name in ("engine", "trainer", "searcher")
        if found.parent == pid and f"workbench.{name}" in found.command
    }


def still_running(pids: set[int]) -> set[int]:
    """Which of these still run as engine or trainer; ended ones nobody waited for do not."""
    return {
        found.pid
        for found in process_table()
        if found.pid in pids and "workbench." in found.command and not found.state.startswith("Z")
    }


class Watched:
    """A live session with everything it told, and a way to wait for what it tells."""

    def __init__(self, opening: Opening) -> None:
        self.events: list[AnyEvent | Unknown] = []
        self._told = asyncio.Event()
        self.live = LiveSession(opening, self._on_event)
        self.live.claim()

    def _on_event(self, event: AnyEvent | Unknown) -> None:
        self.events.append(event)
        self._told.set()

    def all(self, kind: type[Any]) -> list[Any]:
        """The events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so, looking whenever the session tells something."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert not self.live.problem, self.live.problem
            self._told.clear()
            try:
                await asyncio.wait_for(self._told.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"not so after {LIMIT_S:.0f} s: {self.events[-3:]}") from None

    async def ready(self) -> LiveSession:
        """The session, started, with F1 measured and nothing running."""
        await self.live.start()
        await self.until(
            lambda: (
                (variant := self.live.state.variant) is not None
                and variant.evaluation is not None
                and self.live.state.running is None
            )
        )
        return self.live

    def worker(self, name: str) -> int:
        """The process id of the engine, the trainer or the searcher."""
        return next(pid for pid, found in workers_of(os.getpid()).items() if found == name)


@pytest.fixture(scope="session")
def workers() -> Callable[[int], dict[int, str]]:
    """See `workers_of`."""
    return workers_of


@pytest.fixture(scope="session")
def running() -> Callable[[set[int]], set[int]]:
    """See `still_running`."""
    return still_running


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The embedded model: 4-8-4, 10 classes, input 32."""
    return DEMO


@pytest.fixture
def opened(tmp_path: Path) -> Watched:
    """The embedded model on digits, with recoveries of a second."""
    recipe = Recipe(
        images_per_epoch=0, epochs=1, augmentation="shift", recover_images=256, short_epochs=0
    )
    return Watched(Opening(folder=tmp_path / "session", model=DEMO, data="digits", recipe=recipe))


@pytest.fixture
def watched() -> Callable[[Opening], Watched]:
    """Claims a session whose events are kept."""
    return Watched
