"""What happened last at a moment of a recording, in few words: for the line below the timeline."""

from pathlib import Path

from sessions import edits
from sessions.events import (
    AnyEvent,
    CheckpointWritten,
    DataFailed,
    DataOpened,
    Edited,
    EditRejected,
    EditRequested,
    Evaluated,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobPaused,
    JobProgressed,
    JobQueued,
    JobStarted,
    ModelOpened,
    ModelSaved,
    ProcessExited,
    RecipeChosen,
    RuleChosen,
    SessionResumed,
    Unknown,
    VariantNamed,
    VariantSelected,
)
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
from sessions.searching import ScanPlan
from sessions.state import Job, SessionState
from widgets import numbers

ENDS = {JobPaused: "paused", JobFailed: "failed", JobCancelled: "cancelled"}


def happened(event: AnyEvent | Unknown, state: SessionState) -> str:
    """An event, in the state after it."""
    match event:
        case JobProgressed() | JobStarted() | CheckpointWritten() | JobQueued() | JobFinished():
            return _of_job(event, state)
        case JobPaused(job=job) | JobFailed(job=job) | JobCancelled(job=job):
            return f"{_name(state, job)} {ENDS[type(event)]}"
        case Evaluated(evaluation=found):
            rung = f", {event.rung}" if event.rung else ""
            return f"F1 {numbers.plain(found.f1, '.4f')} on {found.split}{rung}"
        case (
            SearchStarted() | SearchProgressed() | CandidateMeasured() | TrialFinished()
            | SearchFinished()
        ):  # fmt: skip
            return _of_search(event, state)
        case _:
            return _of_session(event, state)


def _of_search(
    event: SearchStarted | SearchProgressed | CandidateMeasured | TrialFinished | SearchFinished,
    state: SessionState,
) -> str:
    search = state.searches.get(event.search)
    if search is None:
        return "a search"
    name = "scan" if isinstance(search.plan, ScanPlan) else "study"
    match event:
        case SearchStarted():
            return f"{name} of v{search.variant} began"
        case TrialFinished(trial=trial) if trial.f1 is not None:
            return f"trial {trial.number}: F1 {numbers.plain(trial.f1, '.4f')}"
        case TrialFinished(trial=trial):
            return f"trial {trial.number} {trial.state}"
        case SearchFinished():
            return f"{name} {search.status}"
    return f"{name} {search.done} of {search.total}"


def _of_job(
    event: JobProgressed | JobStarted | CheckpointWritten | JobQueued | JobFinished,
    state: SessionState,
) -> str:
    name, job = _name(state, event.job), state.jobs.get(event.job)
    match event:
        case JobQueued():
            return f"{name} of v{event.variant} waits"
        case JobFinished():
            ending = "stopped" if event.is_stopped else "finished"
            made = f": v{job.result}" if job is not None and job.result in state.variants else ""
            return f"{name} {ending}{made}"
        case CheckpointWritten(epoch=epoch):
            return f"{name}, {epoch:g} epochs on disk"
    return name if job is None else f"{name} {_place(job)}".rstrip()


def _place(job: Job) -> str:
    if job.phase != "training":
        return job.phase
    epochs = job.recipe.short_epochs if job.kind == "recover" else job.recipe.epochs
    return f"epoch {min(int(job.epoch) + 1, max(epochs, 1))}/{epochs}"


def _name(state: SessionState, number: int) -> str:
    job = state.jobs.get(number)
    return "a job" if job is None else job.kind


def _of_session(event: AnyEvent | Unknown, state: SessionState) -> str:
    match event:
        case ModelOpened(source=source):
            return f"opened {Path(source).name}"
        case DataOpened(source=source):
            return f"data {Path(source).name}"
        case DataFailed(source=source):
            return f"data {Path(source).name} did not open"
        case Edited(edit=edit):
            return f"edit {edits.text(edit)}"
        case EditRequested(edit=edit):
            return f"edit {edits.text(edit)} …"
        case EditRejected(edit=edit):
            return f"refused {edits.text(edit)}"
        case VariantSelected(variant=number):
            known = state.variants.get(number)
            return f"to v{number}" + (f" {known.name or known.label}" if known else "")
        case VariantNamed(variant=number, name=name):
            return f"v{number} named {name}" if name else f"v{number} without its name"
        case ModelSaved(path=path):
            return f"saved {Path(path).name}"
        case ProcessExited(process=process):
            return f"the {process} ended"
        case RuleChosen(rule=rule):
            return f"score rule {rule.name}"
        case TrialOpened(variant=number, trial=trial):
            return f"trial {trial} is v{number}"
        case AutopilotStarted(steering=steering):
            return f"the autopilot began, by {steering.by}"
        case AutopilotEnded(reason=reason):
            return f"the autopilot ended: {reason}"
        case RecipeChosen():
            return "another recipe"
        case SessionResumed():
            return "opened again"
        case Unknown(kind=kind):
            return kind
    return str(type(event).__struct_config__.tag).replace("-", " ")
