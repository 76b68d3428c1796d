"""Training, validation and hold-out: the same as ever by default, and never mixed."""

import hashlib

import numpy as np
import pytest
from test_data import counts, fill, opened, put, refusal

from sessions.splits import Splits
from workbench.errors import UserError
from workbench.training.images.data import open_data
from workbench.training.images.division import divide

GOLDEN = {0: "f71c9ddf317ebe27", 1: "2e7dbc15c2815aed", 7: "57a70026428e015f"}
"""Digests of the validation rows of digits by seed, as they were when sessions were recorded."""


def digits(splits=0):
    return open_data("digits", 8, 1, splits)


def random_labels(seed, classes=6):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 60, classes)
    return rng.permutation(np.repeat(np.arange(classes), sizes))


def names(labels):
    return tuple(f"class {number}" for number in range(labels.max() + 1))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


# What was recorded stays


@pytest.mark.parametrize("seed", GOLDEN)
def test_the_usual_split_is_the_one_of_recorded_sessions(seed):
    for splits in (seed, Splits(seed=seed)):
        rows = digits(splits).val.rows
        assert hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16] == GOLDEN[seed]


@pytest.mark.parametrize("seed", GOLDEN)
def test_a_held_out_fifth_is_the_validation_split_where_nothing_is_held_out(seed):
    usual = digits(seed)
    held = digits(Splits(seed=seed, hold_out=0.2))
    whole = digits(Splits(seed=seed, hold_out=0.2, train_all=True))
    assert np.array_equal(held.hold_out.rows, usual.val.rows)
    assert np.array_equal(whole.hold_out.rows, usual.val.rows)
    assert np.array_equal(whole.train.rows, usual.train.rows)
    assert (held.fingerprint, held.hold_out_fingerprint) == (usual.fingerprint, "")


# Sides


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "choices",
    [{}, {"hold_out": 0.2}, {"hold_out": 0.5, "validation": 0.3}, {"hold_out": 0.01},
     {"folds": 5, "fold": 4}, {"hold_out": 0.2, "folds": 3}],
)  # fmt: skip
def test_every_class_is_on_every_side_in_its_share_and_no_image_twice(seed, choices):
    labels, splits = random_labels(seed), Splits(seed=seed, **choices)
    is_val, is_held = divide(labels, names(labels), splits)
    assert not (is_val & is_held).any()
    sizes = np.bincount(labels)
    share = (1 - splits.hold_out) / splits.folds if splits.folds else splits.validation
    for marks, wanted in ((is_held, splits.hold_out), (is_val, share)):
        found = np.bincount(labels[marks], minlength=len(sizes))
        if wanted:
            assert (found >= 1).all()
            assert (np.abs(found - wanted * sizes) <= 1.01).all()
        else:
            assert found.sum() == 0
    assert (np.bincount(labels[~is_val & ~is_held], minlength=len(sizes)) >= 1).all()


@pytest.mark.parametrize("hold_out", [0.0, 0.2])
def test_folds_validate_every_image_once_beside_one_and_the_same_hold_out(hold_out):
    labels = random_labels(3)
    parts = [
        divide(labels, names(labels), Splits(seed=5, hold_out=hold_out, folds=5, fold=fold))
        for fold in range(5)
    ]
    is_held = parts[0][1]
    assert all(np.array_equal(held, is_held) for _, held in parts)
    assert np.array_equal(sum(is_val.astype(int) for is_val, _ in parts), (~is_held).astype(int))


