"""How far an exported file's logits are from those of the network that it was made of."""

from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor

from workbench.errors import UserError

LIMIT = 1e-4
"""Largest accepted difference of a logit, relative to the largest logit."""
Batches = Mapping[str, Tensor]
"""Normalised images (N, C, S, S), or logits (N, classes), by what they are of."""


class Parity(msgspec.Struct, frozen=True):
    """Two networks on the same images."""

    inputs: str
    images: int
    largest_logit: float
    max_abs: float
    """Largest difference of a logit."""
    max_rel: float
    """The same, relative to the largest logit."""
    same_classes: int
    """Images to which both give the same class."""


def compare(inputs: str, expected: Tensor, found: Tensor) -> Parity:
    """Logits (N, classes) of the built network and of the exported one.

    Raises:
        UserError: they differ by more than LIMIT, or have another shape.
    """
    if found.shape != expected.shape:
        raise UserError(
            f"the exported network puts out {tuple(found.shape)} on {inputs} images, not "
            f"{tuple(expected.shape)}: nothing was kept; export to another form"
        )
    largest = float(expected.abs().max())
    worst = float((expected - found).abs().max())
    relative = worst / largest if largest else worst
    if not relative <= LIMIT:
        raise UserError(
            f"the exported network differs by {relative:.1e} of the largest logit on {inputs} "
            f"images, more than {LIMIT:g}: nothing was kept; export to another form"
        )
    same = int((expected.argmax(dim=1) == found.argmax(dim=1)).sum())
    return Parity(inputs, len(expected), largest, worst, relative, same)


def check_finite(logits: Batches) -> None:
    """Make sure that there is something to compare with.

    Raises:
        UserError: the network puts out NaN or infinite values.
    """
    for inputs, values in logits.items():
        if not bool(torch.isfinite(values).all()):
            raise UserError(
                f"the network puts out NaN or infinite values on {inputs} images: recover or "
                "train it first"
            )
