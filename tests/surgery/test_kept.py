"""What an edit says of its losses: exact, and the share that each conv keeps."""

import random
from statistics import mean

import numpy as np
import pytest
import torch
from drawing import carried, drawn, measured, others
from hypothesis import given
from hypothesis import strategies as st
from oracle import Oracle, shuffled
from reference import (
    SEEDS,
    SMALL,
    TOLERANCE,
    Case,
    Shape,
    logits,
    make_case,
    random_cases,
    relative_error,
    shapes,
)

from sessions import decomposing, edits
from sessions.edits import Classes, Groups, InputSize, Kernel, Mid, Rank, UnitOff, UnitOn, Widen
from workbench.surgery.carry import Carried, carry, checked_error

RESHAPES = tuple(edits.RESHAPES)
NOTHING = 1e-9
"""Share of a conv's importance that is rounding."""
property_test = random_cases(40)


def path_of(conv: str) -> str:
    """The layer's path, by the oracle's name of a conv."""
    unit, _, part = conv.rpartition(".")
    parts = {"compress": "compress_conv1", "expand": "expand_conv3"}
    return {"init": "init.conv", "head": "output.head"}.get(conv) or f"{unit}.{parts[part]}"


def lossy_convs(case: Case, carried: Carried, edit: edits.Edit) -> set[str]:
    """Paths of the convs of which an edit takes connections, by the oracle."""
    oracle = Oracle(case)
    before = {name: left.copy() for name, left in oracle.left.items()}
    oracle.follow(edit, carried)
    return {path_of(name) for name in before if (before[name] & ~oracle.left[name]).any()}


@property_test
@given(shapes(), SEEDS)
def test_exact_means_that_nothing_was_lost(shape, seed):
    case = make_case(shape, seed)
    edit = drawn(random.Random(seed), case.network, (*RESHAPES, "switch", "head"))
    edited = carry(case.network, case.state, edit, measured(case.network, seed))
    oracle = Oracle(case)
    oracle.follow(edit, edited)
    assert edited.exact == (not oracle.has_lost())


@property_test
@given(shapes(), SEEDS)
def test_a_conv_keeps_less_than_all_exactly_where_it_loses_connections(shape, seed):
    case = make_case(shape, seed)
    edit = drawn(random.Random(seed), case.network, RESHAPES)
    edited = carry(case.network, case.state, edit, measured(case.network, seed))
    assert all(0 <= kept <= 1 for kept in edited.kept.values())
    lossy = {path for path, kept in edited.kept.items() if kept < 1 - NOTHING}
    assert {path for path in lossy if "dw_conv" not in path} == lossy_convs(case, edited, edit)
    is_cropped = isinstance(edit, Kernel) and edit.value < shape.kernel
    assert any("dw_conv" in path for path in lossy) == is_cropped


@property_test
@given(shapes(), SEEDS)
def test_searched_orders_keep_at_least_as_much_as_the_old_ones(shape, seed):
    case = make_case(shape, seed)
    edit = drawn(random.Random(seed), case.network, ("width", "mid", "groups"))
    scores = measured(case.network, seed)
    found = carry(case.network, case.state, edit, scores).kept
    plain = carry(case.network, case.state, edit, scores, is_arranged=False).kept
    gain = sum(found.get(path, 1.0) - plain.get(path, 1.0) for path in found | plain)
    assert gain >= -NOTHING


def test_searched_orders_keep_clearly_more_of_other_groups():
    rng, searched, plain = random.Random(0), [], []
    for seed in range(30):
        case = make_case(SMALL, seed)
        target = rng.choice(["stage1.unit1", "stage1.unit3", "stage2.unit1", "stage2"])
        value = rng.choice([v for v in others(case.network, "groups", target) if v > 1])
        edit = Groups(target=target, value=value)
        searched.append(carry(case.network, case.state, edit).kept_share)
        plain.append(carry(case.network, case.state, edit, is_arranged=False).kept_share)
    assert mean(searched) > mean(plain) + 0.1


def widened(groups: int, mid: int, position: int, seed: int) -> Case:
    """A network whose unit at that position has a bottleneck of that width."""
    mids = [2 * groups] * 3
    mids[position] = mid
    return make_case(Shape(groups, groups, (2 * groups,), (tuple(mids),), 3, "linear", 16, 3), seed)


