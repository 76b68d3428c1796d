"""What a search tries, what that costs for what it saves, and which edit is next."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sessions import choosing, edits, macs
from sessions.edits import Groups, Mid, UnitOff, Width
from sessions.evaluation import LayerStats
from sessions.network import WEIGHTED, Network
from sessions.score import CONTEST
from sessions.searching import Measured, Trust
from sessions.steering import Steering
from sessions.trusting import advice

A, B, C = (UnitOff(f"stage2.unit{number}") for number in (2, 3, 4))
START = 1_000_000


def measured(
    *changes: Any, saved: int = 0, f1: float = 0.8, loss: float = 0.5, half: float = 0.0
) -> Measured:
    return Measured(
        edits=changes, macs=START - saved, f1=f1, low=f1 - half, high=f1 + half, loss=loss, images=9
    )


def stats_of(network: Network, std: Callable[[str], float]) -> dict[str, LayerStats]:
    return {
        layer.path: LayerStats(9, 0.0, std(layer.path), 0.0, -1.0, 1.0, ())
        for _, layer in network.layers(include_off=True)
        if layer.kind in WEIGHTED
    }


def test_candidates_of_the_published_network(published: Callable[..., Network]) -> None:
    network = published()
    found = choosing.candidates(network)
    singles = [edit for (edit,) in found]
    units = [edit.unit for edit in singles if isinstance(edit, UnitOff)]
    assert len(units) == 13
    assert not any(unit.endswith("unit1") for unit in units)
    assert {edit.value for edit in singles if edit == Width(target="stage3", value=180)} == {180}
    mids = [edit.value for edit in singles if isinstance(edit, Mid) and edit.target == "stage2"]
    assert mids == [24, 15]  # 22.5 has two neighbours, and the milder cut is taken
    groups = [x.value for x in singles if isinstance(x, Groups) and x.target == "stage3"]
    assert groups == [4, 5, 6, 10, 12, 15, 20, 30, 60]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("seed", range(25))
def test_every_candidate_is_legal_and_saves_macs(
    seed: int, random_network: Callable[..., Network]
) -> None:
    network = random_network(random.Random(seed))
    found = choosing.candidates(network, widths=(0.8, 0.4))
    before = macs.count(network)
    for (edit,) in found:
        assert macs.count(edits.apply(network, edit)) < before, edits.text(edit)
    off = {edit.unit for (edit,) in found if isinstance(edit, UnitOff)}
    assert off == {u.path for u in network.units.values() if u.is_removable and u.is_on}


def test_what_is_left_out_is_not_proposed(published: Callable[..., Network]) -> None:
    network = published()
    units = choosing.candidates(network, widths=(), groups=False)
    assert {type(edit) for (edit,) in units} == {UnitOff}
    widths = choosing.candidates(
        network, units=False, bottlenecks=False, groups=False, criterion="taylor", scores="f00"
    )
    assert {type(edit) for (edit,) in widths} == {Width}
    assert {(edit.criterion, edit.scores) for (edit,) in widths} == {("taylor", "f00")}
    for (edit,) in choosing.candidates(network, units=False, criterion="l1", scores="f00"):
        assert (edit.criterion, edit.scores) == ("l1", "")


def test_a_unit_of_low_std_is_more_promising_than_its_neighbour(
    published: Callable[..., Network],
) -> None:
    network = published()
    found = choosing.candidates(network)
    stats = stats_of(network, lambda path: 0.1 if "stage2.unit5" in path else 0.4)
    ordered = choosing.promising(network, stats, found)
    assert ordered[0] == (UnitOff("stage2.unit5"),)
    assert sorted(ordered, key=repr) == sorted(found, key=repr)
    assert choosing.promising(network, {}, found)[0] == max(
        found, key=lambda e: macs.count(network) - macs.count(choosing.edited(network, e))
    )


def test_the_exchange_rate_is_f1_lost_per_million_macs() -> None:
    before, after = measured(), measured(A, saved=200_000, f1=0.75)
    assert choosing.lost_f1(before, after) == pytest.approx(0.05)
    assert choosing.rate(before, after) == pytest.approx(0.25)
    assert choosing.rate(before, after, needed=50_000) == pytest.approx(1.0)
    assert choosing.rate(before, measured(A, f1=0.9)) == float("inf")


def test_the_change_of_score_is_that_of_the_rule_between_cliff_and_halving() -> None:
    before, after = measured(f1=0.8), measured(A, saved=200_000, f1=0.6)
    exact = CONTEST.score(after.macs, after.f1) - CONTEST.score(before.macs, before.f1)
    assert choosing.change_of_score(CONTEST, before, after) == pytest.approx(exact)
    fallen = measured(A, saved=200_000, f1=0.4)
    worse = measured(B, saved=200_000, f1=0.3)
    assert CONTEST.score(fallen.macs, 0.4) == CONTEST.score(worse.macs, 0.3)
    change = choosing.change_of_score
    assert change(CONTEST, before, fallen) < change(CONTEST, before, worse)


def test_ranked_by_exchange_rate_with_what_the_saving_is_worth() -> None:
    found = [
        measured(),
        measured(A, saved=100_000, f1=0.70),
        measured(B, saved=100_000, f1=0.78),
        measured(C, saved=300_000, f1=0.77),
    ]
    rows = choosing.ranked(found, CONTEST)
    assert [row.measured.edits for row in rows] == [(C,), (B,), (A,)]
    assert rows[0].worth == pytest.approx(300_000 / CONTEST.base_macs * CONTEST.base_f1)
    assert choosing.ranked(found[1:], CONTEST) == ()


def test_what_f1_cannot_tell_apart_is_ranked_by_cross_entropy() -> None:
    finds = [
        measured(A, saved=100_000, f1=0.78, loss=0.60),
        measured(B, saved=100_000, f1=0.77, loss=0.55),
        measured(C, saved=100_000, f1=0.70, loss=0.51),
    ]

    def order(half: float) -> list[Any]:
        rows = choosing.ranked([measured(half=half), *finds], CONTEST)
        return [row.measured.edits[0] for row in rows]

    assert order(0.0) == [A, B, C]
    assert order(0.03) == [B, A, C]  # a standard error of 0.015 is more than 0.01, less than 0.07
    assert order(0.2) == [C, B, A]


def test_next_is_the_best_single_edit_or_the_first_of_the_best_pair() -> None:
    singles = [
        measured(),
        measured(A, saved=100_000, f1=0.79),
        measured(B, saved=100_000, f1=0.78),
    ]
    steering = Steering(max_macs=500_000)
    assert choosing.best_next(singles, steering, CONTEST) == A
    pairs = [
        measured(A, C, saved=200_000, f1=0.60),
        measured(B, C, saved=200_000, f1=0.75),
    ]
    assert choosing.best_next([*singles, *pairs], steering, CONTEST) == B


def test_next_counts_only_the_macs_that_the_target_needs() -> None:
    found = [
        measured(),
        measured(A, saved=400_000, f1=0.70),  # 0.25 a million, but only 100,000 are needed
        measured(B, saved=100_000, f1=0.76),
    ]
    assert choosing.best_next(found, Steering(max_macs=0), CONTEST) == A
    assert choosing.best_next(found, Steering(max_macs=900_000), CONTEST) == B
    pair = measured(A, B, saved=500_000, f1=0.65)
    assert choosing.best_next([*found, pair], Steering(max_macs=900_000), CONTEST) == B
    assert choosing.best_next([*found, pair], Steering(max_macs=0), CONTEST) == A


def test_next_is_nothing_once_the_target_is_reached_or_nothing_saves() -> None:
    found = [measured(), measured(A, saved=100_000, f1=0.79)]
    assert choosing.best_next(found, Steering(max_macs=START), CONTEST) is None
    score = CONTEST.score(START, 0.8)
    assert choosing.best_next(found, Steering(score=score + 0.01), CONTEST) is None
    assert choosing.best_next(found, Steering(score=score - 0.01), CONTEST) == A
    assert choosing.best_next([measured(), measured(A, f1=0.9)], Steering(), CONTEST) is None
    assert choosing.best_next(found[1:], Steering(), CONTEST) is None


def test_the_macs_to_a_score_are_those_that_bring_it_at_the_same_f1() -> None:
    score = CONTEST.score(START, 0.8)
    needed = choosing.needed_macs(Steering(score=score - 0.02), START, score, CONTEST)
    assert CONTEST.score(START - round(needed), 0.8) == pytest.approx(score - 0.02)
    assert choosing.needed_macs(Steering(max_macs=1), START, score, CONTEST) == START - 1
    assert choosing.needed_macs(Steering(), START, score, CONTEST) == float("inf")


def test_the_published_rule_takes_the_removable_unit_of_lowest_mean_std(
    published: Callable[..., Network],
) -> None:
    network = published()
    low = {"stage1.unit1": 0.01, "stage2.unit7": 0.1, "stage3.unit2": 0.2}
    stats = stats_of(network, lambda path: low.get(path.rpartition(".")[0], 0.4))
    assert choosing.lowest_std(network, stats) == UnitOff("stage2.unit7")
    network = edits.apply(network, UnitOff("stage2.unit7"))
    assert choosing.lowest_std(network, stats) == UnitOff("stage3.unit2")
    for unit in [u.path for u in network.units.values() if u.is_removable and u.is_on]:
        network = edits.apply(network, UnitOff(unit))
    assert choosing.lowest_std(network, stats) is None


def test_importance_takes_what_keeps_most_for_the_same_macs(
    published: Callable[..., Network],
) -> None:
    network = published()
    unit, cut = UnitOff("stage3.unit4"), Mid(target="stage3", value=30)  # 97,740 and 185,400 MACs
    assert choosing.most_kept(network, {unit: 0.75, cut: 0.60}) == cut
    assert choosing.most_kept(network, {unit: 0.75, cut: 0.50}) == unit
    assert choosing.most_kept(network, {unit: 0.75, cut: 0.60}, needed=90_000) == unit
    illegal = Mid(target="stage3", value=31)
    assert choosing.most_kept(network, {illegal: 1.0}) is None


def test_a_unit_keeps_the_share_of_the_others_of_its_stage(
    published: Callable[..., Network],
) -> None:
    network = published()
    stats = stats_of(network, lambda path: 0.3 if "stage3.unit2" in path else 0.1)
    assert choosing.unit_kept(network, "stage3.unit2", stats) == pytest.approx(0.5)
    network = edits.apply(network, UnitOff("stage3.unit4"))
    assert choosing.unit_kept(network, "stage3.unit2", stats) == pytest.approx(0.4)
    assert choosing.unit_kept(network, "stage3.unit2", {}) == 1.0


def test_advice_names_a_criterion_only_where_its_interval_is_above_0() -> None:
    sure = Trust(criterion="l2", rho=0.8, low=0.4, high=0.9, candidates=13)
    unsure = Trust(criterion="std", rho=0.2, low=-0.4, high=0.7, candidates=13)
    told = advice((sure, unsure))
    assert "trust l2" in told
    assert "std, the published rule, is not told from chance" in told
    assert "published" not in advice((sure,))
    assert "trust none" in advice((unsure,))
    assert "Too few" in advice(())
    cuts = msgspec.structs.replace(sure, over="cuts")
    assert "how far to cut" in advice((unsure, cuts))
