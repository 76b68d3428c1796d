"""The definition of correct: an edited network computes what the masked original computes.

Units, heads, classes and sizes here; reshapes in test_reshape.py. The original is that of
reference.py, which knows nothing of the workbench.
"""

import dataclasses

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import (
    SMALL,
    TOLERANCE,
    Case,
    assert_identical,
    copied,
    logits,
    make_case,
    random_cases,
    shapes,
)
from torch import Tensor

from sessions import edits
from sessions.edits import Classes, EditError, Head, InputSize, UnitOff, UnitOn
from workbench.surgery.build import build
from workbench.surgery.carry import Carried, carry, checked_error, masked_error


def masked(case: Case, *off: str) -> Tensor:
    with torch.inference_mode():
        return case.reference(case.images, frozenset(off))


def assert_same_function(found: Tensor, wanted: Tensor) -> None:
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= TOLERANCE * max(1.0, float(wanted.abs().max()))


def carried_over(case: Case, *steps: edits.Edit) -> Carried:
    at = Carried(network=case.network, state=case.state)
    for step in steps:
        at = carry(at.network, at.state, step)
    return at


property_test = random_cases(40)


@property_test
@given(shapes(), st.integers(0, 2**31), st.data())
def test_units_off_equal_the_original_with_their_branches_masked(shape, seed, data):
    case = make_case(shape, seed)
    off = data.draw(st.permutations(case.removable)) if case.removable else []
    off = off[: data.draw(st.integers(0, len(off)))]
    edited = carried_over(case, *map(UnitOff, off))
    assert edited.exact
    assert_same_function(logits(edited, case.images), masked(case, *off))


@property_test
@given(shapes(), st.integers(0, 2**31), st.data())
def test_any_order_of_off_and_on_ends_where_its_last_state_says(shape, seed, data):
    case = make_case(shape, seed)
    presses = (
        data.draw(st.lists(st.sampled_from(case.removable), max_size=8)) if (case.removable) else []
    )
    at = Carried(network=case.network, state=case.state)
    off: set[str] = set()
    for path in presses:
        step = edits.toggle(at.network, path)
        at = carry(at.network, at.state, step)
        off ^= {path}
        assert masked_error(at) <= TOLERANCE
    assert_same_function(logits(at, case.images), masked(case, *off))
    assert_identical(at.state, case.state)


@property_test
@given(shapes(), st.integers(0, 2**31))
def test_off_then_on_is_bit_identical(shape, seed):
    case = make_case(shape, seed)
    steps = [UnitOff(path) for path in case.removable] + [UnitOn(p) for p in case.removable]
    edited = carried_over(case, *steps)
    assert edited.network == case.network
    assert_identical(edited.state, case.state)
    unedited = logits(Carried(network=case.network, state=case.state), case.images)
    assert torch.equal(logits(edited, case.images), unedited)


@property_test
@given(shapes(), st.integers(0, 2**31), st.booleans())
def test_another_head_keeps_the_function_but_for_biases_it_cannot_hold(shape, seed, has_unit_off):
    case = make_case(dataclasses.replace(shape, head="linear"), seed)
    off = case.removable[:1] if has_unit_off else []
    edited = carried_over(case, *map(UnitOff, off), Head("conv"))
    bias = case.state["output.bias"]
    assert edited.lost == (f"the classifier's {shape.classes} biases",)
    assert_same_function(logits(edited, case.images) + bias, masked(case, *off))
    back = carry(edited.network, edited.state, Head("linear"))
    assert back.exact
    assert torch.equal(back.state["output.bias"], torch.zeros(shape.classes))
    assert_same_function(logits(back, case.images), logits(edited, case.images))


def test_a_conv_head_becomes_linear_without_loss():
    case = make_case(dataclasses.replace(SMALL, head="conv"), 1)
    edited = carried_over(case, Head("linear"))
    assert edited.exact
    assert edited.changed == ("output.head",)
    assert_same_function(logits(edited, case.images), masked(case))


def test_a_linear_head_without_bias_values_becomes_conv_without_loss():
    case = make_case(SMALL, 2)
    case.state["output.bias"].zero_()
    case.reference.output.bias.data.zero_()
    edited = carried_over(case, Head("conv"))
    assert edited.exact
    assert_same_function(logits(edited, case.images), masked(case))


def test_the_head_it_has_changes_nothing():
    case = make_case(SMALL, 3)
    edited = carried_over(case, Head("linear"))
    assert edited.network == case.network
    assert_identical(edited.state, case.state)
    assert edited.changed == ()


