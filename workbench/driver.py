"""The way to the terminal; it stays open when the terminal goes away.

A thread of Textual's writes to it. Where that thread ended with an error the application would
wait for it for ever, and neither save nor end.
"""

from collections.abc import Iterable
from typing import Any, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver


class Surviving:
    """A text file; what can no longer be written to it is dropped."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._is_gone = False

    def write(self, text: str) -> int:
        """Write, or drop."""
        if not self._is_gone:
            try:
                return self._file.write(text)
            except OSError:
                self._is_gone = True
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write all, or drop."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush where there is something to flush to."""
        if not self._is_gone:
            try:
                self._file.flush()
            except OSError:
                self._is_gone = True

    def isatty(self) -> bool:
        """Whether it was a terminal."""
        return self._file.isatty()

    def fileno(self) -> int:
        """Of the file below."""
        return self._file.fileno()


class Driver(LinuxDriver):
    """Textual's own, to a terminal that may go away."""

    def start_application_mode(self) -> None:
        """Take the terminal."""
        if self._file is not None:
            self._file = cast("Any", Surviving(self._file))
        super().start_application_mode()  # type: ignore[no-untyped-call]
