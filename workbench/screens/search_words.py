"""Searches in words: edits, what runs and how far it is, the best so far, what was asked for.

Pure functions of a state, the same for live and replay.
"""

from sessions import choosing, edits, history
from sessions.edits import (
    Edit,
    EditError,
    UnitOff,
)
from sessions.searching import ScanPlan, Space, StudyPlan, Trial
from sessions.state import Autopilot, Search, SessionState, Variant
from sessions.steering import Steering
from widgets import numbers
from workbench.screens import names

STARTS = {
    "variant": "the variant", "shufflenet": "new ShuffleNets", "cells": "new networks of cells",
}  # fmt: skip
BY = {
    "sensitivity": "what each cut was measured to cost", "std": "lowest weight std first",
    "importance": "importance kept for the same MACs",
}  # fmt: skip


def edits_words(found: tuple[Edit, ...]) -> str:
    """Several edits in a row; none is the network as it is."""
    return ", ".join(map(names.edit_words, found)) if found else "nothing changed"


def name(search: Search) -> str:
    """What a search is, and of what."""
    if isinstance(search.plan, ScanPlan):
        return f"scan of v{search.variant}"
    if search.plan.start == "variant":
        return f"study of v{search.variant}"
    return f"study of {STARTS[search.plan.start]}"


def _doing(search: Search) -> str:
    """What is being tried, its edits as one would say them."""
    if not isinstance(search.plan, ScanPlan):
        return search.doing
    try:
        return edits_words(tuple(map(edits.parse, search.doing.split())))
    except EditError:
        return search.doing  # the network as it is


def status(search: Search, *, is_live: bool) -> str:
    """How far it is, and what can be done."""
    far = "{} of {}".format(*progress(search))
    goes_on = ", p goes on" if is_live else ""
    match search.status:
        case "running":
            left = "" if search.left_s is None else f", {numbers.duration(search.left_s)} left"
            doing = f" · now {_doing(search)}" if search.doing else ""
            return f"▶ {far} done{left}{doing}"
        case "finished":
            took = f" in {numbers.duration(search.seconds)}" if search.seconds else ""
            return f"✓ done: {far}{took}"
        case "failed":
            return f"✗ failed at {far}: {search.reason}"
        case "stopped":
            return f"‖ stopped at {far}{goes_on}"
    why = f": {search.reason}" if search.reason else ""
    return f"‖ cut off at {far}{goes_on}{why}"


def progress(search: Search) -> tuple[int, int]:
    """Candidates or trials done, and all; the network as it is does not count as one."""
    if isinstance(search.plan, ScanPlan):
        return max(search.done - 1, 0), max(search.total - 1, 0) or len(search.plan.candidates)
    return search.done, search.total


def asked(search: Search) -> str:
    """What it was asked for."""
    plan = search.plan
    if isinstance(plan, ScanPlan):
        units = sum(isinstance(found[0], UnitOff) for found in plan.candidates if found)
        others = len(plan.candidates) - units
        more = f", {others} widths, groups and bottlenecks" if others else ""
        base = choosing.baseline_of(search.measured)
        images = f"{base.images:,}" if base is not None else f"at most {plan.images:,}"
        how = f"F1 on {images} validation images, batch norm anew, nothing trained"
        return f"{units} units{more}; {how}"
    return f"{budget(plan)}; varies {varied(plan.space)}; {search.recipe.epochs} epochs each"


def budget(plan: StudyPlan) -> str:
    """How much a study may try, and for what."""
    minutes = f", {plan.minutes:g} minutes" if plan.minutes else ""
    most = f", at most {plan.max_macs:,} MACs" if plan.max_macs else ""
    goal = "fewest MACs and highest F1" if plan.is_front else f"lowest score ({plan.rule.name})"
    return f"{goal}; {plan.trials} trials{minutes}{most}"


def varied(space: Space) -> str:
    """What a study varies."""
    named = ("units", "widths", "bottlenecks", "groups")
    found = [what for what in named if getattr(space, what)]
    if space.input_sizes:
        found.append("input " + "/".join(map(str, space.input_sizes)))
    found += [field.replace("_", " ") for field in space.recipe]
    return ", ".join(found) or "nothing"


