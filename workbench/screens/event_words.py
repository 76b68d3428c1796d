"""Every event in plain words, in one line: for the log of what happened."""

from collections.abc import Mapping
from functools import singledispatch
from pathlib import Path

from sessions import events, offers, search_events
from sessions.edits import CRITERIA, Cut, Edit
from sessions.events import AnyEvent, Unknown
from sessions.searching import ScanPlan
from sessions.state import Job
from widgets import numbers
from widgets.event_list import EventLine
from workbench.screens import names, search_words

Jobs = Mapping[int, Job]
Words = tuple[str, str, int | None]
"""What happened, its tone (good, bad, quiet or nothing), the variant that it is about."""


def event_line(seconds: float, event: AnyEvent | Unknown, jobs: Jobs) -> EventLine:
    """An event as a line; `jobs` are those of the session, by number."""
    return EventLine(seconds, *_words(event, jobs))


@singledispatch
def _words(event: object, jobs: Jobs) -> Words:
    kind = event.kind if isinstance(event, Unknown) else type(event).__struct_config__.tag  # type: ignore[attr-defined]
    what = str(kind).replace("-", " ")
    return (f"{what} (of a newer version)" if isinstance(event, Unknown) else what), "quiet", None


@_words.register
def _(event: events.ModelOpened, jobs: Jobs) -> Words:
    return f"opened {Path(event.source).name}: {event.macs:,} MACs", "good", 0


@_words.register
def _(event: events.DataOpened, jobs: Jobs) -> Words:
    held = f", {event.hold_out_images:,} held out" if event.hold_out_images else ""
    skipped = f"; {event.skipped_count:,} files skipped" if event.skipped_count else ""
    return (
        f"opened the data {Path(event.source).name}: {len(event.classes)} classes, "
        f"{event.train_images:,} training, {event.val_images:,} validation images{held}{skipped}",
        "good",
        None,
    )


@_words.register
def _(event: events.DataFailed, jobs: Jobs) -> Words:
    return f"could not open the data {Path(event.source).name}: {event.reason}", "bad", None


@_words.register
def _(event: events.EditRequested, jobs: Jobs) -> Words:
    return f"asked for {_edit(event.edit)} on v{event.parent}", "quiet", event.variant


@_words.register
def _(event: events.Edited, jobs: Jobs) -> Words:
    kept = ", every kept weight unchanged" if event.exact else ""
    if event.kept_layers and not event.exact:
        kept = f", {event.kept:.1%} of the importance kept"
    lost = f"; lost: {', '.join(event.lost)}" if event.lost else ""
    text = f"v{event.variant} is v{event.parent} with {_edit(event.edit)}: {event.macs:,} MACs"
    return f"{text}{kept}{lost}", "", event.variant


@_words.register
def _(event: events.EditRejected, jobs: Jobs) -> Words:
    return f"refused {_edit(event.edit)} on v{event.parent}: {event.reason}", "bad", None


@_words.register
def _(event: events.VariantSelected, jobs: Jobs) -> Words:
    return f"went to v{event.variant}", "", event.variant


@_words.register
def _(event: events.VariantNamed, jobs: Jobs) -> Words:
    if not event.name:
        return f"took the name of v{event.variant} away", "", event.variant
    return f'named v{event.variant} "{event.name}"', "", event.variant


@_words.register
def _(event: events.JobQueued, jobs: Jobs) -> Words:
    by_itself = ", by itself" if event.is_automatic else ""
    text = f"{_kind(event.job_kind)} of v{event.variant} waits{by_itself}"
    return text, "quiet", event.variant


@_words.register
def _(event: events.JobStarted, jobs: Jobs) -> Words:
    how = f"went on from step {event.from_step:,}" if event.from_step else "began"
    return f"{_job(event.job, jobs)} {how} on {event.device}", "", _variant(event.job, jobs)


@_words.register
def _(event: events.JobProgressed, jobs: Jobs) -> Words:
    loss = "" if event.loss is None else f", loss {event.loss:.3f}"
    speed = f", {event.images_per_s:,.0f} images/s" if event.images_per_s else ""
    text = f"{_job(event.job, jobs)}: {event.phase}, step {event.step:,} of {event.steps:,}"
    return f"{text}{loss}{speed}", "quiet", _variant(event.job, jobs)


@_words.register
def _(event: events.CheckpointWritten, jobs: Jobs) -> Words:
    text = f"{_job(event.job, jobs)} is on disk up to epoch {_epoch(event.epoch)}"
    return text, "quiet", _variant(event.job, jobs)


@_words.register
def _(event: events.Evaluated, jobs: Jobs) -> Words:
    found = event.evaluation
    when = "" if event.epoch is None or event.rung else f" after epoch {_epoch(event.epoch)}"
    rung = f" ({event.rung})" if event.rung else ""
    text = f"{_job(event.job, jobs)}{rung}: F1 {found.f1:.4f}{when}, {found.images:,} {found.split}"
    return f"{text} images", "good", _variant(event.job, jobs)


@_words.register
def _(event: events.JobFinished, jobs: Jobs) -> Words:
    job = jobs.get(event.job)
    result = None if job is None or event.checkpoint is None else job.result
    made = "" if result is None else f": v{result}"
    how = "was stopped, its result kept" if event.is_stopped else "is done"
    f1 = "" if event.evaluation is None else f", F1 {event.evaluation.f1:.4f}"
    took = f", {event.seconds:,.1f} s" if event.seconds else ""
    scores = ", channels measured" if event.scores else ""
    why = f"; {event.reason}" if event.reason else ""
    text = f"{_job(event.job, jobs)} {how}{made}{f1}{scores}{took}{why}"
    return text, "good", _variant(event.job, jobs) if result is None else result