@pytest.mark.parametrize("head", ["linear", "conv"])
def test_new_classes_touch_the_head_alone(head):
    case = make_case(dataclasses.replace(SMALL, head=head), 4)
    edited = carried_over(case, Classes(9, seed=7))
    assert logits(edited, case.images).shape == (3, 9)
    assert edited.changed == ("output.head",)
    assert not edited.exact
    body = {name for name in case.state if not name.startswith("output.")}
    assert edited.state.keys() == case.state.keys()
    assert all(torch.equal(edited.state[name], case.state[name]) for name in body)
    bound = case.network.width(case.network.head.in_axis) ** -0.5
    assert 0 < float(edited.state["output.weight"].abs().max()) <= bound


def test_new_classes_follow_their_seed():
    case = make_case(SMALL, 5)
    first, again, other = (carried_over(case, Classes(9, seed)) for seed in (1, 1, 2))
    assert_identical(first.state, again.state)
    assert not torch.equal(first.state["output.weight"], other.state["output.weight"])
    assert not torch.equal(first.state["output.bias"], other.state["output.bias"])


def test_another_input_size_keeps_every_weight():
    case = make_case(SMALL, 6)
    edited = carried_over(case, InputSize(45))
    assert_identical(edited.state, case.state)
    images = torch.randn(2, 3, 45, 45)
    with torch.inference_mode():
        assert_same_function(logits(edited, images), case.reference(images))


@property_test
@given(shapes(), st.integers(0, 2**31), st.data())
def test_the_weights_that_stay_are_bit_exact_copies(shape, seed, data):
    case = make_case(shape, seed)
    before = copied(case.state)
    chosen = st.sets(st.sampled_from(case.removable)) if case.removable else st.just(set())
    off = data.draw(chosen)
    edited = carried_over(case, *map(UnitOff, off), Head("conv"), Head("linear"), Classes(9))
    module = build(edited.network, edited.state)
    kept = {k: v for k, v in module.state_dict().items() if not k.startswith("output.")}
    assert all(torch.equal(value, before[name]) for name, value in kept.items())
    gone = {name for name in before if any(f".{path}." in name for path in off)}
    assert kept.keys() == {name for name in before if not name.startswith("output.")} - gone
    assert_identical(case.state, before)


@pytest.mark.parametrize(
    "illegal",
    [
        UnitOff("stage1.unit1"),
        UnitOff("init"),
        UnitOff("output"),
        UnitOff("stage9.unit9"),
        UnitOn("stage1.unit2"),
        Classes(1),
        Classes(10**9),
        InputSize(0),
        InputSize(10**6),
    ],
    ids=repr,
)
def test_an_illegal_edit_changes_nothing(illegal):
    case = make_case(SMALL, 8)
    network, state = case.network, copied(case.state)
    with pytest.raises(EditError) as caught:
        carry(case.network, case.state, illegal)
    assert str(caught.value)
    assert "\n" not in str(caught.value)
    assert case.network == network
    assert_identical(case.state, state)


def test_a_unit_whose_weights_are_not_there_cannot_come_back():
    case = make_case(SMALL, 9)
    network = edits.apply(case.network, UnitOff("stage1.unit2"))
    state = {k: v for k, v in case.state.items() if "stage1.unit2" not in k}
    before = copied(state)
    with pytest.raises(EditError, match=r"stage1\.unit2 has no weights"):
        carry(network, state, UnitOn("stage1.unit2"))
    assert_identical(state, before)


def test_a_result_that_is_not_the_masked_original_is_refused():
    case = make_case(SMALL, 10)
    edit = UnitOff("stage2.unit2")
    edited = carry(case.network, case.state, edit)
    key = "features.stage2.unit3.dw_conv2.weight"
    wrong = msgspec.structs.replace(edited, state=edited.state | {key: edited.state[key].flip(0)})
    assert checked_error(edited, edit) <= TOLERANCE
    with pytest.raises(EditError, match="its check failed: outputs differ by"):
        checked_error(wrong, edit)


@pytest.mark.parametrize("edit", [Classes(9), InputSize(64)])
def test_an_edit_without_a_masked_original_has_no_error(edit):
    case = make_case(SMALL, 11)
    assert masked_error(carried_over(case, edit)) is None


@pytest.mark.parametrize("head", ["conv", "linear"])
def test_the_check_of_a_head_compares_what_can_be_kept(head):
    other = "linear" if head == "conv" else "conv"
    case = make_case(dataclasses.replace(SMALL, head=other), 12)
    edited = carried_over(case, Head(head))
    assert masked_error(edited) <= TOLERANCE
