"""What the facts of searches change in the state; `reducer` hands them over. Pure."""

import msgspec

from sessions.search_events import (
    AutopilotEnded,
    AutopilotStarted,
    CandidateMeasured,
    SearchFinished,
    SearchProgressed,
    SearchStarted,
    TrialFinished,
    TrialOpened,
)
from sessions.searching import Measured, ScanPlan, Trial
from sessions.state import Autopilot, Search, SessionState, Variant

SearchFact = (
    SearchStarted
    | SearchProgressed
    | CandidateMeasured
    | TrialFinished
    | SearchFinished
    | TrialOpened
    | AutopilotStarted
    | AutopilotEnded
)


def reduce_search(state: SessionState, event: SearchFact) -> SessionState:
    """The state after a fact of a search."""
    match event:
        case SearchStarted():
            return _started(state, event)
        case SearchProgressed(search=number, done=done, total=total, doing=doing, left_s=left_s):
            return _with_search(state, number, done=done, total=total, doing=doing, left_s=left_s)
        case CandidateMeasured(search=number, measured=measured):
            return _measured(state, number, measured)
        case TrialFinished(search=number, trial=trial):
            return _tried(state, number, trial)
        case SearchFinished():
            return _finished(state, event)
        case TrialOpened():
            return _opened(state, event)
        case AutopilotStarted(variant=variant, steering=steering):
            autopilot = Autopilot(variant=variant, steering=steering)
            return msgspec.structs.replace(state, autopilot=autopilot)
        case AutopilotEnded(reason=reason, is_reached=is_reached):
            return _landed(state, reason, is_reached=is_reached)


def interrupted(state: SessionState, reason: str) -> SessionState:
    """The state after the process that searched, or the session, has ended."""
    for search in state.searches.values():
        if search.status == "running":
            state = _with_search(
                state, search.number, status="interrupted", reason=reason, doing="", left_s=None
            )
    return state


def without_pilot(state: SessionState) -> SessionState:
    """The state after a session was closed while the autopilot steered."""
    return _landed(state, "the session ended while it steered", is_reached=False)


def _with_search(state: SessionState, number: int, **changes: object) -> SessionState:
    search = state.searches.get(number)
    if search is None:
        return state
    changed = msgspec.structs.replace(search, **changes)
    return msgspec.structs.replace(state, searches=state.searches | {number: changed})


def _started(state: SessionState, event: SearchStarted) -> SessionState:
    before = state.searches.get(event.search)
    plan = event.plan
    if before is not None:
        return _with_search(
            state, event.search, plan=plan, recipe=event.recipe, status="running", reason=""
        )
    total = len(plan.candidates) + 1 if isinstance(plan, ScanPlan) else plan.trials
    search = Search(
        number=event.search,
        variant=event.variant,
        plan=plan,
        recipe=event.recipe,
        total=total,
    )
    return msgspec.structs.replace(state, searches=state.searches | {event.search: search})


def _measured(state: SessionState, number: int, measured: Measured) -> SessionState:
    search = state.searches.get(number)
    if search is None:
        return state
    found = (*(m for m in search.measured if m.edits != measured.edits), measured)
    return _with_search(state, number, measured=found, done=len(found))


def _tried(state: SessionState, number: int, trial: Trial) -> SessionState:
    search = state.searches.get(number)
    if search is None:
        return state
    trials = (*(t for t in search.trials if t.number != trial.number), trial)
    return _with_search(state, number, trials=trials, done=len(trials))


def _finished(state: SessionState, event: SearchFinished) -> SessionState:
    search = state.searches.get(event.search)
    if search is None:
        return state
    status = "stopped" if event.is_stopped else "failed" if event.reason else "finished"
    return _with_search(
        state,
        event.search,
        status=status,
        reason=event.reason,
        trust=event.trust or search.trust,
        doing="",
        left_s=None,
        seconds=search.seconds + event.seconds,
    )


def _opened(state: SessionState, event: TrialOpened) -> SessionState:
    variant = Variant(
        number=event.variant,
        parent=event.parent,
        label=f"trial {event.trial} of search {event.search}",
        network=event.network,
        macs=event.macs,
        checkpoint=event.checkpoint,
        weights_sha256=event.weights_sha256,
        stats=event.stats,
        evaluation=event.evaluation,
    )
    return msgspec.structs.replace(
        state,
        variants=state.variants | {event.variant: variant},
        current=event.variant,
        redo=state.redo | {event.parent: event.variant},
    )


def _landed(state: SessionState, reason: str, *, is_reached: bool) -> SessionState:
    pilot = state.autopilot
    if pilot is None or not pilot.is_on:
        return state
    landed = msgspec.structs.replace(pilot, is_on=False, reason=reason, is_reached=is_reached)
    return msgspec.structs.replace(state, autopilot=landed)
