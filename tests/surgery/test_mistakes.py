"""Mistakes of published pruning code: the naive way is shown to make them, and this one not to."""

import pickletools
import random
import zipfile

import pytest
import torch
from drawing import carried, drawn
from reference import SMALL, TOLERANCE, logits, make_case, relative_error

from sessions import edits
from sessions.edits import Mid, Rank, Width
from workbench.surgery import files
from workbench.surgery.build import build, run
from workbench.surgery.carry import Carried, carry, masked_error

UNIT = "features.stage2.unit2"
NORM = ("weight", "bias", "running_mean", "running_var")


def cut_mid(case, order):
    """Unit 2 of stage 2 with these bottleneck channels, taken as if there were no shuffle."""
    state = dict(case.state)
    for name in ("compress_conv1.weight", "dw_conv2.weight", *(f"compress_bn1.{x}" for x in NORM)):
        state[f"{UNIT}.{name}"] = state[f"{UNIT}.{name}"][order]
    for name in NORM:
        state[f"{UNIT}.dw_bn2.{name}"] = state[f"{UNIT}.dw_bn2.{name}"][order]
    width = len(order) // SMALL.groups
    state[f"{UNIT}.expand_conv3.weight"] = state[f"{UNIT}.expand_conv3.weight"][:, :width]
    return state


def test_weights_are_copied_and_batch_norm_and_head_are_kept():
    """Mistake 2: new convs without the weights, batch norm and head reset."""
    case = make_case(SMALL, 1)
    edited = carry(case.network, case.state, Width("stage2", 27))
    order = torch.tensor(edited.orders["stage2.new"])
    kept = torch.cat((order, torch.arange(18, 36)))
    for name in NORM:
        norm = "features.stage2.unit1.expand_bn3." + name
        assert torch.equal(edited.state[norm], case.state[norm][order])
        norm = "features.stage2.unit3.expand_bn3." + name
        assert torch.equal(edited.state[norm], case.state[norm][kept])
    assert torch.equal(edited.state["output.weight"], case.state["output.weight"][:, kept])
    assert torch.equal(edited.state["output.bias"], case.state["output.bias"])
    first = "features.stage2.unit1.expand_conv3.weight"
    values = set(case.state[first].flatten().tolist()) | {0.0}
    assert set(edited.state[first].flatten().tolist()) <= values
    untouched = ("features.init_block", "features.stage1", "features.stage2.unit1.compress")
    for name, value in case.state.items():
        if name.startswith(untouched):
            assert torch.equal(edited.state[name], value)


def test_a_cut_bottleneck_respects_the_shuffle():
    """Mistake 3: channels cut at the places that they would have without the shuffle."""
    case = make_case(SMALL, 2)
    edited = carry(case.network, case.state, Mid("stage2.unit2", 3))
    naive = cut_mid(case, edited.orders["stage2.unit2.mid"])
    assert {k: v.shape for k, v in naive.items()} == {k: v.shape for k, v in edited.state.items()}
    masked = run(edited.original, edited.masked, case.images)
    assert relative_error(run(edited.network, edited.state, case.images), masked) <= TOLERANCE
    assert relative_error(run(edited.network, naive, case.images), masked) > 1e-3


def test_a_cut_stage_is_cut_in_the_middle_of_later_concatenations():
    """Mistake 3: a concatenation has the channels of the stage before behind its own."""
    case = make_case(SMALL, 3)
    edited = carry(case.network, case.state, Width("stage1", 12))
    parts = [("stage2.new", 18), ("stage1.new", 12), ("init", 6)]
    orders = [torch.tensor(edited.orders.get(name, range(width))) for name, width in parts]
    assert [len(order) for order in orders] == [18, 6, 6]
    kept = torch.cat((orders[0], 18 + orders[1], 30 + orders[2]))
    assert torch.equal(edited.state["output.weight"], case.state["output.weight"][:, kept])
    tail = dict(edited.state)
    tail["output.weight"] = case.state["output.weight"][:, :30]
    masked = run(edited.original, edited.masked, case.images)
    assert relative_error(run(edited.network, tail, case.images), masked) > 1e-3
    assert relative_error(logits(edited, case.images), masked) <= TOLERANCE


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(
    "edit",
    [Rank("init.conv", (2, 4)), Rank("stage2.unit2.expand_conv3", (1,)), Rank("output.head", (2,))],
)
def test_no_bias_is_invented_by_a_decomposition(groups, edit):
    """Mistake 4: a random bias left on the last 1x1 conv."""
    case = make_case(SMALL, 4)
    ungrouped = edits.Groups("stage2.unit2", groups)
    at = carry(case.network, case.state, ungrouped)
    edited = carry(at.network, at.state, edit)
    biases = {k: v for k, v in edited.state.items() if k.endswith(".bias") and "bn" not in k}
    own = "output_out.bias" if edit.layer == "output.head" else "output.bias"
    assert biases.keys() == {own}
    assert torch.equal(biases[own], case.state["output.bias"])
    assert build(edited.network).state_dict().keys() == edited.state.keys()
    assert masked_error(edited) <= TOLERANCE


ALLOWED = {
    "collections OrderedDict",
    "torch FloatStorage",
    "torch LongStorage",
    "torch._utils _rebuild_tensor_v2",
}


def pickled_globals(path):
    """Everything that loading a file would import, by the opcodes of its pickles."""
    found, strings = set(), []
    with zipfile.ZipFile(path) as archive:
        pickles = [archive.read(x) for x in archive.namelist() if x.endswith(".pkl")]
    assert pickles
    for content in pickles:
        for code, argument, _ in pickletools.genops(content):
            if code.name == "GLOBAL":
                found.add(argument)
            elif code.name == "STACK_GLOBAL":
                found.add(" ".join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_hold_weights_and_no_modules_and_read_back(tmp_path, seed, suffix):
    """Mistake 7: whole modules saved by pickle. Of any edited network."""
    case, rng = make_case(SMALL, seed), random.Random(seed)
    at = case.opened
    for _ in range(5):
        at = carried(at, drawn(rng, at.network), seed)
    path = tmp_path / f"model{suffix}"
    files.save(path, at.network, at.state)
    if suffix == ".pt":
        assert pickled_globals(path) <= ALLOWED
        torch.load(path, weights_only=True)
    again = files.read_model(path, None)
    size = at.network.input_size
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))
    found = logits(Carried(network=again.network, state=again.state), images)
    assert torch.equal(found, logits(at, images))
