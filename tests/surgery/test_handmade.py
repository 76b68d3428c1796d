"""An axis of five channels made by hand, in a network that is no ShuffleNet.

image -> conv -> norm -> relu -> pool -> linear -> classes; the axis has a producer, the conv, whose
rows are its channels, and a consumer, the linear layer, whose columns are.
"""

import numpy as np
import pytest
import torch

from sessions import edits
from sessions.edits import Widen, Width
from sessions.network import Axis, Layer, Network, Stage, Unit, sized
from workbench.surgery.build import build
from workbench.surgery.carry import carry, checked_error
from workbench.surgery.criteria import axis_scores
from workbench.surgery.wiring import Source

CHANNELS = 5
LAYERS = (
    Layer(path="body.conv", kind="conv", in_axis="image", out_axis="body", key="conv"),
    Layer(path="body.norm", kind="batch_norm", in_axis="body", out_axis="body", key="norm"),
    Layer(path="body.relu", kind="relu", in_axis="body", out_axis="body"),
)
HEAD = (
    Layer(path="output.pool", kind="global_pool", in_axis="body", out_axis="body"),
    Layer(path="output.flat", kind="flatten", in_axis="body", out_axis="body"),
    Layer(path="output.head", kind="linear", in_axis="body", out_axis="classes", key="output"),
)


@pytest.fixture
def network():
    stages = (
        Stage("body", (Unit(path="body", branch=LAYERS),)),
        Stage("output", (Unit(path="output", branch=HEAD),)),
    )
    axes = {"image": Axis(4), "body": Axis(CHANNELS), "classes": Axis(4)}
    return sized(Network(family="plain", input_size=8, axes=axes, stages=stages), 8)


@pytest.fixture
def state(network):
    """Every channel has weights of the same size and spread, at right angles to all others."""
    made = build(network).state_dict()
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    rows = torch.cat((signs, signs[:1] * -1)).float()
    made["conv.weight"] = rows[:, :, None, None].clone()
    made["output.weight"] = torch.ones(4, CHANNELS)
    made["output.weight"][0] = -1
    return made


def scores(network, state, criterion, seed=0):
    weights = {k: v.numpy() for k, v in state.items() if v.is_floating_point()}
    return axis_scores(Source(network, weights), "body", criterion, seed)


def cut(network, state, criterion, count=1):
    """The channels that go."""
    edited = carry(network, state, Width("body", CHANNELS - count, criterion=criterion))
    assert checked_error(edited, edits.Width("body", CHANNELS - count)) <= 1e-5
    return set(range(CHANNELS)) - set(edited.orders["body"])


@pytest.mark.parametrize("channel", range(CHANNELS))
@pytest.mark.parametrize("criterion", ["l1", "l2", "std"])
def test_a_channel_without_weights_goes_first(network, state, criterion, channel):
    state["conv.weight"][channel] = 0
    state["output.weight"][:, channel] = 0
    found = scores(network, state, criterion)
    assert found[channel] == 0
    assert (np.delete(found, channel) > 0).all()
    assert cut(network, state, criterion) == {channel}


def test_constant_weights_have_a_size_but_no_spread(network, state):
    state["conv.weight"][2] = 7.0
    state["output.weight"][:, 2] = 7.0
    assert cut(network, state, "std") == {2}
    assert scores(network, state, "l2").argmax() == 2


def test_one_of_two_equal_channels_goes_first_by_the_geometric_median(network, state):
    state["conv.weight"][:] = torch.eye(5, 4)[:, :, None, None]
    state["conv.weight"][4] = state["conv.weight"][1]
    state["output.weight"][:] = torch.eye(4, CHANNELS)
    state["output.weight"][:, 4] = state["output.weight"][:, 1]
    assert cut(network, state, "fpgm") <= {1, 4}
    assert scores(network, state, "l2")[1] > 0


def test_the_smallest_scale_of_the_batch_norm_goes_first_whatever_the_weights(network, state):
    state["norm.weight"][:] = torch.tensor([1.0, -0.2, -3.0, 0.1, 0.5])
    state["conv.weight"][3] *= 100
    assert cut(network, state, "bn", count=2) == {1, 3}
    assert scores(network, state, "bn") == pytest.approx(np.array([1, 0.2, 3, 0.1, 0.5]) / 4.8)


def test_random_is_by_its_seed_alone(network, state):
    first = scores(network, state, "random", seed=4)
    assert len(set(first)) == CHANNELS
    state["conv.weight"] *= 3
    assert np.array_equal(first, scores(network, state, "random", seed=4))
    orders = {tuple(scores(network, state, "random", seed=n).argsort()) for n in range(20)}
    assert len(orders) > 10


def test_the_score_of_a_channel_is_the_mean_over_producer_and_consumer(network, state):
    producer, consumer = torch.tensor([1.0, 2, 3, 4, 10]), torch.tensor([5.0, 5, 5, 5, 0])
    state["conv.weight"] *= producer[:, None, None, None]
    state["output.weight"] *= consumer
    wanted = (producer / 20 + consumer / 20) / 2
    for criterion in ("l1", "l2"):
        assert scores(network, state, criterion) == pytest.approx(wanted.numpy())
    assert scores(network, state, "l1").sum() == pytest.approx(1)


@pytest.mark.parametrize("criterion", edits.CRITERIA)
def test_every_criterion_cuts_a_network_of_any_family(network, state, criterion):
    measured = {"body": [3.0, 1.0, 2.0, 5.0, 4.0], "image": [1.0] * 4, "classes": [1.0] * 4}
    edited = carry(network, state, Width("body", 2, criterion=criterion), measured)
    assert edited.state["conv.weight"].shape[:2] == (2, 4)
    assert edited.state["output.weight"].shape == (4, 2)
    assert not edited.exact
    if criterion in edits.DATA_CRITERIA:
        assert edited.orders["body"] == [3, 4]


def test_a_network_of_any_family_can_be_widened(network, state):
    edited = carry(network, state, Widen("body", 12))
    assert edited.exact
    images = torch.randn(2, 4, 8, 8)
    with torch.inference_mode():
        found, wanted = build(edited.network, edited.state)(images), build(network, state)(images)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert checked_error(edited, Widen("body", 12)) <= 1e-6
