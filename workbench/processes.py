"""Child processes: started on demand, streamed as events, stopped by asking, then by force."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from sessions import codec
from sessions.commands import AnyCommand
from sessions.events import AnyEvent, ProcessExited, Unknown

LINE_LIMIT = 64 * 1024 * 1024
"""Longest accepted event in bytes."""
LEAVE_S = 8.0
"""Seconds a child has to save and exit once its stdin is closed."""
ENDED_AS_ASKED = "ended as asked"
FATAL = "is_fatal"
"""In the context of a loop's exception handler: there is no going on."""
TERMINATE_S = 2.0


class Child:
    """One child process; it is started by the first command and again after it ended."""

    def __init__(
        self, name: str, log_file: Path, on_event: Callable[[AnyEvent | Unknown], None]
    ) -> None:
        self.name = name
        self._log_file = log_file
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._start_lock = asyncio.Lock()
        self._is_closing = False
        self._is_terminated = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    async def send(self, command: AnyCommand) -> None:
        """Send a command, starting the process where it does not run."""
        async with self._start_lock:
            if self._process is None and not self._is_closing:
                await self._start()
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.write(codec.encode(command) + b"\n")
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it just ended: the reader reports that, with the reason

    def terminate(self) -> None:
        """End the process now; it is reported as asked for."""
        if self._process is not None and self._process.returncode is None:
            self._is_terminated = True
            self._process.terminate()

    async def close(self) -> None:
        """Close its stdin, let it save and exit, and force it where it does not."""
        self._is_closing = True
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for wait_s, then in ((LEAVE_S, process.terminate), (TERMINATE_S, process.kill)):
            try:
                await asyncio.wait_for(process.wait(), wait_s)
                break
            except TimeoutError:
                then()
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def _start(self) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log_file, "ab") as stderr:
            # -P: a folder named workbench where the user happens to stand is not imported.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                f"workbench.{self.name}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        self._reader = asyncio.create_task(self._read(self._process))
        self._reader.add_done_callback(self._tell_failure)

    def _tell_failure(self, reader: asyncio.Task[None]) -> None:
        """Where an event could not be taken no further one is: nobody may overlook that."""
        if not reader.cancelled() and (error := reader.exception()) is not None:
            message = f"an event of the {self.name} could not be taken"
            context = {"message": message, "exception": error, FATAL: True}
            asyncio.get_running_loop().call_exception_handler(context)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):  # a killed child may leave half a line
                self._on_event(codec.decode_event(line))
        code = await process.wait()
        if self._process is process:
            self._process = None
        if not self._is_closing:
            how = ENDED_AS_ASKED if self._is_terminated else _how(code)
            reason = how if self._is_terminated else f"{how}; details in {self._log_file}"
            self._is_terminated = False
            self._on_event(ProcessExited(process=self.name, code=code, reason=reason))


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
