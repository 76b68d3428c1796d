"""Golden MACs of the published journey, and the arithmetic behind every number."""

import random

import pytest

from sessions import edits, macs
from sessions import network as net
from sessions.compacting import compacted
from workbench.errors import UserError
from workbench.surgery.families import shufflenet

JOURNEY = [
    ((4, 8, 4), "conv", 1_688_940),
    ((4, 7, 3), "linear", 1_515_459),
    ((4, 6, 3), "conv", 1_439_700),
    ((3, 5, 3), "conv", 1_272_450),
    ((2, 5, 2), "conv", 1_083_210),
    ((2, 4, 2), "conv", 1_007_460),
]


def unit_cost(network, path):
    counts = macs.count_layers(network)
    return sum(counts[layer.path] for layer in network.units[path].layers())


@pytest.mark.parametrize(("units", "head", "count"), JOURNEY)
def test_the_published_journey(published, units, head, count):
    assert macs.count(published(units, head)) == count


@pytest.mark.parametrize(("units", "head", "count"), JOURNEY)
def test_the_published_journey_by_switching_units_off(published, units, head, count):
    network = published(head=head)
    for stage, (kept, before) in enumerate(zip(units, (4, 8, 4), strict=True), start=1):
        for unit in range(kept + 1, before + 1):
            network = edits.apply(network, edits.UnitOff(f"stage{stage}.unit{unit}"))
    assert macs.count(network) == count
    assert macs.count(compacted(network)[0]) == count


@pytest.mark.parametrize(
    ("stage", "first", "others", "count"),
    [(1, 104_700, 91_500, 4), (2, 98_250, 75_750, 8), (3, 95_700, 97_740, 4)],
)
def test_the_published_cost_of_each_unit(published, stage, first, others, count):
    network = published()
    costs = [unit_cost(network, f"stage{stage}.unit{n}") for n in range(1, count + 1)]
    assert costs == [first] + [others] * (count - 1)


def test_the_published_cost_of_stem_pool_and_head(published):
    counts = macs.count_layers(published(head="conv"))
    assert unit_cost(published(), "init") == 288_000
    assert (counts["output.pool"], counts["output.head"]) == (2160, 2160)
    assert macs.count_layers(published(head="linear"))["output.head"] == 2160 + 9


def test_the_head_becomes_linear_for_its_nine_bias_adds(published):
    assert macs.count(published(head="linear")) - macs.count(published(head="conv")) == 9


@pytest.mark.parametrize("convention", macs.CONVENTIONS)
def test_the_layers_add_up_to_the_network(random_network, convention):
    rng = random.Random(4)
    for network in [random_network(rng) for _ in range(20)]:
        counts = macs.count_layers(network, convention)
        on = [counts[layer.path] for _, layer in network.layers()]
        assert sum(on) == macs.count(network, convention) == macs.count_all(network)[convention]


def test_layers_of_off_units_show_what_they_would_cost(published):
    network = published()
    edited = edits.apply(network, edits.UnitOff("stage2.unit3"))
    assert macs.count_layers(edited) == macs.count_layers(network)
    assert macs.count(network) - macs.count(edited) == 75_750


@pytest.mark.parametrize("convention", macs.CONVENTIONS)
def test_no_unit_is_free_and_no_count_negative(random_network, convention):
    rng = random.Random(5)
    for network in [random_network(rng) for _ in range(20)]:
        for path, unit in network.units.items():
            if unit.is_removable and unit.is_on:
                edited = edits.apply(network, edits.UnitOff(path))
                assert macs.count(edited, convention) < macs.count(network, convention)
        assert min(macs.count_layers(network, convention).values()) >= 0


def test_a_larger_image_costs_more(published):
    counts = [macs.count(net.sized(published(), size)) for size in (32, 64, 80, 128, 224)]
    assert counts == sorted(set(counts))


def test_conventions_are_ordered_as_their_definitions_say(random_network):
    rng = random.Random(6)
    for network in [random_network(rng) for _ in range(30)]:
        count = macs.count_all(network)
        assert count["flop-counter"] == 2 * count["conv-linear"]
        assert count["conv-linear"] <= count["ptflops-aten"] < count["contest"]
        assert count["contest"] < count["torch-pruning"] < count["ptflops-all"]
        relu = count["torch-pruning"] - count["contest"]
        assert count["ptflops-all"] - count["ptflops"] == relu


def test_an_unknown_convention_is_an_error(published):
    with pytest.raises(KeyError):
        macs.count(published(), "guess")


def test_every_convention_says_where_it_comes_from():
    assert all(found.source for found in macs.CONVENTIONS.values())
    assert all(name == found.name for name, found in macs.CONVENTIONS.items())
    assert macs.CONTEST in macs.CONVENTIONS


@pytest.mark.parametrize("groups", shufflenet.STAGE_WIDTHS)
def test_the_paper_s_networks_are_close_to_its_140_mflops(groups):
    count = macs.count(shufflenet.fresh(groups, 1.0, classes=1000), "conv-linear")
    assert count == pytest.approx(140e6, rel=0.05)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"groups": 5}, "use one of 1, 2, 3, 4, 8"),
        ({"units": (1, 2)}, "three numbers"),
        ({"units": (1, 0, 1)}, "three numbers"),
        ({"width": 0.01}, "does not divide"),
    ],
)
def test_a_network_the_paper_has_no_widths_for_is_refused(options, reason):
    with pytest.raises(UserError, match=reason):
        shufflenet.fresh(**options)


@pytest.mark.parametrize("convention", macs.CONVENTIONS)
@pytest.mark.parametrize("other", macs.CONVENTIONS)
def test_the_terms_in_which_two_conventions_part_are_their_difference(published, convention, other):
    network = published(head="linear")
    layers = [layer for _, layer in network.layers()]
    parts = macs.shares(network, layers, convention, other)
    difference = macs.count(network, convention) - macs.count(network, other)
    assert sum(part.macs for part in parts) == difference
    assert all(part.macs and part.times != part.other_times for part in parts)


def test_the_terms_of_one_layer(published):
    network = published(head="linear")
    layers = {layer.path: layer for _, layer in network.layers()}
    head = macs.shares(network, [layers["output.head"]], "fvcore")
    assert [(part.words, part.times, part.other_times, part.macs) for part in head] == [
        ("bias adds", 0, 1, -9)
    ]
    norm = macs.shares(network, [layers["stage1.unit2.dw_bn2"]], "thop")
    assert [(part.words, part.times, part.other_times, part.macs) for part in norm] == [
        ("batch norm input", 4, 2, 2 * 15 * 100)
    ]
