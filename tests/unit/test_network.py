"""The network as data: axes, sizes, parameters, compaction, and what a file must not contain."""

import random
import subprocess
import sys

import msgspec
import pytest

from sessions import edits, macs
from sessions import network as net
from sessions.checking import check
from sessions.compacting import compacted
from sessions.network import Axis, Layer, Network, Stage, Unit
from workbench.surgery.families import shufflenet


@pytest.fixture
def network(published):
    return published()


def layer(network, path):
    return next(x for _, x in network.layers(include_off=True) if x.path == path)


def off(network, *units):
    for unit in units:
        network = edits.apply(network, edits.UnitOff(unit))
    return network


@pytest.mark.parametrize(
    ("axis", "width"),
    [
        ("image", 3),
        ("init", 6),
        ("stage1.new", 54),
        ("stage1", 60),
        ("stage1.unit2.mid", 15),
        ("stage2.new", 60),
        ("stage2", 120),
        ("stage3", 240),
        ("stage3.unit4.mid", 60),
        ("classes", 9),
    ],
)
def test_widths_of_axes(network, axis, width):
    assert network.width(axis) == width


def test_an_axis_with_parts_follows_them(network):
    narrower = msgspec.structs.replace(network, axes=network.axes | {"stage1.new": Axis(24)})
    assert [narrower.width(f"stage{n}") for n in (1, 2, 3)] == [30, 90, 210]


@pytest.mark.parametrize(
    ("path", "shape", "parameters"),
    [
        ("init.conv", (6, 3, 3, 3), 162),
        ("init.bn", (6,), 12),
        ("init.pool", (), 0),
        ("stage1.unit1.compress_conv1", (15, 6, 1, 1), 90),
        ("stage1.unit2.compress_conv1", (15, 20, 1, 1), 300),
        ("stage1.unit1.expand_conv3", (54, 5, 1, 1), 270),
        ("stage2.unit3.dw_conv2", (30, 1, 3, 3), 270),
        ("stage2.unit3.c_shuffle", (), 0),
        ("output.head", (9, 240), 2169),
    ],
)
def test_weight_shapes_and_parameters(network, path, shape, parameters):
    assert network.weight_shape(layer(network, path)) == shape
    assert network.parameters(layer(network, path)) == parameters


@pytest.mark.parametrize(
    ("units", "head", "parameters"), [((4, 8, 4), "linear", 67_071), ((2, 5, 2), "conv", 34_422)]
)
def test_golden_parameters(published, units, head, parameters):
    assert published(units, head).total_parameters() == parameters


def test_golden_parameters_of_the_imagenet_network():
    assert shufflenet.fresh(classes=1000).total_parameters() == 305_902


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (80, (40, 20, 10, 5, 3, 1)),
        (224, (112, 56, 28, 14, 7, 1)),
        (33, (17, 9, 5, 3, 2, 1)),
        (1, (1, 1, 1, 1, 1, 1)),
    ],
)
def test_sizes_of_feature_maps(network, size, sizes):
    network = net.sized(network, size)
    paths = ("init.conv", "init.pool", *(f"stage{n}.unit1.activ" for n in (1, 2, 3)), "output.pool")
    assert tuple(layer(network, path).out_size for path in paths) == sizes
    for _, found in network.layers():
        if found.kind in ("batch_norm", "relu", "shuffle"):
            assert found.in_size == found.out_size


def test_both_ways_through_a_downsampling_unit_end_at_the_same_size(random_network):
    rng = random.Random(1)
    for network in [random_network(rng) for _ in range(50)]:
        for unit in network.units.values():
            if unit.shortcut:
                assert unit.shortcut[-1].out_size == unit.branch[-1].out_size
                assert unit.shortcut[0].in_size == unit.branch[0].in_size


def test_a_size_that_leaves_no_pixel_is_an_error(network):
    with pytest.raises(ValueError, match=r"init\.conv would have no pixel left at input 0"):
        net.sized(network, 0)


def test_sizing_is_undone_by_sizing_back(network):
    assert net.sized(net.sized(network, 45), network.input_size) == network


