"""Data sets as arrays, split into training and validation.

A data set is opened by name (`digits`) or folder, at the input size of a network.
"""

import hashlib
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from sessions.events import Skipped
from workbench.child import keep_freed_memory
from workbench.errors import UserError
from workbench.training.image_cache import Progress, cached
from workbench.training.listing import list_folder

DIGITS = "digits"
VAL_SHARE = 0.2


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
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()
    skipped_count: int = 0


def open_data(
    source: str, size: int, channels: int = 3, seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """Open data at an image size; the split of unsplit folders is stratified and follows the seed.

    Args:
        source: `digits`, or a folder.
        size: edge in pixels.
        channels: 3 for RGB, 1 for grey.

    Raises:
        UserError: no usable images; the message names the next step.
    """
    keep_freed_memory()
    if channels not in (1, 3):
        raise UserError(f"the network takes {channels} channels; images have 1 or 3")
    if source == DIGITS and not Path(source).exists():
        return _digits(size, channels, seed)
    listing = list_folder(Path(source).expanduser())
    images, labels, val_marks, meta = cached(listing, size, channels, progress)
    is_val = _split(labels, listing.classes, seed) if val_marks is None else val_marks
    _check_train(labels[~is_val], listing.classes)
    if not is_val.any():
        raise UserError(f"{source} has no usable validation image: add some")
    return Dataset(
        source=source,
        classes=listing.classes,
        train=_select(images, labels, ~is_val),
        val=_select(images, labels, is_val),
        fingerprint=meta.fingerprint,
        skipped=tuple(meta.skipped),
        skipped_count=meta.skipped_count,
    )


def _digits(size: int, channels: int, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.clip(digits.images * (255 / 16), 0, 255).astype(np.uint8)
    large = np.stack([cv2.resize(x, (size, size), interpolation=cv2.INTER_CUBIC) for x in grey])
    images = np.repeat(large[..., None], channels, axis=-1)
    labels = digits.target.astype(np.int64)
    classes = tuple(str(name) for name in digits.target_names)
    is_val = _split(labels, classes, seed)
    return Dataset(
        source=DIGITS,
        classes=classes,
        train=_select(images, labels, ~is_val),
        val=_select(images, labels, is_val),
        fingerprint=hashlib.sha256(grey.tobytes()).hexdigest(),
    )


def _split(labels: NDArray[np.int64], classes: tuple[str, ...], seed: int) -> NDArray[np.bool_]:
    """Marks of validation images: a fifth of each class, and at least one on either side."""
    rng = np.random.default_rng(seed)
    is_val = np.zeros(len(labels), dtype=bool)
    for label, name in enumerate(classes):
        where = np.flatnonzero(labels == label)
        if len(where) < 2:
            count = "one usable image" if len(where) else "no usable image"
            raise UserError(
                f"class {name!r} has {count}: it needs two, one to train on and one to validate; "
                "add images or remove the class"
            )
        held_out = min(max(round(VAL_SHARE * len(where)), 1), len(where) - 1)
        is_val[rng.permutation(where)[:held_out]] = True
    return is_val


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
