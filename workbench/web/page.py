"""The process behind a page: `workbench open`, whose errors are shown in the page.

The server runs it and speaks Textual's web protocol with it: packets on stdin and stdout, each a
letter, a length in four bytes, and that many bytes.
"""

import contextlib
import io
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from typing import ClassVar

from textual.drivers.web_driver import WebDriver

HELLO = b"__GANGLION__\n"
CLEAR = "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[0m\x1b[2J\x1b[H"
"""No mouse, and an empty screen."""


class PageDriver(WebDriver):
    """Textual's driver, but the page stays open after the application: it may have to show why."""

    has_begun: ClassVar[bool] = False
    """Whether the server knows that packets follow."""

    def start_application_mode(self) -> None:
        """As Textual's, and remembered."""
        PageDriver.has_begun = True
        super().start_application_mode()

    def stop_application_mode(self) -> None:
        """As Textual's, without closing the page."""
        self.exit_event.set()
        self._input_reader.close()


def main() -> None:
    """Run the command line behind a page."""
    from workbench.cli.main import main as command_line

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            command_line()
    except SystemExit as ended:
        if ended.code:
            _tell(said.getvalue().strip() or "The workbench ended with an error.")
    except Exception:  # noqa: BLE001 - there is no terminal that could show it
        _tell(traceback.format_exc())
        raise SystemExit(1) from None
    finally:
        _send(b"M", json.dumps({"type": "exit"}).encode())


def _end_with(server: int) -> None:
    """End as if asked to when the server is gone: no page is left that could do it."""
    while os.getppid() == server:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(reason: str) -> None:
    """Show why there is no workbench, until a key is pressed or the page is closed."""
    print(reason, file=sys.__stderr__)
    lines = [*reason.splitlines(), "", "Enter closes this."]
    _send(b"D", (CLEAR + "\r\n".join(lines)).encode())
    held = b""
    while True:
        select.select([0], [], [])
        data = os.read(0, 4096)
        held += data
        while len(held) >= 5 and len(held) >= 5 + int.from_bytes(held[1:5], "big"):
            end = 5 + int.from_bytes(held[1:5], "big")
            letter, payload, held = held[:1], held[5:end], held[end:]
            is_key = letter == b"D" and not payload.startswith(b"\x1b")  # no mouse, no answer
            if is_key or b'"quit"' in payload:
                return
        if not data:
            return


def _send(letter: bytes, payload: bytes) -> None:
    with contextlib.suppress(OSError):  # the server is gone
        if not PageDriver.has_begun:
            PageDriver.has_begun = True
            os.write(1, HELLO)
        os.write(1, letter + len(payload).to_bytes(4, "big") + payload)
