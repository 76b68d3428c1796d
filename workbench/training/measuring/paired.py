"""Two networks on the same images: is the difference more than noise?

On all images of a split, the interval of the difference of macro F1 decides. Image by image in
random order, a planned number of looks decides, each by a stricter level, so that looking often
does not find differences that are not there.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.training.measuring.resampling import (
    CONFIDENCE,
    Cells,
    Ints,
    batches,
    cells_of,
    macro_f1,
    percentiles,
    resampled_f1,
)

RESAMPLES = 4000
"""More than for one interval: a look of five has half a percent in each tail."""
LOOKS = 5
LOOK_IMAGES = 50
"""At least so many images are new in a look."""

Predict = Callable[[NDArray[np.intp]], Ints]
"""Classes (n,) of the images at these positions of a split (n,)."""


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """Two networks A and B on the same images; differences are B - A."""

    images: int
    of: int
    """Images that there are."""
    only_a_right: int
    only_b_right: int
    p_value: float
    """Of accuracy, by the exact McNemar test."""
    f1_difference: float
    f1_low: float
    """Of the bootstrap percentile interval of the difference of macro F1."""
    f1_high: float
    confidence: float
    """Of the interval: 0.95, or more where one of several looks decided."""
    verdict: Literal["within noise", "a real difference"]
    looks: int = 1
    """Times that the images so far were tested."""
    planned_looks: int = 1


def compare_all(labels: Ints, a: Ints, b: Ints, classes: int) -> Paired:
    """Compare predictions (N,) of every image; within noise where the F1 interval holds 0."""
    cells = cells_of(classes, labels, a, b)
    low, high = _interval(cells, CONFIDENCE)
    is_real = not low <= 0 <= high
    return _paired(labels, a, b, classes, of=len(labels), interval=(low, high), is_real=is_real)


def compare_in_looks(
    labels: Ints,
    predict: tuple[Predict, Predict],
    classes: int,
    seed: int = 0,
    after_look: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Paired, NDArray[np.intp], Ints, Ints]:
    """Compare on images in random order, and stop at the first look that finds a difference.

    A look finds one where the interval of the difference of macro F1 leaves 0 out and the swap
    test rejects, both at 5 % divided by the planned looks (Bonferroni): of two networks that do
    not differ, at most 5 % are told apart, however the looks hang together. The swap test guards
    early looks, where the bootstrap of a few differing images is too sure.

    Returns:
        The comparison, the positions (n,) of the images it took, and both predictions of them.
    """
    total = len(labels)
    planned = max(min(LOOKS, total // LOOK_IMAGES), 1)
    level = (1 - CONFIDENCE) / planned
    order = np.random.default_rng(seed).permutation(total)
    ends = [round(total * look / planned) for look in range(planned + 1)]
    a = b = np.empty(0, dtype=np.int64)
    for look in range(1, planned + 1):
        new = order[ends[look - 1] : ends[look]]
        a, b = np.concatenate((a, predict[0](new))), np.concatenate((b, predict[1](new)))
        seen = order[: ends[look]]
        cells = cells_of(classes, labels[seen], a, b)
        low, high = _interval(cells, 1 - level)
        is_real = not low <= 0 <= high and swap_test(cells) <= level
        after_look(len(seen), total)
        if is_real or look == planned:
            break
    paired = _paired(
        labels[seen], a, b, classes,
        of=total, interval=(low, high), is_real=is_real, level=level, looks=(look, planned),
    )  # fmt: skip
    return paired, seen, a, b


def swap_test(cells: Cells, seed: int = 0) -> float:
    """How likely a difference of macro F1 this large is if the networks were interchangeable.

    Each image's two predictions are swapped at random; exact but for the number of draws.
    """
    a, b = cells.predicted
    differs = a != b
    both = Cells(
        np.concatenate((cells.labels, cells.labels[differs])),
        (np.concatenate((a, b[differs])), np.concatenate((b, a[differs]))),
        cells.counts,
        cells.classes,
    )
    found = abs(_difference(cells)) - 1e-12
    rng = np.random.default_rng(seed)
    as_large = 0
    for size in batches(RESAMPLES, len(both.labels)):
        swapped = rng.binomial(cells.counts[differs], 0.5, size=(size, int(differs.sum())))
        kept = np.repeat(cells.counts[None], size, axis=0)
        kept[:, differs] -= swapped
        counts = np.concatenate((kept, swapped), axis=1)
        drawn = macro_f1(counts, both, 1) - macro_f1(counts, both, 0)
        as_large += int((np.abs(drawn) >= found).sum())
    return (1 + as_large) / (1 + RESAMPLES)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact McNemar test: how likely so uneven a split of the differing images is by chance."""
    from scipy.stats import binomtest

    differ = only_a + only_b
    return float(binomtest(only_a, differ).pvalue) if differ else 1.0


def _interval(cells: Cells, confidence: float) -> tuple[float, float]:
    a, b = resampled_f1(cells, RESAMPLES)
    return percentiles(b - a, confidence)


def _difference(cells: Cells) -> float:
    """Macro F1 of B less that of A."""
    counts = cells.counts[None]
    return float(macro_f1(counts, cells, 1)[0] - macro_f1(counts, cells, 0)[0])


def _paired(
    labels: Ints,
    a: Ints,
    b: Ints,
    classes: int,
    *,
    of: int,
    interval: tuple[float, float],
    is_real: bool,
    level: float = 1 - CONFIDENCE,
    looks: Sequence[int] = (1, 1),
) -> Paired:
    cells = cells_of(classes, labels, a, b)
    only_a = int(((a == labels) & (b != labels)).sum())
    only_b = int(((b == labels) & (a != labels)).sum())
    return Paired(
        images=len(labels),
        of=of,
        only_a_right=only_a,
        only_b_right=only_b,
        p_value=mcnemar(only_a, only_b),
        f1_difference=_difference(cells),
        f1_low=interval[0],
        f1_high=interval[1],
        confidence=1 - level,
        verdict="a real difference" if is_real else "within noise",
        looks=looks[0],
        planned_looks=looks[1],
    )
