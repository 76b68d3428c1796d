"""MACs of a network under each named convention: arithmetic on the Network, exact to the unit.

A convention says how often it counts each term, like the adds of a bias; `source` says which tool
it reproduces. All counts are for one image.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import msgspec

from sessions.network import WEIGHTED, Layer, Network

Size = Callable[[Network, Layer], int]
POOLS = frozenset({"max_pool", "avg_pool", "global_pool"})
CONTEST = "contest"


class Term(msgspec.Struct, frozen=True):
    """Something that a convention may count of a layer."""

    words: str
    kinds: frozenset[str]
    """Layers that have it."""
    size: Size


class Convention(msgspec.Struct, frozen=True, dict=True):
    """One way of counting."""

    name: str
    source: str
    times: Mapping[str, int]
    """How often each term is counted, by its name in `TERMS`; those left out are not."""

    @cached_property
    def by_kind(self) -> dict[str, tuple[tuple[Size, int], ...]]:
        """The terms that count for a kind of layer."""
        found: dict[str, tuple[tuple[Size, int], ...]] = {}
        for name, times in self.times.items():
            for kind in TERMS[name].kinds:
                found[kind] = (*found.get(kind, ()), (TERMS[name].size, times))
        return found

    def count(self, network: Network, layer: Layer) -> int:
        """MACs of one layer."""
        total = 0
        for size, times in self.by_kind.get(layer.kind, ()):
            total += times * size(network, layer)
        return total


class Share(msgspec.Struct, frozen=True):
    """What one term adds to a count, or takes from it, against another convention."""

    words: str
    times: int
    """How often this convention counts the term."""
    other_times: int
    macs: int
    """This convention's less the other's."""


def count(network: Network, convention: str = CONTEST) -> int:
    """MACs of everything that is on.

    Raises:
        KeyError: no convention of that name.
    """
    formula = CONVENTIONS[convention].count
    return sum(formula(network, layer) for _, layer in network.layers())


def count_layers(network: Network, convention: str = CONTEST) -> dict[str, int]:
    """MACs of every layer by path, those of off units as if they were on."""
    formula = CONVENTIONS[convention].count
    return {layer.path: formula(network, layer) for _, layer in network.layers(include_off=True)}


def count_all(network: Network) -> dict[str, int]:
    """MACs under every convention, by its name."""
    return {name: count(network, name) for name in CONVENTIONS}


def shares(
    network: Network, layers: Iterable[Layer], convention: str, other: str = CONTEST
) -> tuple[Share, ...]:
    """Where two conventions part on these layers, term by term; their sum is the difference.

    Raises:
        KeyError: no convention of that name.
    """
    these, others = CONVENTIONS[convention].times, CONVENTIONS[other].times
    known = list(layers)
    found = []
    for name, term in TERMS.items():
        times, other_times = these.get(name, 0), others.get(name, 0)
        if times == other_times:
            continue
        size = sum(term.size(network, layer) for layer in known if layer.kind in term.kinds)
        if size:
            found.append(Share(term.words, times, other_times, (times - other_times) * size))
    return tuple(found)


def _inputs(network: Network, layer: Layer) -> int:
    """Values of the input of a layer."""
    return network.width(layer.in_axis) * layer.in_size**2


def _outputs(network: Network, layer: Layer) -> int:
    """Values of the output of a layer."""
    return network.width(layer.out_axis) * layer.out_size**2


def _multiplications(network: Network, layer: Layer) -> int:
    _, *per_output = network.weight_shape(layer)
    product = _outputs(network, layer)
    for edge in per_output:
        product *= edge
    return product


def _bias_adds(network: Network, layer: Layer) -> int:
    return _outputs(network, layer) if layer.has_bias else 0


_BATCH_NORM = frozenset({"batch_norm"})
TERMS: dict[str, Term] = {
    "multiplications": Term("multiplications", WEIGHTED, _multiplications),
    "bias": Term("bias adds", WEIGHTED, _bias_adds),
    "batch-norm": Term("batch norm input", _BATCH_NORM, _inputs),
    "batch-norm-parameters": Term("batch norm parameters", _BATCH_NORM, Network.parameters),
    "max-pool": Term("max pool input", frozenset({"max_pool"}), _inputs),
    "avg-pool": Term("average pool input", frozenset({"avg_pool"}), _inputs),
    "avg-pool-outputs": Term("average pool output", frozenset({"avg_pool"}), _outputs),
    "global-pool": Term("global pool input", frozenset({"global_pool"}), _inputs),
    "global-pool-outputs": Term("global pool output", frozenset({"global_pool"}), _outputs),
    "relu": Term("ReLU input", frozenset({"relu"}), _inputs),
    "silu": Term("SiLU input", frozenset({"silu"}), _inputs),
}
_CONTEST = {
    "multiplications": 1,
    "bias": 1,
    "batch-norm": 2,
    "max-pool": 1,
    "avg-pool": 1,
    "global-pool": 1,
}
# nn.ReLU and the pooling modules call torch.nn.functional, which ptflops counts once more; nn.SiLU
# does, too, but is no module that it counts. No tool here counts hard swish, hard sigmoid or joins.
_TWICE = {"max-pool": 2, "avg-pool": 2, "global-pool": 2}

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            CONTEST,
            "conv and linear with bias adds, 2 x batch-norm input, pool input; equals ptflops "
            "backend=pytorch, ReLU ignored, count_functional=False",
            _CONTEST,
        ),
        Convention(
            "conv-linear",
            "multiplications of conv and linear layers only",
            {"multiplications": 1},
        ),
        Convention(
            "ptflops-aten",
            "ptflops backend=aten: conv and linear with bias adds",
            {"multiplications": 1, "bias": 1},
        ),
        Convention(
            "ptflops",
            "ptflops backend=pytorch with ReLU modules ignored",
            _CONTEST | _TWICE | {"relu": 1, "silu": 1},
        ),
        Convention(
            "ptflops-all",
            "ptflops backend=pytorch, every operation",
            _CONTEST | _TWICE | {"relu": 2, "silu": 1},
        ),
        Convention(
            "fvcore",
            "fvcore FlopCountAnalysis: no bias, 2 x batch norm, global pool",
            {"multiplications": 1, "batch-norm": 2, "global-pool": 1},
        ),
        Convention(
            "torchinfo",
            "torchinfo mult-adds: batch norm counts its parameters",
            {"multiplications": 1, "bias": 1, "batch-norm-parameters": 1},
        ),
        Convention(
            "thop",
            "thop profile: 4 x batch norm, pool outputs",
            {"multiplications": 1, "batch-norm": 4, "avg-pool-outputs": 1}
            | {"global-pool": 1, "global-pool-outputs": 1},
        ),
        Convention(
            "torch-pruning",
            "Torch-Pruning count_ops_and_params: contest + ReLU",
            _CONTEST | {"relu": 1},
        ),
        Convention(
            "flop-counter",
            "torch FlopCounterMode: 2 x multiplications",
            {"multiplications": 2},
        ),
    )
}
