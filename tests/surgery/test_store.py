"""Checkpoints are named by their content, and lineages derive what step by step edits give."""

import os

import pytest
import safetensors.torch
import torch

from sessions import edits
from sessions.commands import Lineage
from sessions.edits import Classes, EditError, Head, InputSize, UnitOff, UnitOn
from sessions.log import CHECKPOINTS
from workbench.errors import UserError
from workbench.surgery import store
from workbench.surgery.carry import carry
from workbench.surgery.families import shufflenet


@pytest.fixture(scope="module")
def network():
    return edits.apply(shufflenet.fresh(units=(1, 3, 2), classes=5), InputSize(64))


@pytest.fixture
def state(network, random_state):
    return random_state(network, 1)


def stored(folder, name):
    return folder / CHECKPOINTS / f"{name}.safetensors"


def assert_same(found, wanted):
    assert found[0] == wanted[0]
    assert found[1].keys() == wanted[1].keys()
    assert all(torch.equal(found[1][name], wanted[1][name]) for name in wanted[1])


def step_by_step(network, state, steps):
    for step in steps:
        carried = carry(network, state, step)
        network, state = carried.network, carried.state
    return network, state


def test_a_checkpoint_comes_back_as_it_was(tmp_path, network, state):
    name = store.put(tmp_path, network, state)
    assert_same(store.get(tmp_path, name), (network, state))


def test_a_checkpoint_keeps_the_weights_of_off_units(tmp_path, network, state):
    off = carry(network, state, UnitOff("stage2.unit2"))
    kept = store.get(tmp_path, store.put(tmp_path, off.network, off.state))
    assert_same(kept, (off.network, state))
    assert_same(step_by_step(*kept, [UnitOn("stage2.unit2")]), (network, state))


def test_the_same_content_is_stored_once(tmp_path, network, state):
    first = store.put(tmp_path, network, state)
    time = os.stat(stored(tmp_path, first)).st_mtime_ns
    again = {name: value.clone() for name, value in state.items()}
    assert {store.put(tmp_path, network, again) for _ in range(12)} == {first}
    assert os.listdir(tmp_path / CHECKPOINTS) == [f"{first}.safetensors"]
    assert os.stat(stored(tmp_path, first)).st_mtime_ns == time


def test_other_content_has_another_name(tmp_path, network, state):
    names = {
        store.put(tmp_path, network, state),
        store.put(tmp_path, network, state | {"output.bias": state["output.bias"] + 1}),
        store.put(tmp_path, edits.apply(network, InputSize(65)), state),
    }
    assert len(names) == len(os.listdir(tmp_path / CHECKPOINTS)) == 3


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (flip_a_bit, "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.unlink(), "cannot read"),
    ],
    ids=["bit", "short", "empty", "gone"],
)
def test_damage_is_detected(tmp_path, network, state, harm, said):
    name = store.put(tmp_path, network, state)
    harm(stored(tmp_path, name))
    with pytest.raises(UserError, match=said) as caught:
        store.get(tmp_path, name)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_an_error_in_words(tmp_path, network, state):
    (tmp_path / CHECKPOINTS).write_bytes(b"a file in the way")
    with pytest.raises(UserError):
        store.put(tmp_path, network, state)


STEPS = (
    UnitOff("stage2.unit2"),
    Head("conv"),
    UnitOff("stage3.unit2"),
    UnitOn("stage2.unit2"),
    InputSize(80),
    Classes(7, seed=3),
    UnitOff("stage2.unit3"),
    Head("linear"),
)


@pytest.mark.parametrize("count", range(len(STEPS) + 1))
def test_a_lineage_derives_what_its_edits_give_one_by_one(tmp_path, network, state, count):
    lineage = Lineage(store.put(tmp_path, network, state), STEPS[:count])
    assert_same(store.Deriver()(tmp_path, lineage), step_by_step(network, state, STEPS[:count]))


def test_a_deriver_asked_in_any_order_answers_the_same(tmp_path, network, state):
    name = store.put(tmp_path, network, state)
    derive = store.Deriver()
    for count in (8, 0, 3, 8, 5, 1, 7, 2, 6, 4, 8):
        found = derive(tmp_path, Lineage(name, STEPS[:count]))
        assert_same(found, step_by_step(network, state, STEPS[:count]))


def test_a_long_lineage_keeps_only_the_latest_variants_in_memory(tmp_path, network, state):
    name = store.put(tmp_path, network, state)
    presses = [UnitOff("stage2.unit2"), UnitOn("stage2.unit2")] * 15
    derive = store.Deriver()
    assert_same(derive(tmp_path, Lineage(name, tuple(presses))), (network, state))
    assert len(derive._cache) == store.CACHED


def test_a_variant_at_hand_needs_no_file(tmp_path, network, state):
    name = store.put(tmp_path, network, state)
    derive = store.Deriver()
    derive(tmp_path, Lineage(name, STEPS[:1]))
    stored(tmp_path, name).unlink()
    found = derive(tmp_path, Lineage(name, STEPS[:2]))
    assert_same(found, step_by_step(network, state, STEPS[:2]))


def test_a_lineage_with_an_illegal_edit_derives_nothing(tmp_path, network, state):
    name = store.put(tmp_path, network, state)
    with pytest.raises(EditError):
        store.Deriver()(tmp_path, Lineage(name, (UnitOff("stage2.unit1"),)))


def test_the_hash_of_the_weights_is_of_what_is_on(network, state):
    whole = store.weights_sha256(network, state)
    off, _ = step_by_step(network, state, [UnitOff("stage2.unit2")])
    gone = "features.stage2.unit2.dw_conv2.weight"
    counter = "features.init_block.bn.num_batches_tracked"
    assert store.weights_sha256(off, state) != whole
    assert store.weights_sha256(off, state | {gone: state[gone] + 1}) == store.weights_sha256(
        off, state
    )
    assert store.weights_sha256(network, state | {gone: state[gone] + 1}) != whole
    assert store.weights_sha256(network, state | {counter: torch.tensor(9)}) == whole
    assert store.weights_sha256(network, state | {"output.bias": -state["output.bias"]}) != whole


def test_a_stored_checkpoint_is_an_ordinary_safetensors_file(tmp_path, network, state):
    path = stored(tmp_path, store.put(tmp_path, network, state))
    plain = safetensors.torch.load_file(path)
    assert plain.keys() == state.keys()
    assert all(torch.equal(plain[name], state[name]) for name in state)
