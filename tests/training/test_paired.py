"""Two networks on the same images: differences are found where they are, and only there."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from workbench.training.measuring.paired import (
    LOOKS,
    compare_all,
    compare_in_looks,
    mcnemar,
    swap_test,
)
from workbench.training.measuring.resampling import cells_of

CLASSES = 3


def macro(labels, predicted):
    return f1_score(labels, predicted, average="macro")


def pair(seed, images=300, differs=0.2, better=0.0):
    """Two networks right on 70 %, of which B guesses anew on some images, a little better."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, images)

    def guessed(right):
        return np.where(rng.random(images) < right, labels, rng.integers(0, CLASSES, images))

    a = guessed(0.6)
    return labels, a, np.where(rng.random(images) < differs, guessed(0.6 + better), a)


def in_looks(labels, a, b, seed=0):
    """The sequential comparison, and how often which image was asked for."""
    asked = [np.zeros(len(labels), int), np.zeros(len(labels), int)]

    def predict(which, predicted):
        def answer(where):
            asked[which][where] += 1
            return predicted[where]

        return answer

    found = compare_in_looks(labels, (predict(0, a), predict(1, b)), CLASSES, seed)
    assert np.array_equal(*asked)
    return (*found, asked[0])


# McNemar


@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (1, 1, 1.0),
        (5, 5, 1.0),
        (2, 0, 2 / 4),
        (5, 0, 2 / 32),
        (0, 6, 2 / 64),
        (1, 9, 2 * (1 + 10) / 1024),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_against_values_by_hand(only_a, only_b, p_value):
    assert mcnemar(only_a, only_b) == pytest.approx(p_value)


# All images


@pytest.mark.parametrize("seed", range(10))
def test_the_figures_are_those_of_the_predictions(seed):
    labels, a, b = pair(seed)
    found = compare_all(labels, a, b, CLASSES)
    assert found.f1_difference == pytest.approx(macro(labels, b) - macro(labels, a))
    assert found.only_a_right == ((a == labels) & (b != labels)).sum()
    assert found.only_b_right == ((b == labels) & (a != labels)).sum()
    assert found.p_value == mcnemar(found.only_a_right, found.only_b_right)
    assert (found.images, found.of, found.confidence) == (300, 300, 0.95)
    assert found.f1_low <= found.f1_difference <= found.f1_high
    holds_0 = found.f1_low <= 0 <= found.f1_high
    assert found.verdict == ("within noise" if holds_0 else "a real difference")


def test_the_interval_is_that_of_images_drawn_with_replacement_one_by_one():
    labels, a, b = pair(1, better=0.2)
    rng = np.random.default_rng(2)
    values = []
    for _ in range(300):
        drawn = rng.integers(0, len(labels), len(labels))
        values.append(macro(labels[drawn], b[drawn]) - macro(labels[drawn], a[drawn]))
    found = compare_all(labels, a, b, CLASSES)
    assert (found.f1_low, found.f1_high) == pytest.approx(
        np.quantile(values, (0.025, 0.975)), abs=0.012
    )


def test_images_on_which_both_agree_make_the_interval_narrower_than_two_of_their_own():
    labels, a, b = pair(3, differs=0.1)
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(labels))
    apart = []
    for predicted in (a, b):
        drawn = rng.integers(0, len(labels), (300, len(labels)))
        apart.append([macro(labels[rows], predicted[rows]) for rows in drawn])
    wide = np.ptp(np.quantile(np.subtract(apart[1], apart[0]), (0.025, 0.975)))
    found = compare_all(labels[shuffled], a[shuffled], b[shuffled], CLASSES)
    assert found.f1_high - found.f1_low < 0.6 * wide


def test_other_sides_have_the_other_sign():
    labels, a, b = pair(4, better=0.3, differs=0.6)
    there, back = compare_all(labels, a, b, CLASSES), compare_all(labels, b, a, CLASSES)
    assert there.verdict == back.verdict == "a real difference"
    assert there.f1_difference == pytest.approx(-back.f1_difference)
    assert there.f1_low == pytest.approx(-back.f1_high, abs=0.01)


def test_a_network_does_not_differ_from_itself():
    labels, a, _ = pair(5)
    found = compare_all(labels, a, a, CLASSES)
    assert (found.f1_difference, found.f1_low, found.f1_high) == (0.0, 0.0, 0.0)
    assert (found.verdict, found.p_value) == ("within noise", 1.0)


# The swap test


@pytest.mark.parametrize(("only_b", "p_value"), [(1, 1.0), (3, 2 / 8), (6, 2 / 64)])
def test_the_swap_test_of_one_sided_differences_is_the_sign_test(only_b, p_value):
    labels = np.repeat([0, 1], 50)
    a, b = labels.copy(), labels.copy()
    a[:only_b] = 1
    assert swap_test(cells_of(2, labels, a, b)) == pytest.approx(p_value, abs=0.02)


def test_the_swap_test_does_not_reject_a_network_against_itself():
    labels, a, _ = pair(5)
    assert swap_test(cells_of(CLASSES, labels, a, a)) == 1.0


# In looks


def test_a_large_difference_is_found_before_all_images_were_taken():
    labels, a, b = pair(1, images=500, differs=0.8, better=0.4)
    found, seen, seen_a, seen_b, asked = in_looks(labels, a, b)
    assert found.verdict == "a real difference"
    assert (found.looks, found.planned_looks) == (1, LOOKS)
    assert found.images == len(seen) == asked.sum() == 100
    assert asked.max() == 1
    assert found.of == 500
    assert found.confidence == pytest.approx(0.99)
    assert np.array_equal(seen_a, a[seen])
    assert np.array_equal(seen_b, b[seen])
    assert found.f1_difference == pytest.approx(
        macro(labels[seen], seen_b) - macro(labels[seen], seen_a)
    )


def test_without_a_difference_every_image_is_taken_once():
    labels, a, _ = pair(2, images=503)
    found, seen, _, _, asked = in_looks(labels, a, a)
    assert (found.verdict, found.looks, found.images) == ("within noise", LOOKS, 503)
    assert (asked == 1).all()
    assert sorted(seen) == list(range(503))


def test_the_order_follows_the_seed():
    labels, a, b = pair(1, images=500, differs=0.8, better=0.4)
    first, again, other = (in_looks(labels, a, b, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("images", "looks"), [(20, 1), (99, 1), (120, 2), (10_000, LOOKS)])
def test_few_images_are_looked_at_less_often(images, looks):
    labels, a, _ = pair(2, images=images)
    assert in_looks(labels, a, a)[0].planned_looks == looks


def test_looking_often_does_not_find_differences_that_are_not_there():
    pairs = (pair(seed, images=250, differs=0.1) for seed in range(50))
    found = [in_looks(*each)[0].verdict for each in pairs]
    assert found.count("a real difference") <= 0.05 * 50 + 2


def test_a_handful_of_images_all_on_one_side_of_which_the_bootstrap_is_too_sure_decides_no_look():
    labels = np.arange(100) % CLASSES
    a, b = labels.copy(), labels.copy()
    a[:5] = (labels[:5] + 1) % CLASSES
    assert compare_all(labels, a, b, CLASSES).verdict == "a real difference"
    assert in_looks(labels, a, b)[0].verdict == "within noise"
