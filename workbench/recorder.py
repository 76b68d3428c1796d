"""The one writer of a session folder: lock, log and state, kept in step.

An event is on disk before it is in the state, and in the state before anybody is told.
"""

import datetime
import importlib.metadata
import platform
import shutil
import time
from pathlib import Path

import filelock

from sessions import log
from sessions.codec import Header, Record
from sessions.events import AnyEvent, ModelOpened, Unknown
from sessions.reducer import reduce
from sessions.replay import rebuilt
from sessions.state import SessionState
from workbench.errors import UserError

PACKAGES = ("workbench", "torch", "numpy", "albumentations", "scikit-learn", "textual", "ptflops")
"""Whose versions the header of a session names."""


class Recorder:
    """Records events; the session starts with the first ModelOpened, or goes on."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        """Of the data split and of new weights; that of a session that goes on is its own."""
        self.state = SessionState()
        self.log_error = ""
        """Why events are not on disk; empty while they are."""
        self._log: log.SessionLog | None = None
        self._lock = filelock.FileLock(str(folder / "lock"))
        self._is_new_folder = False
        self._began = 0.0

    def claim(self, *, is_new: bool) -> None:
        """Take the folder; read its session where it is to go on.

        Raises:
            UserError: the folder cannot be used, is open elsewhere, or its session is broken.
        """
        self._is_new_folder = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(
                f"{self.folder} is open in another workbench: close that one first"
            ) from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(
                f"cannot write to {self.folder} ({reason}): choose another place with --session"
            ) from error
        try:
            for partial in self.folder.glob("*/**/.*.part"):
                partial.unlink()  # left by a process that was killed while it wrote
            self._read_back(is_new=is_new)
        except BaseException:
            self._release()
            raise

    def start_clock(self) -> None:
        """Count time from now on; time before counts as far as it was recorded."""
        self._began += time.monotonic()

    def record(self, event: AnyEvent | Unknown) -> None:
        """Log an event and reduce it. What cannot be written is kept and tried with the next."""
        if isinstance(event, ModelOpened):
            self._create(event)
        if getattr(event, "is_logged", True) and self._log is not None:
            try:
                event = self._log.append(Record(time.monotonic() - self._began, event)).event
                self.log_error = ""
            except OSError as error:
                self.log_error = error.strerror or str(error)
        self.state = reduce(self.state, event)

    def close(self) -> None:
        """Put everything on disk and give the folder up."""
        if self._log is not None:
            try:
                self._log.close()
                self.log_error = ""
            except OSError as error:
                self.log_error = error.strerror or str(error)
        self._release()

    def _read_back(self, *, is_new: bool) -> None:
        has_session = log.is_session(self.folder)
        if is_new and has_session:
            raise UserError(
                f"{self.folder} already holds a session: go on with it by "
                f"workbench open {self.folder}, or choose another --session"
            )
        if is_new:
            return
        try:
            scan = log.Scan(self.folder)
            self.state = rebuilt(scan)
        except log.SessionError as error:
            raise UserError(str(error)) from error
        if self.state.current is None:
            raise UserError(f"{self.folder} ended before a model was open: start a new session")
        recording = scan.recording
        self.seed = recording.header.seed
        self._began = -recording.seconds
        try:
            self._log = log.SessionLog(self.folder, recording.length)
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror}") from error

    def _create(self, event: ModelOpened) -> None:
        header = Header(
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            model_sha256=event.sha256,
            seed=self.seed,
            versions={"python": platform.python_version()} | _versions(),
        )
        try:
            self._log = log.SessionLog.create(self.folder, header)
        except OSError as error:
            self.log_error = error.strerror or str(error)

    def _release(self) -> None:
        """A folder that got no session is taken away again."""
        self._lock.release()
        if self._is_new_folder and self._log is None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
