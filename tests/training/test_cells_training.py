"""What training does with networks of cells: gates, stages that end in one, and their channels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sessions import edits
from sessions.targets import FIXED
from workbench.surgery.build import build
from workbench.surgery.carry import carry
from workbench.surgery.families import cells
from workbench.training.features import AuxiliaryHeads, inner_stages, run_with_features
from workbench.training.images.data import Split
from workbench.training.importance import measure
from workbench.training.measuring.activations import measure_stds
from workbench.training.measuring.evaluate import normalised
from workbench.training.pretrain import AutoEncoder
from workbench.training.repair import repair

EDITS = (
    "off:stage2.inverted3",
    "width:stage1=6",
    "mid:stage2.inverted2=12",
    "groups:stage2.inverted2=2",
    "rank:stage2.bottleneck1.conv=3x4",
)
GATE_EDITS = ("off:stage1.se1", "mid:stage1.se1=2", "rank:stage1.se1.excite_conv=2")
"""Hardly felt in a network without training: less than batch norms that are measured anew."""


@pytest.fixture(scope="module")
def network():
    gated = cells.Cell(op="separable", stride=2, activation="silu", squeeze=3)
    inverted = cells.Cell(op="inverted", mid=16, activation="hard_swish")
    last = cells.Cell(op="inverted", mid=16, activation="hard_swish", squeeze=4)
    bottleneck = cells.Cell(op="bottleneck", mid=6, stride=2)
    stages = (
        cells.StagePlan(8, (gated,)),
        cells.StagePlan(12, (bottleneck, inverted, last)),
    )
    return cells.make(cells.Plan(init_width=6, classes=4, input_size=32, stages=stages))


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (96, 32, 32, 3), dtype=np.uint8)
    return Split(images, np.arange(96), rng.integers(0, 4, 96))


@pytest.fixture(scope="module")
def images(network, train):
    return normalised(train.take(slice(None)), network, torch.device("cpu"))


@pytest.fixture(scope="module")
def state(network, images):
    """Weights whose batch norms know their inputs."""
    torch.manual_seed(3)
    module = build(network).train()
    with torch.no_grad():
        for _ in range(30):
            module(images)
    return module.eval().state_dict()


def test_every_axis_is_measured_also_those_inside_of_gates(network, state, train):
    wanted = {name: axis.width for name, axis in network.axes.items() if name not in FIXED}
    assert {"stage1.se1.mid", "stage2.bottleneck1.mid2"} <= wanted.keys()
    found = measure(network, state, train, seed=0)
    stds = measure_stds(network, state, train, 32)
    for by_axis in (*found.values(), stds):
        assert {name: len(by_axis[name]) for name in by_axis.keys() - FIXED} == wanted
        assert all(max(values) > 0 for values in by_axis.values())


def test_a_stage_that_ends_in_a_gate_keeps_its_size_and_width(network):
    found = inner_stages(network)
    sizes = [(network.width(unit.out_axis), unit.out_size) for unit in found.values()]
    assert sizes == [(8, 8), (12, 4)]
    assert [unit.is_gate for unit in found.values()] == [True, True]


def test_features_and_auxiliary_heads_see_what_a_gate_puts_out(network, state, images):
    heads = AuxiliaryHeads(network, seed=0)
    module = build(network, state)
    logits, features = run_with_features(module, network, images[:4], heads.stages)
    assert torch.equal(logits, module(images[:4]))
    x = images[:4]
    for block in module.blocks[:3]:
        x = block(x)
    assert torch.equal(features["stage1"], x)
    targets = torch.tensor([0, 1, 2, 3])
    heads.loss(features, targets, F.cross_entropy).backward()
    assert module.get_submodule("stage1.se1.excite_conv").weight.grad.abs().sum() > 0


def test_pretraining_starts_from_the_map_behind_the_last_gate(network, state, images):
    encoder = AutoEncoder(build(network, state), network, seed=0)
    redrawn = encoder(images[:2])
    assert redrawn.shape[:2] == (2, 3)
    assert redrawn.shape[-1] == encoder.size


@pytest.mark.parametrize("text", [*EDITS, *GATE_EDITS])
def test_repair_brings_the_logits_back_towards_the_original(network, state, train, images, text):
    edited = carry(network, state, edits.parse(text))
    repaired = repair(
        (network, state), (edited.network, edited.state), edited.orders, train, seed=0
    )
    with torch.inference_mode():
        wanted = build(network, state)(images)
        cut, fitted = (build(edited.network, x)(images) for x in (edited.state, repaired))
    error, before = ((x - wanted).square().mean() for x in (fitted, cut))
    if text in EDITS:
        assert error < before
    assert error < 0.5 * wanted.var(dim=0).mean()


def test_a_repair_of_nothing_changes_nothing(network, state, train):
    same = repair((network, state), (network, dict(state)), {}, train, seed=0)
    assert all(torch.equal(same[name], value) for name, value in state.items())
