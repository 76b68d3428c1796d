"""The fields of each kind of search, what is filled in, and what is made of what was typed."""

import re
from collections.abc import Callable, Mapping

import msgspec

from sessions import recipe
from sessions.recipe import Recipe, RecipeError
from sessions.searching import Space, StudyPlan
from sessions.state import SessionState
from sessions.steering import Steering
from workbench.screens.search_requests import Begin, Scan, Study

YES_NO = ("yes", "no")
ALL_CUTS, UNITS_ONLY = "all that can be made", "units only"
STARTS = {"the current variant": "variant", "new ShuffleNets": "shufflenet",
          "new networks of cells": "cells"}  # fmt: skip
SCORE, FRONT = "lowest score", "front of MACs and F1"
RULES = {
    "measured cost": "sensitivity",
    "lowest weight std": "std",
    "importance kept": "importance",
}
RECOVERIES = {"recovery": "recover", "fine-tuning": "fine-tune", "nothing": "none"}
SHORT_EPOCHS = 5
"""Of a trial, at most, unless the user wants more: a study is many trainings."""
CUT_TO = 0.75
"""Share of the present MACs that the autopilot's target begins at."""
SIZES = range(8, 1025)


class FieldError(ValueError):
    """A field that cannot be used; the message names it."""


class Pick(msgspec.Struct, frozen=True):
    """A field that takes one of some words."""

    name: str
    title: str
    words: tuple[str, ...]
    hint: str = ""
    at: int = 0


class Typed(msgspec.Struct, frozen=True):
    """A field to type in."""

    name: str
    title: str
    value: str
    hint: str = ""
    empty: str = ""
    """Stands there while nothing is typed."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of search with its fields."""

    name: str
    title: str
    about: str
    fields: tuple[Pick | Typed, ...]
    made: Callable[[SessionState, Mapping[str, str]], Begin]
    """Raises FieldError."""


def kinds(state: SessionState) -> tuple[Kind, ...]:
    """All kinds, filled in for the current variant."""
    at = "" if state.current is None else f" of v{state.current}"
    made = at and f" made{at}"
    return (
        Kind(
            "scan", "sensitivity scan",
            f"Makes each cut{at} by itself, measures batch norm anew, then F1.",
            (Pick("cuts", "cuts", (ALL_CUTS, UNITS_ONLY), "what is tried"),), _scan,
        ),
        Kind(
            "study", "study",
            f"Trains many networks{made}: structure and recipe together.",
            _study_fields(state), _study,
        ),
        Kind(
            "autopilot", "autopilot",
            f"Cuts and recovers step by step from here{at and ', ' + at[4:]}, as you would.",
            _pilot_fields(state), _pilot,
        ),
    )  # fmt: skip


def _study_fields(state: SessionState) -> tuple[Pick | Typed, ...]:
    variant = state.variant
    macs = variant.macs if variant is not None else 0
    size = "as it is" if variant is None else f"{variant.network.input_size}, as it is"
    epochs = min(state.recipe.epochs, SHORT_EPOCHS)
    return (
        Pick("start", "start from", tuple(STARTS)),
        Pick("units", "vary units", YES_NO, "how many a stage keeps"),
        Pick("widths", "vary widths", YES_NO, "channels of the stages"),
        Pick("groups", "vary groups", YES_NO, "of the 1x1 convs"),
        Pick("bottlenecks", "vary bottlenecks", YES_NO, "channels inside the units", at=1),
        Typed("input_sizes", "input sizes", "", "in pixels, such as 64, 80", size),
        Typed("recipe", "vary in recipe", "", "such as learning_rate, loss", "nothing"),
        Pick("goal", "objective", (SCORE, FRONT)),
        Typed("trials", "trials", "40", "networks to train"),
        Typed("minutes", "minutes", "60", "0 for no limit", "no limit"),
        Typed("epochs", "epochs", str(epochs), "of each trial"),
        Typed("max_macs", "MACs at most", f"{macs:,}", "larger ones are left out", "no limit"),
        Pick("pruned", "end early", YES_NO, "trials behind the median"),
    )


