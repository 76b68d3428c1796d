"""Edits are values with a text form; an illegal one says why and what is nearest."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import edits
from sessions.edits import (
    Classes,
    EditError,
    Groups,
    Head,
    InputSize,
    Kernel,
    Mid,
    Rank,
    UnitOff,
    UnitOn,
    Widen,
    Width,
)

TEXTS = {
    "off:stage1.unit3": UnitOff("stage1.unit3"),
    "on:stage2.unit8": UnitOn("stage2.unit8"),
    "head:conv": Head("conv"),
    "head:linear": Head("linear"),
    "classes:9": Classes(9),
    "input:80": InputSize(80),
    "width:stage3=210": Width("stage3", 210),
    "width:stage3=210@fpgm": Width("stage3", 210, criterion="fpgm"),
    "mid:stage2.unit4=24": Mid("stage2.unit4", 24),
    "groups:stage3.unit2.expand=1": Groups("stage3.unit2.expand", 1),
    "kernel:stage1=5": Kernel("stage1", 5),
    "widen:stage2.unit4=36": Widen("stage2.unit4", 36),
    "rank:stage3.unit2.expand_conv3=8": Rank("stage3.unit2.expand_conv3", (8,)),
    "rank:init.conv=2x4": Rank("init.conv", (2, 4)),
    "rank:output.head=auto": Rank("output.head", rule="auto"),
    "rank:output.head=90%": Rank("output.head", rule="90%"),
}


@pytest.fixture
def network(published):
    return published()


def refusal(network, edit):
    with pytest.raises(EditError) as caught:
        edits.apply(network, edit)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def apply_all(network, *steps):
    for step in steps:
        network = edits.apply(network, step)
    return network


@pytest.mark.parametrize(("text", "edit"), TEXTS.items())
def test_the_text_form_reads_back(text, edit):
    assert edits.parse(text) == edit
    assert edits.text(edit) == text


def test_every_edit_has_a_text_form():
    assert {type(edit) for edit in TEXTS.values()} == set(edits.Edit.__args__)
    assert {text.partition(":")[0] for text in TEXTS} == set(edits.NAMES)


@given(st.integers(-10, 10**7), st.sampled_from((Classes, InputSize)))
def test_any_number_reads_back(number, kind):
    assert edits.parse(edits.text(kind(number))) == kind(number)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "NAME:VALUE"),
        ("off", "NAME:VALUE"),
        ("off:", "NAME:VALUE"),
        (":stage1.unit2", "unknown edit"),
        ("of:stage1.unit2", "did you mean off:stage1.unit2"),
        ("clases:9", "did you mean classes:9"),
        ("xyzzy:1", "use one of off, on"),
        ("head:dense", "head:conv or head:linear"),
        ("classes:nine", "whole number, not 'nine'"),
        ("classes:9.5", "whole number"),
        ("input:80x80", "whole number"),
        ("input:", "NAME:VALUE"),
    ],
)
def test_text_that_is_no_edit_gets_a_hint(text, reason):
    with pytest.raises(EditError, match=reason):
        edits.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_an_edit_or_a_refusal_of_one_line(text):
    try:
        assert edits.parse(text) is not None
    except EditError as error:
        assert str(error)  # noqa: PT017 - either way is right, an empty reason is not


def test_switching_off_and_on_returns_the_same_network(network):
    removable = [path for path, unit in network.units.items() if unit.is_removable]
    assert len(removable) == 3 + 7 + 3
    for path in removable:
        off = edits.apply(network, UnitOff(path))
        assert not off.units[path].is_on
        assert edits.apply(off, UnitOn(path)) == network


def test_the_order_of_switches_does_not_matter(random_network):
    rng = random.Random(7)
    for network in [random_network(rng) for _ in range(30)]:
        switches = [edits.toggle(network, p) for p, u in network.units.items() if u.is_removable]
        shuffled = rng.sample(switches, len(switches))
        assert apply_all(network, *switches) == apply_all(network, *shuffled)


def test_toggle_is_the_edit_to_the_other_state(network):
    off = edits.apply(network, UnitOff("stage1.unit2"))
    assert edits.toggle(network, "stage1.unit2") == UnitOff("stage1.unit2")
    assert edits.toggle(off, "stage1.unit2") == UnitOn("stage1.unit2")
    assert edits.toggle(network, "nowhere") == UnitOff("nowhere")


@pytest.mark.parametrize(
    ("steps", "reasons"),
    [
        ([UnitOff("stage1.unit1")], ["halves the resolution", "can be off: stage1.unit2, stage1"]),
        ([UnitOff("init")], ["init stays"]),
        ([UnitOff("output")], ["output stays", "another shape"]),
        ([UnitOff("stage1.unit9")], ["no unit 'stage1.unit9'", "the nearest is off:stage1.unit"]),
        ([UnitOn("stage4.unit2")], ["no unit", "the nearest is on:stage"]),
        ([UnitOn("stage1.unit2")], ["stage1.unit2 is already on"]),
        ([UnitOff("stage1.unit2")] * 2, ["stage1.unit2 is already off"]),
        ([Classes(1)], ["2..100000", "nearest is classes:2"]),
        ([Classes(200_000)], ["nearest is classes:100000"]),
        ([InputSize(7)], ["8..1024", "nearest is input:8"]),
        ([InputSize(-80)], ["nearest is input:8"]),
        ([InputSize(1025)], ["nearest is input:1024"]),
    ],
)
def test_an_illegal_edit_says_why_and_what_is_nearest(network, steps, reasons):
    *before, last = steps
    network = apply_all(network, *before)
    message = refusal(network, last)
    assert all(reason in message for reason in reasons)


def test_the_nearest_value_of_a_refusal_is_legal(network):
    for edit in (Classes(0), Classes(10**7), InputSize(1), InputSize(9999), UnitOff("stag1.unit3")):
        nearest = refusal(network, edit).rpartition("nearest is ")[2]
        assert edits.apply(network, edits.parse(nearest)) != network


def test_a_refused_edit_changes_nothing(network, published):
    refusal(network, UnitOff("stage1.unit1"))
    refusal(network, InputSize(5000))
    assert network == published()


def test_an_edit_leaves_the_network_it_was_given_alone(network, published):
    apply_all(network, UnitOff("stage1.unit2"), Head("conv"), Classes(4), InputSize(32))
    assert network == published()


def test_a_unit_that_stays_says_why_and_others_say_nothing(network):
    assert "halves the resolution" in edits.why_it_stays(network, "stage2.unit1")
    assert edits.why_it_stays(network, "stage2.unit2") == ""


def test_the_other_head_and_back(network):
    conv = edits.apply(network, Head("conv"))
    assert (conv.head.kind, conv.head.has_bias) == ("conv", False)
    assert [layer.kind for layer in conv.units["output"].branch] == [
        *("global_pool", "conv", "flatten")
    ]
    assert conv.weight_shape(conv.head) == (9, 240, 1, 1)
    assert edits.apply(conv, Head("linear")) == network
    assert edits.apply(conv, Head("conv")) == conv


def test_classes_change_the_head_alone(network):
    edited = edits.apply(network, Classes(4))
    assert edited.classes == 4
    assert edited.weight_shape(edited.head) == (4, 240)
    assert edited.stages == network.stages


def test_the_input_size_changes_sizes_alone(network):
    edited = edits.apply(network, InputSize(64))
    assert edited.input_size == 64
    assert edited.axes == network.axes
    assert edits.apply(edited, InputSize(80)) == network


@pytest.mark.parametrize("size", [8, 9, 31, 80, 1024])
def test_every_allowed_input_size_leaves_pixels(network, size):
    edited = edits.apply(network, InputSize(size))
    assert min(layer.out_size for _, layer in edited.layers()) == 1
