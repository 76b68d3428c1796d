"""Branches a session off at a moment: a new folder with the records up to it, to go on from there.

The source is only read. Checkpoints are shared by hard links where the disk can: they are never
changed once they are written.
"""

import contextlib
import datetime
import os
import shutil
from pathlib import Path

import msgspec

from sessions import codec, log
from sessions.codec import Origin, Record
from sessions.edits import Cut
from sessions.events import CHANGING, CheckpointWritten, Edited, JobFinished, ModelOpened
from sessions.log import Scan, SessionError
from sessions.reducer import Reduction
from sessions.replay import IDLE_LIMIT_S, MISFITS, Clock, unwatched
from sessions.search_events import TrialFinished, TrialOpened
from sessions.searching import Trial

RESUME = "resume.pt"
"""The state of a job that can go on, in the job's folder."""


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was branched off."""

    session: str
    source: str
    records: int
    seconds: float
    """On the clock of both sessions, on which no pause is cut short."""
    variants: int
    files: int
    """Checkpoints and channel scores that it shares with its source."""
    cut_off: tuple[int, ...]
    """Jobs that ran or waited at that moment, and can go on."""
    note: str = ""
    """Why it ends before it was asked to; empty elsewhere."""


def branch(
    source: Path,
    out: Path,
    moment: int | None = None,
    *,
    seconds: float | None = None,
    salvage: bool = False,
) -> Branch:
    """Make a session of the first records of another.

    Args:
        moment: how many records to take; None for all.
        seconds: up to when, on the replay's clock; None for all.
        salvage: where a line is broken, take what is before it.

    Raises:
        SessionError: the source is broken, no model is open there, a checkpoint is missing, or
            the new folder cannot be made.
    """
    _check_free(source, out)
    found = _Prefix(source, moment, seconds, salvage=salvage)
    state = found.state
    if state.current is None:
        raise SessionError(f"no model is open at this moment of {source}: choose a later one")
    partial = out.with_name(f".{out.name}.part")
    try:
        partial.mkdir(parents=True)
        try:
            found.write(partial)
            os.replace(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise SessionError(f"cannot make {out}: {error.strerror or error}") from error
    return Branch(
        session=str(out),
        source=str(source),
        records=found.taken,
        seconds=found.seconds,
        variants=len(state.variants),
        files=len(found.files),
        cut_off=tuple(
            job.number for job in state.jobs.values() if job.is_active and job.kind in CHANGING
        ),
        note=found.note,
    )


class _Prefix:
    """The first records of a session, the state after them and the files that they name."""

    def __init__(
        self, source: Path, moment: int | None, seconds: float | None, *, salvage: bool
    ) -> None:
        self.scan = Scan(source)
        self.files: dict[str, None] = {}
        self.taken = 0
        self.seconds = 0.0
        self.note = ""
        self._reduction = Reduction()
        self._stored: dict[int, int] = {}
        """The step at which the source last stored a job, by its number."""
        with unwatched():
            try:
                self._read(moment, seconds)
            except SessionError as error:
                if not salvage:
                    raise
                self.note = str(error).partition("; the ")[0]
        self.state = self._reduction.state

    def _read(self, moment: int | None, seconds: float | None) -> None:
        clock = Clock(IDLE_LIMIT_S)
        records = iter(self.scan)
        while moment is None or self.taken < moment:
            record = next(records, None)
            if record is None:
                return
            clock.add(record.t)
            if seconds is not None and clock.seconds > seconds:
                self._note(record)
                break
            self._take(record)
        with contextlib.suppress(SessionError):  # what comes later is not asked for
            for record in records:
                self._note(record)

    def _take(self, record: Record) -> None:
        try:
            self._reduction.add(record.event)
        except MISFITS as error:
            raise self.scan.misfit(self.taken, error) from error
        self.taken += 1
        self.seconds = record.t
        self._note(record)
        self.files.update(dict.fromkeys(_files(record)))

    def _note(self, record: Record) -> None:
        if isinstance(record.event, CheckpointWritten):
            self._stored[record.event.job] = record.event.step

    def write(self, folder: Path) -> None:
        """Fill a new session folder.

        Raises:
            OSError: the disk refuses.
            SessionError: a checkpoint is missing.
        """
        source = self.scan.folder
        for name in self.files:
            target = folder / log.CHECKPOINTS / name
            target.parent.mkdir(exist_ok=True)
            try:
                _share(source / log.CHECKPOINTS / name, target)
            except FileNotFoundError:
                raise SessionError(
                    f"{source / log.CHECKPOINTS / name} is missing: restore the session from a copy"
                ) from None
        header = msgspec.structs.replace(
            self.scan.header,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            origin=Origin(session=str(source), seconds=self.seconds, records=self.taken),
        )
        with open(folder / log.LOG_NAME, "xb") as file:
            file.write(codec.encode(header) + b"\n")
            for block in self.scan.records.blocks(self.taken):
                file.write(block)
            for event in self._restarts(folder):
                file.write(codec.encode_record(Record(self.seconds, event)) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _restarts(self, folder: Path) -> list[CheckpointWritten]:
        """What makes true again from where the jobs that can go on go on.

        A job's state on disk is the source's latest: one that is of a later moment, or gone, is
        of no use here, and the job starts anew.
        """
        found = []
        for job in self.state.jobs.values():
            if not job.stored_step or not (job.is_active or job.is_resumable):
                continue
            path = Path(log.JOBS, str(job.number), RESUME)
            if self._stored[job.number] == job.stored_step:
                (folder / path).parent.mkdir(parents=True)
                try:
                    _share(self.scan.folder / path, folder / path)
                    continue
                except FileNotFoundError:
                    pass
            found.append(CheckpointWritten(job=job.number, step=0, epoch=0.0))
        return found


def _files(record: Record) -> list[str]:
    """Checkpoints and channel scores that a record names."""
    match record.event:
        case ModelOpened(checkpoint=name) | TrialOpened(checkpoint=name):
            return [f"{name}.safetensors"]
        case TrialFinished(trial=Trial(checkpoint=name)) if name:
            return [f"{name}.safetensors"]
        case JobFinished(checkpoint=checkpoint, scores=scores):
            names = [] if checkpoint is None else [f"{checkpoint}.safetensors"]
            return [*names, f"{scores}.json"] if scores else names
        case Edited(edit=Cut(scores=scores)) if scores:
            return [f"{scores}.json"]
    return []


def _share(source: Path, target: Path) -> None:
    """Link a file that is never changed, or copy it where that cannot be."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def _check_free(source: Path, out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SessionError(f"{out} exists already: choose a folder that does not")
    if source.resolve() in (out.resolve(), *out.resolve().parents):
        raise SessionError(f"{out} lies in the session that it is of: choose another place")
