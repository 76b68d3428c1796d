"""Ways to run the command line: in this process for most cases, as a real process for a few."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import workbench
from workbench.cli.main import main

DEMO = Path(workbench.__file__).parent / "demo" / "digits.safetensors"


class Ended(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout; an error where there is anything besides it."""
        return json.loads(self.out)


class _Stream(io.StringIO):
    """A stream that claims to be a terminal, or not to be one."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(scope="session")
def run() -> Callable[..., Ended]:
    """Runs the command line's entry point in this process; torch is imported once for all."""

    def run(*arguments: object, is_terminal: bool = False) -> Ended:
        out, err = _Stream(is_terminal=is_terminal), _Stream(is_terminal=False)
        code: Any = 0
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(sys, "argv", ["workbench", *map(str, arguments)])
            patch.setattr(sys, "stdin", _Stream(is_terminal=is_terminal))
            patch.setattr(sys, "__stdout__", out)
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
        return Ended(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def script() -> list[str]:
    """The installed console script, or its module where there is none beside the interpreter."""
    installed = Path(sys.executable).parent / "workbench"
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "workbench.cli.main"]


@pytest.fixture(scope="session")
def start(script: list[str]) -> Callable[..., Ended]:
    """Runs the command line as a process of its own."""

    def start(*arguments: object, **options: Any) -> Ended:
        done = subprocess.run(
            [*script, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return start


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The embedded model: 4-8-4, 10 classes, input 32."""
    return DEMO


@pytest.fixture(scope="session")
def demo_run(
    start: Callable[..., Ended], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ended]:
    """The headless demo, run once as a user would: its session folder and how it ended."""
    folder = tmp_path_factory.mktemp("demo") / "session"
    return folder, start("demo", "--headless", "--json", "--session", folder)


def files_under(*folders: Path) -> set[str]:
    """Every file and folder below these, so that a test can tell whether one was added."""
    return {
        os.path.join(parent, name)
        for folder in folders
        for parent, inside, files in os.walk(folder)
        for name in (*inside, *files)
    }


@pytest.fixture(scope="session")
def listing() -> Callable[..., set[str]]:
    """See `files_under`."""
    return files_under
