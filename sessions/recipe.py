"""The recipe: every choice of a training job as one flat value, read from TOML."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

AtLeastTwo = Annotated[int, msgspec.Meta(ge=2)]
"""Batch norm has no variance over one image."""
Positive = Annotated[int, msgspec.Meta(ge=1)]
Augmentation = Literal["none", "shift", "light", "strong"]
Rate = Annotated[float, msgspec.Meta(gt=0, le=10)]


class RecipeError(ValueError):
    """A recipe file or value that cannot be used; the message names the field."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices of one training job; the defaults fine-tune a small pretrained network."""

    epochs: Positive = 10
    batch_size: AtLeastTwo = 64
    learning_rate: Rate = 3e-3
    """Peak of the cosine schedule."""
    weight_decay: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.02
    warmup: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    """Share of all steps in which the learning rate rises from zero."""
    label_smoothing: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.05
    augmentation: Augmentation = "light"
    recover_images: AtLeastTwo = 1024
    """Augmented training images from which batch norm is re-estimated."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


def load(path: Path) -> Recipe:
    """Read a recipe from a TOML file; fields left out keep their defaults.

    Raises:
        RecipeError: unreadable, not TOML, an unknown field, or a value out of range.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Recipe)
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        fields = ", ".join(Recipe.__struct_fields__)
        raise RecipeError(f"recipe {path}: {_said(error)}; fields are {fields}") from error


def changed(recipe: Recipe, **values: int | float | str | None) -> Recipe:
    """The recipe with the given fields changed, None meaning unchanged.

    Raises:
        RecipeError: a value out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert({**msgspec.to_builtins(recipe), **given}, Recipe)
    except msgspec.ValidationError as error:
        raise RecipeError(f"recipe: {_said(error)}") from error


def _said(error: Exception) -> str:
    """An error with the values that would have been right, where they are words."""
    words = ", ".join(get_args(Augmentation))
    return f"{error}; use {words}" if "$.augmentation" in str(error) else str(error)
