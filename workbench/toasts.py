"""What to tell the user about an event besides what the screen shows."""

from textual.notifications import SeverityLevel

from sessions import edits, history
from sessions.events import (
    AnyEvent,
    CommandFailed,
    DataFailed,
    DataOpened,
    Edited,
    EditRejected,
    Evaluation,
    JobFailed,
    JobFinished,
    ModelOpened,
    ModelSaved,
    ProcessExited,
    Unknown,
)
from sessions.search_events import AutopilotEnded, SearchFinished, TrialOpened
from sessions.state import SessionState
from widgets import numbers
from workbench.processes import ENDED_AS_ASKED
from workbench.screens import names, search_words


def describe(event: AnyEvent | Unknown, state: SessionState) -> tuple[str, SeverityLevel] | None:
    """What to tell the user about an event besides what the screen shows, and how urgent it is."""
    match event:
        case ModelOpened(notes=notes) if notes:
            return "; ".join(notes), "information"
        case DataOpened(skipped_count=count, skipped=skipped) if count:
            first = skipped[0]
            return f"{count} files skipped, first {first.path}: {first.reason}", "warning"
        case DataFailed(reason=reason):
            return f"data: {reason}", "error"
        case Edited(lost=lost) if lost:
            return f"lost: {', '.join(lost)}", "warning"
        case Edited(edit=edit, kept=kept, kept_layers=layers) if layers:
            what = (
                "every kept weight unchanged"
                if event.exact
                else f"{kept:.1%} of the importance kept"
            )
            return f"{names.edit_words(edit)}: {what}", "information"
        case EditRejected():
            return refused(event), "error"
        case JobFailed(job=number, reason=reason):
            job = state.jobs[number]
            return f"{job.kind} of v{job.variant} failed: {reason}", "error"
        case JobFinished(reason=reason) if reason:
            return reason, "warning"
        case JobFinished(job=number, checkpoint=str(), evaluation=Evaluation()) if (
            state.jobs[number].kind == "recover" and state.jobs[number].result == state.current
        ):
            return recovery(state, number), "information"
        case JobFinished(job=number, checkpoint=str()):
            result = state.jobs[number].result
            if result is not None and result != state.current:
                return (
                    f"the result is v{result}, beside what you edit: t jumps to it, "
                    "o carries its weights over your edits",
                    "information",
                )
        case SearchFinished(search=number, reason=reason, is_stopped=is_stopped):
            return searched(state, number, reason, is_stopped=is_stopped)
        case TrialOpened(variant=number, trial=trial):
            return f"trial {trial} is v{number}, which is shown now; t goes back", "information"
        case AutopilotEnded(reason=reason, is_reached=is_reached):
            how = "has reached its target" if is_reached else "has ended"
            return f"the autopilot {how}: {reason}", "information" if is_reached else "warning"
        case CommandFailed(reason=reason):
            return reason, "error"
        case ProcessExited(process=process, reason=reason) if reason == ENDED_AS_ASKED:
            return f"the {process} {reason}; c goes on with the job", "information"
        case ProcessExited(process=process, reason=reason):
            return f"the {process} was {reason}; it starts again when needed", "error"
        case ModelSaved(path=path, macs=macs, ptflops_macs=counted, bytes=size):
            agreed = "ptflops agrees" if counted == macs else f"ptflops counts {counted:,}"
            return f"saved {path} ({size:,} bytes, {macs:,} MACs, {agreed})", "information"
    return None


def refused(event: EditRejected) -> str:
    """What was not made, and why; some reasons begin with the edit as the command line has it."""
    name = names.edit_words(event.edit)
    rest = event.reason.removeprefix(edits.text(event.edit))
    return f"{name}: {rest}" if rest == event.reason else f"{name}{rest}"


def searched(
    state: SessionState, number: int, reason: str, *, is_stopped: bool
) -> tuple[str, SeverityLevel] | None:
    """The best find of a search that ended; of the autopilot's own scans nothing."""
    search, pilot = state.searches.get(number), state.autopilot
    if search is None:
        return None
    name = search_words.name(search)
    if reason:
        return f"{name}: {reason}", "error"
    if pilot is not None and pilot.is_on:
        return None
    how = "was stopped: S, then p goes on" if is_stopped else "is done: S shows it"
    best = search_words.best_of(search, state).replace("best so far", "best")
    return f"{name} {how}; {best}", "information"


def recovery(state: SessionState, number: int) -> str:
    """F1 before the edits, and after each rung of the recovery."""
    job = state.jobs[number]
    if not job.rungs:  # climbed before it was asked for
        climbs = [other for other in state.jobs.values() if other.variant == job.variant]
        job = max(climbs, key=lambda other: len(other.rungs))
    before = history.stored(state, job.variant)
    figures = [(rung.name, rung.evaluation) for rung in job.rungs]
    if before.number != job.variant and before.evaluation is not None:
        figures.insert(0, ("before the edits", before.evaluation))
    return "F1 " + ", ".join(f"{name} {numbers.plain(x.f1, '.4f')}" for name, x in figures)
