"""Statistics of weights and the confirmation of MACs by ptflops."""

from collections.abc import Collection

import torch
from ptflops import get_model_complexity_info
from torch import Tensor, nn

from sessions.events import LayerStats
from sessions.network import WEIGHTED, Network
from workbench.surgery.build import State, build

BINS = 40
NEAR_ZERO = 0.01
"""Share of the largest size up to which a weight counts as near zero."""


def layer_stats(
    network: Network, state: State, only: Collection[str] | None = None
) -> dict[str, LayerStats]:
    """Statistics of every weight tensor by layer path, those of off units included.

    Batch norms are described by their scale.

    Args:
        only: paths of layers; None for all.
    """
    found = {}
    for _, layer in network.layers(include_off=True):
        if only is not None and layer.path not in only:
            continue
        if layer.kind in WEIGHTED or layer.kind == "batch_norm":
            weight = state.get(f"{layer.key}.weight")
            if weight is not None:
                found[layer.path] = describe(weight)
    return found


def describe(weight: Tensor) -> LayerStats:
    """Statistics of one tensor; std is that of a sample (n - 1)."""
    values = weight.detach().flatten().float()
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    histogram = torch.histc(values, BINS, low, high) if high > low else torch.zeros(BINS)
    if high == low:
        histogram[BINS // 2] = values.numel()
    return LayerStats(
        count=values.numel(),
        mean=float(values.mean()),
        std=float(values.std()) if values.numel() > 1 else 0.0,
        near_zero=float((values.abs() <= NEAR_ZERO * largest).float().mean()),
        low=low,
        high=high,
        histogram=tuple(int(n) for n in histogram),
    )


def ptflops_macs(network: Network) -> int:
    """The contest count, taken by ptflops on the built module.

    Source: ptflops, backend pytorch with ReLU ignored and functional operations not counted.
    """
    size = network.input_size
    macs, _ = get_model_complexity_info(
        build(network),
        (network.input_channels, size, size),
        as_strings=False,
        print_per_layer_stat=False,
        backend="pytorch",
        ignore_modules=[nn.ReLU],
        backend_specific_config={"count_functional": False},
    )
    return int(macs)
