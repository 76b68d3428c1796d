"""Curves as TensorBoard's event files, one run a job; needs the package tensorboard, no PyTorch."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sessions.curves import Row
from workbench.errors import UserError

FILE = "events.out.tfevents.{began:010.0f}.workbench"
"""TensorBoard takes any file with `tfevents` in its name."""


def write(folder: Path, found: Iterable[Row], began: float) -> list[str]:
    """Write a run folder a job and return their names.

    Args:
        began: when the session was made, in seconds since 1970.

    Raises:
        UserError: tensorboard is not installed, or a run is already there.
        OSError: a run cannot be written.
    """
    event, summary, record_writer = _modules()
    jobs: dict[str, list[Row]] = {}
    for row in found:
        jobs.setdefault(run_name(row), []).append(row)
    for name in jobs:
        if (folder / name).exists():
            raise UserError(f"{folder / name} is already there: name another --tensorboard folder")

    def encoded(row: Row) -> bytes:
        value = summary.Summary.Value(tag=tag(row), simple_value=row.value)
        at = event.Event(
            wall_time=began + row.seconds, step=row.step, summary=summary.Summary(value=[value])
        )
        return bytes(at.SerializeToString())

    head = event.Event(wall_time=began, file_version="brain.Event:2").SerializeToString()
    with _all_or_none(folder) as staging:
        for name, inside in jobs.items():
            (staging / name).mkdir()
            with open(staging / name / FILE.format(began=began), "wb") as file:
                writer = record_writer.RecordWriter(file)
                for data in (head, *map(encoded, inside)):
                    writer.write(data)
    return list(jobs)


def run_name(row: Row) -> str:
    """The folder of a job's run: in their order when sorted by name."""
    return f"job{row.job:03}" + (f"-{row.kind}" if row.kind else "")


def tag(row: Row) -> str:
    """The curve's name; steps of different phases do not meet in one curve."""
    return f"{row.phase}/{row.name}" if row.phase else row.name


@contextlib.contextmanager
def _all_or_none(folder: Path) -> Iterator[Path]:
    """A hidden folder in `folder`; what is in it when the block ends moves up, else nothing."""
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    staging = folder / f".{os.getpid()}.part"
    try:
        staging.mkdir()
        yield staging
        for run in sorted(staging.iterdir()):
            run.rename(folder / run.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # stays where there is something in it


def _modules() -> tuple[Any, Any, Any]:
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import record_writer
    except ImportError:
        raise UserError(
            "--tensorboard needs the package tensorboard: pip install 'workbench[track]'"
        ) from None
    return event_pb2, summary_pb2, record_writer
