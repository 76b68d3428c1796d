"""SessionState and `reduce`: the only place where state changes. Pure; replay goes the same way.

Every handler returns a new frozen state that shares what did not change.
"""

from functools import singledispatch

import msgspec

from sessions import edits, events, macs
from sessions.events import AnyEvent, DataOpened, Evaluation, JobKind, LayerStats, Unknown
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import CONTEST, Rule

CURVE_POINTS = 400
"""A curve longer than this loses every second point, so that a long job stays bounded."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A network with its weights at one moment of the session."""

    number: int
    parent: int | None
    label: str
    """The edit or job that made it."""
    network: Network
    macs: int
    """Contest convention."""
    edit: edits.Edit | None = None
    checkpoint: str | None = None
    """Stored weights; None where they follow from the parent's by the edit."""
    weights_sha256: str = ""
    stats: dict[str, LayerStats] = {}
    evaluation: Evaluation | None = None
    is_pending: bool = False
    """Whether the engine has not confirmed it yet."""
    is_preparation: bool = False
    exact: bool = True
    lost: tuple[str, ...] = ()


class CurvePoint(msgspec.Struct, frozen=True):
    """A value on a training curve."""

    epoch: float
    value: float


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job and how far it is."""

    number: int
    kind: JobKind
    variant: int
    result: int | None
    recipe: Recipe
    is_automatic: bool
    status: str = "queued"
    """queued, running, interrupted, finished, stopped, failed, cancelled"""
    phase: str = ""
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    stored_step: int = 0
    """Step of the last state on disk, 0 where there is none."""
    images_per_s: float = 0.0
    left_s: float | None = None
    losses: tuple[CurvePoint, ...] = ()
    f1s: tuple[CurvePoint, ...] = ()
    evaluation: Evaluation | None = None
    """The latest, of the weights in training or of the result."""
    reason: str = ""
    device: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("queued", "running")

    @property
    def is_resumable(self) -> bool:
        """Whether it was cut off and can go on."""
        return self.status == "interrupted"


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the screen shows."""

    source: str = ""
    notes: tuple[str, ...] = ()
    ptflops_macs: int | None = None
    data: DataOpened | None = None
    data_error: str = ""
    data_progress: tuple[int, int] | None = None
    rule: Rule = CONTEST
    variants: dict[int, Variant] = {}
    current: int | None = None
    redo: dict[int, int] = {}
    """The child that redo goes to, by variant."""
    jobs: dict[int, Job] = {}
    saved: dict[int, str] = {}
    """Last file a variant was saved to."""

    @property
    def variant(self) -> Variant | None:
        """The current variant."""
        return None if self.current is None else self.variants[self.current]

    @property
    def running(self) -> Job | None:
        """The running job."""
        return next((job for job in self.jobs.values() if job.status == "running"), None)

    @property
    def queued(self) -> tuple[Job, ...]:
        """Jobs that wait, first to start first."""
        return tuple(job for job in self.jobs.values() if job.status == "queued")

    @property
    def resumable(self) -> Job | None:
        """The latest job that was cut off and can go on."""
        jobs = [job for job in self.jobs.values() if job.is_resumable]
        return jobs[-1] if jobs else None

    @property
    def next_variant(self) -> int:
        """The number for the next variant; numbers promised to jobs are not given again."""
        promised = [job.result for job in self.jobs.values() if job.result is not None]
        return max([-1, *self.variants, *promised]) + 1

    @property
    def next_job(self) -> int:
        """The number for the next job."""
        return max(self.jobs, default=0) + 1


def reduce(state: SessionState, event: AnyEvent | Unknown) -> SessionState:
    """The state after an event; unknown kinds change nothing."""
    return _reduce(event, state)


def reduce_all(recorded: list[AnyEvent | Unknown]) -> SessionState:
    """The state after all events."""
    state = SessionState()
    for event in recorded:
        state = reduce(state, event)
    return state


def _with(state: SessionState, **changes: object) -> SessionState:
    return msgspec.structs.replace(state, **changes)


