"""Draws validation and hold-out images by class: the same for the same labels and splits."""

import numpy as np
from numpy.typing import NDArray

from sessions.splits import Splits
from workbench.errors import UserError

Marks = NDArray[np.bool_]
"""(N,), which of the images."""
COUNTS = ("no usable image", "one usable image", "two usable images")


def divide(
    labels: NDArray[np.int64], classes: tuple[str, ...], splits: Splits
) -> tuple[Marks, Marks]:
    """Marks of validation and of hold-out images: a share of each class, at least one a side.

    Raises:
        UserError: a class has too few images.
    """
    _check_counts(labels, classes, splits)
    nobody = np.zeros(len(labels), dtype=bool)
    is_held = nobody
    if splits.hold_out:
        rng = np.random.default_rng(splits.seed)
        spare = 1 if splits.train_all else 2
        is_held = _drawn(labels, ~nobody, splits.hold_out, spare, rng)
    if splits.train_all:
        return nobody, is_held
    if splits.folds:
        return _fold(labels, classes, ~is_held, splits), is_held
    rng = np.random.default_rng((splits.seed, 1) if splits.hold_out else splits.seed)
    return _drawn(labels, ~is_held, splits.validation, 1, rng), is_held


def _drawn(
    labels: NDArray[np.int64], is_free: Marks, share: float, spare: int, rng: np.random.Generator
) -> Marks:
    """Marks of a share of each class, drawn from the free images, of which some are spared."""
    marks = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        is_label = labels == label
        free = np.flatnonzero(is_label & is_free)
        count = min(max(round(share * int(is_label.sum())), 1), len(free) - spare)
        marks[rng.permutation(free)[:count]] = True
    return marks


def _fold(
    labels: NDArray[np.int64], classes: tuple[str, ...], is_free: Marks, splits: Splits
) -> Marks:
    from sklearn.model_selection import StratifiedKFold

    free = np.flatnonzero(is_free)
    counts = np.bincount(labels[free], minlength=len(classes))
    least = int(counts.argmin())
    if counts[least] < splits.folds:
        raise UserError(
            f"class {classes[least]!r} has {counts[least]} usable images for {splits.folds} folds: "
            f"each needs one; choose {counts[least]} folds or fewer, or add images"
        )
    state = int(np.random.default_rng((splits.seed, 2)).integers(2**32))
    parts = StratifiedKFold(splits.folds, shuffle=True, random_state=state)
    _, of_fold = list(parts.split(free, labels[free]))[splits.fold]
    marks = np.zeros(len(labels), dtype=bool)
    marks[free[of_fold]] = True
    return marks


def _check_counts(labels: NDArray[np.int64], classes: tuple[str, ...], splits: Splits) -> None:
    uses = ["one to train on"]
    uses += [] if splits.train_all else ["one to validate"]
    uses += ["one to hold out"] if splits.hold_out else []
    counts = np.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts.tolist(), strict=True):
        if count < len(uses):
            needed = ("", "one", "two", "three")[len(uses)]
            raise UserError(
                f"class {name!r} has {COUNTS[count]}: it needs {needed}, {_listed(uses)}; "
                "add images or remove the class"
            )


def _listed(words: list[str]) -> str:
    return " and ".join((", ".join(words[:-1]), words[-1]) if len(words) > 1 else words)
