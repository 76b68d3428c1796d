"""Trials in words: their structure in short for tables and in full, how they ended, where.

Pure functions, the same for live and replay.
"""

import re

from sessions import edits, recipe
from sessions.edits import Edit, Groups, Mid, UnitOff, UnitOn, Widen, Width
from sessions.network import Network
from sessions.searching import StudyPlan, Trial, Value
from sessions.state import Search, SessionState
from widgets import numbers
from workbench.screens import names, search_words

ENDED = {"finished": "done", "pruned": "ended early", "failed": "failed"}
SHARES = ("width", "bottleneck")
"""Of a stage: as shares of what the study began with."""


def edited_network(search: Search, state: SessionState) -> Network | None:
    """What the trials of a study are edits of; None where they are new networks."""
    is_new = isinstance(search.plan, StudyPlan) and search.plan.start != "variant"
    started = state.variants.get(search.variant)
    return None if started is None or is_new else started.network


def structure(trial: Trial, network: Network | None, *, is_short: bool = False) -> str:
    """A trial's network: units a stage, then what else differs from its start."""
    if network is None:
        return ", ".join(parameter_words(*named) for named in trial.parameters.items())
    if not trial.edits:
        return "as it is"
    units = network.units
    off = {edit.unit for edit in trial.edits if isinstance(edit, UnitOff)}
    on = {edit.unit for edit in trial.edits if isinstance(edit, UnitOn)}
    counts = [
        sum((units[u.path].is_on or u.path in on) and u.path not in off for u in stage.units)
        for stage in network.stages
        if not stage.is_plain
    ]
    others = [edit for edit in trial.edits if not isinstance(edit, UnitOff | UnitOn)]
    words = map(short_edit if is_short else names.edit_words, others)
    return ", ".join(["-".join(map(str, counts)) + ("" if is_short else " units"), *words])


def short_edit(edit: Edit) -> str:
    """An edit for a narrow column: s3 w150 is a width of 150 of stage3."""
    signs: dict[type[Edit], str] = {Width: "w", Widen: "w", Mid: "b", Groups: "g"}
    sign = signs.get(type(edit))
    if sign is None or not isinstance(edit, Width | Widen | Mid | Groups):
        return names.edit_words(edit)
    stage = re.sub(r"^stage(\d)", r"s\1", edit.target)
    return f"{stage} {sign}{edit.value}"


def parameter_words(name: str, value: Value) -> str:
    """A parameter of a study with its value."""
    return f"{name.replace('_', ' ')} {value_words(name, value)}"


def value_words(name: str, value: Value) -> str:
    """A value of a parameter; a stage's width as a share of what it was."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    stage, _, kind = name.rpartition(".")
    return numbers.percent(value) if stage and kind in SHARES else numbers.plain(value, ".3g")


def fixed_units(network: Network | None, parameter: str) -> int:
    """Units of a stage that a study's count of its units leaves out: those that cannot be off."""
    stage, _, kind = parameter.rpartition(".")
    if network is None or kind != "units":
        return 0
    return sum(
        unit.is_on and not (unit.is_removable and not edits.why_it_stays(network, unit.path))
        for found in network.stages
        if found.path == stage
        for unit in found.units
    )


def trial_words(search: Search, number: int, state: SessionState) -> tuple[str, ...]:
    """A trial in full: its structure, its recipe where that varies, its F1, where it ran."""
    trial = next((trial for trial in search.trials if trial.number == number), None)
    if trial is None:
        return ()
    words = structure(trial, edited_network(search, state))
    told = [f"trial {number}: {words}"]
    plan = search.plan
    if isinstance(plan, StudyPlan) and trial.recipe is not None and plan.space.recipe:
        told.append(
            ", ".join(
                f"{field.replace('_', ' ')} {recipe.shown(trial.recipe, field)}"
                for field in plan.space.recipe
            )
        )
    ended = f"{ENDED[trial.state]}: {trial.reason}" if trial.reason else ENDED[trial.state]
    if trial.state == "finished":
        ended = search_words.f1_words(trial)
    where = f" · on {trial.worker}" if trial.worker else ""
    kept = "" if trial.checkpoint or trial.state != "finished" else " · no weights kept"
    told.append(f"{ended}{where}{kept}")
    return tuple(told)


def start_words(search: Search, state: SessionState) -> tuple[str, ...]:
    """The variant where a study began."""
    started = state.variants.get(search.variant)
    if started is None:
        return ()
    told = f"{started.macs:,} MACs"
    if started.evaluation is not None:
        f1 = started.evaluation.f1
        score = numbers.plain(state.rule.score(started.macs, f1), ".4f")
        told += f", F1 {f1:.4f}, score {score}"
    return f"v{started.number}, where the study began", told


def without_point(search: Search, number: int) -> tuple[str, ...]:
    """Why a trial is not on the plane."""
    trial = next((trial for trial in search.trials if trial.number == number), None)
    if trial is None:
        return ()
    why = f"it {ENDED[trial.state]}" if trial.state != "finished" else "it was not measured"
    return f"trial {number} is not on the plane: {why}", "arrows go from point to point"


def wrapped(lines: tuple[str, ...], width: int, height: int) -> str:
    """Lines of at most a width, the long ones going on below while there is height."""
    found: list[str] = []
    for number, line in enumerate(lines):
        left = line
        after = len(lines) - number - 1
        while numbers.shortened(left, width) != left and height - len(found) - after > 1:
            fitting = numbers.shortened(left, width + 1).removesuffix("…")
            head = fitting.rpartition(" ")[0] or fitting[:-1]
            found.append(head.rstrip())
            left = left[len(head) :].lstrip()
        found.append(numbers.shortened(left, width))
    return "\n".join(found[:height])