def _with_variant(state: SessionState, variant: Variant) -> SessionState:
    return _with(state, variants=state.variants | {variant.number: variant})


def _select(state: SessionState, number: int) -> SessionState:
    parent = state.variants[number].parent
    redo = state.redo if parent is None else state.redo | {parent: number}
    return _with(state, current=number, redo=redo)


def _with_job(state: SessionState, number: int, **changes: object) -> SessionState:
    job = state.jobs.get(number)
    if job is None:
        return state
    return _with(state, jobs=state.jobs | {number: msgspec.structs.replace(job, **changes)})


@singledispatch
def _reduce(event: object, state: SessionState) -> SessionState:
    return state


@_reduce.register
def _(event: events.ModelOpened, state: SessionState) -> SessionState:
    variant = Variant(
        number=0,
        parent=None,
        label="opened",
        network=event.network,
        macs=event.macs,
        checkpoint=event.checkpoint,
        weights_sha256=event.weights_sha256,
        stats=event.stats,
        is_preparation=True,
    )
    state = _with(
        state, source=event.source, notes=event.notes, ptflops_macs=event.ptflops_macs, current=0
    )
    return _with_variant(state, variant)


@_reduce.register
def _(event: events.DataOpened, state: SessionState) -> SessionState:
    return _with(state, data=event, data_error="", data_progress=None)


@_reduce.register
def _(event: events.DataFailed, state: SessionState) -> SessionState:
    return _with(state, data_error=event.reason, data_progress=None)


@_reduce.register
def _(event: events.DataProgressed, state: SessionState) -> SessionState:
    return _with(state, data_progress=(event.done, event.total))


@_reduce.register
def _(event: events.EditRequested, state: SessionState) -> SessionState:
    parent = state.variants[event.parent]
    network = edits.apply(parent.network, event.edit)
    variant = Variant(
        number=event.variant,
        parent=event.parent,
        label=edits.text(event.edit),
        network=network,
        macs=macs.count(network),
        edit=event.edit,
        stats=parent.stats,
        is_pending=True,
    )
    return _select(_with_variant(state, variant), event.variant)


@_reduce.register
def _(event: events.Edited, state: SessionState) -> SessionState:
    pending = state.variants.get(event.variant)
    if pending is None:
        requested = events.EditRequested(
            variant=event.variant, parent=event.parent, edit=event.edit
        )
        state = _reduce(requested, state)
        pending = state.variants[event.variant]
    parent = state.variants[event.parent]
    confirmed = msgspec.structs.replace(
        pending,
        weights_sha256=event.weights_sha256,
        stats=parent.stats | event.stats,
        is_pending=False,
        is_preparation=event.is_preparation,
        exact=event.exact,
        lost=event.lost,
    )
    return _with_variant(state, confirmed)


@_reduce.register
def _(event: events.EditRejected, state: SessionState) -> SessionState:
    if event.variant not in state.variants:
        return state
    gone = {event.variant}
    for number, variant in state.variants.items():
        if variant.parent in gone:
            gone.add(number)
    current = event.parent if state.current in gone else state.current
    return _with(
        state,
        variants={n: v for n, v in state.variants.items() if n not in gone},
        redo={n: child for n, child in state.redo.items() if child not in gone},
        current=current,
    )


@_reduce.register
def _(event: events.VariantSelected, state: SessionState) -> SessionState:
    return _select(state, event.variant) if event.variant in state.variants else state


@_reduce.register
def _(event: events.JobQueued, state: SessionState) -> SessionState:
    job = Job(
        number=event.job,
        kind=event.job_kind,
        variant=event.variant,
        result=event.result,
        recipe=event.recipe,
        is_automatic=event.is_automatic,
    )
    return _with(state, jobs=state.jobs | {event.job: job})


@_reduce.register
def _(event: events.JobStarted, state: SessionState) -> SessionState:
    return _with_job(
        state,
        event.job,
        status="running",
        steps=event.steps,
        step=event.from_step,
        device=event.device,
        reason="",
    )


