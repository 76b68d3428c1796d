"""Plain files are those that pytorchcv's builder loads; all others are refused with the reason."""

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import safetensors.torch
import torch
from structures import changed, irregular, split, tiny, widened, with_off
from torch import Tensor

from sessions import edits
from sessions.network import Network, sized
from workbench.errors import UserError
from workbench.surgery import families
from workbench.surgery.build import expected_shapes
from workbench.surgery.compact import compact
from workbench.surgery.exporting.export import export
from workbench.surgery.families import shufflenet
from workbench.surgery.families.upstream import obstacles

State = dict[str, Tensor]


def described(state: State, like: Network) -> Network:
    """The network that tensors of these names and shapes are taken for."""
    found = families.describe({name: tuple(value.shape) for name, value in state.items()})
    return sized(found, like.input_size)


def with_free_widths() -> Network:
    """Stage widths that the paper does not have; everything else follows from them."""
    plans = []
    for number, (width, before) in enumerate(((24, 5), (49, 24), (90, 49)), start=1):
        units = [
            shufflenet.UnitPlan(
                path=f"stage{number}.unit{position}",
                mid=width // 4,
                width=width - before if position == 1 else width,
                groups=1,
                compress_groups=1,
            )
            for position in (1, 2)
        ]
        plans.append(tuple(units))
    return sized(shufflenet.make(shufflenet.Plan(5, tuple(plans), classes=4)), 32)


FITTING: dict[str, Callable[[], Network]] = {
    "fresh": tiny,
    "eight groups": lambda: tiny(groups=8, width=1.0, units=(1, 2, 1)),
    "units off, conv head": with_off,
    "free widths": with_free_widths,
}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("structure", FITTING)
def test_a_plain_file_is_bare_tensors_that_are_read_as_the_same_network(
    structure: str, suffix: str, tmp_path: Path, random_state: Callable[..., State]
) -> None:
    # GIVEN
    network = FITTING[structure]()
    state = random_state(network, 3)
    out = tmp_path / f"plain{suffix}"
    # WHEN
    done = export(out, network, state, is_plain=True)
    # THEN
    smaller, tensors = compact(network, state)
    is_torch = suffix != ".safetensors"
    found = torch.load(out, weights_only=True) if is_torch else safetensors.torch.load_file(out)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert described(found, network) == smaller == done.network
    assert done.parity[0].max_abs == 0
    assert b"workbench" not in out.read_bytes()


def test_whatever_has_no_obstacle_is_read_as_the_same_network(
    random_network: Callable[..., Network], random_state: Callable[..., State]
) -> None:
    refused = 0
    for seed in range(150):
        network = random_network(random.Random(seed))
        smaller, tensors = compact(network, random_state(network, seed))
        if obstacles(smaller):
            refused += 1
            continue
        again = described(tensors, network)
        assert again.stages == smaller.stages
        assert again.axes == smaller.axes
    assert 100 < refused < 150


def groups_of_one_stage() -> Network:
    made = tiny()
    for name in ("compress_conv1", "c_shuffle", "expand_conv3"):
        made = changed(made, f"stage2.unit2.{name}", groups=6)
    return made


REFUSED: dict[str, tuple[Callable[[], Network], tuple[str, ...]]] = {
    "groups of one conv": (
        lambda: changed(tiny(), "stage1.unit2.compress_conv1", groups=5),
        ("stage1.unit2.compress_conv1 has 5 groups, pytorchcv would have 3",),
    ),
    "groups of one unit": (
        groups_of_one_stage,
        ("stage2.unit2.compress_conv1 has 6 groups", "stage2.unit2.c_shuffle has 6 groups"),
    ),
    "first conv in groups": (
        lambda: changed(tiny(), "stage1.unit1.compress_conv1", groups=3),
        ("stage1.unit1.compress_conv1 has 3 groups, pytorchcv would have 1",),
    ),
    "shuffle": (
        lambda: changed(tiny(), "stage3.unit2.c_shuffle", groups=5),
        ("stage3.unit2.c_shuffle has 5 groups, pytorchcv would have 3",),
    ),
    "bottleneck": (
        lambda: widened(tiny(), "stage2.unit2.mid", 24),
        ("stage2.unit2 has a bottleneck of 24, not 30, a quarter of its width",),
    ),
    "kernel": (
        lambda: changed(tiny(), "stage3.unit2.dw_conv2", kernel=5, padding=2),
        ("stage3.unit2.dw_conv2 has a kernel of 5, pytorchcv 3",),
    ),
    "decomposed conv": (
        lambda: split(tiny(), "stage2.unit1.expand_conv3", 6),
        ("stage2.unit1 has layers", "(expand_conv3_in, expand_conv3_out)"),
    ),
    "bias of a conv": (
        lambda: changed(tiny(), "stage1.unit2.dw_conv2", has_bias=True),
        ("stage1.unit2.dw_conv2 has a bias",),
    ),
    "linear head without bias": (
        lambda: changed(tiny(), "output.head", has_bias=False),
        ("the linear classifier has no bias",),
    ),
    "many at once": (irregular, ("stage1.unit2.compress_conv1 has 5 groups", "and 3 more")),
    "other family": (
        lambda: msgspec.structs.replace(tiny(), family="other"),
        ("only ShuffleNet v1 (pytorchcv naming) has a plain form, this is 'other'",),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_pytorchcv_cannot_build_is_refused_with_the_reason(
    case: str, tmp_path: Path, random_state: Callable[..., State]
) -> None:
    make, words = REFUSED[case]
    network = make()
    with pytest.raises(UserError) as refused:
        export(tmp_path / "net.pt", network, random_state(network, 1), is_plain=True)
    message = str(refused.value)
    for word in (*words, "export to .py, or without --plain"):
        assert word in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_another_input_size_and_normalisation_are_no_obstacle() -> None:
    made = edits.apply(tiny(), edits.InputSize(64))
    assert obstacles(msgspec.structs.replace(made, mean=(0.5, 0.5, 0.5))) == []


def test_the_shapes_alone_tell_the_network() -> None:
    network = tiny(groups=8, width=1.0)
    assert sized(families.describe(expected_shapes(network)), 32) == network
