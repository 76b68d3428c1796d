"""A child process's end of the pipe: commands in on stdin, events out on the first stdout.

Anything that prints goes to stderr. When the parent is gone the child saves and exits, by force
after a few seconds. No heavy import here: the pipe works before torch is loaded.
"""

import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable

from sessions import codec
from sessions.commands import AnyCommand
from sessions.events import AnyEvent, CommandFailed

FORCED_EXIT_S = 6.0
"""Seconds after the parent is gone until the process ends itself."""
KEPT_BYTES = 1 << 30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt(3)."""
ENGINE_NICE, TRAINER_NICE = 10, 19
"""The screen goes first, then edits, then training."""


def lower_priority(by: int) -> None:
    """Let other processes go first, where the system knows such a thing."""
    if hasattr(os, "nice"):
        os.nice(by)


def keep_freed_memory() -> None:
    """Stop glibc from mapping every large array anew; other C libraries are left as they are.

    Fresh pages are cleared by the kernel when they are first touched: a quarter of the time of a
    small network's forward pass and of a carried edit, more where several threads run.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


class Channel:
    """Reads commands in a thread, so that the main one may work."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is the parent's to handle
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._commands: queue.Queue[AnyCommand] = queue.Queue()
        self._write_lock = threading.Lock()
        self.is_parent_gone = False
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, event: AnyEvent) -> None:
        """Write an event; a parent that is gone is noticed by the reader."""
        try:
            with self._write_lock:
                view = memoryview(codec.encode(event) + b"\n")
                while view:
                    view = view[self._out.write(view) :]
        except BrokenPipeError:
            self.is_parent_gone = True

    def next(self, timeout_s: float | None = None) -> AnyCommand | None:
        """The next command; None when the time is up or the parent is gone."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.is_parent_gone:
            wait = 0.2 if deadline is None else min(0.2, deadline - time.monotonic())
            try:
                return self._commands.get(timeout=max(wait, 0.0))
            except queue.Empty:
                if deadline is not None and time.monotonic() >= deadline:
                    return None
        return None

    def poll(self) -> AnyCommand | None:
        """A waiting command, without waiting."""
        try:
            return self._commands.get_nowait()
        except queue.Empty:
            return None

    def serve(self, handle: Callable[[AnyCommand], None]) -> None:
        """Handle commands one by one until the parent is gone."""
        while (command := self.next()) is not None:
            handle(command)

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            try:
                self._commands.put(codec.decode_command(line))
            except codec.CodecError as error:
                self.send(CommandFailed(command="", reason=str(error)))
        self.is_parent_gone = True
        time.sleep(FORCED_EXIT_S)
        os._exit(1)