@_reduce.register
def _(event: events.JobProgressed, state: SessionState) -> SessionState:
    job = state.jobs.get(event.job)
    if job is None:
        return state
    losses = job.losses
    if event.loss is not None:
        losses = _extended(losses, CurvePoint(event.epoch, event.loss))
    return _with_job(
        state,
        event.job,
        phase=event.phase,
        step=event.step,
        steps=event.steps,
        epoch=event.epoch,
        images_per_s=event.images_per_s,
        left_s=event.left_s,
        losses=losses,
    )


@_reduce.register
def _(event: events.CheckpointWritten, state: SessionState) -> SessionState:
    return _with_job(state, event.job, stored_step=event.step)


@_reduce.register
def _(event: events.Evaluated, state: SessionState) -> SessionState:
    job = state.jobs.get(event.job)
    if job is None:
        return state
    epoch = 0.0 if event.epoch is None else event.epoch
    f1s = _extended(job.f1s, CurvePoint(epoch, event.evaluation.f1))
    state = _with_job(state, event.job, evaluation=event.evaluation, f1s=f1s)
    if event.epoch is None and job.variant in state.variants:
        variant = state.variants[job.variant]
        evaluated = msgspec.structs.replace(variant, evaluation=event.evaluation)
        state = _with_variant(state, evaluated)
    return state


@_reduce.register
def _(event: events.JobFinished, state: SessionState) -> SessionState:
    job = state.jobs.get(event.job)
    if job is None:
        return state
    state = _with_job(
        state, event.job, status="stopped" if event.is_stopped else "finished", left_s=None
    )
    if event.checkpoint is None or job.result is None or job.variant not in state.variants:
        return state
    parent = state.variants[job.variant]
    variant = Variant(
        number=job.result,
        parent=job.variant,
        label=_job_label(job, is_stopped=event.is_stopped),
        network=parent.network,
        macs=parent.macs,
        checkpoint=event.checkpoint,
        weights_sha256=event.weights_sha256,
        stats=parent.stats | event.stats,
        evaluation=event.evaluation,
    )
    is_untouched = state.current == job.variant
    state = _with_variant(state, variant)
    return _select(state, variant.number) if is_untouched else state


@_reduce.register
def _(event: events.JobFailed, state: SessionState) -> SessionState:
    return _with_job(state, event.job, status="failed", reason=event.reason, left_s=None)


@_reduce.register
def _(event: events.JobCancelled, state: SessionState) -> SessionState:
    return _with_job(state, event.job, status="cancelled", left_s=None)


@_reduce.register
def _(event: events.ModelSaved, state: SessionState) -> SessionState:
    return _with(state, saved=state.saved | {event.variant: event.path})


@_reduce.register
def _(event: events.ProcessExited, state: SessionState) -> SessionState:
    return _interrupted(state, event.reason) if event.process == "trainer" else state


@_reduce.register
def _(event: events.SessionResumed, state: SessionState) -> SessionState:
    return _interrupted(state, "the session ended while it ran")


@_reduce.register
def _(event: events.RuleChosen, state: SessionState) -> SessionState:
    return _with(state, rule=event.rule)


def _interrupted(state: SessionState, reason: str) -> SessionState:
    for job in state.jobs.values():
        if not job.is_active:
            continue
        status = "cancelled" if job.kind == "evaluate" else "interrupted"
        state = _with_job(state, job.number, status=status, reason=reason, left_s=None)
    return state


def _job_label(job: Job, *, is_stopped: bool) -> str:
    if job.kind == "recover":
        return "recover"
    epochs = f"{job.epoch:.1f} of {job.recipe.epochs}" if is_stopped else f"{job.recipe.epochs}"
    return f"fine-tune, {epochs} epochs"


def _extended(curve: tuple[CurvePoint, ...], point: CurvePoint) -> tuple[CurvePoint, ...]:
    if len(curve) >= CURVE_POINTS:
        curve = curve[::2]
    return (*curve, point)
