"""The order in which an epoch goes through its images, and how often each class is in it."""

import numpy as np
from numpy.typing import NDArray

from sessions.recipe import Recipe

MOST_PASSES = 4
"""Through a small data set in an epoch."""
POWERS = {"balanced": 0.0, "root": 0.5}
"""By sampler: the power of a class's images to which it is drawn."""


def passes(images: int, recipe: Recipe) -> int:
    """How often an epoch goes through so many images."""
    return min(max(-(-recipe.images_per_epoch // max(images, 1)), 1), MOST_PASSES)


def epoch_order(
    labels: NDArray[np.int64], sampler: str, seed: tuple[int, ...], passes: int = 1
) -> NDArray[np.intp]:
    """Positions of an epoch's images: so many passes, each as long as there are labels.

    The same for the same seed; the first pass is the same for any number of them.
    `shuffle` has every image once. The others have each class as often as its share, rounded up or
    down by chance, and never less than once; within a class no image comes again before all came.

    Raises:
        KeyError: no such sampler.
    """
    rng = np.random.default_rng(seed)
    return np.concatenate([_pass(labels, sampler, rng) for _ in range(passes)])


def _pass(labels: NDArray[np.int64], sampler: str, rng: np.random.Generator) -> NDArray[np.intp]:
    if sampler == "shuffle" or not len(labels):
        return rng.permutation(len(labels))
    present, counts = np.unique(labels, return_counts=True)
    draws = _rounded(len(labels) * shares(counts, sampler), rng)
    picked = [
        _rounds(np.flatnonzero(labels == label), count, rng)
        for label, count in zip(present, draws, strict=True)
    ]
    return rng.permutation(np.concatenate(picked))


def shares(counts: NDArray[np.int64], sampler: str) -> NDArray[np.float64]:
    """The share of an epoch that each class has, by its images; 0 for a class without any."""
    weights = np.where(counts > 0, counts.astype(np.float64) ** POWERS[sampler], 0.0)
    return np.asarray(weights / weights.sum())


def _rounded(expected: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Whole numbers of the same sum, each up or down by chance so that its mean is as expected."""
    edges = np.floor(np.cumsum(expected) + rng.random())
    edges[-1] = round(expected.sum())
    return np.diff(edges, prepend=0.0).astype(np.int64)


def _rounds(where: NDArray[np.intp], draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Shuffled passes through a class, the last one broken off."""
    passes = max(-(-draws // len(where)), 1)
    return np.concatenate([rng.permutation(where) for _ in range(passes)])[:draws]
