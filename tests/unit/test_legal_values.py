"""On any network: what is offered is legal, and what a refusal names; with MACs by ptflops."""

import random
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import decomposing, edits, macs, reshaping
from sessions.edits import EditError, Groups, Kernel, Mid, Rank, UnitOff, UnitOn, Widen, Width


def made(name, target, value):
    return edits.parse(f"{name}:{target}={value}")


def units_of(network):
    return [u.path for stage in network.stages if not stage.is_plain for u in stage.units]


@pytest.mark.parametrize(
    ("name", "target", "wanted"),
    [
        ("width", "stage3", range(123, 241, 3)),
        ("width", "stage1", range(9, 61, 3)),
        ("width", "init", (3, 6)),
        ("mid", "stage2.unit4", range(3, 31, 3)),
        ("mid", "stage1", range(3, 16, 3)),
        ("groups", "stage3", (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)),
        ("groups", "stage2.unit3", (1, 2, 3, 5, 6, 10, 15, 30)),
        ("groups", "stage2.unit3.expand", (1, 2, 3, 5, 6, 10, 15, 30)),
        ("groups", "stage1.unit1", (1, 3)),
        ("groups", "stage1.unit1.compress", (1, 3)),
        ("kernel", "stage1.unit2", (1, 3, 5, 7, 9, 11)),
        ("kernel", "stage3", (1, 3, 5, 7)),
        ("widen", "stage3", (240,)),
        ("widen", "init", (6,)),
    ],
)
def test_the_legal_values_of_the_published_network(published, name, target, wanted):
    assert reshaping.options(published(), name, target) == tuple(wanted)


def test_a_stage_without_groups_can_be_widened_to_any_width(published):
    network = edits.apply(published(), Groups("stage3", 1))
    assert reshaping.options(network, "widen", "stage3") == tuple(range(240, 601))


def test_what_is_offered_is_legal_and_nothing_else_on_any_network(random_network):
    rng = random.Random(1)
    for network in [random_network(rng) for _ in range(40)]:
        for name in edits.RESHAPES:
            stages = [s.path for s in network.stages if not s.is_plain]
            target = rng.choice(stages if name == "width" else units_of(network))
            legal = reshaping.options(network, name, target)
            assert reshaping.value(network, name, target) in legal
            for value in rng.sample(range(-1, max(legal) + 9), min(12, max(legal) + 10)):
                edit = made(name, target, value)
                if value not in legal:
                    with pytest.raises(EditError):
                        edits.apply(network, edit)
                    continue
                edited = edits.apply(network, edit)
                assert reshaping.value(edited, name, target) == value
                assert reshaping.undivided(edited) == ""


def test_the_nearest_values_of_a_refusal_are_legal(random_network):
    rng, tried = random.Random(3), 0
    for network in [random_network(rng) for _ in range(60)]:
        for name in ("mid", "groups", "kernel", "widen"):
            value = rng.choice([rng.randint(-3, 60), 10**4])
            try:
                edits.apply(network, made(name, rng.choice(units_of(network)), value))
            except EditError as error:
                named = re.search(r"nearest (?:is|are) (\S+)(?: and (\S+))?$", str(error))
                for near in filter(None, named.groups() if named else ()):
                    assert edits.apply(network, edits.parse(near))
                    tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "text",
    [
        *("width:stage3=300", "width:init=7", "mid:stage2.unit4=33", "mid:stage2=36"),
        *("widen:stage3=239", "widen:stage3=0", "widen:stage2.unit4=29"),
    ],
)
def test_the_other_edit_that_a_refusal_names_is_legal(published, text):
    with pytest.raises(EditError) as caught:
        edits.apply(published(), edits.parse(text))
    named = re.search(r"((?:widen|width|mid):[\w.]+=\d+)( adds channels)?$", str(caught.value))
    edits.apply(published(), edits.parse(named[1]))


@pytest.mark.parametrize("name", ["mid", "kernel", "widen"])
def test_only_groups_are_of_a_part_of_a_unit(published, name):
    value = {"mid": 15, "kernel": 5, "widen": 36}[name]
    with pytest.raises(EditError):
        edits.apply(published(), made(name, "stage2.unit4.expand", value))


@pytest.mark.parametrize(
    "text",
    [
        *("mid:stage2.unit4=15", "groups:stage2.unit4=1", "groups:stage2.unit4.expand=5"),
        *("kernel:stage2.unit4=5", "widen:stage2.unit4=60", "rank:stage2.unit4.expand_conv3=2"),
    ],
)
def test_an_off_unit_comes_back_as_if_it_had_been_on(published, text):
    off = edits.apply(published(), UnitOff("stage2.unit4"))
    edited = edits.apply(off, edits.parse(text))
    assert not edited.units["stage2.unit4"].is_on
    assert macs.count(edited) == macs.count(off)
    on = edits.apply(edited, UnitOn("stage2.unit4"))
    assert on == edits.apply(published(), edits.parse(text))
    assert on != published()


