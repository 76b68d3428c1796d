"""Data sets as arrays, divided into training, validation and hold-out.

A data set is opened by name (`digits`) or folder, at the input size of a network. How images are
divided depends on their labels and the `Splits` alone, never on size or channels.
"""

import hashlib
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from sessions.events import Skipped
from sessions.splits import HOLD_OUT, VALIDATION, SplitName, Splits
from workbench.child import keep_freed_memory
from workbench.errors import UserError
from workbench.training.images.division import Marks, divide
from workbench.training.images.image_cache import cached
from workbench.training.images.listing import (
    SKIPPED_LISTED,
    Progress,
    list_folder,
    list_hold_out,
    list_unlabelled,
)

DIGITS = "digits"


class Split(msgspec.Struct, frozen=True):
    """One split of a data set: N rows of a larger, usually memory-mapped array."""

    source: NDArray[np.uint8]
    """(M, S, S, C), all images of the data set."""
    rows: NDArray[np.intp]
    """(N,), where in the source this split's images are."""
    labels: NDArray[np.int64]
    """(N,)"""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, where: NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Copies of the images at these positions of the split, (n, S, S, C)."""
        return self.source[self.rows[where]]


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """An opened data set."""

    source: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    """Without images where all of them are trained on."""
    hold_out: Split | None = None
    """Never for choosing; None where nothing is held out."""
    splits: Splits = Splits()
    fingerprint: str = ""
    """Of names and contents of all images but those of a test folder."""
    hold_out_fingerprint: str = ""
    """Of those; empty where there is no test folder."""
    skipped: tuple[Skipped, ...] = ()
    skipped_count: int = 0

    @property
    def judge(self) -> SplitName:
        """The split whose F1 jobs tell: the hold-out only where nothing validates."""
        return "validation" if len(self.val) else "hold-out"

    def part(self, name: SplitName) -> Split:
        """A split by its name.

        Raises:
            UserError: there is no such split here; the message tells how to get it.
        """
        if name == HOLD_OUT:
            if self.hold_out is None:
                raise UserError(
                    "nothing is held out: hold a share of the images out (--hold-out 0.2), or put "
                    "images into a test folder beside train"
                )
            return self.hold_out
        if name == VALIDATION and not len(self.val):
            raise UserError("all images are trained on, none validates: measure the hold-out")
        return self.val if name == VALIDATION else self.train


def open_data(
    source: str,
    size: int,
    channels: int = 3,
    splits: Splits | int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Open data at an image size, divided as a folder says or else by class and seed.

    Args:
        source: `digits`, or a folder.
        size: edge in pixels.
        channels: 3 for RGB, 1 for grey.
        splits: a number is the seed of the usual division.

    Raises:
        UserError: no usable images, or the division asked for is not possible; the message names
            the next step.
    """
    keep_freed_memory()
    if channels not in (1, 3):
        raise UserError(f"the network takes {channels} channels; images have 1 or 3")
    if isinstance(splits, int):
        splits = Splits(seed=splits)
    if source == DIGITS and not Path(source).exists():
        return _digits(size, channels, splits)
    listing = list_folder(Path(source).expanduser(), progress)
    tests = list_hold_out(listing, progress)
    has_val = listing.items[0].is_val is not None
    _check_splits(source, splits, has_val=has_val, has_test=tests is not None)
    images, labels, is_val, meta = cached(listing, size, channels, progress)
    is_held = np.zeros(len(labels), dtype=bool)
    if is_val is None:
        is_val, is_held = divide(labels, listing.classes, splits)
    elif not is_val.any():
        raise UserError(f"{source} has no usable validation image: add some")
    elif splits.train_all:
        is_val = is_held
    _check_train(labels[~is_val & ~is_held], listing.classes)
    dataset = msgspec.structs.replace(
        _dataset(source, listing.classes, images, labels, (is_val, is_held), splits),
        fingerprint=meta.fingerprint,
        skipped=tuple(meta.skipped),
        skipped_count=meta.skipped_count,
    )
    if tests is None:
        return dataset
    images, labels, _, meta = cached(tests, size, channels, progress)
    return msgspec.structs.replace(
        dataset,
        hold_out=_select(images, labels, np.ones(len(labels), dtype=bool)),
        hold_out_fingerprint=meta.fingerprint,
        skipped=(*dataset.skipped, *meta.skipped)[:SKIPPED_LISTED],
        skipped_count=dataset.skipped_count + meta.skipped_count,
    )


def open_unlabelled(
    source: str, size: int, channels: int, progress: Progress | None = None
) -> Split:
    """Every image below a folder, at an image size; their labels mean nothing.

    Raises:
        UserError: no usable images.
    """
    images, labels, _, _ = cached(
        list_unlabelled(Path(source).expanduser(), progress), size, channels, progress
    )
    return Split(images, np.arange(len(images)), labels)


def _digits(size: int, channels: int, splits: Splits) -> Dataset:
    from sklearn.datasets import load_digits

    _check_splits(DIGITS, splits, has_val=False, has_test=False)
    digits = load_digits()
    grey = np.clip(digits.images * (255 / 16), 0, 255).astype(np.uint8)
    large = np.stack([cv2.resize(x, (size, size), interpolation=cv2.INTER_CUBIC) for x in grey])
    images = np.repeat(large[..., None], channels, axis=-1)
    labels = digits.target.astype(np.int64)
    classes = tuple(str(name) for name in digits.target_names)
    dataset = _dataset(DIGITS, classes, images, labels, divide(labels, classes, splits), splits)
    fingerprint = hashlib.sha256(grey.tobytes()).hexdigest()
    return msgspec.structs.replace(dataset, fingerprint=fingerprint)


def _dataset(
    source: str,
    classes: tuple[str, ...],
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    marks: tuple[Marks, Marks],
    splits: Splits,
) -> Dataset:
    is_val, is_held = marks
    return Dataset(
        source=source,
        classes=classes,
        train=_select(images, labels, ~is_val & ~is_held),
        val=_select(images, labels, is_val),
        hold_out=_select(images, labels, is_held) if is_held.any() else None,
        splits=splits,
    )


def _check_splits(source: str, splits: Splits, *, has_val: bool, has_test: bool) -> None:
    """What a folder says holds: asking for something else is an error, and not ignored."""
    if has_test and splits.hold_out:
        raise UserError(f"{source} holds its test folder out: leave the hold-out share out")
    usual = Splits(seed=splits.seed, train_all=splits.train_all)
    if has_val and splits != usual:
        raise UserError(
            f"{source} has a validation folder of its own: leave hold-out, folds and validation "
            "share out, or open the train folder alone"
        )
    if splits.train_all and not splits.hold_out and not has_test:
        raise UserError(
            "all images are trained on and none is left to measure F1: hold some out "
            "(--hold-out 0.2)"
        )


def _select(
    images: NDArray[np.uint8], labels: NDArray[np.int64], marks: NDArray[np.bool_]
) -> Split:
    rows = np.flatnonzero(marks)
    return Split(images, rows, labels[rows])


def _check_train(labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    present = set(labels.tolist())
    for label, name in enumerate(classes):
        if label not in present:
            raise UserError(f"class {name!r} has no usable training image: add some")
