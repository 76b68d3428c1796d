"""The range in which a study varies each field of the recipe.

Numbers that matter by their size are drawn on a log scale around the recipe's own value; the value
itself is always in the range, so that the recipe as it is can be the first trial.
"""

from collections.abc import Iterable

import msgspec
from optuna.trial import BaseTrial

from sessions import recipe as recipes
from sessions.recipe import Recipe
from sessions.searching import Value
from workbench.errors import UserError

AROUND = {"learning_rate": 6.0, "weight_decay": 10.0, "temperature": 3.0, "arcface_scale": 2.0}
"""Times by which a value is varied up and down, on a log scale."""
BETWEEN = {
    "label_smoothing": (0.0, 0.2),
    "distill": (0.0, 1.0),
    "features": (0.0, 2.0),
    "focal_gamma": (0.0, 4.0),
    "f1_share": (0.0, 1.0),
    "logit_adjustment": (0.0, 1.5),
    "arcface_margin": (0.0, 0.6),
    "auxiliary": (0.0, 1.0),
    "dropout": (0.0, 0.4),
    "mixup": (0.0, 0.5),
    "cutmix": (0.0, 1.0),
    "warmup": (0.0, 0.5),
    "lowest_rate": (0.0, 0.3),
    "momentum": (0.8, 0.98),
}
"""Widened where the recipe's own value lies outside."""
AMONG: dict[str, tuple[Value, ...]] = {
    "batch_size": (32, 64, 128),
    "ema": (0.0, 0.9, 0.97, 0.99),
    "clip_norm": (0.0, 1.0, 5.0),
}
"""To choose from, beside the recipe's own value."""
WORDS = (
    "optimizer", "schedule", "loss", "class_weights", "sampler", "augmentation", "teacher_images",
    "batch_norm",
)  # fmt: skip
"""Fields whose words are all tried."""
OF_TEACHERS = frozenset({"distill", "temperature", "features", "teacher_images"})
FIELDS = (*AROUND, *BETWEEN, *AMONG, *WORDS)
USUAL = ("learning_rate", "weight_decay", "label_smoothing")
TAUGHT = ("learning_rate", "weight_decay", "distill")
"""What is varied where nothing is named, without and with teachers."""


def check_fields(recipe: Recipe, names: Iterable[str]) -> None:
    """Make sure that these fields can be varied.

    Raises:
        UserError: a field has no range, or has no effect without teachers.
    """
    for name in names:
        if name not in FIELDS:
            raise UserError(f"a study cannot vary {name!r}: use {', '.join(FIELDS)}")
        if name in OF_TEACHERS and not recipe.teachers:
            raise UserError(f"{name} has no effect without a teacher: add --teacher before-cut")
        if name == "augmentation" and recipe.augmentation not in recipes.choices(name):
            raise UserError("augmentation is a pipeline of a file: leave it out of what is varied")


def suggest_field(trial: BaseTrial, recipe: Recipe, name: str) -> Value:
    """Draw a value of a field."""
    now = getattr(recipe, name)
    if name in AROUND:
        low, high = _limits(name, now)
        return trial.suggest_float(name, low, high, log=True)
    if name in BETWEEN:
        low, high = BETWEEN[name]
        return trial.suggest_float(name, min(low, now), max(high, now))
    words: tuple[Value, ...] = AMONG.get(name) or recipes.choices(name)
    drawn = trial.suggest_categorical(name, words if now in words else (*words, now))
    assert isinstance(drawn, bool | int | float | str)
    return drawn


def own_values(recipe: Recipe, names: Iterable[str]) -> dict[str, Value]:
    """The recipe's own values of fields; a 0 has no place on a log scale and is left out."""
    found = {name: getattr(recipe, name) for name in names}
    return {name: value for name, value in found.items() if value or name not in AROUND}


def _limits(name: str, now: float) -> tuple[float, float]:
    """Around the recipe's value, or its default's where that is 0, within what the field takes."""
    middle = now or getattr(Recipe(), name)
    low, high = middle / AROUND[name], middle * AROUND[name]
    while high > middle:
        try:
            msgspec.convert({name: high}, Recipe)
        except msgspec.ValidationError:
            high = max(high / 2, middle)
        else:
            break
    return low, high