def best_of(search: Search, state: SessionState) -> str:
    """The best find so far, in the user's score."""
    if isinstance(search.plan, ScanPlan):
        return _best_candidate(search, state)
    found = [trial for trial in search.trials if score_of(trial, state) is not None]
    if not found:
        return f"{_best(search)}: no trial was measured"
    best = min(found, key=lambda trial: score_of(trial, state) or 0.0)
    started = state.variants.get(search.variant)
    before = ""
    if started is not None and started.evaluation is not None and search.plan.start == "variant":
        score = state.rule.score(started.macs, started.evaluation.f1)
        before = f" (v{started.number} {numbers.plain(score, '.4f')})"
    lowest = numbers.plain(score_of(best, state) or 0.0, ".4f")
    f1 = f1_words(best)
    return f"{_best(search)}: trial {best.number}, score {lowest}{before}, {best.macs:,} MACs, {f1}"


def score_of(trial: Trial, state: SessionState) -> float | None:
    """A trial in the user's present score; None where it has no F1."""
    if trial.state != "finished" or trial.f1 is None:
        return None
    return state.rule.score(trial.macs, trial.f1)


def f1_words(trial: Trial) -> str:
    """F1 with its interval and its split."""
    found = trial.evaluation
    if found is None:
        return "F1 not measured"
    interval = "" if found.interval is None else " [{:.3f}, {:.3f}]".format(*found.interval)
    return f"F1 {found.f1:.4f}{interval} on {found.images:,} {found.split} images"


def _best_candidate(search: Search, state: SessionState) -> str:
    found = choosing.ranked(search.measured, state.rule)
    if not found:
        return f"{_best(search)}: nothing was measured yet"
    best = min(found, key=lambda ranked: ranked.change)
    words, change = edits_words(best.measured.edits), f"{abs(best.change):.4f}"
    if best.change >= 0:
        return f"{_best(search)}: none lowers the score; least harm: {words} raises it by {change}"
    return f"{_best(search)}: {words} lowers the score by {change}, {best.saved:,} MACs fewer"


def _best(search: Search) -> str:
    return "best" if search.status == "finished" else "best so far"


def steps(state: SessionState, pilot: Autopilot) -> tuple[Variant, ...]:
    """The variants from where the autopilot began to where the session is, its start first."""
    if state.current is None or pilot.variant not in state.variants:
        return ()
    path = history.path(state, state.current)
    numbers_ = [variant.number for variant in path]
    if pilot.variant not in numbers_:
        return (state.variants[pilot.variant],)
    return tuple(path[numbers_.index(pilot.variant) :])


def target(steering: Steering) -> str:
    """Where the autopilot is to go, by which rule."""
    goal = f"at most {steering.max_macs:,} MACs"
    if steering.score is not None:
        goal = f"a score of {numbers.plain(steering.score, 'g')} or lower"
    is_units = steering.is_units_only or steering.by == "std"
    what = "units only" if is_units else "units, widths, groups and bottlenecks"
    return f"to {goal} by {BY[steering.by]}; {what}"


def pilot_status(state: SessionState, pilot: Autopilot) -> str:
    """What the autopilot does now, or how it ended."""
    if not pilot.is_on:
        return f"✓ target reached: {pilot.reason}" if pilot.is_reached else f"‖ {pilot.reason}"
    if (search := state.searching) is not None:
        return f"▶ measures candidates: {status(search, is_live=False).removeprefix('▶ ')}"
    if (job := state.running) is not None:
        phase = f", {job.phase}" if job.phase else ""
        return f"▶ {job.kind} of v{job.variant}{phase}"
    return "▶ chooses the next edit"


def short(state: SessionState) -> str:
    """What searches at the moment, in few words; empty where nothing does."""
    pilot, search = state.autopilot, state.searching
    if pilot is not None and pilot.is_on:
        taken = len(steps(state, pilot)) - 1
        return f"autopilot, {max(taken, 0)} step{'' if taken == 1 else 's'}"
    if search is None:
        return ""
    kind = "scan" if isinstance(search.plan, ScanPlan) else "study"
    left = "" if search.left_s is None else f", {numbers.duration(search.left_s)} left"
    return "{} {}/{}{}".format(kind, *progress(search), left)
