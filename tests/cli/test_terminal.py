"""The workbench in a real (pseudo) terminal: it leaves the terminal and the disk as they were."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LIMIT_S = 60.0
ALTERNATE_SCREEN_LEFT = b"\x1b[?1049l"


@pytest.fixture
def in_terminal(script: list[str]) -> Callable[..., tuple[int, bytes]]:
    """Runs a command in a terminal of its own, types keys once something was shown."""

    def in_terminal(*arguments: object, keys: bytes = b"", after: bytes = b"") -> tuple[int, bytes]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*script, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(theirs)
        said = b""
        deadline = time.monotonic() + LIMIT_S
        try:
            while process.poll() is None or select.select([ours], [], [], 0)[0]:
                assert time.monotonic() < deadline, said[-500:]
                if select.select([ours], [], [], 0.05)[0]:
                    try:
                        said += os.read(ours, 65536)
                    except OSError:  # the other end is closed
                        break
                if keys and after in said:
                    os.write(ours, keys)
                    keys = b""
            return process.wait(LIMIT_S), said
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    return in_terminal


def test_a_model_that_does_not_open_ends_with_one_line_and_no_session(
    in_terminal: Callable[..., tuple[int, bytes]], tmp_path: Path
) -> None:
    model = tmp_path / "text.pt"
    model.write_text("these are not weights\n" * 20)
    code, said = in_terminal("open", model, "--session", tmp_path / "session")
    assert code == 1
    assert b"Traceback" not in said
    _, _, last = said.rpartition(ALTERNATE_SCREEN_LEFT)
    *_, line, end = last.split(b"\r\n")
    assert end == b""
    assert b"error: " in line
    assert str(model).encode() in line
    assert b"torch.save(model.state_dict()" in line
    assert list(tmp_path.iterdir()) == [model]


def test_quitting_names_the_command_that_goes_on(
    in_terminal: Callable[..., tuple[int, bytes]], demo_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    code, said = in_terminal("open", demo_model, "--session", folder, keys=b" q", after=b"256,402")
    assert code == 0
    assert b"Traceback" not in said
    _, _, last = said.rpartition(ALTERNATE_SCREEN_LEFT)
    assert f"workbench open {folder}".encode() in last
    assert (folder / "session.jsonl").is_file()


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.7])
def test_a_terminal_that_goes_away_while_it_is_painted_ends_the_workbench(
    script: list[str], demo_model: Path, tmp_path: Path, after_s: float
) -> None:
    folder = tmp_path / "session"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*script, "open", str(demo_model), "--session", str(folder)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    try:
        said, until, is_painting = b"", time.monotonic() + LIMIT_S, False
        while time.monotonic() < until:
            if select.select([ours], [], [], 0.01)[0]:
                said += os.read(ours, 65536)
            if b"256,402" in said and not is_painting:
                is_painting, until = True, time.monotonic() + 0.3 + after_s
            if is_painting:
                os.write(ours, b"jk")
        assert is_painting
        os.close(ours)
        process.wait(20)
        assert (folder / "session.jsonl").is_file()
    finally:
        process.kill()
        process.wait()