def _pilot_fields(state: SessionState) -> tuple[Pick | Typed, ...]:
    macs = state.variant.macs if state.variant is not None else 0
    return (
        Typed("max_macs", "to MACs", f"{round(CUT_TO * macs):,}", "where it ends", "none"),
        Typed("score", "or to score", "", "instead of the MACs", "none"),
        Pick("by", "choose by", tuple(RULES), "which cut is next"),
        Pick("cuts", "cuts", (ALL_CUTS, UNITS_ONLY), "what is tried"),
        Typed("look_ahead", "look ahead", "3", "cuts tried one step further", "none"),
        Pick("recovery", "after each step", tuple(RECOVERIES)),
        Pick("finish", "at the end", tuple(RECOVERIES), at=1),
    )


def _scan(state: SessionState, values: Mapping[str, str]) -> Scan:
    return Scan(is_units_only=values["cuts"] == UNITS_ONLY)


def _study(state: SessionState, values: Mapping[str, str]) -> Study:
    sizes = tuple(
        _whole("input sizes", part, SIZES.start, SIZES.stop - 1)
        for part in _parts(values["input_sizes"])
    )
    fields = tuple(part.replace(" ", "_") for part in _parts(values["recipe"]))
    for field in fields:
        if field not in Recipe.__struct_fields__:
            raise FieldError(f"vary in recipe: no field {field!r}; F shows all of them")
    space = Space(
        units=values["units"] == "yes",
        widths=values["widths"] == "yes",
        bottlenecks=values["bottlenecks"] == "yes",
        groups=values["groups"] == "yes",
        input_sizes=sizes,
        recipe=fields,
    )
    if space == Space(units=False, widths=False, groups=False):
        raise FieldError("nothing varies: choose units, widths, groups, sizes or recipe fields")
    plan = StudyPlan(
        start=STARTS[values["start"]],  # type: ignore[arg-type]
        space=space,
        rule=state.rule,
        is_front=values["goal"] == FRONT,
        trials=_whole("trials", values["trials"], 1),
        minutes=_number("minutes", values["minutes"] or "0", 0.0),
        max_macs=_whole("MACs at most", values["max_macs"] or "0", 0),
        is_pruned=values["pruned"] == "yes",
    )
    epochs = _whole("epochs", values["epochs"], 1)
    try:
        return Study(plan=plan, recipe=recipe.changed(state.recipe, epochs=epochs))
    except RecipeError as error:
        raise FieldError(str(error)) from error


def _pilot(state: SessionState, values: Mapping[str, str]) -> Steering:
    score = _number("or to score", values["score"], None) if values["score"] else None
    now = state.variant.macs if state.variant is not None else 0
    most = _whole("to MACs", values["max_macs"] or "0", 0) if score is None else 0
    if score is None and not 0 < most < now:
        raise FieldError(f"to MACs: give a number below the present {now:,}, or a score")
    return Steering(
        by=RULES[values["by"]],  # type: ignore[arg-type]
        max_macs=most,
        score=score,
        is_units_only=values["cuts"] == UNITS_ONLY,
        look_ahead=_whole("look ahead", values["look_ahead"] or "0", 0),
        recovery=RECOVERIES[values["recovery"]],  # type: ignore[arg-type]
        finish=RECOVERIES[values["finish"]],  # type: ignore[arg-type]
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _whole(title: str, text: str, least: int, most: int | None = None) -> int:
    digits = re.sub(r"[,_ ]", "", text)
    value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else least - 1
    if value < least or (most is not None and value > most):
        upper = "" if most is None else f" to {most:,}"
        raise FieldError(f"{title}: {text!r} is no whole number from {least:,}{upper}")
    return value


def _number(title: str, text: str, least: float | None) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9 or (least is not None and value < least):
        raise FieldError(f"{title}: {text!r} is no number" + (" from 0" if least == 0 else ""))
    return value
