"""Batch norm measured anew: plain averages over augmented images, and no weight changed."""

import numpy as np
import pytest
import torch

from sessions.recipe import Recipe
from workbench.surgery.build import build
from workbench.training.measuring.evaluate import normalised
from workbench.training.recover import reestimate

CPU = torch.device("cpu")
IMAGES = 50
RECIPE = Recipe(images_per_epoch=0, epochs=2, batch_size=8, augmentation="light", seed=5)


def assert_identical(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name


def test_recovery_leaves_every_weight_untouched(network, train, state):
    module = build(network, state)
    reestimate(module, network, train, RECIPE, CPU)
    after = module.state_dict()
    is_statistic = [name for name in state if "running_" in name or "tracked" in name]
    assert all(torch.equal(after[n], state[n]) for n in state if n not in is_statistic)
    assert not any(torch.equal(after[n], state[n]) for n in is_statistic)
    assert not module.training


def test_recovery_is_the_plain_average_over_the_batches(network, train, state):
    recipe = Recipe(
        images_per_epoch=0, batch_size=10, augmentation="none", recover_images=30, seed=2
    )
    module = build(network, state)
    reestimate(module, network, train, recipe, CPU)
    order = np.random.default_rng(2).permutation(IMAGES)[:30]
    with torch.inference_mode():
        maps = [
            torch.nn.functional.conv2d(
                normalised(train.take(np.sort(order[start : start + 10])), network, CPU),
                state["features.init_block.conv.weight"],
                stride=2,
                padding=1,
            )
            for start in (0, 10, 20)
        ]
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in maps]).mean(dim=0)
    var = torch.stack([x.var(dim=(0, 2, 3), unbiased=True) for x in maps]).mean(dim=0)
    after = module.state_dict()
    key = "features.init_block.bn"
    assert torch.allclose(after[f"{key}.running_mean"], mean, atol=1e-5)
    assert torch.allclose(after[f"{key}.running_var"], var, rtol=1e-4)
    assert int(after[f"{key}.num_batches_tracked"]) == 3


def test_recovery_does_not_depend_on_the_statistics_before(network, train, state):
    ruined = {
        name: torch.full_like(value, 7.0) if "running_" in name else value
        for name, value in state.items()
    }
    modules = build(network, state), build(network, ruined)
    for module in modules:
        reestimate(module, network, train, RECIPE, CPU)
    assert_identical(modules[0].state_dict(), modules[1].state_dict())


def test_recovery_keeps_the_momentum_for_training_after_it(network, train, state):
    module = build(network, state)
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    reestimate(module, network, train, RECIPE, CPU)
    assert {norm.momentum for norm in norms} == {0.1}


def test_recovery_reports_its_images_and_can_be_stopped(network, train, state):
    seen = []

    def until_20(done, total):
        seen.append((done, total))
        return done < 20

    recipe = Recipe(images_per_epoch=0, batch_size=10, recover_images=40)
    assert not reestimate(build(network, state), network, train, recipe, CPU, until_20)
    assert seen == [(10, 40), (20, 40)]
    seen.clear()
    recipe = Recipe(images_per_epoch=0, batch_size=16, recover_images=40)
    assert reestimate(
        build(network, state), network, train, recipe, CPU, lambda *at: seen.append(at) or True
    )
    assert seen == [(16, 40), (32, 40), (40, 40)]


@pytest.mark.parametrize(("images", "batch"), [(2, 8), (3, 2), (9, 8)])
def test_recovery_on_very_few_images_gives_finite_statistics(network, train, state, images, batch):
    module = build(network, state)
    recipe = Recipe(batch_size=batch, recover_images=images, augmentation="none")
    assert reestimate(module, network, train, recipe, CPU)
    assert all(bool(torch.isfinite(value).all()) for value in module.state_dict().values())
    counted = "features.init_block.bn.num_batches_tracked"
    assert int(module.state_dict()[counted]) >= 1