def test_the_groups_of_a_whole_unit_take_its_shuffle_along(published):
    whole, part = (
        {x.name: x.groups for x in edits.apply(published(), edit).units["stage3.unit2"].branch}
        for edit in (Groups("stage3.unit2", 6), Groups("stage3.unit2.expand", 6))
    )
    names = ("compress_conv1", "c_shuffle", "expand_conv3")
    assert [whole[name] for name in names] == [6, 6, 6]
    assert [part[name] for name in names] == [3, 3, 6]


@pytest.mark.parametrize("kernel", [1, 5, 7])
def test_a_kernel_keeps_every_size_and_stride(published, kernel):
    edited = edits.apply(published(), Kernel("stage2", kernel))
    seen = [
        [(x.in_size, x.out_size, x.stride) for _, x in n.layers()] for n in (edited, published())
    ]
    assert seen[0] == seen[1]
    changed = [x for _, x in edited.layers() if x.kernel == kernel and x.kind == "depthwise"]
    assert len(changed) == 8


FIGURES = {
    "width:stage3=210": 1_648_449,
    "groups:stage3=6": 1_518_549,
    "mid:stage2=24": 1_573_449,
    "groups:stage3.unit2.expand=1": 1_775_349,
    "kernel:stage1.unit2=5": 1_712_949,
}
BIASES = 9


@pytest.mark.parametrize("text", FIGURES)
def test_the_macs_of_a_reshape_are_what_ptflops_counts_on_the_module(published, text):
    from workbench.surgery.stats import ptflops_macs

    for head, wanted in (("linear", FIGURES[text]), ("conv", FIGURES[text] - BIASES)):
        edited = edits.apply(published(head=head), edits.parse(text))
        assert macs.count(edited) == wanted
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert ptflops_macs(edited) == wanted


def test_every_layer_has_a_decomposition_at_full_rank_or_says_that_it_has_none(random_network):
    rng = random.Random(5)
    for network in [random_network(rng) for _ in range(10)]:
        for unit, layer in network.layers(include_off=True):
            if layer in unit.branch and decomposing.can_be_decomposed(layer):
                full = decomposing.full_ranks(network, layer)
                edited = edits.apply(network, Rank(layer.path, full))
                paths = [x.path for _, x in edited.layers(include_off=True)]
                names = decomposing.factor_names(layer)
                at = paths.index(f"{layer.path}_in")
                assert paths[at : at + len(names)] == [f"{layer.path}_{n}" for n in names]
                assert layer.path not in paths
            else:
                with pytest.raises(EditError, match="cannot be decomposed: the nearest is rank:"):
                    edits.apply(network, Rank(layer.path, (1,)))


TARGETS = st.sampled_from(("stage1", "stage2.unit4", "stage3.unit2.expand", "init"))
VALUES = st.integers(-5, 10**6)
CUTS = st.builds(
    lambda kind, target, value, by: kind(target=target, value=value, criterion=by),
    *(st.sampled_from((Width, Mid, Groups)), TARGETS, VALUES, st.sampled_from(edits.CRITERIA)),
)
OTHERS = st.builds(
    lambda kind, target, value: kind(target, value),
    st.sampled_from((Kernel, Widen)),
    TARGETS,
    VALUES,
)
RANKS = st.builds(Rank, TARGETS, st.lists(VALUES, min_size=1, max_size=2).map(tuple))
RULES = st.builds(lambda t, rule: Rank(t, rule=rule), TARGETS, st.sampled_from(("auto", "99.5%")))


@given(CUTS | OTHERS | RANKS | RULES)
def test_any_reshape_reads_back(edit):
    assert edits.parse(edits.text(edit)) == edit


@pytest.mark.parametrize("criterion", edits.CRITERIA)
def test_a_criterion_is_behind_the_value_or_given_for_all(criterion):
    edit = Width("stage3", 210, criterion=criterion)
    assert edits.parse(f"width:stage3=210@{criterion}", "std") == edit
    assert edits.parse("width:stage3=210", criterion) == edit


def test_an_unknown_criterion_is_refused_also_where_it_was_not_parsed(published):
    with pytest.raises(EditError, match=r"'l3': .*fpgm"):
        edits.apply(published(), Mid("stage1", 3, criterion="l3"))
