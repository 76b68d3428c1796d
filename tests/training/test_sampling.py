"""Each class is drawn as often as it should be, and no image is left out needlessly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from sessions.recipe import Recipe
from workbench.training.sampling import epoch_order, passes, shares

SAMPLERS = ("shuffle", "balanced", "root")
COUNTS = (300, 100, 40, 9, 1)
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(5), COUNTS))
N = len(LABELS)


def orders(sampler, epochs, labels=LABELS):
    return [epoch_order(labels, sampler, (1, epoch)) for epoch in range(epochs)]


def drawn(sampler, epochs, labels=LABELS):
    """How often each class is in all epochs together."""
    return np.bincount(labels[np.concatenate(orders(sampler, epochs, labels))], minlength=5)


def test_shuffle_is_the_permutation_of_its_seed():
    for seed in ((0, 0), (5, 3), (7,)):
        found = epoch_order(LABELS, "shuffle", seed)
        assert np.array_equal(found, np.random.default_rng(seed).permutation(N))
        assert found.dtype == np.intp


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_order_and_another_does_not(sampler):
    first, again = (epoch_order(LABELS, sampler, (3, 1)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, epoch_order(LABELS, sampler, (3, 2)))
    assert (len(first), first.dtype) == (N, np.intp)


@pytest.mark.parametrize(
    ("sampler", "weights"),
    [("balanced", np.ones(5)), ("root", np.sqrt(COUNTS)), ("shuffle", np.array(COUNTS))],
)
def test_classes_come_as_often_as_they_should(sampler, weights):
    """By a chi-square test, which finds every other sampler's frequencies impossible."""
    epochs = 200
    seen = drawn(sampler, epochs)
    assert chisquare(seen, weights / weights.sum() * N * epochs).pvalue > 0.01
    for other in (np.ones(5), np.sqrt(COUNTS), np.array(COUNTS)):
        if not np.array_equal(other, weights):
            assert chisquare(seen, other / other.sum() * N * epochs).pvalue < 1e-9


@pytest.mark.parametrize("sampler", ["balanced", "root"])
def test_images_of_a_class_come_equally_often(sampler):
    seen = np.bincount(np.concatenate(orders(sampler, 400)), minlength=N)
    for label in range(4):
        assert chisquare(seen[label == LABELS]).pvalue > 0.001


@pytest.mark.parametrize("sampler", ["balanced", "root"])
def test_within_an_epoch_no_image_comes_again_before_all_of_its_class_came(sampler):
    for order in orders(sampler, 20):
        times = np.bincount(order, minlength=N)
        for label in range(5):
            of_class = times[label == LABELS]
            assert of_class.max() - of_class.min() <= 1


def test_rounding_is_by_chance_so_that_no_class_is_favoured():
    labels = np.repeat([0, 1, 2], [3, 1, 1])
    epochs = 2000
    times = np.array([np.bincount(labels[o]) for o in orders("balanced", epochs, labels)])
    assert set(times.flatten()) == {1, 2}
    assert times.mean(axis=0) == pytest.approx([5 / 3] * 3, abs=0.05)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_classes_are_mixed_all_through_an_epoch(sampler):
    """By a chi-square test of the two halves of many epochs."""
    halves = [LABELS[o].reshape(2, -1) for o in orders(sampler, 20)]
    first, second = (sum(np.bincount(half[n], minlength=5) for half in halves)[:3] for n in (0, 1))
    both = (first + second) / 2
    assert chisquare([*first, *second], [*both, *both], ddof=3, sum_check=False).pvalue > 0.001


def test_a_class_of_more_than_half_of_the_data_has_a_positive_share():
    """Weights of 1 - 2c/N, published for this task, are negative there."""
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    counts = np.bincount(labels)
    assert (1 - 2 * counts / len(labels)).min() < 0
    for sampler in ("balanced", "root"):
        found = shares(counts, sampler)
        assert found.min() > 0
        assert found.sum() == pytest.approx(1)
        assert set(labels[epoch_order(labels, sampler, (0,))]) == {0, 1, 2}
    assert shares(counts, "balanced") == pytest.approx([1 / 3] * 3)
    times = np.bincount(labels[np.concatenate(orders("balanced", 30, labels))])
    assert chisquare(times).pvalue > 0.01


def test_a_class_without_images_has_no_share_and_is_never_drawn():
    assert shares(np.array([5, 0, 20]), "root") == pytest.approx([1 / 3, 0, 2 / 3])
    assert shares(np.array([5, 0, 20]), "balanced") == pytest.approx([1 / 2, 0, 1 / 2])
    labels = np.repeat([0, 2], [5, 20])
    assert np.bincount(labels[epoch_order(labels, "balanced", (0,))])[1] == 0


@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(any),
    sampler=st.sampled_from(["balanced", "root"]),
    seed=st.integers(0, 2**32),
)
def test_every_class_with_images_is_in_every_epoch_within_one_of_its_share(counts, sampler, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    order = epoch_order(labels, sampler, (seed,))
    assert len(order) == len(labels)
    assert 0 <= order.min() <= order.max() < len(labels)
    times = np.bincount(labels[order], minlength=len(counts))
    expected = len(labels) * shares(np.array(counts), sampler)
    assert (np.abs(times - expected) < 1 + 1e-9).all()
    assert ((times > 0) == (np.array(counts) > 0)).all()


def test_an_unknown_sampler_is_an_error():
    with pytest.raises(KeyError):
        epoch_order(LABELS, "fair", (0,))


@pytest.mark.parametrize(
    ("images", "wanted", "count"),
    [(2022, 6000, 3), (6000, 6000, 1), (6001, 6000, 1), (5999, 6000, 2), (20, 6000, 4), (20, 0, 1)],
)
def test_a_small_data_set_is_gone_through_several_times_an_epoch(images, wanted, count):
    assert passes(images, Recipe(images_per_epoch=wanted)) == count


@pytest.mark.parametrize("sampler", ["shuffle", "balanced", "root"])
def test_every_pass_of_an_epoch_is_whole_and_another_order(sampler):
    labels = np.repeat([0, 1, 2], [30, 12, 6])
    once = epoch_order(labels, sampler, (3, 1))
    thrice = epoch_order(labels, sampler, (3, 1), 3)
    each = np.split(thrice, 3)
    assert (each[0] == once).all()
    assert not (each[1] == once).all()
    assert not (each[1] == each[2]).all()
    if sampler == "shuffle":
        assert all(sorted(one) == list(range(48)) for one in each)
