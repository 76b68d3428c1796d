"""What a report tells, out of the reduced log alone: the page draws it, `--json` prints it."""

import shlex
from pathlib import Path
from typing import Any

import msgspec

from sessions import edits, history
from sessions.codec import Header
from sessions.events import CHANGING, DataOpened
from sessions.recipe import Recipe, shown
from sessions.score import Rule
from sessions.state import Job, SessionState, Variant
from workbench.report.words import variant_words


class VariantFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A variant: what made it, its size, what it reached."""

    number: int
    parent: int | None
    depth: int
    """In the tree of variants."""
    name: str
    words: str
    """What made it."""
    edit: str | None
    macs: int
    params: int
    units: tuple[int, ...]
    exact: bool
    kept: float
    lost: tuple[str, ...]
    f1: float | None = None
    f1_low: float | None = None
    f1_high: float | None = None
    accuracy: float | None = None
    split: str = ""
    images: int = 0
    score: float | None = None
    class_f1: dict[str, float] = {}
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()


class Measurement(msgspec.Struct, frozen=True):
    """An F1 in the order in which they were measured."""

    f1: float
    job: int
    variant: int
    epoch: float
    """Of the job; 0 where the weights are the variant's own."""
    rung: str


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A job that changed weights."""

    number: int
    kind: str
    variant: int
    result: int | None
    status: str
    reason: str
    device: str
    epochs: float
    changed: dict[str, str]
    """Fields of its recipe that are not the default."""
    recipe: Recipe
    rungs: tuple[tuple[str, float], ...]
    """Of a recovery: name and F1."""
    losses: tuple[tuple[float, float], ...]
    """Epoch and training loss."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole session."""

    session: str
    source: str
    created: str
    seconds: float
    """Recorded time, not counting what lay between two openings."""
    events: int
    is_torn: bool
    model_sha256: str
    seed: int
    versions: dict[str, str]
    notes: tuple[str, ...]
    input_size: int
    data: DataOpened | None
    rule: Rule
    variants: tuple[VariantFacts, ...]
    """In the order of the tree."""
    opened: int
    best: int | None
    """Of the lowest score among those that were measured."""
    current: int
    jobs: tuple[JobFacts, ...]
    measurements: tuple[Measurement, ...]
    edit_command: str
    edits_are_all: bool
    """Whether no training lies between the opened model and the current variant."""
    verify_command: str

    def variant(self, number: int) -> VariantFacts:
        """A variant by number."""
        return next(variant for variant in self.variants if variant.number == number)


class NothingToReport(ValueError):
    """A session that ended before a model was open."""


def gather(folder: Path, header: Header, state: SessionState, **log_facts: Any) -> Report:
    """The facts of a session.

    Args:
        folder: of the session.
        header: of its log.
        state: at its end.
        log_facts: seconds, events and is_torn.

    Raises:
        NothingToReport: no model was opened.
    """
    opened = history.baseline(state)
    if opened is None or state.current is None or state.variant is None:
        raise NothingToReport("the session ended before a model was open")
    variants = tuple(_variant(state, n, depth) for n, depth in history.tree(state))
    scored = [(v.score, v.number) for v in variants if v.score is not None]
    steps = history.path(state, state.current)
    session = shlex.quote(str(folder))
    return Report(
        session=folder.absolute().name,
        source=state.source,
        created=header.created,
        model_sha256=header.model_sha256,
        seed=header.seed,
        versions=header.versions,
        notes=state.notes,
        input_size=state.variant.network.input_size,
        data=state.data,
        rule=state.rule,
        variants=variants,
        opened=opened.number,
        best=min(scored)[1] if scored else None,
        current=state.current,
        jobs=tuple(_job(job) for job in state.jobs.values() if job.kind in CHANGING),
        measurements=_measurements(state),
        edit_command=_edit_command(state.source, steps),
        edits_are_all=all(step.edit is not None for step in steps[1:]),
        verify_command=f"workbench replay {session} --verify",
        **log_facts,
    )


def _variant(state: SessionState, number: int, depth: int) -> VariantFacts:
    variant = state.variants[number]
    found = variant.evaluation
    measured: dict[str, Any] = {}
    if found is not None:
        measured = {
            "f1": found.f1,
            "f1_low": found.low,
            "f1_high": found.high,
            "accuracy": found.accuracy,
            "split": found.split,
            "images": found.images,
            "score": state.rule.score(variant.macs, found.f1),
            "class_f1": {score.name: score.f1 for score in found.classes},
            "classes": tuple(score.name for score in found.classes),
            "confusion": found.confusion,
        }
    return VariantFacts(
        number=number,
        parent=variant.parent,
        depth=depth,
        name=variant.name,
        words=variant_words(state, variant),
        edit=None if variant.edit is None else edits.text(variant.edit),
        macs=variant.macs,
        params=variant.network.total_parameters(),
        units=variant.network.units_per_stage,
        exact=variant.exact,
        kept=variant.kept,
        lost=variant.lost,
        **measured,
    )


def _job(job: Job) -> JobFacts:
    default = Recipe()
    return JobFacts(
        number=job.number,
        kind=job.kind,
        variant=job.variant,
        result=job.result,
        status=job.status,
        reason=job.reason,
        device=job.device,
        epochs=job.epoch,
        changed={
            field: shown(job.recipe, field)
            for field in Recipe.__struct_fields__
            if getattr(job.recipe, field) != getattr(default, field)
        },
        recipe=job.recipe,
        rungs=tuple((rung.name, rung.evaluation.f1) for rung in job.rungs),
        losses=tuple((point.epoch, point.value) for point in job.losses),
    )


def _measurements(state: SessionState) -> tuple[Measurement, ...]:
    found = []
    for job in state.jobs.values():
        names = {(rung.epoch, rung.evaluation.f1): rung.name for rung in job.rungs}
        for point in job.f1s:
            rung = names.get((point.epoch, point.value), "")
            found.append(Measurement(point.value, job.number, job.variant, point.epoch, rung))
    return tuple(found)


def _edit_command(source: str, steps: tuple[Variant, ...]) -> str:
    """The edits on the way to the current variant as a command that makes them again."""
    out = f"edited{Path(source).suffix or '.pt'}"
    words = [edits.text(step.edit) for step in steps if step.edit is not None]
    return shlex.join(["workbench", "edit", source, out, *words])
