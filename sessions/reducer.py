"""`reduce`: the only place where state changes. Pure; replay goes the same way.

Every handler returns a new frozen state that shares what did not change.
"""

from collections.abc import Iterable
from functools import singledispatch

import msgspec

from sessions import edits, events, macs, search_reducer
from sessions.events import RAW, AnyEvent, Unknown
from sessions.state import CurvePoint, Job, Recovered, Rung, SessionState, Variant
from sessions.stored_stats import joined

ENDED = "the session ended while it ran"
CURVE_POINTS = 400
"""A curve longer than this loses every second point, so that a long job stays bounded."""


def reduce(state: SessionState, event: AnyEvent | Unknown) -> SessionState:
    """The state after an event; unknown kinds change nothing."""
    return _reduce(event, state)


def reduce_all(recorded: Iterable[AnyEvent | Unknown]) -> SessionState:
    """The state after all events."""
    reduction = Reduction()
    for event in recorded:
        reduction.add(event)
    return reduction.state


class Reduction:
    """Reduces many events: to the same state, but a job's progress reports in a row at once."""

    def __init__(self, state: SessionState | None = None) -> None:
        self._state = SessionState() if state is None else state
        self._waiting: list[events.JobProgressed] = []

    def add(self, event: AnyEvent | Unknown) -> None:
        """Take the next event."""
        waiting = self._waiting
        if isinstance(event, events.JobProgressed):
            if waiting and waiting[-1].job != event.job:
                self._take_waiting()
            waiting.append(event)
            return
        if waiting:
            self._take_waiting()
        self._state = reduce(self._state, event)

    @property
    def state(self) -> SessionState:
        """The state after all events so far."""
        self._take_waiting()
        return self._state

    def _take_waiting(self) -> None:
        if self._waiting:
            self._state = _progressed(self._state, self._waiting)
            self._waiting.clear()


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
def _(event: events.DataRequested, state: SessionState) -> SessionState:
    return _with(state, data_source=event.source, data_error="")


@_reduce.register
def _(event: events.DataOpened, state: SessionState) -> SessionState:
    return _with(state, data=event, data_source="", data_error="", data_progress=None)


@_reduce.register
def _(event: events.DataFailed, state: SessionState) -> SessionState:
    return _with(state, data_error=event.reason, data_source="", data_progress=None)


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
    if event.parent not in state.variants:
        return state  # its parent was refused meanwhile
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
        stats=joined(parent.stats, event.stats),
        is_pending=False,
        is_preparation=event.is_preparation,
        exact=event.exact,
        lost=event.lost,
        kept=event.kept,
        kept_layers=event.kept_layers,
    )
    return _with_variant(state, confirmed)


@_reduce.register
def _(event: events.EditRejected, state: SessionState) -> SessionState:
    return _without(state, event.variant)


@_reduce.register
def _(event: events.VariantSelected, state: SessionState) -> SessionState:
    return _select(state, event.variant) if event.variant in state.variants else state


@_reduce.register
def _(event: events.VariantNamed, state: SessionState) -> SessionState:
    variant = state.variants.get(event.variant)
    if variant is None:
        return state
    return _with_variant(state, msgspec.structs.replace(variant, name=event.name))


@_reduce.register
def _(event: events.RanksDescribed, state: SessionState) -> SessionState:
    return _with(state, ranks=event)