def test_folds_follow_their_seed():
    labels = random_labels(3)
    first, again, other = (
        divide(labels, names(labels), Splits(seed=seed, folds=3))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_validation_does_not_move_the_hold_out():
    shares = (0.1, 0.2, 0.6)
    held = [digits(Splits(hold_out=0.25, validation=share)).hold_out.rows for share in shares]
    assert all(np.array_equal(rows, held[0]) for rows in held)


def test_hold_out_and_validation_are_drawn_apart(folder):
    labels = np.zeros(1000, np.int64)
    is_val, is_held = divide(labels, ("a",), Splits(hold_out=0.2))
    usual, _ = divide(labels, ("a",), Splits())
    assert np.array_equal(is_held, usual)
    between = np.flatnonzero(~is_held)
    place = np.flatnonzero(is_val[between])
    assert not np.array_equal(place, np.flatnonzero(usual)[: len(place)])
    assert is_val.sum() == is_held.sum() == 200


# Training on everything


def test_training_on_all_images_leaves_the_hold_out_to_judge():
    dataset = digits(Splits(hold_out=0.2, train_all=True))
    assert (len(dataset.val), dataset.judge) == (0, "hold-out")
    assert len(dataset.train) + len(dataset.hold_out) == 1797
    with pytest.raises(UserError, match="none validates: measure the hold-out"):
        dataset.part("validation")


def test_training_on_all_images_needs_a_hold_out_before_anything_is_trained(folder):
    with pytest.raises(UserError, match=r"--hold-out 0\.2"):
        digits(Splits(train_all=True))
    fill(folder, {"glass": 4, "metal": 4})
    assert "--hold-out 0.2" in refusal(folder, splits=Splits(train_all=True))


def test_parts_have_names_and_a_hold_out_that_is_not_there_is_asked_for():
    dataset = digits()
    assert dataset.judge == "validation"
    assert dataset.part("validation") is dataset.val
    assert dataset.part("train") is dataset.train
    with pytest.raises(UserError, match=r"nothing is held out.*--hold-out 0\.2.*test folder"):
        dataset.part("hold-out")


# Few images


def test_two_images_of_a_class_cannot_be_on_three_sides(folder):
    fill(folder, {"glass": 9, "metal": 2})
    assert "one to hold out" in refusal(folder, splits=Splits(hold_out=0.2))
    dataset = opened(folder, splits=Splits(hold_out=0.2, train_all=True))
    assert (counts(dataset.train), counts(dataset.hold_out)) == ([7, 1], [2, 1])


def test_three_images_of_a_class_are_one_on_each_side(folder):
    dataset = opened(fill(folder, {"glass": 9, "metal": 3}), splits=Splits(hold_out=0.2))
    sides = (dataset.train, dataset.val, dataset.hold_out)
    assert [counts(side)[1] for side in sides] == [1, 1, 1]


def test_more_folds_than_images_of_a_class_are_refused_with_how_many_there_may_be(folder):
    fill(folder, {"glass": 20, "metal": 4})
    message = refusal(folder, splits=Splits(folds=5))
    assert "'metal' has 4 usable images for 5 folds" in message
    assert "choose 4 folds or fewer" in message
    dataset = opened(folder, splits=Splits(folds=4, fold=3))
    assert counts(dataset.val) == [5, 1]


# Folders that say it themselves


def with_test(folder, *, has_val=True):
    fill(folder / "train", {"glass": 6, "metal": 5})
    if has_val:
        fill(folder / "val", {"glass": 2, "metal": 1})
    fill(folder / "test", {"glass": 1, "metal": 3})
    return folder


def test_a_test_folder_is_held_out(folder):
    dataset = opened(with_test(folder))
    sides = (dataset.train, dataset.val, dataset.hold_out)
    assert [counts(side) for side in sides] == [[6, 5], [2, 1], [1, 3]]
    means = dataset.hold_out.take(slice(None)).mean(axis=(1, 2))
    assert (means.argmax(axis=1) == dataset.hold_out.labels).all()


def test_a_test_folder_changes_nothing_else(folder, tmp_path):
    fill(folder / "train", {"glass": 6, "metal": 5})
    fill(folder / "val", {"glass": 2, "metal": 1})
    before = opened(folder)
    after = opened(with_test(folder))
    assert after.fingerprint == before.fingerprint
    assert np.array_equal(after.val.take(slice(None)), before.val.take(slice(None)))
    assert before.hold_out_fingerprint == ""
    put(folder / "test" / "metal" / "more.png")
    more = opened(folder)
    assert more.fingerprint == before.fingerprint
    assert more.hold_out_fingerprint not in ("", after.hold_out_fingerprint)


def test_without_a_validation_folder_the_training_images_are_split_and_test_is_held_out(folder):
    dataset = opened(with_test(folder, has_val=False))
    sides = (dataset.train, dataset.val, dataset.hold_out)
    assert [counts(side) for side in sides] == [[5, 4], [1, 1], [1, 3]]
    fifth = opened(folder, splits=Splits(folds=5, fold=1))
    assert counts(fifth.hold_out) == [1, 3]


def test_training_on_all_images_takes_the_validation_folder_too(folder):
    dataset = opened(with_test(folder), splits=Splits(train_all=True))
    assert (counts(dataset.train), len(dataset.val), dataset.judge) == ([8, 6], 0, "hold-out")
    assert counts(dataset.hold_out) == [1, 3]


@pytest.mark.parametrize("splits", [Splits(folds=2), Splits(validation=0.3), Splits(hold_out=0.2)])
def test_a_folder_with_its_own_split_takes_no_other(folder, splits):
    fill(folder / "train", {"glass": 6, "metal": 5})
    fill(folder / "val", {"glass": 2, "metal": 1})
    assert "validation folder of its own" in refusal(folder, splits=splits)


def test_a_folder_with_a_test_folder_takes_no_other_hold_out(folder):
    message = refusal(with_test(folder, has_val=False), splits=Splits(hold_out=0.2))
    assert "holds its test folder out" in message


def test_a_test_class_that_training_does_not_have(folder):
    put(with_test(folder) / "test" / "unknown" / "x.png")
    assert "test class 'unknown' has no training images" in refusal(folder)


def test_a_test_folder_without_class_folders_is_no_hold_out(folder):
    fill(folder / "train", {"glass": 6, "metal": 5})
    fill(folder / "val", {"glass": 2, "metal": 1})
    put(folder / "test" / "x.png")
    assert opened(folder).hold_out is None


def test_a_class_named_test_is_a_class(folder):
    dataset = opened(fill(folder, {"blank": 5, "test": 5}))
    assert dataset.classes == ("blank", "test")
    assert dataset.hold_out is None


def test_broken_images_of_the_test_folder_are_counted_too(folder):
    put(with_test(folder) / "test" / "glass" / "x.png", b"broken")
    put(folder / "train" / "glass" / "y.png", b"broken")
    dataset = opened(folder)
    assert dataset.skipped_count == 2
    assert [skip.path for skip in dataset.skipped] == ["train/glass/y.png", "test/glass/x.png"]
