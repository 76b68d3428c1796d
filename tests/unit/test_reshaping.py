"""What is legal of widths, bottlenecks, groups, kernels and ranks, and what a refusal says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import edits, macs, reshaping
from sessions.edits import EditError
from sessions.network import sized

REFUSED = {
    "width:stage3=0": ("at least 1", "width:stage3=123"),
    "width:stage3=-6": ("at least 1", "width:stage3=123"),
    "width:stage3=211": ("3 groups", "width:stage3=210 and width:stage3=213"),
    "width:stage3=120": ("come from the stage before", "width:stage3=123"),
    "width:stage3=300": ("more than the 240", "width:stage3=240"),
    "width:stag3=210": ("no stage", "width:stage3"),
    "width:stage3.unit2=210": ("share its channels", "mid:stage3.unit2"),
    "width:output=5": ("number of classes", "classes:N"),
    "mid:stage2.unit4=0": ("at least 1", "mid:stage2.unit4=3"),
    "mid:stage2.unit4=25": ("3 groups", "mid:stage2.unit4=24 and mid:stage2.unit4=27"),
    "mid:stage2.unit4=33": ("more than the 30", "widen:stage2.unit4=36 adds"),
    "mid:stage2.unit9=24": ("no stage or unit", "stage2.unit"),
    "mid:init=3": ("init has no bottleneck", "width:init=3"),
    "mid:output=3": ("output has no bottleneck", "use classes:N"),
    "groups:init=2": ("init has no 1x1 convs", "width:init=3"),
    "kernel:init=5": ("init has no depthwise conv", "width:init=3"),
    "groups:stage3=0": ("at least 1", "groups:stage3=1"),
    "groups:stage3=7": ("divide 60, 120, 240", "groups:stage3=6 and groups:stage3=10"),
    "groups:stage3.unit2.expand=7": ("divide 60, 240", "groups:stage3.unit2.expand=6"),
    "kernel:stage1.unit2=4": ("odd", "kernel:stage1.unit2=3 and kernel:stage1.unit2=5"),
    "kernel:stage1.unit2=0": ("at least 1", "kernel:stage1.unit2=1"),
    "kernel:stage1.unit2=99": ("feature map", "kernel:stage1.unit2=11"),
    "widen:stage2.unit4=24": ("fewer channels", "mid:stage2.unit4=24"),
    "widen:stage2.unit4=9999": ("at most 4 times", "widen:stage2.unit4=120"),
    "widen:stage3=300": ("3 groups", "widen:stage3=240"),
    "rank:stage2.unit1.expand_conv3=11": ("full rank is 10", "rank:stage2.unit1.expand_conv3=10"),
    "rank:stage2.unit1.expand_conv3=0": ("full rank is 10", "rank:stage2.unit1.expand_conv3=1"),
    "rank:stage2.unit1.dw_conv2=2": ("depthwise", "rank:stage2.unit1.expand_conv3"),
    "rank:stage2.unit1.nix=2": ("no layer", "rank:stage2.unit1."),
    "rank:init.conv=3": ("two ranks", "(1 to 3)", "(1 to 6)", "rank:init.conv=3x3"),
    "rank:output.head=2x2": ("one rank", "rank:output.head=2"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_gives_the_reason_and_the_next_step(published, text):
    network = published()
    with pytest.raises(EditError) as caught:
        edits.apply(network, edits.parse(text))
    message = str(caught.value)
    assert "\n" not in message
    for part in REFUSED[text]:
        assert part in message
    assert network == published()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("width:stage3=210@fpm", "nearest is fpgm"),
        ("width:stage3=210@", "unknown criterion"),
        ("kernel:stage1=5@l1", "takes no criterion"),
        ("width:stage3", "names no value"),
        ("width:=210", "names no value"),
        ("mid:stage2=many", "whole number"),
        ("rank:init.conv=2xx", "whole number"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text, part):
    with pytest.raises(EditError, match=part):
        edits.parse(text)


TARGETS = [
    ("width", "stage1"), ("width", "stage2"), ("width", "stage3"), ("width", "init"),
    ("mid", "stage1"), ("mid", "stage2.unit1"), ("mid", "stage3.unit4"),
    ("groups", "stage2"), ("groups", "stage3.unit2"), ("groups", "stage3.unit2.expand"),
    ("groups", "stage1.unit1.compress"), ("kernel", "stage3"), ("kernel", "stage1.unit1"),
    ("widen", "stage1.unit2"), ("widen", "stage3.unit1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_every_option_is_legal_and_has_its_value_after(published, name, target):
    network = published()
    now = reshaping.value(network, name, target)
    options = reshaping.options(network, name, target)
    assert now in options
    assert list(options) == sorted(set(options))
    for value in options:
        edited = edits.apply(network, edits.RESHAPES[name](target, value))
        assert reshaping.value(edited, name, target) == value
        assert reshaping.undivided(edited) == ""
        assert edited == sized(edited, edited.input_size)


@given(st.sampled_from(TARGETS), st.integers(-5, 400))
def test_what_is_no_option_is_refused(published, target, value):
    network = published()
    name, path = target
    edit = edits.RESHAPES[name](path, value)
    if value in reshaping.options(network, name, path):
        edits.apply(network, edit)
    else:
        with pytest.raises(EditError):
            edits.apply(network, edit)


def test_a_stage_is_cut_everywhere_its_channels_appear(published):
    network = edits.apply(published(), edits.Width("stage1", 54))
    widths = [network.width(stage) for stage in ("stage1", "stage2", "stage3")]
    assert widths == [54, 114, 234]
    shapes = {layer.path: network.weight_shape(layer) for _, layer in network.layers()}
    assert shapes["stage1.unit1.expand_conv3"] == (48, 5, 1, 1)
    assert shapes["stage1.unit2.compress_conv1"] == (15, 18, 1, 1)
    assert shapes["stage3.unit1.compress_conv1"] == (60, 38, 1, 1)
    assert shapes["output.head"][1] == 234


def test_the_dense_first_conv_stays_dense_until_it_is_named(published):
    found = reshaping.grouped_layers(published(), "stage1.unit1")
    assert [layer.path for layer in found] == ["stage1.unit1.expand_conv3"]
    named = edits.apply(published(), edits.Groups("stage1.unit1.compress", 3))
    assert reshaping.value(named, "groups", "stage1.unit1.compress") == 3


def test_an_off_unit_can_be_cut_and_comes_back_cut(published):
    network = edits.apply(published(), edits.UnitOff("stage2.unit4"))
    network = edits.apply(network, edits.Mid("stage2.unit4", 24))
    assert network.width("stage2.unit4.mid") == 24
    assert macs.count(network) == macs.count(
        edits.apply(published(), edits.UnitOff("stage2.unit4"))
    )


def test_factors_stand_in_the_place_of_their_layer(published):
    network = edits.apply(published(), edits.Rank("stage3.unit2.expand_conv3", (8,)))
    names = [layer.name for layer in network.units["stage3.unit2"].branch]
    at = names.index("expand_conv3_in")
    assert names[at - 1 : at + 3] == ["dw_bn2", "expand_conv3_in", "expand_conv3_out", "expand_bn3"]
    assert network.width("stage3.unit2.expand_conv3_rank1") == 24
    pair = network.units["stage3.unit2"].branch[at : at + 2]
    assert [network.weight_shape(layer) for layer in pair] == [(24, 20, 1, 1), (240, 8, 1, 1)]


def test_a_factored_kernel_keeps_its_stride_in_the_core(published):
    network = edits.apply(published(), edits.Rank("init.conv", (2, 4)))
    thin = network.units["init"].branch[:3]
    assert [(x.kernel, x.stride, x.padding) for x in thin] == [(1, 1, 0), (3, 2, 1), (1, 1, 0)]
    assert [x.out_size for x in thin] == [80, 40, 40]
