"""A program in a pseudo-terminal: send keys, wait for text, tell how long it took."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path
from types import TracebackType

CONTROL = re.compile(
    r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>PX^_][^\x1b]*\x1b\\|.)"
)


def executable() -> str:
    """The console script of this environment."""
    return str(Path(sys.executable).with_name("workbench"))


class Terminal:
    """A child in a terminal of its own; times are seconds since the launch."""

    def __init__(self, command: list[str], columns: int = 120, rows: int = 36) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.text = ""
        """Everything painted since the last `wait_for`, without control sequences."""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.fd)

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self.fd, keys.encode())

    def wait_for(self, text: str, limit_s: float = 60.0) -> float:
        """Seconds since the launch when the text had been painted.

        Raises:
            TimeoutError: it was not.
        """
        deadline = time.perf_counter() + limit_s
        while text not in self.text:
            if not self.read(deadline):
                raise TimeoutError(
                    f"{text!r} was not painted in {limit_s:.0f} s: {self.text[-500:]}"
                )
        now = time.perf_counter()
        self.text = ""
        return now - self.started

    def read(self, deadline: float) -> bool:
        """Take what was painted; False where nothing was until the deadline, or it ended."""
        ready, _, _ = select.select([self.fd], [], [], max(deadline - time.perf_counter(), 0))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += CONTROL.sub("", data.decode(errors="replace"))
        return bool(data)

    def wait_for_end(self, limit_s: float = 20.0) -> None:
        """Read until the program ends."""
        deadline = time.perf_counter() + limit_s
        while self.read(deadline):
            pass
        os.waitpid(self.pid, 0)