@_words.register
def _(event: events.JobPaused, jobs: Jobs) -> Words:
    return f"{_job(event.job, jobs)} was put aside", "", _variant(event.job, jobs)


@_words.register
def _(event: events.JobFailed, jobs: Jobs) -> Words:
    return f"{_job(event.job, jobs)} failed: {event.reason}", "bad", _variant(event.job, jobs)


@_words.register
def _(event: events.JobCancelled, jobs: Jobs) -> Words:
    return f"{_job(event.job, jobs)} was given up", "quiet", _variant(event.job, jobs)


@_words.register
def _(event: events.ModelSaved, jobs: Jobs) -> Words:
    return f"saved v{event.variant} as {event.path}: {event.bytes:,} bytes", "good", event.variant


@_words.register
def _(event: events.CommandFailed, jobs: Jobs) -> Words:
    what = event.command.replace("-", " ") or "a command"
    return f"could not {what}: {event.reason}", "bad", None


@_words.register
def _(event: events.ProcessExited, jobs: Jobs) -> Words:
    return f"the {event.process} ended: {event.reason or f'code {event.code}'}", "bad", None


@_words.register
def _(event: events.RuleChosen, jobs: Jobs) -> Words:
    return f"score rule {event.rule.name}", "", None


@_words.register
def _(event: events.RecipeChosen, jobs: Jobs) -> Words:
    recipe = event.recipe
    rate = numbers.plain(recipe.learning_rate, "g")
    text = f"recipe: {recipe.epochs} epochs, learning rate {rate}, augmentation "
    return text + recipe.augmentation, "", None


@_words.register
def _(event: events.SessionResumed, jobs: Jobs) -> Words:
    return "the session was opened again", "", None


@_words.register
def _(event: search_events.SearchStarted, jobs: Jobs) -> Words:
    plan = event.plan
    if isinstance(plan, ScanPlan):
        what = f"a scan of {len(plan.candidates):,} cuts of v{event.variant}"
    else:
        what = f"a study of {search_words.STARTS[plan.start]}: {search_words.budget(plan)}"
    return f"search {event.search} began: {what}", "", event.variant


@_words.register
def _(event: search_events.CandidateMeasured, jobs: Jobs) -> Words:
    found = event.measured
    what = search_words.edits_words(found.edits)
    text = f"search {event.search}: {what}: F1 {found.f1:.4f} on {found.images:,} validation"
    return f"{text} images, {found.macs:,} MACs", "quiet", None


@_words.register
def _(event: search_events.TrialFinished, jobs: Jobs) -> Words:
    trial = event.trial
    name = f"search {event.search}: trial {trial.number}"
    if trial.state == "failed":
        return f"{name} failed: {trial.reason}", "bad", None
    score = "" if trial.score is None else f", score {numbers.plain(trial.score, '.4f')}"
    if trial.state == "pruned":
        return f"{name} was ended early: {trial.reason or 'without prospects'}", "quiet", None
    text = f"{name}: {search_words.f1_words(trial)}, {trial.macs:,} MACs{score}"
    return text, "good", None


@_words.register
def _(event: search_events.SearchFinished, jobs: Jobs) -> Words:
    took = f", {numbers.duration(event.seconds)}" if event.seconds else ""
    if event.reason:
        return f"search {event.search} failed: {event.reason}", "bad", None
    how = "was stopped, what it found is kept" if event.is_stopped else "is done"
    return f"search {event.search} {how}{took}", "good", None


@_words.register
def _(event: search_events.TrialOpened, jobs: Jobs) -> Words:
    text = f"v{event.variant} is trial {event.trial} of search {event.search}: {event.macs:,} MACs"
    return text, "good", event.variant


@_words.register
def _(event: search_events.AutopilotStarted, jobs: Jobs) -> Words:
    goal = search_words.target(event.steering)
    return f"the autopilot began at v{event.variant}, {goal}", "", event.variant


@_words.register
def _(event: search_events.AutopilotEnded, jobs: Jobs) -> Words:
    how = "reached its target" if event.is_reached else "ended"
    return f"the autopilot {how}: {event.reason}", "good" if event.is_reached else "", None


def _kind(kind: str) -> str:
    return {"evaluate": "evaluation", "recover": "recovery", "measure": "channel scores"}.get(
        kind, kind
    )


def _edit(edit: Edit) -> str:
    """An edit as one would say it, with the criterion where another than the usual one chose."""
    words = names.edit_words(edit)
    if isinstance(edit, Cut) and edit.criterion != CRITERIA[0]:
        return f"{words} by {offers.criterion_title(edit.criterion)}"
    return words


def _epoch(epoch: float) -> str:
    """An epoch to a tenth: 1, 12.5."""
    return f"{epoch:.1f}".removesuffix(".0")


def _job(number: int, jobs: Jobs) -> str:
    job = jobs.get(number)
    return f"job {number}" if job is None else f"{_kind(job.kind)} of v{job.variant}"


def _variant(number: int, jobs: Jobs) -> int | None:
    job = jobs.get(number)
    return None if job is None else job.variant
