"""Weight statistics of units, from those of their layers."""

from collections.abc import Mapping

from sessions.events import LayerStats
from sessions.network import WEIGHTED, Unit


def unit_std(unit: Unit, stats: Mapping[str, LayerStats]) -> float | None:
    """The mean of the weight stds of a unit's conv and linear layers; None where none is known.

    A mean, not a pooled std: each layer has its own scale, and the largest would decide alone.
    """
    found = [
        stats[layer.path].std
        for layer in unit.layers()
        if layer.kind in WEIGHTED and layer.path in stats
    ]
    return sum(found) / len(found) if found else None
