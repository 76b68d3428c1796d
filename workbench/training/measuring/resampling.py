"""Macro F1 of many resamples of the images at once, for intervals and paired comparisons.

Images that agree in true class and in every prediction are interchangeable. So a resample is a
number of images for each such cell, drawn at once from the multinomial distribution, which is
what drawing images one by one with replacement comes to.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
AT_ONCE = 1_000_000
"""Numbers of images drawn at once: all of them would fill the memory for many classes."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Cells(msgspec.Struct, frozen=True):
    """Images counted by what is known of them, M different cases."""

    labels: Ints
    """(M,), true classes."""
    predicted: tuple[Ints, ...]
    """(M,) for each network."""
    counts: Ints
    """(M,), images of the case, none of them 0."""
    classes: int


def cells_of(classes: int, labels: Ints, *predicted: Ints) -> Cells:
    """Count the images by class and predictions, (N,) each."""
    shape = (classes,) * (1 + len(predicted))
    codes = np.ravel_multi_index((labels, *predicted), shape)
    found, counts = np.unique(codes, return_counts=True)
    case_labels, *case_predicted = np.unravel_index(found, shape)
    return Cells(case_labels, tuple(case_predicted), counts, classes)


def batches(resamples: int, cells: int) -> Iterator[int]:
    """How many resamples to draw at once, until all are drawn."""
    largest = max(AT_ONCE // cells, 1)
    for start in range(0, resamples, largest):
        yield min(largest, resamples - start)


def resampled_f1(cells: Cells, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Macro F1 (networks, resamples) of as many images drawn with replacement."""
    images = int(cells.counts.sum())
    rng = np.random.default_rng(seed)
    found = []
    for size in batches(resamples, len(cells.counts)):
        counts = rng.multinomial(images, cells.counts / images, size=size)
        found.append([macro_f1(counts, cells, network) for network in range(len(cells.predicted))])
    return np.concatenate(found, axis=1)


def macro_f1(counts: Ints, cells: Cells, network: int) -> Floats:
    """Macro F1 (B,) of counts (B, M), over the classes that occur among labels or predictions."""
    labels, predicted, classes = cells.labels, cells.predicted[network], cells.classes
    is_hit = labels == predicted
    hits = _by_class(counts[:, is_hit], labels[is_hit], classes)
    occurring = _by_class(counts, labels, classes) + _by_class(counts, predicted, classes)
    f1 = np.divide(2 * hits, occurring, out=np.zeros(hits.shape), where=occurring > 0)
    means: Floats = f1.sum(axis=1) / (occurring > 0).sum(axis=1)
    return means


def percentiles(values: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The middle of the values that holds this share of them."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


def f1_interval(cells: Cells) -> tuple[float, float]:
    """The 95 % bootstrap percentile interval of macro F1 of the first network's predictions."""
    return percentiles(resampled_f1(cells)[0])


def _by_class(counts: Ints, of_cell: Ints, classes: int) -> Ints:
    """Sums (B, classes) of the columns of counts (B, M) that belong to each class."""
    sums = np.zeros((len(counts), classes), dtype=np.int64)
    if len(of_cell):
        order = np.argsort(of_cell, kind="stable")
        ordered = of_cell[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        sums[:, ordered[starts]] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums
