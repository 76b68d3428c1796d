"""Evaluation says what scikit-learn says, and folding batch norms changes no prediction."""

import random

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
)

from sessions.splits import Splits
from workbench.errors import UserError
from workbench.surgery.build import build
from workbench.training.images.data import Dataset, Split
from workbench.training.measuring.evaluate import (
    MATRIX_CLASSES,
    evaluate,
    fold,
    judge,
    normalised,
    predict,
    score_predictions,
)

CPU = torch.device("cpu")


def names(count):
    return tuple(f"class {number}" for number in range(count))


def random_labels(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 12))
    seen = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    guessed = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    size = int(rng.integers(1, 200))
    labels = rng.choice(seen, size)
    predicted = np.where(rng.random(size) < 0.5, labels, rng.choice(guessed, size))
    return labels, predicted, classes


def random_split(network, seed, count=70):
    rng = np.random.default_rng(seed)
    shape = (count, network.input_size, network.input_size, network.input_channels)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    rows = rng.permutation(count)[: count - 5]
    return Split(images, rows, rng.integers(0, network.classes, count - 5))


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_the_scores_are_those_of_scikit_learn(seed):
    labels, predicted, classes = random_labels(seed)
    found = score_predictions(labels, predicted, names(classes))
    assert found.f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    every = {"labels": range(classes), "average": None, "zero_division": 0.0}
    assert [one.f1 for one in found.classes] == pytest.approx(f1_score(labels, predicted, **every))
    assert [one.precision for one in found.classes] == pytest.approx(
        precision_score(labels, predicted, **every)
    )
    assert [one.recall for one in found.classes] == pytest.approx(
        recall_score(labels, predicted, **every)
    )
    assert [one.support for one in found.classes] == np.bincount(labels, minlength=classes).tolist()
    assert found.images == len(labels)
    matrix = confusion_matrix(labels, predicted, labels=range(classes))
    assert found.confusion == tuple(map(tuple, matrix.tolist()))


def test_the_random_labels_cover_absent_and_unpredicted_classes():
    found = [random_labels(seed) for seed in range(60)]
    assert any(set(range(classes)) - set(a) - set(b) for a, b, classes in found)
    assert any(set(a) - set(b) for a, b, _ in found)
    assert any(set(b) - set(a) for a, b, _ in found)


def test_scores_of_a_hand_made_case():
    found = score_predictions(
        np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), names(4), "test"
    )
    assert [round(one.f1, 4) for one in found.classes] == [0.6667, 0.8, 0.0, 0.0]
    assert found.f1 == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.split == "test"
    assert [one.name for one in found.classes] == list(names(4))


def test_a_single_class_network_that_is_always_right():
    assert score_predictions(np.zeros(5, int), np.zeros(5, int), names(2)).f1 == 1.0


# The module


@pytest.mark.parametrize("seed", range(12))
def test_the_folded_network_computes_the_same_logits(random_network, random_state, seed):
    network = random_network(random.Random(seed))
    module = build(network, random_state(network, seed))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    shape = (5, network.input_channels, network.input_size, network.input_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        wanted, found = module(images), fold(module)(images)
    assert float((found - wanted).abs().max()) <= 1e-4 * max(1.0, float(wanted.abs().max()))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_folding_takes_the_smallest_variances_as_batch_norm_does(published, random_state):
    network = published((1, 1, 1))
    state = random_state(network, 1)
    state["features.init_block.bn.running_var"].fill_(1e-5)
    module = build(network, state)
    images = torch.randn(2, 3, 80, 80)
    with torch.inference_mode():
        wanted, found = module(images), fold(module)(images)
    assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())


@pytest.mark.parametrize("seed", range(4))
def test_predictions_are_the_largest_logits_of_each_image(random_network, random_state, seed):
    network = random_network(random.Random(seed))
    module = build(network, random_state(network, seed))
    split = random_split(network, seed)
    with torch.inference_mode():
        logits = module(normalised(split.take(slice(None)), network, CPU))
    first, second = logits.topk(2, dim=1).values.T
    is_clear = (first - second > 1e-3).numpy()
    found = predict(module, network, split, CPU)
    assert found.shape == (65,)
    assert np.array_equal(found[is_clear], logits.argmax(dim=1).numpy()[is_clear])


