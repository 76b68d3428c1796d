"""What was measured of weights and of networks: statistics, F1 with its interval, classes."""

import msgspec


class LayerStats(msgspec.Struct, frozen=True):
    """Statistics of one weight tensor."""

    count: int
    mean: float
    std: float
    near_zero: float
    """Share of values whose size is at most 1 % of the largest."""
    low: float
    """Smallest value: left edge of the histogram."""
    high: float
    """Largest value: right edge of the histogram."""
    histogram: tuple[int, ...]
    """Values per bin, bins of equal width from low to high."""


class ClassScore(msgspec.Struct, frozen=True):
    """One class in an evaluation; ratios are 0..1."""

    name: str
    f1: float
    precision: float
    recall: float
    support: int
    """Images of this class."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What a network reached on one split."""

    split: str
    images: int
    f1: float
    """Macro F1, 0..1."""
    accuracy: float
    classes: tuple[ClassScore, ...]
    low: float | None = None
    """Lower end of the 95 % bootstrap interval of macro F1; None where it was not measured."""
    high: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    """Images by true class (rows) and predicted class; empty where it was not kept."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval of macro F1, where it was measured."""
        return None if self.low is None or self.high is None else (self.low, self.high)
