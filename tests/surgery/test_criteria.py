"""Each criterion lets the channel go that it should; every layer on an axis has one voice."""

import numpy as np
import pytest
import torch

from sessions import edits
from workbench.surgery import criteria
from workbench.surgery.carry import carry
from workbench.surgery.wiring import Source

ROWS = np.array([[3.0, -3.0], [0.1, 0.1], [2.0, 2.0], [2.0, 2.1]])


@pytest.mark.parametrize(("name", "least"), [("l1", 1), ("l2", 1), ("std", 1), ("fpgm", 1)])
def test_the_least_important_row(name, least):
    rows = ROWS if name != "fpgm" else np.array([[9.0, 0.0], [0.1, 0.0], [-9.0, 0.0], [0.0, 9.0]])
    if name == "std":
        rows = np.array([[3.0, -3.0], [5.0, 5.0], [1.0, 2.0]])
    assert criteria.BY_WEIGHT[name](rows).argmin() == least


def test_fpgm_lets_go_what_the_others_stand_for():
    """The middle of a line of channels is the nearest to all."""
    rows = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [10.0, 1.0]])
    assert criteria.fpgm(rows).argmin() == 2


def source(network, state):
    return Source(network, {k: v.numpy() for k, v in state.items() if v.is_floating_point()})


@pytest.mark.parametrize("name", ["l1", "l2", "std", "bn", "fpgm", "random"])
@pytest.mark.parametrize("axis", ["stage2.new", "stage2.unit2.mid", "init"])
def test_scores_are_shares(network, state, name, axis):
    scores = criteria.axis_scores(source(network, state), axis, name)
    assert scores.shape == (network.width(axis),)
    assert scores.min() >= 0
    assert scores.sum() == pytest.approx(1)


def test_a_channel_without_weights_goes_first(network, state):
    dead = 7
    order = list(range(60))
    state["features.stage2.unit1.expand_conv3.weight"][dead] = 0
    for key in ("features.stage2.unit2.expand_conv3.weight",):
        state[key][dead] = 0
    state["features.stage2.unit2.compress_conv1.weight"][:10, dead] = 0
    state["features.stage3.unit1.compress_conv1.weight"][:20, dead] = 0
    state["features.stage3.unit2.compress_conv1.weight"][:, dead] = 0
    for name in ("l1", "l2", "std"):
        scores = criteria.axis_scores(source(network, state), "stage2.new", name)
        assert scores.argmin() == dead, name
    edited = carry(network, state, edits.Width("stage2", 117))
    assert dead not in edited.orders["stage2.new"]
    assert set(edited.orders["stage2.new"]) <= set(order)


def test_bn_goes_by_the_scale_alone(network, state):
    for unit in ("unit1", "unit2"):
        state[f"features.stage2.{unit}.expand_bn3.weight"][:60] = torch.linspace(1, 2, 60)
    state["features.stage2.unit1.expand_bn3.weight"][11] = -0.01
    state["features.stage2.unit2.expand_bn3.weight"][11] = 0.01
    scores = criteria.axis_scores(source(network, state), "stage2.new", "bn")
    assert scores.argmin() == 11
    assert scores.argmax() == 59


def test_random_follows_its_seed(network, state):
    found = source(network, state)
    once = criteria.axis_scores(found, "stage2.new", "random", seed=1)
    assert np.array_equal(once, criteria.axis_scores(found, "stage2.new", "random", seed=1))
    assert not np.array_equal(once, criteria.axis_scores(found, "stage2.new", "random", seed=2))


def test_units_that_are_off_have_no_voice(network, state):
    off = edits.apply(network, edits.UnitOff("stage2.unit2"))
    before = criteria.axis_scores(source(off, state), "stage2.new", "l2")
    state["features.stage2.unit2.expand_conv3.weight"] *= torch.rand(120, 1, 1, 1)
    assert np.array_equal(before, criteria.axis_scores(source(off, state), "stage2.new", "l2"))
    assert not np.allclose(before, criteria.axis_scores(source(network, state), "stage2.new", "l2"))


def test_the_scale_of_a_layer_is_not_its_voice(network, state):
    before = criteria.axis_scores(source(network, state), "stage2.new", "l2")
    state["features.stage3.unit2.compress_conv1.weight"] *= 1000
    after = criteria.axis_scores(source(network, state), "stage2.new", "l2")
    assert np.allclose(before, after)


def test_measured_scores_are_taken_as_they_are(network, state):
    measured = {"stage2.unit2.mid": [float(n) for n in range(30)]}
    scores = criteria.axis_scores(
        source(network, state), "stage2.unit2.mid", "taylor", measured=measured
    )
    assert scores.argmin() == 0
    assert np.allclose(scores, np.arange(30) / np.arange(30).sum())