def test_units_and_stages_by_name(network):
    assert network.units_per_stage == (4, 8, 4)
    assert list(network.units)[:3] == ["init", "stage1.unit1", "stage1.unit2"]
    assert [stage.is_plain for stage in network.stages] == [True, False, False, False, True]
    assert (network.classes, network.input_channels) == (9, 3)
    assert network.head.path == "output.head"
    unit = network.units["stage2.unit4"]
    assert (unit.name, unit.out_axis, unit.is_removable) == ("unit4", "stage2", True)
    first = network.units["stage2.unit1"]
    assert (first.is_downsampling, first.is_removable) == (True, False)
    assert layer(network, "stage2.unit1.dw_conv2").name == "dw_conv2"


def test_layers_leave_off_units_out_unless_asked(network):
    edited = off(network, "stage1.unit2")
    shown = {unit.path for unit, _ in edited.layers()}
    assert "stage1.unit2" not in shown
    assert {unit.path for unit, _ in edited.layers(include_off=True)} == shown | {"stage1.unit2"}
    assert edited.units_per_stage == (3, 8, 4)


def test_the_parameters_of_off_units_do_not_count(network):
    unit = network.units["stage2.unit4"]
    inside = sum(map(network.parameters, unit.layers()))
    edited = off(network, unit.path)
    assert network.total_parameters() - edited.total_parameters() == inside > 0


def test_a_depthwise_conv_has_one_group_per_channel(network):
    assert network.groups(layer(network, "stage3.unit2.dw_conv2")) == 60
    assert network.groups(layer(network, "stage3.unit2.expand_conv3")) == 3


def test_replacing_a_unit_leaves_the_others(network):
    unit = msgspec.structs.replace(network.units["stage2.unit2"], is_on=False)
    changed = net.replace_unit(network, unit)
    assert changed.units["stage2.unit2"] == unit
    others = network.units.keys() - {unit.path}
    assert all(changed.units[path] is network.units[path] for path in others)


# Compaction


def test_compacting_a_whole_network_changes_nothing(network):
    smaller, keys = compacted(network)
    assert smaller == network
    assert keys == {x.key: x.key for _, x in network.layers() if x.key}


def test_compacting_equals_the_network_made_without_these_units(published):
    removed = ("stage1.unit2", "stage1.unit4", "stage2.unit3", "stage2.unit6", "stage2.unit7")
    removed += ("stage3.unit3", "stage3.unit2")
    smaller, keys = compacted(off(published(head="conv"), *removed))
    assert smaller == published((2, 5, 2), "conv")
    assert keys["features.stage1.unit3.dw_conv2"] == "features.stage1.unit2.dw_conv2"
    assert keys["features.stage2.unit8.expand_bn3"] == "features.stage2.unit5.expand_bn3"
    assert keys["features.stage2.unit1.dw_bn2"] == "features.stage2.unit1.dw_bn2"
    assert "features.stage1.unit2.dw_conv2" not in keys
    assert keys["output"] == "output"


def test_compacting_keeps_counts_and_is_done_once(random_network):
    rng = random.Random(2)
    for network in [random_network(rng) for _ in range(50)]:
        smaller, keys = compacted(network)
        assert macs.count_all(smaller) == macs.count_all(network)
        assert smaller.total_parameters() == network.total_parameters()
        assert smaller.units_per_stage == network.units_per_stage
        assert all(unit.is_on for unit in smaller.units.values())
        assert compacted(smaller)[0] == smaller
        assert len(set(keys.values())) == len(keys)
        check(smaller)


def test_unit_10_is_not_mistaken_for_unit_1():
    network = off(shufflenet.fresh(units=(1, 12, 1)), "stage2.unit2")
    smaller, keys = compacted(network)
    assert smaller == shufflenet.fresh(units=(1, 11, 1))
    assert keys["features.stage2.unit10.dw_conv2"] == "features.stage2.unit9.dw_conv2"


# What a file must not contain


def other(network, index, **values):
    branch = list(network.stages[0].units[0].branch)
    branch[index] = msgspec.structs.replace(branch[index], **values)
    unit = msgspec.structs.replace(network.stages[0].units[0], branch=tuple(branch))
    return net.replace_unit(network, unit)