def places(width: int, groups: int, compress_groups: int) -> np.ndarray:
    """How many channels go from each block of the compress conv to each of the expand conv."""
    found = np.zeros((compress_groups, groups), dtype=int)
    for place, channel in enumerate(shuffled(width, groups)):
        found[channel // (width // compress_groups), place // (width // groups)] += 1
    return found


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_bottleneck_widens_without_loss_to_where_the_shuffle_has_places(groups, position):
    rng, unit = random.Random(groups), f"stage1.unit{position + 1}"
    compress_groups = 1 if position == 0 else groups
    for seed in range(8):
        mid = groups * rng.randint(1, 6)
        case = widened(groups, mid, position, seed)
        held = places(mid, groups, compress_groups)
        offered = others(case.network, "widen", unit)
        assert offered == [
            width
            for width in range(mid + groups, 4 * mid + 1, groups)
            if (held <= places(width, groups, compress_groups)).all()
        ]
        if not offered:
            assert mid < groups**2
            continue
        edited = carry(case.network, case.state, Widen(unit, rng.choice(offered), seed=seed))
        assert edited.exact
        assert edited.orders.keys() == {f"{unit}.mid"}
        assert relative_error(logits(edited, case.images), case.reference(case.images)) < TOLERANCE


def test_a_stage_widens_without_loss_where_no_conv_on_it_is_grouped():
    case = make_case(SMALL, 1)
    assert others(case.network, "widen", "stage2") == []
    ungrouped = carry(case.network, case.state, Groups(target="stage2", value=1))
    edited = carry(ungrouped.network, ungrouped.state, Widen("stage2", 53))
    assert edited.exact
    assert logits(edited, case.images).shape == (3, 5)
    assert relative_error(logits(edited, case.images), case.reference(case.images)) < TOLERANCE
    fresh = edited.state["features.stage2.unit1.expand_conv3.weight"][18:]
    assert fresh.shape[0] == 53 - 36
    assert (fresh != 0).all()  # new channels have something to learn from


@property_test
@given(shapes(), SEEDS)
def test_one_group_is_exact(shape, seed):
    case = make_case(shape, seed)
    targets = [
        *("stage1", "stage1.unit1", f"stage{len(shape.new)}"),
        *("stage1.unit1.compress", "stage1.unit1.expand"),
    ]
    edit = Groups(target=random.Random(seed).choice(targets), value=1)
    edited = carry(case.network, case.state, edit)
    assert edited.exact
    assert relative_error(logits(edited, case.images), case.reference(case.images)) <= TOLERANCE


def ranked(case: Case) -> list[tuple[str, tuple[int, ...]]]:
    """Layers that can be decomposed, with their full ranks."""
    return [
        (layer.path, decomposing.full_ranks(case.network, layer))
        for unit, layer in case.network.layers()
        if layer in unit.branch and decomposing.can_be_decomposed(layer)
    ]


@property_test
@given(shapes(), SEEDS)
def test_full_rank_is_exact_and_less_is_not(shape, seed):
    case, rng = make_case(shape, seed), random.Random(seed)
    path, full = rng.choice(ranked(case))
    whole = carry(case.network, case.state, Rank(path, full))
    assert whole.exact
    assert relative_error(logits(whole, case.images), case.reference(case.images)) <= TOLERANCE
    if max(full) > 1:
        less = tuple(max(rank - 1, 1) for rank in full)
        cut = carry(case.network, case.state, Rank(path, less))
        assert not cut.exact
        assert 0 < cut.kept[path] < 1


def test_an_off_unit_widens_as_it_does_while_it_is_on():
    case = make_case(Shape(2, 2, (2,), ((2, 2),), 2, "linear", 16), 0)
    off = carry(case.network, case.state, UnitOff("stage1.unit2"))
    assert 4 in others(off.network, "widen", "stage1.unit2")
    assert carry(off.network, off.state, Widen("stage1.unit2", 4)).exact


def test_an_off_unit_is_cut_as_it_is_while_it_is_on():
    case = make_case(SMALL, 6)
    off = carry(case.network, case.state, UnitOff("stage2.unit3"))
    edit = Mid("stage2.unit3", 6, criterion="l1")
    cut_off, cut_on = carry(off.network, off.state, edit), carry(case.network, case.state, edit)
    assert cut_off.orders == cut_on.orders
    on = carry(cut_off.network, cut_off.state, UnitOn("stage2.unit3"))
    assert torch.equal(logits(on, case.images), logits(cut_on, case.images))


def test_every_layer_that_can_be_decomposed_is_tried():
    paths = {path for path, _ in ranked(make_case(SMALL, 0))}
    assert {"init.conv", "output.head", "stage2.unit2.compress_conv1"} <= paths
    assert not any("dw_conv" in path for path in paths)


@property_test
@given(shapes(), SEEDS, st.lists(SEEDS, min_size=1, max_size=5))
def test_every_step_passes_its_own_check(shape, seed, edit_seeds):
    case = make_case(shape, seed)
    at = case.opened
    for mixed in enumerate(edit_seeds):
        edit = drawn(random.Random(f"{seed} {mixed}"), at.network)
        before, at = at, carried(at, edit, seed)
        error = checked_error(at, edit)
        if isinstance(edit, Classes | InputSize):
            assert error is None
            assert at.exact == isinstance(edit, InputSize)
            continue
        assert error is not None
        images = torch.randn(2, 3, at.network.input_size, at.network.input_size)
        masked = Carried(network=at.original, state=at.masked)
        assert relative_error(logits(at, images), logits(masked, images)) <= 1e-4
        if at.exact and edits.text(edit).partition(":")[0] not in ("on", "off"):
            assert relative_error(logits(at, images), logits(before, images)) <= 1e-4


@pytest.mark.parametrize(
    "text",
    [
        *("width:stage2=36", "mid:stage1.unit2=3", "groups:stage2=3", "kernel:stage1=3"),
        *("widen:stage2=36", "head:linear", "classes:5", "input:32"),
    ],
)
def test_the_present_value_changes_nothing_and_is_exact(text):
    case = make_case(SMALL, 4)
    edit = edits.parse(text)
    edited = carry(case.network, case.state, edit)
    assert edited.network == case.network
    assert edited.exact
    assert edited.kept_share == 1.0
    assert edited.changed == ()
    assert all(torch.equal(edited.state[name], value) for name, value in case.state.items())
