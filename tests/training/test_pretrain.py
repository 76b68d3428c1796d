"""The trunk learns to reconstruct, by seed, and the head keeps out of it."""

import random

import numpy as np
import pytest
import torch

from sessions import edits
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training import pretrain as pretraining
from workbench.training.images.data import Split, open_data
from workbench.training.measuring.evaluate import normalised
from workbench.training.pretrain import AutoEncoder, pretrain

CPU = torch.device("cpu")
RECIPE = Recipe(images_per_epoch=0, pretrain_epochs=2, batch_size=16, seed=3)
IMAGES = 50
STEPS = 2 * (IMAGES // 16)


@pytest.fixture(scope="module")
def network():
    made = shufflenet.fresh(groups=1, width=0.25, units=(1, 2, 1), classes=10)
    return edits.apply(made, edits.InputSize(32))


@pytest.fixture
def state(network, random_state):
    return random_state(network, 0)


@pytest.fixture(scope="module")
def images():
    digits = open_data("digits", 32).train
    return Split(digits.source, digits.rows[:IMAGES], digits.labels[:IMAGES])


@pytest.fixture
def encoders(monkeypatch):
    """The auto-encoders that are made, which are thrown away otherwise."""
    made = []

    class Kept(AutoEncoder):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(pretraining, "AutoEncoder", Kept)
    return made


def trained(network, state, images, recipe=RECIPE, **options):
    module = build(network, state)
    is_whole = pretrain(module, network, images, recipe, CPU, **options)
    return is_whole, module.state_dict()


def is_same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_new_images_are_redrawn_far_better_than_by_the_mean_image(network, encoders):
    digits = open_data("digits", 32)
    torch.manual_seed(0)
    module = build(network)
    recipe = Recipe(images_per_epoch=0, pretrain_epochs=4, batch_size=16, learning_rate=1e-2)
    assert pretrain(module, network, digits.train, recipe, CPU)
    encoder = encoders[0].eval()
    drawn = normalised(digits.val.take(slice(None)), network, CPU)
    mean = encoder.target(normalised(digits.train.take(slice(None)), network, CPU)).mean(dim=0)
    with torch.inference_mode():
        wanted = encoder.target(drawn)
        error = (encoder(drawn) - wanted).square().mean()
    assert error < 0.5 * (mean - wanted).square().mean()


def test_the_trunk_changes_and_the_head_does_not(network, state, images):
    is_whole, after = trained(network, state, images)
    assert is_whole
    assert after.keys() == state.keys()
    for name in state:
        assert torch.equal(after[name], state[name]) == name.startswith("output."), name


@pytest.mark.parametrize("masked", [0.0, 0.4])
def test_the_same_seed_gives_the_same_weights_to_the_bit(network, state, images, masked):
    first, again = (trained(network, state, images, masked=masked)[1] for _ in range(2))
    assert is_same(first, again)
    other = Recipe(images_per_epoch=0, pretrain_epochs=2, batch_size=16, seed=4)
    assert not is_same(first, trained(network, state, images, other, masked=masked)[1])


def test_gradients_are_clipped_where_the_recipe_says_so(network, state, images):
    clipped = Recipe(images_per_epoch=0, pretrain_epochs=2, batch_size=16, seed=3, clip_norm=1e-3)
    plain = trained(network, state, images)[1]
    assert not is_same(trained(network, state, images, clipped)[1], plain)


def test_labels_are_not_seen(network, state, images):
    other = Split(images.source, images.rows, np.zeros_like(images.labels))
    assert is_same(trained(network, state, images)[1], trained(network, state, other)[1])


def test_masking_blanks_a_share_of_the_input_and_changes_the_result(network, state, images):
    x = torch.ones(40, 3, 32, 32)
    masked = pretraining._masked(x, 0.4, (1, 2))
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert masked.mean().item() == pytest.approx(0.6, abs=0.05)
    assert torch.equal(masked[:, 0], masked[:, 2])
    assert not torch.equal(masked[0], masked[1])
    plain, with_masks = (trained(network, state, images, masked=m)[1] for m in (0.0, 0.4))
    assert not is_same(plain, with_masks)


def test_progress_is_reported_and_it_can_be_stopped(network, state, images):
    seen = []
    assert trained(network, state, images, after_batch=lambda *at: seen.append(at) or True)[0]
    assert seen == [(16 * step, 16 * STEPS) for step in range(1, STEPS + 1)]
    seen.clear()

    def until_32(done, total):
        seen.append(done)
        return done < 32

    is_whole, after = trained(network, state, images, after_batch=until_32)
    assert not is_whole
    assert seen == [16, 32]
    assert not is_same(after, state)
    assert trained(network, state, images, after_batch=lambda done, total: done < total)[0]


def test_no_epochs_change_nothing(network, state, images):
    is_whole, after = trained(network, state, images, Recipe(images_per_epoch=0, pretrain_epochs=0))
    assert is_whole
    assert is_same(after, state)


def test_the_module_is_left_in_evaluation_mode_and_without_the_decoder(network, state, images):
    module = build(network, state).train()
    names = [name for name, _ in module.named_modules()]
    pretrain(module, network, images, RECIPE, CPU)
    assert [name for name, _ in module.named_modules()] == names
    assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 3e38])
def test_an_error_that_is_not_finite_ends_it_at_once(network, state, images, broken):
    name = "features.stage1.unit1.expand_bn3.bias"
    state[name] = torch.full_like(state[name], broken)
    seen = []
    with pytest.raises(UserError, match="became infinite: lower the learning rate"):
        trained(network, state, images, after_batch=lambda *at: seen.append(at) or True)
    assert seen == []


def test_weights_that_break_in_the_last_step_are_no_success(network, state, images):
    recipe = Recipe(
        images_per_epoch=0,
        pretrain_epochs=1,
        batch_size=IMAGES,
        learning_rate=10.0,
        weight_decay=1e300,
    )
    with pytest.raises(UserError, match="became infinite: lower the learning rate"):
        trained(network, state, images, recipe)


def test_a_single_image_is_too_few(network, state, images):
    with pytest.raises(UserError, match=r"two images or more.*pretrain_epochs=0"):
        trained(network, state, Split(images.source, images.rows[:1], images.labels[:1]))


@pytest.mark.parametrize("seed", range(6))
def test_any_structure_can_be_pretrained(seed, random_network, random_state):
    network = random_network(random.Random(seed))
    rng = np.random.default_rng(seed)
    shape = (6, network.input_size, network.input_size, network.input_channels)
    images = Split(rng.integers(0, 256, shape, np.uint8), np.arange(6), np.zeros(6, np.int64))
    state = random_state(network, seed)
    recipe = Recipe(images_per_epoch=0, pretrain_epochs=1, batch_size=3, clip_norm=1.0)
    is_whole, after = trained(network, state, images, recipe)
    assert is_whole
    head = [name for name in state if name.startswith(f"{network.head.key}.")]
    assert all(torch.equal(after[name], state[name]) for name in head)
    assert not is_same(after, state)


def test_a_decomposed_head_keeps_out_of_it_too(random_state, images):
    network = edits.apply(shufflenet.fresh(units=(1, 1, 1)), edits.InputSize(32))
    network = edits.apply(network, edits.parse("rank:output.head=5"))
    state = random_state(network, 1)
    _, after = trained(network, state, images)
    kept = [name for name in state if torch.equal(after[name], state[name])]
    assert kept == [name for name in state if name.startswith("output")]
    assert len(kept) > 2
