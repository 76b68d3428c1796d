"""What switching a unit off was measured to cost, from the variants of a session."""

import pytest

from sessions import edits, macs
from sessions.events import Evaluation
from sessions.measured import costs, finds, scans
from sessions.recipe import Recipe
from sessions.searching import Measured, ScanPlan
from sessions.state import Rung, Search, SessionState, Variant
from workbench.surgery.families import shufflenet


def evaluated(f1, split="validation"):
    return Evaluation(split=split, images=100, f1=f1, accuracy=f1, classes=())


def variant(number, parent, edit=None, **values):
    network = shufflenet.fresh(units=(2, 2, 2))
    return Variant(
        number=number, parent=parent, label="", network=network, macs=macs.count(network),
        edit=edit, **values,
    )  # fmt: skip


def session(*variants):
    return SessionState(variants={v.number: v for v in variants}, current=variants[-1].number)


OFF = edits.UnitOff("stage1.unit2")
OTHER = edits.UnitOff("stage2.unit2")


def test_a_unit_that_was_off_alone_has_a_cost():
    state = session(
        variant(0, None, evaluation=evaluated(0.8)),
        variant(1, 0, OFF, evaluation=evaluated(0.7)),
    )
    for number in (0, 1):
        cost = costs(state, number)["stage1.unit2"]
        assert cost.raw == pytest.approx(-0.1)
        assert cost.recovered is None
        assert (cost.measured_from, cost.measured_by) == (0, 1)


def test_what_a_second_brings_back_counts():
    rung = Rung(name="batch norm", evaluation=evaluated(0.78), epoch=0.0)
    state = session(
        variant(0, None, evaluation=evaluated(0.8)),
        variant(1, 0, OFF, evaluation=evaluated(0.3), recoverable=rung),
    )
    cost = costs(state, 0)["stage1.unit2"]
    assert cost.raw == pytest.approx(-0.5)
    assert cost.best == cost.recovered == pytest.approx(-0.02)
    assert cost.recovered_by == "batch norm"


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, evaluated(0.7)), (evaluated(0.8), None), (evaluated(0.8), evaluated(0.7, "hold-out"))],
)
def test_nothing_is_known_unless_both_were_measured_on_one_split(before, after):
    state = session(variant(0, None, evaluation=before), variant(1, 0, OFF, evaluation=after))
    assert costs(state, 0) == {}


def test_another_edit_is_no_measurement_of_a_unit():
    state = session(
        variant(0, None, evaluation=evaluated(0.8)),
        variant(1, 0, edits.UnitOn("stage1.unit2"), evaluation=evaluated(0.7)),
        variant(2, 0, edits.Mid("stage1.unit2", 9), evaluation=evaluated(0.6)),
    )
    assert costs(state, 0) == {}


def test_the_nearest_measurement_counts_and_siblings_are_known():
    state = session(
        variant(0, None, evaluation=evaluated(0.8)),
        variant(1, 0, OFF, evaluation=evaluated(0.7)),
        variant(2, 0, OTHER, evaluation=evaluated(0.75)),
        variant(3, 2, OFF, evaluation=evaluated(0.6)),
    )
    assert costs(state, 2)["stage1.unit2"].raw == pytest.approx(-0.15)
    found = costs(state, 1)
    assert found["stage2.unit2"].raw == pytest.approx(-0.05)
    assert found["stage2.unit2"].measured_from == 0


def scan(number, variant, *measured):
    plan = ScanPlan(candidates=tuple(found.edits for found in measured))
    return Search(number=number, variant=variant, plan=plan, recipe=Recipe(), measured=measured)


def tried(f1, *changes, macs=1_000_000):
    return Measured(
        edits=changes, macs=macs, f1=f1, low=f1 - 0.02, high=f1 + 0.02, loss=1 - f1, images=64
    )


def searched(state, *found):
    return SessionState(
        variants=state.variants,
        current=state.current,
        searches={search.number: search for search in found},
    )


def test_a_scan_tells_the_cost_of_a_unit_and_says_so():
    state = searched(session(variant(0, None)), scan(3, 0, tried(0.8), tried(0.77, OFF)))
    cost = costs(state, 0)["stage1.unit2"]
    assert cost.raw is None
    assert cost.best == cost.recovered == pytest.approx(-0.03)
    assert (cost.measured_from, cost.measured_by, cost.search, cost.images) == (0, None, 3, 64)


def test_without_the_network_as_it_is_a_scan_tells_nothing():
    state = searched(session(variant(0, None)), scan(1, 0, tried(0.77, OFF)))
    assert costs(state, 0) == {}
    assert finds(state, 0, "stage1") == ()


def test_a_variant_counts_before_a_scan_of_the_same_one_and_the_nearer_scan_before_the_other():
    state = searched(
        session(
            variant(0, None, evaluation=evaluated(0.8)),
            variant(1, 0, OFF, evaluation=evaluated(0.7)),
            variant(2, 0, edits.Mid("stage1.unit2", 9)),
        ),
        scan(1, 0, tried(0.8), tried(0.79, OFF), tried(0.78, OTHER)),
        scan(2, 2, tried(0.75), tried(0.70, OTHER)),
    )
    assert costs(state, 0)["stage1.unit2"].search is None
    assert costs(state, 0)["stage2.unit2"].best == pytest.approx(-0.02)
    assert costs(state, 2)["stage2.unit2"].best == pytest.approx(-0.05)
    assert costs(state, 2)["stage2.unit2"].search == 2
    assert costs(state, 1)["stage2.unit2"].search == 1


def test_the_later_scan_of_a_variant_has_the_last_word():
    found = [scan(n, 0, tried(0.8), tried(0.8 - n / 100, OFF)) for n in (1, 2)]
    state = searched(session(variant(0, None)), *found)
    assert costs(state, 0)["stage1.unit2"].best == pytest.approx(-0.02)


def test_what_scans_found_of_a_stage_comes_by_exchange_rate():
    width, mid = edits.Width("stage2", 120), edits.Mid("stage2.unit2", 9)
    groups, other = edits.Groups("stage2", 6), edits.Width("stage1", 30)
    state = searched(
        session(variant(0, None), variant(1, 0, OFF)),
        scan(
            1,
            0,
            tried(0.8),
            tried(0.79, width, macs=900_000),
            tried(0.60, groups, macs=900_000),
            tried(0.79, mid, macs=500_000),
            tried(0.79, OTHER, macs=100_000),
            tried(0.79, other, macs=100_000),
            tried(0.79, width, groups, macs=100_000),
        ),
    )
    for number in (0, 1):
        found = finds(state, number, "stage2")
        assert [ranked.measured.edits for _, ranked in found] == [(mid,), (width,), (groups,)]
        assert {search for search, _ in found} == {1}
    assert [ranked.measured.edits for _, ranked in finds(state, 0, "stage1")] == [(other,)]
    assert finds(state, 0, "stage") == ()


def test_scans_are_equal_until_something_new_was_found():
    first, second = tried(0.8), tried(0.79, OFF)
    state = searched(session(variant(0, None)), scan(1, 0, first))
    assert scans(state) == scans(searched(state, scan(1, 0, first)))
    assert scans(state) != scans(searched(state, scan(1, 0, first, second)))
