"""A disk that is full while a model is written: one line, and no half file."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""


def run_limited(limit: int, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file beyond a size, as on a disk without room."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_model_that_does_not_fit_is_one_line_and_no_file(
    script: list[str], demo_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.pt"
    ended = run_limited(100_000, *script, "edit", demo_model, out, "off:stage1.unit3", "--json")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"error: cannot write {out}: no space left")
    assert "try again" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_whole_when_the_new_one_does_not_fit(
    script: list[str], demo_model: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    out = tmp_path / "out.safetensors"
    assert run("edit", demo_model, out, "off:stage1.unit3").code == 0
    before = out.read_bytes()
    ended = run_limited(100_000, *script, "edit", demo_model, out, "off:stage2.unit3")
    assert ended.returncode == 1
    assert "no space left" in ended.stderr
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]