@pytest.mark.parametrize("is_training", [True, False])
def test_predicting_leaves_the_module_and_torch_as_they_were(
    random_network, random_state, is_training
):
    network = random_network(random.Random(1))
    module = build(network, random_state(network, 1)).train(is_training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    threads = torch.get_num_threads()
    predict(module, network, random_split(network, 1), CPU)
    assert module.training == is_training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.get_num_threads() == threads


def test_predictions_do_not_depend_on_the_number_of_threads(random_network, random_state):
    network = random_network(random.Random(2))
    module = build(network, random_state(network, 2))
    split = random_split(network, 2, count=300)
    one = predict(module, network, split, CPU)
    torch.set_num_threads(3)
    assert np.array_equal(predict(module, network, split, CPU), one)


def test_evaluating_puts_predictions_and_scores_together(random_network, random_state):
    network = random_network(random.Random(3))
    module = build(network, random_state(network, 3))
    split = random_split(network, 3)
    classes = names(network.classes)
    wanted = score_predictions(split.labels, predict(module, network, split, CPU), classes)
    assert evaluate(module, network, split, classes, CPU) == wanted
    assert wanted.split == "validation"


def test_images_are_normalised_as_the_network_says(published):
    network = published()
    images = np.zeros((2, 80, 80, 3), np.uint8)
    images[1] = 255
    x = normalised(images, network, CPU)
    assert x.shape == (2, 3, 80, 80)
    assert x.dtype == torch.float32
    for channel, (mean, std) in enumerate(zip(network.mean, network.std, strict=True)):
        assert float(x[0, channel].mean()) == pytest.approx(-mean / std, rel=1e-5)
        assert float(x[1, channel].mean()) == pytest.approx((1 - mean) / std, rel=1e-5)
    assert images.max() == 255


# The interval


def noisy(images, classes, right, seed):
    """True classes and predictions that are right this often."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    guesses = rng.integers(0, classes, images)
    return labels, np.where(rng.random(images) < right, labels, guesses)


def test_the_interval_is_that_of_images_drawn_with_replacement_one_by_one():
    labels, predicted = noisy(300, 5, 0.6, seed=1)
    rng = np.random.default_rng(2)
    values = []
    for _ in range(400):
        drawn = rng.integers(0, 300, 300)
        values.append(f1_score(labels[drawn], predicted[drawn], average="macro"))
    found = score_predictions(labels, predicted, names(5))
    assert found.interval == pytest.approx(np.quantile(values, (0.025, 0.975)), abs=0.015)
    assert found.low < found.f1 < found.high


def test_the_interval_holds_the_f1_of_many_images_nineteen_times_of_twenty():
    truth = score_predictions(*noisy(400_000, 4, 0.7, seed=0), names(4)).f1
    intervals = [
        score_predictions(*noisy(200, 4, 0.7, seed=seed), names(4)).interval
        for seed in range(1, 201)
    ]
    held = sum(low <= truth <= high for low, high in intervals)
    assert 0.9 * 200 <= held <= 0.99 * 200


def test_the_interval_is_narrower_with_more_images():
    few, many = (
        score_predictions(*noisy(images, 4, 0.7, seed=3), names(4)) for images in (100, 10_000)
    )
    assert many.high - many.low < 0.2 * (few.high - few.low)


def test_the_same_predictions_have_the_same_interval():
    labels, predicted = noisy(100, 3, 0.5, seed=4)
    first, again = (score_predictions(labels, predicted, names(3)) for _ in range(2))
    assert first == again


def test_of_no_mistake_or_a_single_image_the_interval_is_a_point():
    assert score_predictions(np.zeros(5, int), np.zeros(5, int), names(2)).interval == (1.0, 1.0)
    assert score_predictions(np.array([1]), np.array([0]), names(2)).interval == (0.0, 0.0)


def test_many_classes_have_an_interval_and_no_matrix_that_would_swell_the_session():
    classes = MATRIX_CLASSES + 1
    found = score_predictions(*noisy(5000, classes, 0.7, seed=5), names(classes))
    assert found.confusion == ()
    assert found.low < found.f1 < found.high
    fewer = score_predictions(*noisy(500, classes - 1, 0.7, seed=5), names(classes - 1))
    assert len(fewer.confusion) == MATRIX_CLASSES


# The split


@pytest.fixture
def judged(random_network, random_state):
    network = random_network(random.Random(3))
    module = build(network, random_state(network, 3))
    parts = [random_split(network, seed) for seed in (1, 2, 3)]
    nothing = Split(parts[0].source, np.empty(0, np.intp), np.empty(0, np.int64))

    def judged(name=None, *, has_val=True, has_hold_out=True):
        data = Dataset(
            source="data", classes=names(network.classes), train=parts[0],
            val=parts[1] if has_val else nothing, hold_out=parts[2] if has_hold_out else None,
            splits=Splits(), fingerprint="",
        )  # fmt: skip
        return judge(module, network, data, CPU, name)

    wanted = {
        name: evaluate(module, network, part, names(network.classes), CPU, name)
        for name, part in zip(("train", "validation", "hold-out"), parts, strict=True)
    }
    return judged, wanted


def test_every_split_is_measured_under_its_own_name(judged):
    judged, wanted = judged
    for name, evaluation in wanted.items():
        assert judged(name) == evaluation
        assert evaluation.split == name
    assert len({evaluation.accuracy for evaluation in wanted.values()}) > 1


def test_jobs_tell_of_validation_and_of_the_hold_out_only_where_nothing_validates(judged):
    judged, wanted = judged
    assert judged() == wanted["validation"]
    assert judged(has_val=False) == wanted["hold-out"]
    with pytest.raises(UserError, match="nothing is held out"):
        judged("hold-out", has_hold_out=False)


def test_a_split_without_images_is_an_error_that_names_it(random_network, random_state):
    network = random_network(random.Random(3))
    module = build(network, random_state(network, 3))
    nothing = Split(np.empty((0, 8, 8, 3), np.uint8), np.empty(0, np.intp), np.empty(0, np.int64))
    with pytest.raises(UserError, match="no validation images"):
        evaluate(module, network, nothing, names(network.classes), CPU)
