"""The images of one class that a network takes for another, the most confident first.

They are of the validation split. Images that are held out are never looked at: who has seen them
chooses by them.
"""

import os
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from sessions.network import Network
from sessions.splits import VALIDATION
from workbench.errors import UserError
from workbench.surgery.build import State, run
from workbench.training.images.data import DIGITS, Dataset, Split
from workbench.training.images.listing import list_folder, printable
from workbench.training.images.small import small
from workbench.training.measuring.evaluate import normalised

BATCH = 128


class Confused(msgspec.Struct, frozen=True):
    """What was found in one cell of the confusion matrix."""

    total: int
    images: tuple[bytes, ...]
    """RGB, edge * edge * 3 each."""
    names: tuple[str, ...]
    confidences: tuple[float, ...]
    """Probability of the predicted class."""


def confused(
    network: Network,
    state: State,
    data: Dataset,
    cell: tuple[int, int],
    photos: int,
    edge: int,
) -> Confused:
    """The validation images in a cell (true class, predicted class) of the confusion matrix.

    Raises:
        UserError: no image validates.
    """
    if not len(data.val):
        raise UserError(
            "all images are trained on, none validates, and those held out are not to be looked at"
        )
    val = data.part(VALIDATION)
    true, predicted = cell
    of_class = np.flatnonzero(val.labels == true)
    found = _probabilities(network, state, val, of_class)
    inside = found.argmax(axis=1) == predicted
    of_cell, confidence = of_class[inside], found[inside, predicted]
    order = np.argsort(-confidence, kind="stable")[:photos]
    pixels = val.take(of_cell[order])
    return Confused(
        total=len(of_cell),
        images=tuple(small(image, edge) for image in pixels),
        names=_names(data, val, of_cell[order]),
        confidences=tuple(float(value) for value in confidence[order]),
    )


def _probabilities(
    network: Network, state: State, split: Split, where: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(n, classes) of the images at these positions of a split."""
    found = [np.zeros((0, network.classes), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(where), BATCH):
            images = split.take(where[start : start + BATCH])
            # Straight from the weights: making modules would draw random numbers, and a job that
            # waits meanwhile is to go on with its own.
            logits = run(network, state, normalised(images, network, torch.device("cpu")))
            found.append(logits.softmax(dim=1).numpy())
    return np.concatenate(found)


def _names(data: Dataset, split: Split, where: NDArray[np.intp]) -> tuple[str, ...]:
    """The files of images, below the data's folder; their numbers where they cannot be told.

    The cache does not keep names: they are those of the listing without what could not be read.
    """
    rows = split.rows[where]
    unknown = tuple(f"image {row + 1:,} of {len(split.source):,}" for row in rows)
    if data.source == DIGITS and not Path(data.source).exists():
        return unknown
    try:
        listing = list_folder(Path(data.source).expanduser())
    except UserError:  # gone since it was opened; the cache still has the images
        return unknown
    skipped = {skip.path for skip in data.skipped}
    paths = (printable(os.path.relpath(item.path, listing.root)) for item in listing.items)
    names = [path for path in paths if path not in skipped]
    if len(names) != len(split.source):  # files changed, or more were skipped than are named
        return unknown
    return tuple(names[row] for row in rows)
