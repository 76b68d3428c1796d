"""Every convention's count equals what the tool that it is named after says of the built module."""

import random
import sys
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from ptflops import get_model_complexity_info
from torch import nn

from sessions import edits, macs
from sessions.network import Network
from workbench.surgery.build import build
from workbench.surgery.stats import ptflops_macs

BY_PTFLOPS = {
    "contest": {
        "backend": "pytorch",
        "ignore_modules": [nn.ReLU],
        "backend_specific_config": {"count_functional": False},
    },
    "ptflops": {"backend": "pytorch", "ignore_modules": [nn.ReLU]},
    "ptflops-all": {"backend": "pytorch"},
    "ptflops-aten": {"backend": "aten"},
}
CHUNKS, PER_CHUNK, OTHERS = 10, 11, 16
GOLDEN = {
    "contest": (1_688_949, 1_083_210),
    "conv-linear": (1_467_600, 937_830),
    "ptflops-aten": (1_467_609, 937_830),
    "torchinfo": (1_473_729, 941_070),
    "fvcore": (1_667_940, 1_062_210),
    "ptflops": (1_800_219, 1_162_830),
    "ptflops-all": (1_888_329, 1_219_290),
    "torch-pruning": (1_777_059, 1_139_670),
    "thop": (1_869_540, 1_187_850),
    "flop-counter": (2_935_200, 1_875_660),
}


@pytest.fixture(autouse=True)
def _quiet_tools() -> Iterator[None]:
    """The tools warn about their own dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def image(network: Network) -> torch.Tensor:
    return torch.zeros(1, network.input_channels, network.input_size, network.input_size)


def by_ptflops(network: Network, convention: str) -> int:
    found, _ = get_model_complexity_info(
        build(network),
        (network.input_channels, network.input_size, network.input_size),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        **BY_PTFLOPS[convention],
    )
    return int(found)


def by_torchinfo(network: Network) -> int:
    torchinfo = pytest.importorskip("torchinfo")
    return torchinfo.summary(build(network), input_data=image(network), verbose=0).total_mult_adds


def by_fvcore(network: Network) -> int:
    fvcore = pytest.importorskip("fvcore.nn")
    analysis = fvcore.FlopCountAnalysis(build(network), image(network))
    analysis.unsupported_ops_warnings(False)
    analysis.uncalled_modules_warnings(False)
    return analysis.total()


def by_thop(network: Network) -> int:
    if sys.version_info >= (3, 12):
        pytest.skip("thop imports distutils, which Python 3.12 took out")
    thop = pytest.importorskip("thop")
    return int(thop.profile(build(network), (image(network),), verbose=False)[0])


def by_torch_pruning(network: Network) -> int:
    torch_pruning = pytest.importorskip("torch_pruning")
    return torch_pruning.utils.count_ops_and_params(build(network), image(network))[0]


def by_flop_counter(network: Network) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        build(network)(image(network))
    return counter.get_total_flops()


BY_OTHERS: dict[str, Callable[[Network], int]] = {
    "torchinfo": by_torchinfo,
    "fvcore": by_fvcore,
    "thop": by_thop,
    "torch-pruning": by_torch_pruning,
    "flop-counter": by_flop_counter,
}


def networks(make: Callable[[random.Random], Network], seed: int, count: int) -> list[Network]:
    rng = random.Random(seed)
    return [make(rng) for _ in range(count)]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_structures_count_as_in_ptflops(random_network, chunk):
    for network in networks(random_network, chunk, PER_CHUNK):
        real = {name: by_ptflops(network, name) for name in BY_PTFLOPS}
        assert {name: macs.count(network, name) for name in BY_PTFLOPS} == real


@pytest.mark.parametrize("convention", BY_OTHERS)
def test_random_structures_count_as_in_the_other_tools(random_network, convention):
    for network in networks(random_network, 4711, OTHERS):
        assert macs.count(network, convention) == BY_OTHERS[convention](network)


def test_the_random_structures_cover_what_they_should(random_network):
    rngs = [random.Random(chunk) for chunk in range(CHUNKS)]
    found = [random_network(rng) for rng in rngs for _ in range(PER_CHUNK)]
    layers = [layer for net in found for _, layer in net.layers()]
    assert len(found) >= 100
    assert {layer.groups for layer in layers if layer.kind == "shuffle"} == {1, 2, 3, 4, 8}
    assert {layer.kernel for layer in layers if layer.kind == "depthwise"} == {3, 5}
    assert {net.head.kind for net in found} == {"conv", "linear"}
    assert any(not unit.is_on for net in found for unit in net.units.values())


@pytest.mark.parametrize("convention", GOLDEN)
def test_the_published_networks_count_as_measured(published, convention):
    pair = published((4, 8, 4), "linear"), published((2, 5, 2), "conv")
    assert tuple(macs.count(network, convention) for network in pair) == GOLDEN[convention]


@pytest.mark.parametrize("convention", [*BY_PTFLOPS, *BY_OTHERS])
def test_the_tools_themselves_still_give_the_golden_numbers(published, convention):
    pair = published((4, 8, 4), "linear"), published((2, 5, 2), "conv")
    if convention in BY_PTFLOPS:
        found = tuple(by_ptflops(network, convention) for network in pair)
    else:
        found = tuple(BY_OTHERS[convention](network) for network in pair)
    assert found == GOLDEN[convention]


def test_every_convention_is_golden():
    assert GOLDEN.keys() == macs.CONVENTIONS.keys()


def test_the_confirmation_by_ptflops_leaves_off_units_out(published):
    network = edits.apply(published(head="conv"), edits.UnitOff("stage2.unit3"))
    assert ptflops_macs(network) == macs.count(network) == 1_688_940 - 75_750
