"""MACs of a network under each named convention: arithmetic on the Network, exact to the unit.

Every convention is one small function of a layer; `source` says which tool it reproduces and how.
All counts are for one image.
"""

from collections.abc import Callable

import msgspec

from sessions.network import WEIGHTED, Layer, Network

Formula = Callable[[Network, Layer], int]
POOLS = frozenset({"max_pool", "avg_pool", "global_pool"})
CONTEST = "contest"


class Convention(msgspec.Struct, frozen=True):
    """One way of counting."""

    name: str
    source: str
    formula: Formula


def count(network: Network, convention: str = CONTEST) -> int:
    """MACs of everything that is on.

    Raises:
        KeyError: no convention of that name.
    """
    formula = CONVENTIONS[convention].formula
    return sum(formula(network, layer) for _, layer in network.layers())


def count_layers(network: Network, convention: str = CONTEST) -> dict[str, int]:
    """MACs of every layer by path, those of off units as if they were on."""
    formula = CONVENTIONS[convention].formula
    return {layer.path: formula(network, layer) for _, layer in network.layers(include_off=True)}


def count_all(network: Network) -> dict[str, int]:
    """MACs under every convention, by its name."""
    return {name: count(network, name) for name in CONVENTIONS}


def _inputs(network: Network, layer: Layer) -> int:
    """Values of the input of a layer."""
    return network.width(layer.in_axis) * layer.in_size**2


def _outputs(network: Network, layer: Layer) -> int:
    """Values of the output of a layer."""
    return network.width(layer.out_axis) * layer.out_size**2


def _multiplications(network: Network, layer: Layer) -> int:
    if layer.kind not in WEIGHTED:
        return 0
    _, *per_output = network.weight_shape(layer)
    product = _outputs(network, layer)
    for edge in per_output:
        product *= edge
    return product


def _bias_adds(network: Network, layer: Layer) -> int:
    return _outputs(network, layer) if layer.has_bias else 0


def _with_bias(network: Network, layer: Layer) -> int:
    return _multiplications(network, layer) + _bias_adds(network, layer)


def _contest(network: Network, layer: Layer) -> int:
    if layer.kind == "batch_norm":
        return 2 * _inputs(network, layer)
    if layer.kind in POOLS:
        return _inputs(network, layer)
    return _with_bias(network, layer)


def _ptflops(network: Network, layer: Layer) -> int:
    # nn.ReLU and the pooling modules call torch.nn.functional, which ptflops counts once more.
    twice = layer.kind in POOLS or layer.kind == "relu"
    return _contest(network, layer) + (_inputs(network, layer) if twice else 0)


def _ptflops_all(network: Network, layer: Layer) -> int:
    relu = _inputs(network, layer) if layer.kind == "relu" else 0
    return _ptflops(network, layer) + relu


def _torch_pruning(network: Network, layer: Layer) -> int:
    relu = _inputs(network, layer) if layer.kind == "relu" else 0
    return _contest(network, layer) + relu


def _fvcore(network: Network, layer: Layer) -> int:
    if layer.kind == "batch_norm":
        return 2 * _inputs(network, layer)
    if layer.kind == "global_pool":
        return _inputs(network, layer)
    return _multiplications(network, layer)


def _torchinfo(network: Network, layer: Layer) -> int:
    if layer.kind == "batch_norm":
        return network.parameters(layer)
    return _with_bias(network, layer)


def _thop(network: Network, layer: Layer) -> int:
    if layer.kind == "batch_norm":
        return 4 * _inputs(network, layer)
    if layer.kind == "avg_pool":
        return _outputs(network, layer)
    if layer.kind == "global_pool":
        return (layer.in_size**2 + 1) * _outputs(network, layer)
    return _multiplications(network, layer)


def _flop_counter(network: Network, layer: Layer) -> int:
    return 2 * _multiplications(network, layer)


CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            CONTEST,
            "conv and linear with bias adds, 2 x batch-norm input, pool input; equals ptflops "
            "backend=pytorch, ReLU ignored, count_functional=False",
            _contest,
        ),
        Convention(
            "conv-linear", "multiplications of conv and linear layers only", _multiplications
        ),
        Convention(
            "ptflops-aten", "ptflops backend=aten: conv and linear with bias adds", _with_bias
        ),
        Convention("ptflops", "ptflops backend=pytorch with ReLU modules ignored", _ptflops),
        Convention("ptflops-all", "ptflops backend=pytorch, every operation", _ptflops_all),
        Convention(
            "fvcore", "fvcore FlopCountAnalysis: no bias, 2 x batch norm, global pool", _fvcore
        ),
        Convention(
            "torchinfo", "torchinfo mult-adds: batch norm counts its parameters", _torchinfo
        ),
        Convention("thop", "thop profile: 4 x batch norm, pool outputs", _thop),
        Convention(
            "torch-pruning", "Torch-Pruning count_ops_and_params: contest + ReLU", _torch_pruning
        ),
        Convention("flop-counter", "torch FlopCounterMode: 2 x multiplications", _flop_counter),
    )
}
