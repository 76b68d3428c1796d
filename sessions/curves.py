"""The curves of a recorded session as rows: every value that was logged, none thinned out."""

import csv
import datetime
import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from sessions.codec import Header, Record
from sessions.events import Evaluated, JobProgressed, JobQueued, JobStarted


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one curve."""

    job: int
    kind: str
    """Of the job; empty where the record does not tell."""
    variant: int | None
    """That the job started from."""
    seconds: float
    """Since the session started, not counting the time while it was closed."""
    phase: str
    """Of the job, or the rung of a recovery; empty for other evaluations. Steps count within it."""
    step: int
    """For an evaluation the last step before it."""
    epoch: float | None
    """Epochs trained; None where the weights are the variant's own."""
    name: str
    """loss, images_per_s, f1, accuracy, or f1/CLASS."""
    value: float


COLUMNS = Row.__struct_fields__


def rows(records: Iterable[Record]) -> Iterator[Row]:
    """Every value of every progress and evaluation, in the order in which they were recorded."""
    queued: dict[int, JobQueued] = {}
    steps: dict[int, int] = {}
    for record in records:
        event = record.event
        match event:
            case JobQueued():
                queued[event.job] = event
            case JobStarted():
                steps[event.job] = event.from_step
            case JobProgressed():
                steps[event.job] = event.step
        if not isinstance(event, JobProgressed | Evaluated):
            continue
        job = queued.get(event.job)
        for name, value in _values(event):
            yield Row(
                job=event.job,
                kind="" if job is None else job.job_kind,
                variant=None if job is None else job.variant,
                seconds=record.t,
                phase=event.phase if isinstance(event, JobProgressed) else event.rung,
                step=steps.get(event.job, 0),
                epoch=event.epoch,
                name=name,
                value=value,
            )


def as_csv(found: Iterable[Row]) -> str:
    """A table with a line of names; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(msgspec.structs.astuple(row) for row in found)
    return text.getvalue()


def as_json(header: Header, found: Iterable[Row]) -> dict[str, Any]:
    """One object: when the session was made, and its rows."""
    return {
        "created": header.created,
        "model_sha256": header.model_sha256,
        "rows": [msgspec.to_builtins(row) for row in found],
    }


def created_at(header: Header) -> float:
    """When the session was made, in seconds since 1970; 0 where it does not tell."""
    try:
        return datetime.datetime.fromisoformat(header.created).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _values(event: JobProgressed | Evaluated) -> Iterator[tuple[str, float]]:
    if isinstance(event, JobProgressed):
        if event.loss is not None:
            yield "loss", event.loss
        yield "images_per_s", event.images_per_s
        return
    found = event.evaluation
    yield "f1", found.f1
    yield "accuracy", found.accuracy
    for score in found.classes:
        yield f"f1/{score.name}", score.f1
