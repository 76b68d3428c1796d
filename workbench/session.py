"""What every part of a live session shares: its record, its processes, and the one way of events.

Every event is logged, reduced and told, in this order, so that what is shown is saved.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec

from sessions.commands import AnyCommand, DescribeChannels, DrawConfused, MeasureActivations
from sessions.events import AnyEvent, Unknown
from sessions.recipe import Recipe
from sessions.score import Rule
from sessions.splits import Splits
from sessions.state import SessionState
from workbench.processes import Child
from workbench.recorder import Recorder

Question = DescribeChannels | MeasureActivations | DrawConfused
"""What is asked for the eyes alone."""
Listener = Callable[[AnyEvent | Unknown], None]


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is opened with."""

    folder: Path
    """The session folder; a new one where it holds no session."""
    model: Path | None = None
    """None where the folder's session goes on."""
    data: str | None = None
    input_size: int | None = None
    device: str = "auto"
    recipe: Recipe | None = None
    """None keeps the session's own, or the default."""
    rule: Rule | None = None
    splits: Splits = Splits()
    """A session that goes on keeps its own."""


class RequestError(Exception):
    """A request that is not possible now; the message says what to do."""


class Session:
    """Owns the recorder and the child processes."""

    def __init__(
        self, opening: Opening, engine: Child, trainer: Child, searcher: Child, listener: Listener
    ) -> None:
        self.opening = opening
        self.recorder = Recorder(opening.folder, opening.splits.seed)
        self.listener = listener
        self._engine, self._trainer, self._searcher = engine, trainer, searcher
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def folder(self) -> Path:
        """The session folder."""
        return self.recorder.folder

    @property
    def state(self) -> SessionState:
        """Everything that happened, reduced."""
        return self.recorder.state

    @property
    def splits(self) -> Splits:
        """How the images are divided: as recorded, where something is."""
        if self.opening.model is not None:
            return self.opening.splits
        recorded = self.state.data.splits if self.state.data is not None else None
        return recorded or Splits(seed=self.recorder.seed)

    @property
    def log_error(self) -> str:
        """Why the session is not being saved; empty while it is."""
        return self.recorder.log_error

    def dispatch(self, event: AnyEvent | Unknown) -> None:
        """Log an event, reduce it, tell the listener: in this order, so that shown is saved."""
        self.recorder.record(event)
        self.listener(event)

    def _send(self, child: Child, command: AnyCommand) -> None:
        self._spawn(child.send(command))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
