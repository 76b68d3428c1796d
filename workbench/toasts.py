"""What to tell the user about an event besides what the screen shows."""

from textual.notifications import SeverityLevel

from sessions import history
from sessions.edits import text
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
from sessions.state import SessionState
from widgets import numbers
from workbench.processes import ENDED_AS_ASKED


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
            what = "nothing lost" if event.exact else f"{kept:.1%} of the importance kept"
            return f"{text(edit)}: {what}", "information"
        case EditRejected(reason=reason):
            return reason, "error"
        case JobFailed(reason=reason):
            return reason, "error"
        case JobFinished(reason=reason) if reason:
            return reason, "warning"
        case JobFinished(job=number, checkpoint=str(), evaluation=Evaluation()) if (
            state.jobs[number].kind == "recover" and state.jobs[number].result == state.current
        ):
            return recovery(state, number), "information"
        case JobFinished(job=number, checkpoint=str()):
            result = state.jobs[number].result
            if result != state.current:
                return (
                    f"the result is v{result}, beside what you edit: t jumps to it, "
                    "o carries its weights over your edits",
                    "information",
                )
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
