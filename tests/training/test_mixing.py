"""Mixed batches are what mixup and cutmix say, and targets follow the pixels exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from sessions.recipe import Recipe
from workbench.training.augmentation.mixing import mixed

N, CLASSES, HEIGHT, WIDTH = 10, 4, 12, 16
SEEDS = 2000
MIXUP, CUTMIX = Recipe(mixup=0.4), Recipe(cutmix=1.0)
seeds = st.integers(0, 2**31 - 1)


def batch():
    """Every pixel of an image is its own number, and its target tells its class."""
    images = torch.arange(N).float()[:, None, None, None].repeat(1, 3, HEIGHT, WIDTH)
    images = images.contiguous(memory_format=torch.channels_last)
    return images, torch.eye(CLASSES)[torch.arange(N) % CLASSES]


def shares(recipe):
    """The share of each image's own target, in batches of another seed each."""
    images, _ = batch()
    return np.array(
        [
            float(mixed(images, torch.eye(N), recipe, seed)[1].diagonal().min())
            for seed in range(SEEDS)
        ]
    )


def partners(images, seed, recipe):
    """Which image each was mixed with, and its share, from targets that tell all apart."""
    _, targets = mixed(images, torch.eye(N), recipe, seed)
    own = targets.diagonal().clone()
    targets.fill_diagonal_(0)
    return targets.argmax(dim=1), own


def test_nothing_is_mixed_where_the_recipe_does_not():
    images, targets = batch()
    found = mixed(images, targets, Recipe(), 3)
    assert found[0] is images
    assert found[1] is targets


@pytest.mark.parametrize("recipe", [MIXUP, CUTMIX, Recipe(mixup=0.2, cutmix=1)])
def test_a_mixed_batch_follows_from_its_seed(recipe):
    images, targets = batch()
    before = images.clone(), targets.clone()
    first, again, other = (mixed(images, targets, recipe, seed) for seed in (1, 1, 2))
    torch.manual_seed(5)
    late = mixed(images, targets, recipe, 1)
    for found in (again, late):
        assert torch.equal(found[0], first[0])
        assert torch.equal(found[1], first[1])
    assert not torch.equal(other[0], first[0])
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])
    assert first[0].is_contiguous(memory_format=torch.channels_last)
    assert (first[0].dtype, first[1].dtype) == (torch.float32, torch.float32)


@given(seeds, st.floats(0, 100), st.floats(0, 100))
def test_targets_sum_to_one(seed, mixup, cutmix):
    images, targets = batch()
    found, soft = mixed(images, targets, Recipe(mixup=mixup, cutmix=cutmix), seed)
    assert soft.shape == targets.shape
    assert soft.min() >= 0
    assert torch.allclose(soft.sum(dim=1), torch.ones(N), atol=1e-6)
    assert 0 <= found.min() <= found.max() <= N - 1


@given(seeds)
def test_mixup_is_the_mixture_by_the_share_of_the_targets(seed):
    images = torch.rand(N, 3, HEIGHT, WIDTH)
    found, _ = mixed(images, torch.eye(N), MIXUP, seed)
    partner, own = partners(images, seed, MIXUP)
    is_alone = own > 1 - 1e-6
    partner[is_alone] = torch.arange(N)[is_alone]
    share = own.min()
    assert ((own == share) | is_alone).all()
    assert torch.allclose(found, images * share + images[partner] * (1 - share), atol=1e-6)


@given(seeds, st.floats(0.01, 10))
def test_cutmix_shares_targets_as_it_shares_pixels(seed, alpha):
    images, targets = batch()
    recipe = Recipe(cutmix=alpha)
    found, soft = mixed(images, targets, recipe, seed)
    for number in range(N):
        values, counts = found[number, 0].unique(return_counts=True)
        wanted = torch.zeros(CLASSES, dtype=torch.float64)
        for value, count in zip(values, counts, strict=True):
            wanted[int(value) % CLASSES] += int(count) / (HEIGHT * WIDTH)
        assert torch.allclose(soft[number].double(), wanted, atol=1e-7)


@given(seeds)
def test_cutmix_pastes_one_box_at_the_same_place(seed):
    images, _ = batch()
    found, _ = mixed(images, torch.eye(N), CUTMIX, seed)
    own = torch.arange(N)[:, None, None, None]
    is_pasted = found != own
    places = is_pasted[is_pasted.flatten(1).any(dim=1)]
    if not len(places):
        return  # a box without a pixel, or everyone its own partner
    assert (places == places[:1]).all()
    rows, columns = (places[0, 0].any(dim=axis).nonzero().flatten() for axis in (1, 0))
    assert int(places[0, 0].sum()) == len(rows) * len(columns)
    assert len(rows) == rows[-1] - rows[0] + 1
    assert len(columns) == columns[-1] - columns[0] + 1
    is_whole = rows[0] > 0 and columns[0] > 0 and rows[-1] < HEIGHT - 1 and columns[-1] < WIDTH - 1
    if is_whole:
        assert abs(len(rows) / HEIGHT - len(columns) / WIDTH) <= 1 / HEIGHT + 1 / WIDTH


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_the_share_of_mixup_is_beta_distributed(alpha):
    found = shares(Recipe(mixup=alpha))
    variance = 1 / (4 * (2 * alpha + 1))
    error = (variance / SEEDS) ** 0.5
    assert abs(found.mean() - 0.5) < 4 * error
    assert found.var() == pytest.approx(variance, rel=0.1)
    assert kstest(found, "beta", args=(alpha, alpha)).pvalue > 1e-3
    assert kstest(found, "beta", args=(alpha * 1.5, alpha * 1.5)).pvalue < 1e-3


def test_boxes_of_cutmix_are_anywhere_and_cut_off_at_the_edges():
    images, _ = batch()
    covered = np.zeros((HEIGHT, WIDTH))
    for seed in range(SEEDS):
        found, _ = mixed(images, torch.eye(N), CUTMIX, seed)
        covered += (found[:, 0] != torch.arange(N)[:, None, None]).any(dim=0).numpy()
    assert covered.min() > 0.1 * SEEDS
    assert np.abs(covered - covered[::-1, ::-1]).max() < 0.08 * SEEDS


def test_boxes_of_cutmix_have_the_area_of_the_share():
    """Of Beta(1, 1) the mean edge cut at the borders is e - e * e / 4, where e * e is uniform."""
    images = torch.zeros(N, 1, 64, 64)
    found = [mixed(images, torch.eye(N), CUTMIX, seed)[1] for seed in range(SEEDS)]
    kept = np.mean([float(soft.diagonal().min()) for soft in found])
    assert kept == pytest.approx(1 - (1 / 2 - 2 / 5 / 2 + 1 / 3 / 16), abs=0.025)


def test_with_both_on_a_batch_gets_either_by_a_fair_coin():
    images, _ = batch()
    recipe = Recipe(mixup=50, cutmix=50)
    is_mixup = 0
    for seed in range(SEEDS):
        found, _ = mixed(images, torch.eye(N), recipe, seed)
        is_mixup += bool((found != found.round()).any())
    assert binomtest(is_mixup, SEEDS, 0.5).pvalue > 1e-3


def test_partners_are_a_permutation_that_changes():
    images, _ = batch()
    found = {tuple(partners(images, seed, Recipe(mixup=50))[0].tolist()) for seed in range(50)}
    assert len(found) > 45