@_reduce.register
def _(event: events.JobQueued, state: SessionState) -> SessionState:
    job = Job(
        number=event.job,
        kind=event.job_kind,
        variant=event.variant,
        result=event.result,
        recipe=event.recipe,
        is_automatic=event.is_automatic,
        teacher=event.teacher,
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
    return _progressed(state, [event])


def _progressed(state: SessionState, reports: list[events.JobProgressed]) -> SessionState:
    """The state after reports of one job."""
    last = reports[-1]
    job = state.jobs.get(last.job)
    if job is None:
        return state
    losses = job.losses
    points = [CurvePoint(each.epoch, each.loss) for each in reports if each.loss is not None]
    if points:
        losses = _extended(losses, *points)
    return _with_job(
        state,
        last.job,
        phase=last.phase,
        step=last.step,
        steps=last.steps,
        epoch=last.epoch,
        images_per_s=last.images_per_s,
        left_s=last.left_s,
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
    rungs = job.rungs
    if event.rung:
        rungs = (*rungs, Rung(event.rung, event.evaluation, epoch))
    state = _with_job(state, event.job, evaluation=event.evaluation, f1s=f1s, rungs=rungs)
    if event.rung not in ("", RAW) and job.kind == "evaluate" and job.variant in state.variants:
        return _with_recoverable(state, job.variant, Rung(event.rung, event.evaluation, epoch))
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
        state,
        event.job,
        status="stopped" if event.is_stopped else "finished",
        reason=event.reason,
        left_s=None,
        seconds=event.seconds,
    )
    if event.scores and job.variant in state.variants:
        measured = msgspec.structs.replace(state.variants[job.variant], scores=event.scores)
        state = _with_variant(state, measured)
    if event.checkpoint is None or job.variant not in state.variants:
        return state
    parent = state.variants[job.variant]
    if job.result is None:
        recovered = Recovered(
            recipe=job.recipe,
            checkpoint=event.checkpoint,
            weights_sha256=event.weights_sha256,
            stats=event.stats,
            evaluation=event.evaluation,
        )
        return _with_variant(state, msgspec.structs.replace(parent, recovered=recovered))
    variant = Variant(
        number=job.result,
        parent=job.variant,
        label=_job_label(job, is_stopped=event.is_stopped),
        network=parent.network,
        macs=parent.macs,
        checkpoint=event.checkpoint,
        weights_sha256=event.weights_sha256,
        stats=joined(parent.stats, event.stats),
        evaluation=event.evaluation,
    )
    is_untouched = state.current == job.variant
    state = _with_variant(state, variant)
    return _select(state, variant.number) if is_untouched else state


@_reduce.register
def _(event: events.JobPaused, state: SessionState) -> SessionState:
    return _with_job(state, event.job, status="paused", left_s=None)


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
    if event.process == "searcher":
        return search_reducer.interrupted(state, event.reason)
    if event.process != "trainer":
        return state
    if state.data_source:
        reason = "the trainer ended while it opened them"
        state = _with(state, data_source="", data_error=reason, data_progress=None)
    return _interrupted(state, event.reason)


@_reduce.register
def _(event: events.SessionResumed, state: SessionState) -> SessionState:
    for variant in state.variants.values():
        if variant.is_pending:
            state = _without(state, variant.number)
    state = search_reducer.without_pilot(search_reducer.interrupted(state, ENDED))
    return _interrupted(state, ENDED)


@_reduce.register
def _(event: events.RuleChosen, state: SessionState) -> SessionState:
    return _with(state, rule=event.rule)


@_reduce.register
def _(event: events.RecipeChosen, state: SessionState) -> SessionState:
    return _with(state, recipe=event.recipe)


@_reduce.register
def _(event: search_reducer.SearchFact, state: SessionState) -> SessionState:
    return search_reducer.reduce_search(state, event)


def _without(state: SessionState, number: int) -> SessionState:
    """The state without a variant and all that was built on it."""
    if number not in state.variants:
        return state
    gone = {number}
    for other, variant in state.variants.items():
        if variant.parent in gone:
            gone.add(other)
    parent = state.variants[number].parent
    for job in state.jobs.values():
        if job.variant in gone and (job.is_active or job.is_resumable):
            state = _with_job(
                state, job.number, status="cancelled", reason="its edit was refused", left_s=None
            )
    return _with(
        state,
        variants={n: v for n, v in state.variants.items() if n not in gone},
        redo={n: c for n, c in state.redo.items() if n not in gone and c not in gone},
        current=parent if state.current in gone else state.current,
    )


def _with_recoverable(state: SessionState, number: int, rung: Rung) -> SessionState:
    variant = state.variants[number]
    known = variant.recoverable
    if known is not None and known.evaluation.f1 > rung.evaluation.f1:
        return state
    return _with_variant(state, msgspec.structs.replace(variant, recoverable=rung))


def _interrupted(state: SessionState, reason: str) -> SessionState:
    for job in state.jobs.values():
        if not job.is_active:
            continue
        status = "interrupted" if job.kind in events.CHANGING else "cancelled"
        state = _with_job(state, job.number, status=status, reason=reason, left_s=None)
    return state


def _job_label(job: Job, *, is_stopped: bool) -> str:
    if job.kind == "recover":
        return "recover"
    epochs = f"{job.epoch:.1f} of {job.recipe.epochs}" if is_stopped else f"{job.recipe.epochs}"
    return f"fine-tune, {epochs} epochs"


def _extended(curve: tuple[CurvePoint, ...], *points: CurvePoint) -> tuple[CurvePoint, ...]:
    longer = list(curve)
    for point in points:
        if len(longer) >= CURVE_POINTS:
            longer = longer[::2]
        longer.append(point)
    return tuple(longer)
