"""The sensitivity scan: every edit in the same way, the same figures again, stopped and resumed."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

import workbench
from sessions import choosing, edits, macs
from sessions.edits import Groups, UnitOff, Width
from sessions.recipe import Recipe
from sessions.searching import Measured, ScanPlan
from workbench.errors import UserError
from workbench.search.bench import HELD_BYTES, Bench, stratified
from workbench.search.scan import scan
from workbench.surgery.build import build
from workbench.surgery.carry import carry
from workbench.surgery.files import read_model
from workbench.training.images.data import open_data
from workbench.training.importance import measure
from workbench.training.measuring.evaluate import evaluate
from workbench.training.recover import reestimate

CPU = torch.device("cpu")
RECIPE = Recipe(recover_images=192, augmentation="none")
CANDIDATES = (
    (UnitOff("stage2.unit3"),),
    (Width(target="stage3", value=180),),
    (Groups(target="stage3", value=6),),
    (UnitOff("stage1.unit2"), UnitOff("stage3.unit2")),
)
PLAN = ScanPlan(candidates=CANDIDATES, images=200)


@pytest.fixture(scope="module")
def opened() -> Any:
    model = read_model(Path(workbench.__file__).parent / "demo" / "digits.safetensors")
    return model.network, model.state, open_data("digits", model.network.input_size)


@pytest.fixture(scope="module")
def found(opened: Any) -> tuple[Measured, ...]:
    torch.set_num_threads(1)
    return scan(*opened, PLAN, RECIPE, CPU)


def without_times(found: tuple[Measured, ...]) -> list[Measured]:
    return [msgspec.structs.replace(one, seconds=0.0) for one in found]


def test_the_network_as_it_is_comes_first_then_the_plan(
    opened: Any, found: tuple[Measured, ...]
) -> None:
    network = opened[0]
    assert [one.edits for one in found] == [(), *CANDIDATES]
    for one in found:
        assert one.macs == macs.count(choosing.edited(network, one.edits))
        assert one.low <= one.f1 <= one.high
        assert one.images == 200
    assert found[0].f1 > 0.9
    assert all(one.f1 < found[0].f1 and one.loss > found[0].loss for one in found[1:])
    assert found[4].f1 < found[1].f1


def test_a_find_is_what_carrying_recovering_and_evaluating_by_hand_give(
    opened: Any, found: tuple[Measured, ...]
) -> None:
    network, state, data = opened
    carried = carry(network, state, CANDIDATES[1][0])
    module = build(carried.network, carried.state)
    assert reestimate(module, carried.network, data.train, RECIPE, CPU)
    where = stratified(data.val.labels, 200, RECIPE.seed)
    split = msgspec.structs.replace(
        data.val, rows=data.val.rows[where], labels=data.val.labels[where]
    )
    evaluation = evaluate(module, carried.network, split, data.classes, CPU)
    assert found[2].f1 == evaluation.f1
    assert (found[2].low, found[2].high) == evaluation.interval
    assert found[2].kept == carried.kept_share


def test_the_same_recipe_gives_the_same_figures_and_another_seed_others(
    opened: Any, found: tuple[Measured, ...]
) -> None:
    again = scan(*opened, PLAN, RECIPE, CPU)
    assert without_times(again) == without_times(found)
    other = scan(*opened, PLAN, msgspec.structs.replace(RECIPE, seed=1), CPU)
    assert [one.loss for one in other] != [one.loss for one in found]


def test_the_order_of_the_candidates_changes_no_figure(
    opened: Any, found: tuple[Measured, ...]
) -> None:
    turned = msgspec.structs.replace(PLAN, candidates=CANDIDATES[::-1])
    again = scan(*opened, turned, RECIPE, CPU)
    assert {one.edits: one.loss for one in again} == {one.edits: one.loss for one in found}


def test_stopped_and_resumed_it_measures_nothing_twice(
    opened: Any, found: tuple[Measured, ...]
) -> None:
    told: list[Measured] = []
    first = scan(
        *opened, PLAN, RECIPE, CPU, should_stop=lambda: len(told) == 2, on_measured=told.append
    )
    assert first == tuple(told)
    assert without_times(first) == without_times(found[:2])
    rest: list[Measured] = []
    progress: list[tuple[int, int, str]] = []
    whole = scan(
        *opened, PLAN, RECIPE, CPU, known=first, on_measured=rest.append,
        on_progress=lambda done, total, doing, left_s: progress.append((done, total, doing)),
    )  # fmt: skip
    assert without_times(tuple(rest)) == without_times(found[2:])
    assert whole[:2] == first
    assert progress[0][2] == "preparing images"
    assert progress[1:] == [
        (2, 5, "width:stage3=180"),
        (3, 5, "groups:stage3=6"),
        (4, 5, "off:stage1.unit2 off:stage3.unit2"),
    ]
    told.clear()
    assert scan(*opened, PLAN, RECIPE, CPU, known=whole, on_measured=told.append) == whole
    assert told == []


def test_the_network_and_its_weights_stay_as_they_are(opened: Any) -> None:
    network, state, _ = opened
    before = {name: value.clone() for name, value in state.items()}
    scan(*opened, PLAN, RECIPE, CPU)
    assert all(torch.equal(value, before[name]) for name, value in state.items())
    assert all(unit.is_on for unit in network.units.values())


def test_cuts_by_criteria_that_need_images_are_measured_on_some(opened: Any) -> None:
    network, state, data = opened
    cut = Width(target="stage2", value=90, criterion="taylor")
    again = Width(target="stage2", value=75, criterion="taylor")
    plan = ScanPlan(candidates=((cut,), (cut, again)), images=100)
    _, once, twice = scan(*opened, plan, RECIPE, CPU)
    scores = measure(network, state, data.train, RECIPE.seed)
    assert scores is not None
    assert once.kept == carry(network, state, cut, scores["taylor"]).kept_share
    assert twice.kept < once.kept
    assert twice.macs == macs.count(edits.apply(edits.apply(network, cut), again))


def test_a_unit_keeps_the_share_of_importance_of_its_stage(
    opened: Any, found: tuple[Measured, ...]
) -> None:
    bench = Bench(*opened, PLAN, RECIPE, CPU)
    assert found[1].kept == choosing.unit_kept(opened[0], "stage2.unit3", bench.stats)
    assert 0.5 < found[1].kept < 1


def test_another_number_of_classes_and_an_illegal_edit_are_one_line_errors(opened: Any) -> None:
    network, state, data = opened
    other = carry(network, state, edits.Classes(3))
    with pytest.raises(UserError, match="edit classes:10 first"):
        scan(other.network, other.state, data, PLAN, RECIPE, CPU)
    plan = ScanPlan(candidates=((UnitOff("stage1.unit1"),),))
    with pytest.raises(UserError, match=r"stage1\.unit1 stays"):
        scan(*opened, plan, RECIPE, CPU)
    broken = dict(state)
    name = f"{network.head.key}.weight"
    broken[name] = torch.full_like(state[name], float("nan"))
    with pytest.raises(UserError, match="no finite numbers"):
        scan(network, broken, data, PLAN, RECIPE, CPU)


def test_large_images_are_held_only_as_far_as_there_is_room(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = opened[0]
    assert HELD_BYTES // (4 * 3 * 80 * 80) > 1024
    image = 4 * network.input_channels * network.input_size**2
    monkeypatch.setattr("workbench.search.bench.HELD_BYTES", 70 * image + 1)
    bench = Bench(*opened, PLAN, RECIPE, CPU)
    assert sum(map(len, bench.entries[0].train)) == 70


@pytest.mark.parametrize("count", [4, 10, 57, 1000])
def test_the_choice_of_images_keeps_the_classes_shares(count: int) -> None:
    labels = np.repeat(np.arange(4), [60, 30, 9, 1])
    np.random.default_rng(3).shuffle(labels)
    chosen = stratified(labels, count, 0)
    assert len(chosen) == min(count, 100)
    assert len(np.unique(chosen)) == len(chosen)
    counts = np.bincount(labels[chosen], minlength=4)
    assert (counts >= 1).all()
    assert (np.abs(counts - np.array([60, 30, 9, 1]) * len(chosen) / 100) < 2).all()
    assert np.array_equal(chosen, stratified(labels, count, 0))
    if count < 100:
        assert not np.array_equal(chosen, stratified(labels, count, 1))
