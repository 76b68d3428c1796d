"""Features are what the stages put out, untouched by what runs after them."""

import random

import msgspec
import pytest
import torch
import torch.nn.functional as F

from sessions import edits
from sessions.network import Layer, replace_unit
from workbench.surgery.build import build, run, units_on
from workbench.surgery.families import shufflenet
from workbench.training.features import (
    EMBEDDING,
    AuxiliaryHeads,
    inner_stages,
    run_with_features,
)


@pytest.fixture(scope="module")
def network():
    made = shufflenet.fresh(groups=1, width=0.125, units=(2, 3, 2), classes=4)
    return edits.apply(made, edits.InputSize(32))


@pytest.fixture
def state(network, random_state):
    return random_state(network, 1)


def images_for(network, count=3):
    shape = (count, network.input_channels, network.input_size, network.input_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def features_without_taps(network, state, images):
    """Of every stage, by running the network from the start to its end, layer by layer."""
    found, units = {}, 0
    for stage in network.stages:
        units += sum(unit.is_on for unit in stage.units)
        found[stage.path] = run(network, state, images, slice(0, units))
    return found


def everything(network):
    return [*(stage.path for stage in network.stages), EMBEDDING]


def assert_features(network, state):
    images = images_for(network)
    wanted = features_without_taps(network, state, images)
    module = build(network, state)
    with torch.no_grad():
        logits, found = run_with_features(module, network, images, everything(network))
        assert torch.equal(logits, module(images))
    assert found.keys() == wanted.keys() | {EMBEDDING}
    for stage, features in wanted.items():
        assert torch.allclose(found[stage], features, rtol=1e-4, atol=1e-5)
    return found


def test_features_are_those_of_a_run_without_taps(network, state):
    found = assert_features(network, state)
    assert [tuple(found[f"stage{n}"].shape[2:]) for n in (1, 2, 3)] == [(4, 4), (2, 2), (1, 1)]


@pytest.mark.parametrize("seed", range(12))
def test_features_of_any_structure_with_units_off(seed, random_network, random_state):
    network = random_network(random.Random(seed))
    assert_features(network, random_state(network, seed))


@pytest.mark.parametrize("head", ["linear", "conv"])
def test_the_embedding_is_what_the_head_reads(network, random_state, head):
    network = edits.apply(network, edits.parse(f"head:{head}"))
    state = random_state(network, 2)
    images = images_for(network)
    module = build(network, state)
    logits, found = run_with_features(module, network, images, {"stage3", EMBEDDING})
    embedding = found[EMBEDDING]
    assert embedding.shape == (3, network.width(network.head.in_axis))
    assert torch.allclose(embedding, found["stage3"].mean(dim=(2, 3)), atol=1e-6)
    weight, bias = state["output.weight"].flatten(1), state.get("output.bias")
    assert torch.allclose(F.linear(embedding, weight, bias), logits, atol=1e-5)


def test_in_training_features_gradients_and_statistics_are_those_of_the_module(network, state):
    images = images_for(network)
    plain, tapped = build(network, state).train(), build(network, state).train()
    for layer in plain.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    wanted, x = {}, images
    for unit, block in zip(units_on(network), plain.blocks, strict=True):
        x = block(x)
        wanted[unit.path.partition(".")[0]] = x
    logits, found = run_with_features(tapped, network, images, everything(network))
    assert torch.equal(logits, x)
    assert all(torch.equal(found[stage], features) for stage, features in wanted.items())
    sum(features.square().mean() for features in wanted.values()).backward()
    del found[EMBEDDING]
    sum(features.square().mean() for features in found.values()).backward()
    for ours, theirs in zip(tapped.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(tapped.buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_unit_that_changes_its_input_in_place_does_not_change_a_feature(network, random_state):
    last = msgspec.structs.replace(network.units["stage1.unit2"], tail=())
    relu = Layer(path="stage2.unit1.first", kind="relu", in_axis="stage1", out_axis="stage1")
    first = network.units["stage2.unit1"]
    first = msgspec.structs.replace(first, branch=(relu, *first.branch))
    changed = replace_unit(replace_unit(network, last), first)
    state = random_state(changed, 3)
    images = images_for(changed)
    module = build(changed, state)
    with torch.no_grad():
        logits, found = run_with_features(module, changed, images, {"stage1"})
        assert torch.equal(logits, module(images))
    assert found["stage1"].min() < 0
    wanted = features_without_taps(changed, state, images)["stage1"]
    assert torch.allclose(found["stage1"], wanted, atol=1e-5)


def test_only_what_is_wanted_is_kept(network, state):
    module, images = build(network, state), images_for(network)
    assert run_with_features(module, network, images, ())[1] == {}
    assert set(run_with_features(module, network, images, {"stage2"})[1]) == {"stage2"}
    with pytest.raises(KeyError, match="stage9"):
        run_with_features(module, network, images, {"stage2", "stage9"})


def test_a_hook_on_the_head_is_heard(network, state):
    """The loop drops out before the classifier by one."""
    module, images = build(network, state), images_for(network)
    module.get_submodule("output").register_forward_pre_hook(lambda _, args: (args[0] * 0,))
    logits, found = run_with_features(module, network, images, {EMBEDDING})
    assert torch.allclose(logits, state["output.bias"].expand_as(logits))
    assert found[EMBEDDING].abs().sum() > 0


# Auxiliary heads


def test_inner_stages_are_neither_stem_nor_head(network):
    layers = inner_stages(network)
    assert list(layers) == ["stage1", "stage2", "stage3"]
    assert [layer.out_size for layer in layers.values()] == [4, 2, 1]
    widths = [network.width(layer.out_axis) for layer in layers.values()]
    assert widths == [network.width(f"stage{n}") for n in (1, 2, 3)]


def test_auxiliary_loss_is_the_sum_over_pooled_linear_classifiers(network, state):
    heads = AuxiliaryHeads(network, seed=0)
    module = build(network, state)
    targets = F.one_hot(torch.tensor([0, 3, 1]), 4).float()
    _, features = run_with_features(module, network, images_for(network), heads.stages)
    found = heads.loss(features, targets, F.cross_entropy)
    wanted = 0.0
    for stage, layer in zip(("stage1", "stage2", "stage3"), heads.heads, strict=True):
        pooled = F.adaptive_avg_pool2d(features[stage], 1).flatten(1)
        wanted += F.cross_entropy(pooled @ layer.weight.T + layer.bias, targets).item()
    assert found.item() == pytest.approx(wanted, rel=1e-5)
    found.backward()
    assert all(p.grad.abs().sum() > 0 for p in heads.parameters())
    reached = module.get_submodule("features.stage3.unit2.expand_conv3").weight.grad
    assert reached.abs().sum() > 0
    assert module.get_submodule("output").weight.grad is None


def test_auxiliary_heads_follow_the_seed_alone_and_leave_the_network_alone(network, state):
    found = []
    for torch_seed, seed in ((1, 4), (2, 4), (1, 5)):
        torch.manual_seed(torch_seed)
        found.append(AuxiliaryHeads(network, seed).state_dict())
    first, again, other = found
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["heads.0.weight"], other["heads.0.weight"])
    assert build(network, state).state_dict().keys() == state.keys()


def test_a_network_without_inner_stages_has_no_auxiliary_loss():
    network = shufflenet.fresh(units=(1, 1, 1), classes=4)
    stages = tuple(stage for stage in network.stages if stage.is_plain)
    heads = AuxiliaryHeads(msgspec.structs.replace(network, stages=stages), seed=0)
    assert heads.stages == ()
    assert heads.loss({}, torch.zeros(2, 4), F.cross_entropy).item() == 0