def with_axes(network, **axes):
    return msgspec.structs.replace(network, axes=network.axes | axes)


BROKEN = {
    "in itself": (lambda n: with_axes(n, init=Axis(parts=("init",))), "contains itself"),
    "ring": (
        lambda n: with_axes(n, init=Axis(parts=("x",)), x=Axis(parts=("init",))),
        "contains itself",
    ),
    "unknown part": (lambda n: with_axes(n, init=Axis(parts=("x",))), "unknown"),
    "unknown axis": (lambda n: other(n, 0, in_axis="x"), "unknown axis"),
    "no width": (lambda n: with_axes(n, init=Axis(0)), "width 0"),
    "no stride": (lambda n: other(n, 0, stride=0), "out of range"),
    "no kernel": (lambda n: other(n, 3, kernel=0), "out of range"),
    "negative padding": (lambda n: other(n, 0, padding=-1), "out of range"),
    "no groups": (lambda n: other(n, 0, groups=0), "out of range"),
    "groups": (lambda n: other(n, 0, groups=2), "do not divide"),
    "tensors twice": (lambda n: other(n, 1, key=n.head.key), "another layer"),
    "mean": (lambda n: msgspec.structs.replace(n, mean=(0.5,)), "mean and std"),
    "std": (lambda n: msgspec.structs.replace(n, std=(0.1, 0.0, 0.1)), "mean and std"),
    "empty": (lambda n: msgspec.structs.replace(n, stages=()), "no layer"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_network_does_not_pass_the_check(network, broken):
    make, reason = BROKEN[broken]
    with pytest.raises(ValueError, match=reason):
        check(make(network))


def test_random_networks_pass_the_check(random_network):
    rng = random.Random(3)
    networks = [random_network(rng) for _ in range(50)]
    assert [check(network) for network in networks] == [None] * 50


def test_axes_that_double_on_each_level_are_checked_in_no_time(network):
    code = """if True:
        from sessions import network as net
        from sessions.checking import check
        from workbench.surgery.families import shufflenet
        import msgspec
        made = shufflenet.fresh()
        levels = {f"a{i}": net.Axis(parts=(f"a{i + 1}",) * 2) for i in range(60)}
        axes = made.axes | levels | {"a60": net.Axis(1)}
        try:
            check(msgspec.structs.replace(made, axes=axes))
        except ValueError:
            pass
        """
    assert subprocess.run([sys.executable, "-c", code], timeout=8).returncode == 0


def test_a_network_of_another_family_needs_no_change_here():
    wide = {"in_axis": "body", "out_axis": "body"}
    plain = Network(
        family="plain",
        input_size=16,
        axes={"image": Axis(1), "body": Axis(8), "classes": Axis(4)},
        stages=(
            Stage(
                "body",
                (
                    Unit(
                        path="body.stem",
                        branch=(
                            Layer(
                                path="body.stem.conv", kind="conv", in_axis="image",
                                out_axis="body", key="stem", kernel=3, padding=1, has_bias=True,
                            ),
                        ),
                    ),
                    Unit(
                        path="body.residual",
                        branch=(
                            Layer(path="body.residual.conv", kind="conv", key="r", **wide),
                        ),
                        join="add",
                    ),
                ),
            ),
            Stage(
                "output",
                (
                    Unit(
                        path="output",
                        branch=(
                            Layer(path="output.pool", kind="global_pool", **wide),
                            Layer(path="output.flatten", kind="flatten", **wide),
                            Layer(
                                path="output.head", kind="linear", in_axis="body",
                                out_axis="classes", key="fc", has_bias=True,
                            ),
                        ),
                    ),
                ),
            ),
        ),
        mean=(0.5,),
        std=(0.5,),
    )  # fmt: skip
    plain = net.sized(plain, 16)
    check(plain)
    assert macs.count(plain) == 256 * 72 + 256 * 8 + 256 * 64 + 256 * 8 + 8 * 4 + 4
    edited = edits.apply(plain, edits.UnitOff("body.residual"))
    assert macs.count(plain) - macs.count(edited) == 256 * 64
    assert compacted(edited)[1] == {"stem": "stem", "fc": "fc"}
