"""Repair: a cut network is fitted to what the network put out before the cut."""

import numpy as np
import pytest
import torch

from sessions import edits
from sessions.commands import Lineage
from workbench.surgery import store
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training.images.data import Split
from workbench.training.measuring.evaluate import normalised
from workbench.training.repair import repair

EDITS = (
    "off:stage2.unit2",
    "groups:stage3=6",
    "width:stage3=222",
    "mid:stage2=24",
    "kernel:stage1=1",
    "rank:stage3.unit1.expand_conv3=8",
    "rank:init.conv=2x4",
)


@pytest.fixture
def network():
    made = shufflenet.fresh(units=(2, 2, 2), classes=4)
    return edits.apply(made, edits.InputSize(32))


@pytest.fixture
def train():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (96, 32, 32, 3), dtype=np.uint8)
    return Split(images, np.arange(96), rng.integers(0, 4, 96))


@pytest.fixture
def folder(tmp_path, network, train):
    torch.manual_seed(3)
    module = build(network)
    module.train()
    images = normalised(train.take(slice(None)), network, torch.device("cpu"))
    with torch.no_grad():
        for _ in range(30):  # batch norms that know their inputs
            module(images)
    store.put(tmp_path, network, module.eval().state_dict())
    return tmp_path


def since(folder, texts):
    (path,) = (folder / "checkpoints").glob("*.safetensors")
    lineage = Lineage(path.stem, tuple(map(edits.parse, texts)))
    return store.derive_since(folder, lineage)


def distance(since, state, train):
    """Mean square between the logits of the original and of the edited network."""
    images = normalised(train.take(slice(None)), since.edited[0], torch.device("cpu"))
    with torch.inference_mode():
        wanted = build(*since.original)(images)
        return float((build(since.edited[0], state)(images) - wanted).square().mean())


@pytest.mark.parametrize("text", EDITS)
def test_a_repair_brings_the_outputs_nearer(folder, train, text):
    found = since(folder, [text])
    repaired = repair(found.original, found.edited, found.orders, train, seed=0)
    before = distance(found, found.edited[1], train)
    assert distance(found, repaired, train) < 0.7 * before


def test_edits_after_one_another_keep_their_targets(folder, train):
    found = since(folder, ["width:stage3=210", "mid:stage3=48", "groups:stage3=6"])
    assert len(found.orders["stage3.new"]) == 90
    assert set(found.orders["stage3.new"]) <= set(range(120))
    repaired = repair(found.original, found.edited, found.orders, train, seed=0)
    assert distance(found, repaired, train) < 0.7 * distance(found, found.edited[1], train)


def test_what_was_not_edited_stays_as_it_was(folder, train):
    found = since(folder, ["mid:stage3.unit2=30"])
    repaired = repair(found.original, found.edited, found.orders, train, seed=0)
    for name, value in found.edited[1].items():
        if name.startswith(("features.init_block.conv", "features.stage1")) and "bn" not in name:
            assert torch.allclose(repaired[name], value, atol=1e-3), name


def test_the_given_weights_are_left_alone(folder, train):
    found = since(folder, ["groups:stage3=6"])
    before = {name: value.clone() for name, value in found.edited[1].items()}
    repair(found.original, found.edited, found.orders, train, seed=0)
    for name, value in found.edited[1].items():
        assert torch.equal(value, before[name])


def test_it_can_be_ended(folder, train):
    found = since(folder, ["groups:stage3=6"])
    seen = []

    def after_layer(done, total):
        seen.append((done, total))
        return done < 3

    ended = repair(found.original, found.edited, found.orders, train, 0, after_layer)
    assert ended is None
    assert [done for done, _ in seen] == [1, 2, 3]


def test_other_classes_begin_a_new_original(folder):
    found = since(folder, ["classes:7", "off:stage2.unit2"])
    assert found.original[0].classes == 7
    assert found.original[0].units["stage2.unit2"].is_on
