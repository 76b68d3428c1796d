"""What switching a unit off was measured to cost, from the variants of a session."""

import pytest

from sessions import edits, macs
from sessions.events import Evaluation
from sessions.measured import costs
from sessions.state import Rung, SessionState, Variant
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
