"""Trials in processes of this machine: one worker for each place, started when it is first needed.

Each worker has a pipe of its own and no lock with anybody: whichever end is killed, the other sees
the pipe closed. So a worker's death loses one trial, and workers never outlive their parent.
"""

import multiprocessing
import os
import queue
import signal
import threading
import time
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import msgspec

from workbench.errors import UserError
from workbench.search.backends import (
    Done,
    Failed,
    Happened,
    Lost,
    Reported,
    Stopped,
    Supplies,
    Task,
)

STARTS_AT_MOST = 3
"""Workers in a row that may end before they are ready."""
ENDED_S = 5.0
"""Seconds that a worker gets to end after its pipe is closed."""


class _Ready(msgspec.Struct, frozen=True):
    """A worker has read its supplies."""


class _Broken(msgspec.Struct, frozen=True):
    """A worker cannot use its supplies."""

    reason: str


class _Place:
    """A worker with its pipe, and the trial that it is at."""

    def __init__(self, supplies: Supplies) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, supplies), name="workbench trial", daemon=True
        )
        self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.is_ready = False

    def end(self) -> int | None:
        """Close the pipe, which ends the worker; returns its exit code."""
        self.pipe.close()
        self.process.join(ENDED_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.process.exitcode


class ProcessBackend:
    """A Backend of `workers` processes."""

    def __init__(self, supplies: Supplies, workers: int) -> None:
        threads = supplies.threads or max(cores() // workers, 1)
        self._supplies = msgspec.structs.replace(supplies, threads=threads)
        self._workers = workers
        self._places: list[_Place] = []
        self._failed_starts = 0

    @property
    def capacity(self) -> int:
        """Trials that run at a time."""
        return self._workers

    def submit(self, task: Task) -> None:
        """Begin a trial in a free worker.

        Raises:
            RuntimeError: none is free.
        """
        place = next((place for place in self._places if place.task is None), None)
        if place is None:
            if len(self._places) >= self._workers:
                raise RuntimeError(f"all {self._workers} workers are busy")
            place = _Place(self._supplies)
            self._places.append(place)
        place.task = task
        try:
            place.pipe.send(task)
        except OSError:
            return  # it has just died, and `next` will tell

    def next(self, timeout_s: float) -> Happened | None:
        """What happened next; see Backend.

        Raises:
            UserError: no worker starts.
        """
        until = time.monotonic() + timeout_s
        while True:
            pipes = {place.pipe: place for place in self._places if place.task is not None}
            if not pipes:
                return None
            ready = wait(list(pipes), max(until - time.monotonic(), 0))
            if not ready:
                return None
            found = self._heard(pipes[_connection(ready[0])])
            if found is not None:
                return found

    def stop(self, trial: int) -> None:
        """Ask a trial to end after its batch."""
        for place in self._places:
            if place.task is not None and place.task.trial == trial:
                try:
                    place.pipe.send(trial)
                except OSError:
                    return  # it has just died, and `next` will tell

    def close(self) -> None:
        """End every worker at once."""
        for place in self._places:
            place.pipe.close()
        for place in self._places:
            place.end()
        self._places.clear()

    def _heard(self, place: _Place) -> Happened | None:
        try:
            message = place.pipe.recv()
        except (EOFError, OSError):
            return self._lost(place)
        match message:
            case _Ready():
                place.is_ready, self._failed_starts = True, 0
                return None
            case _Broken(reason=reason):
                raise UserError(reason)
            case Reported():
                return message
            case Done() | Stopped() | Failed():
                place.task = None
                return message
        raise AssertionError(f"a worker sent {type(message).__name__}")

    def _lost(self, place: _Place) -> Lost:
        self._places.remove(place)
        code, task = place.end(), place.task
        assert task is not None
        if not place.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS_AT_MOST:
                raise UserError(
                    f"{STARTS_AT_MOST} workers in a row ended before they were ready "
                    f"({_ended(code)}): try fewer workers, or close other programs"
                )
        return Lost(task.trial, f"its worker {_ended(code)}")


def _connection(found: object) -> Connection:
    assert isinstance(found, Connection)
    return found


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        short = ", maybe for want of memory" if name == "SIGKILL" else ""
        return f"was killed by {name}{short}"
    return f"ended with code {code}"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _work(pipe: Connection, supplies: Supplies) -> None:
    """A worker's life: trials one after the other, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is the parent's to handle
    inbox = _Inbox(pipe)
    try:
        # Not above: the parent needs none of it, and the pipe is watched meanwhile.
        import torch

        from workbench.search.trial import Opened, attempt

        torch.set_num_threads(supplies.threads)
        opened = Opened(supplies)
    except UserError as error:
        pipe.send(_Broken(str(error)))
        return
    pipe.send(_Ready())
    while True:
        task = inbox.tasks.get()
        pipe.send(attempt(task, opened, pipe.send, partial(inbox.is_stopped, task)))


class _Inbox:
    """Listens in a thread: tasks queue up, a stop is noted, a closed pipe ends the process."""

    def __init__(self, pipe: Connection) -> None:
        self.tasks: queue.Queue[Task] = queue.Queue()
        self._stopped = -1
        self._pipe = pipe
        threading.Thread(target=self._listen, daemon=True).start()

    def is_stopped(self, task: Task) -> bool:
        """Whether this trial was asked to end."""
        return self._stopped == task.trial

    def _listen(self) -> None:
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(1)  # the parent is gone: nobody waits for what would come
            if isinstance(message, Task):
                self._stopped = -1
                self.tasks.put(message)
            else:
                self._stopped = message
