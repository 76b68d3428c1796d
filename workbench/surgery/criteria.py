"""Which channels go first: one small named function of the weights per criterion.

A function gets a weight as a matrix, one row a channel, and gives every row its importance. The
importances of a layer are divided by their sum; those of an axis are the mean over the layers that
share it (as producer by its rows, as consumer by its columns), divided by their sum again. So every
layer has one voice, whatever the size of its weights.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from sessions.network import WEIGHTED, Layer
from sessions.targets import FIXED
from workbench.surgery.wiring import Source

Vector = NDArray[np.float64]
Criterion = Callable[[NDArray[np.float64]], Vector]


def l1(rows: NDArray[np.float64]) -> Vector:
    """Sum of sizes. Source: H. Li et al., Pruning filters for efficient ConvNets, 1608.08710."""
    total: Vector = np.abs(rows).sum(axis=1)
    return total


def l2(rows: NDArray[np.float64]) -> Vector:
    """Root of the sum of squares."""
    norm: Vector = np.sqrt(np.square(rows).sum(axis=1))
    return norm


def std(rows: NDArray[np.float64]) -> Vector:
    """Standard deviation of the weights: the rule of the published journey, for channels."""
    spread: Vector = rows.std(axis=1)
    return spread


def fpgm(rows: NDArray[np.float64]) -> Vector:
    """Distance to all other channels: those near the geometric median are replaceable.

    Source: Y. He et al., Filter pruning via geometric median, arXiv:1811.00250.
    """
    squares = np.square(rows).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * rows @ rows.T
    total: Vector = np.sqrt(np.maximum(distances, 0.0)).sum(axis=1)
    return total


BY_WEIGHT: dict[str, Criterion] = {"l1": l1, "l2": l2, "std": std, "fpgm": fpgm}


def axis_scores(
    source: Source,
    axis: str,
    criterion: str,
    seed: int = 0,
    measured: Mapping[str, list[float]] | None = None,
) -> Vector:
    """The importance of every channel of a basic axis, (width,), sum 1.

    Args:
        measured: channel scores by axis, for criteria that need images.
    """
    width = source.network.axes[axis].width
    if criterion == "random":
        return _share(np.random.default_rng(seed).permutation(width) + 1.0)
    if axis in FIXED:
        return np.full(width, 1 / width)
    if measured is not None:
        return _share(np.asarray(measured[axis], dtype=np.float64))
    network = source.network
    votes = _votes(source, (x for _, x in network.layers()), axis, criterion)
    if not votes:  # inside a unit that is off
        votes = _votes(source, (x for _, x in network.layers(include_off=True)), axis, criterion)
    return _share(np.sum(votes, axis=0)) if votes else np.full(width, 1 / width)


def _votes(source: Source, layers: Iterable[Layer], axis: str, criterion: str) -> list[Vector]:
    """What the layers on an axis make of its channels."""
    width = source.network.axes[axis].width
    votes = []
    for layer in layers:
        is_voter = layer.kind in WEIGHTED or layer.kind == "batch_norm"
        if not is_voter or f"{layer.key}.weight" not in source.weights:
            continue
        for side in dict.fromkeys((layer.in_axis, layer.out_axis)):
            for start in source.starts(side, axis):
                values = _layer_scores(source, layer, side, criterion)
                if values is not None:
                    votes.append(_share(values[start : start + width]))
    return votes


def _layer_scores(source: Source, layer: Layer, side: str, criterion: str) -> Vector | None:
    """Importance of the channels of one side of a layer; None where it has no say."""
    key = (layer.path, side, criterion)
    if key not in source.scores:
        source.scores[key] = _worked_out(source, layer, side, criterion)
    return source.scores[key]


def _worked_out(source: Source, layer: Layer, side: str, criterion: str) -> Vector | None:
    if (layer.kind == "batch_norm") != (criterion == "bn"):
        return None
    if layer.kind in ("depthwise", "batch_norm"):
        weight = source.weights[f"{layer.key}.weight"].astype(np.float64)
        by_channel = np.empty_like(weight)
        by_channel[source.places[layer.path]] = weight
        rows = by_channel.reshape(len(weight), -1)
        return np.abs(rows[:, 0]) if criterion == "bn" else BY_WEIGHT[criterion](rows)
    matrix = source.matrix(layer)
    rows = matrix if side == layer.out_axis else np.swapaxes(matrix, 0, 1)
    return BY_WEIGHT[criterion](rows.reshape(len(rows), -1))


def _share(values: NDArray[np.floating]) -> Vector:
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / len(values))
