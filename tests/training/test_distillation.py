"""Distillation is its formula, its teachers see what they are made for, and refusals say why."""

import random

import msgspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sessions import edits
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training.distillation import (
    Teachers,
    attention,
    distillation_loss,
    feature_distance,
)
from workbench.training.features import run_with_features
from workbench.training.images.data import Split
from workbench.training.measuring.evaluate import normalised

CPU = torch.device("cpu")
K = 4
SOFT = Recipe(temperature=3.0)
PLAIN = Recipe(teacher_images="plain")
FEATURES = Recipe(features=1.0, teachers=("big.pt",))


def fresh(width=0.125, units=(1, 2, 1), classes=K, size=32):
    made = shufflenet.fresh(groups=1, width=width, units=units, classes=classes)
    return edits.apply(made, edits.InputSize(size))


@pytest.fixture(scope="module")
def network():
    return fresh()


@pytest.fixture
def student(network, random_state):
    return build(network, random_state(network, 1))


@pytest.fixture
def teacher(network, random_state):
    """One of the student's structure."""
    return network, random_state(network, 2)


@pytest.fixture
def bigger(random_state):
    network = fresh(0.25, (2, 3, 2))
    return network, random_state(network, 3)


@pytest.fixture
def images():
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def split():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)
    rows = rng.permutation(150)[:140]
    return Split(source, rows, rng.integers(0, K, 140))


def soft_by_hand(teacher, images, temperature):
    with torch.no_grad():
        return (build(*teacher)(images) / temperature).softmax(dim=1)


# Probabilities


def test_at_temperature_1_it_is_cross_entropy_less_the_teachers_entropy(images, student, teacher):
    targets = soft_by_hand(teacher, images, 1.0)
    logits = student(images)
    entropy = -(targets * targets.log()).sum(dim=1).mean()
    wanted = F.cross_entropy(logits, targets)
    found = distillation_loss(logits, targets, 1.0)
    assert found.item() == pytest.approx((wanted - entropy).item(), rel=1e-4)
    ours, theirs = (torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (found, wanted))
    assert torch.allclose(ours, theirs, atol=1e-7)
    assert ours.abs().max() > 0.01


def test_the_loss_is_the_formula_at_any_temperature(images, student, teacher, network):
    recipe = Recipe(temperature=4.0)
    logits = student(images)
    p = soft_by_hand(teacher, images, 4.0)
    q = (logits / 4).softmax(dim=1)
    wanted = 16 * (p * (p.log() - q.log())).sum(dim=1).mean()
    found = Teachers([teacher], network, recipe, CPU).loss(logits, images)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_student_like_its_teacher_has_no_loss(images, teacher, network):
    teachers = Teachers([teacher], network, FEATURES, CPU)
    logits, features = run_with_features(build(*teacher), network, images, teachers.stages)
    assert teachers.loss(logits, images).item() == pytest.approx(0, abs=1e-5)
    assert teachers.feature_loss(features, images).item() == pytest.approx(0, abs=1e-9)


def test_a_teacher_so_sure_that_it_puts_out_zeros_gives_a_finite_loss():
    logits = torch.tensor([[1.0, 2.0, 0.0]], requires_grad=True)
    loss = distillation_loss(logits, torch.tensor([[0.0, 1.0, 0.0]]), 2.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("given", [(), (1.0, 3.0), (0.0, 2.0)])
@pytest.mark.parametrize("features", [0.0, 1.0])
def test_an_ensemble_is_the_weighted_mean_of_probabilities(
    images, teacher, bigger, network, given, features
):
    recipe = Recipe(teacher_weights=given, temperature=3.0, features=features)
    found = Teachers([teacher, bigger], network, recipe, CPU).probabilities(images)
    first, second = (soft_by_hand(one, images, 3.0) for one in (teacher, bigger))
    a, b = given or (1.0, 1.0)
    assert torch.allclose(found, (a * first + b * second) / (a + b), atol=1e-5)
    assert torch.allclose(found.sum(dim=1), torch.ones(6))


def test_teachers_learn_nothing_and_the_student_does(images, student, network, bigger):
    recipe = msgspec.structs.replace(FEATURES, teachers=())
    before = {name: value.clone() for name, value in bigger[1].items()}
    teachers = Teachers([bigger], network, recipe, CPU)
    student.train()
    logits, features = run_with_features(student, network, images, teachers.stages)
    loss = teachers.loss(logits, images) + teachers.feature_loss(features, images)
    loss.backward()
    assert all(p.grad is not None for p in student.parameters())
    assert all(p.grad is None and not p.requires_grad for p in teachers.first.parameters())
    after = teachers.first.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in after)
    assert not teachers.first.training


@pytest.mark.parametrize("seed", range(4))
def test_any_structure_can_teach(seed, random_network, random_state):
    teacher_network = random_network(random.Random(seed))
    state = random_state(teacher_network, seed)
    student = msgspec.structs.replace(teacher_network, mean=(0.1,) * len(teacher_network.mean))
    shape = (3, student.input_channels, student.input_size, student.input_size)
    raw = torch.rand(shape)
    ours, theirs = (
        (raw - torch.tensor(n.mean).view(1, -1, 1, 1)) / torch.tensor(n.std).view(1, -1, 1, 1)
        for n in (student, teacher_network)
    )
    found = Teachers([(teacher_network, state)], student, SOFT, CPU).probabilities(ours)
    wanted = soft_by_hand((teacher_network, state), theirs, 3.0)
    assert torch.allclose(found, wanted, atol=1e-4)


# What teachers look at


@pytest.mark.parametrize("size", [16, 48])
def test_a_teacher_of_another_input_size_sees_resized_images(images, network, random_state, size):
    other = fresh(size=size)
    state = random_state(other, 4)
    seen = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    found = Teachers([(other, state)], network, SOFT, CPU).probabilities(images)
    assert torch.allclose(found, soft_by_hand((other, state), seen, 3.0), atol=1e-5)


def test_plain_images_are_looked_at_once_and_give_the_same_probabilities(
    split, student, network, teacher, bigger, monkeypatch
):
    recipe = Recipe(teacher_images="plain", teacher_weights=(1.0, 2.0))
    teachers = Teachers([teacher, bigger], network, recipe, CPU)
    seen = []
    assert teachers.precompute(split, lambda done, total: seen.append((done, total)) or True)
    assert seen == [(128, 140), (140, 140)]
    where = np.array([139, 3, 3, 77])
    images = normalised(split.take(where), network, CPU)
    wanted = teachers.probabilities(images)
    assert torch.allclose(teachers.looked_up(where), wanted, atol=1e-6)
    monkeypatch.setattr(teachers, "look", None)
    logits = student(images)
    found = teachers.loss(logits, images + 100, where)
    assert found.item() == pytest.approx(distillation_loss(logits, wanted, 3.0).item(), rel=1e-4)
    found.backward()


def test_looking_at_plain_images_can_be_stopped(split, network, teacher):
    teachers = Teachers([teacher], network, PLAIN, CPU)
    assert not teachers.precompute(split, lambda done, total: False)
    assert teachers.cached is None


# Features


@pytest.mark.parametrize("which", ["bigger", "teacher"])
def test_features_are_compared_by_attention(request, images, student, network, which):
    bigger = request.getfixturevalue(which)
    teachers = Teachers([bigger], network, FEATURES, CPU)
    _, ours = run_with_features(student, network, images, teachers.stages)
    _, theirs = run_with_features(build(*bigger), bigger[0], images, teachers.stages)
    wanted = 0.0
    for stage in teachers.stages:
        for a, b in zip(ours[stage], theirs[stage], strict=True):
            a, b = ((x**2).mean(dim=0).flatten() for x in (a, b))
            wanted += ((a / a.norm() - b / b.norm()) ** 2).sum().item() / len(images)
    assert teachers.feature_loss(ours, images).item() == pytest.approx(wanted, rel=1e-4)


def test_attention_knows_neither_the_order_nor_the_size_of_channels():
    x = torch.rand(2, 6, 3, 3)
    assert torch.allclose(attention(x), attention(5 * x.flip(1)), atol=1e-6)
    assert torch.allclose(attention(x).norm(dim=1), torch.ones(2))
    assert feature_distance(x, torch.cat((x, x), dim=1)).item() == pytest.approx(0, abs=1e-9)
    assert feature_distance(x, x.flip(1)).item() == pytest.approx(0, abs=1e-9)
    assert feature_distance(x, x.flip(2)).item() > 0.01


@pytest.mark.parametrize("width", [6, 3])
def test_the_distance_of_dead_features_has_a_finite_gradient(width):
    dead = torch.zeros(2, 6, 3, 3, requires_grad=True)
    feature_distance(dead, torch.rand(2, width, 3, 3)).backward()
    assert torch.isfinite(dead.grad).all()


def test_the_teacher_runs_once_for_loss_and_features(images, student, network, teacher):
    teachers = Teachers([teacher], network, FEATURES, CPU)
    runs = []
    look = teachers.look
    teachers.look = lambda seen: runs.append(seen) or look(seen)
    logits, features = run_with_features(student, network, images, teachers.stages)
    teachers.loss(logits, images)
    first = teachers.feature_loss(features, images)
    assert len(runs) == 1
    assert teachers.feature_loss(features, images.clone()).item() == first.item()
    assert teachers.feature_loss(features, images * 0).item() != first.item()
    assert len(runs) == 3


# Refusals


@pytest.mark.parametrize(
    ("made", "recipe", "said"),
    [
        (lambda: fresh(classes=5), SOFT, r"teacher 1 has 5 classes, the network 4: leave it out"),
        (lambda: fresh(size=64), FEATURES, r"big.pt puts out 8x8 pixels, the network's 4x4: set"),
        (fresh, msgspec.structs.replace(PLAIN, features=1.0), "features needs .*=augmented"),
        (fresh, msgspec.structs.replace(PLAIN, mixup=0.2), "mixup needs .*=augmented, or mixup=0"),
        (fresh, msgspec.structs.replace(PLAIN, cutmix=0.2), "cutmix needs .*=augmented"),
    ],
    ids=["classes", "sizes", "plain features", "plain mixup", "plain cutmix"],
)
def test_what_cannot_be_is_refused_with_what_to_do(network, random_state, made, recipe, said):
    other = made()
    with pytest.raises(UserError, match=said):
        Teachers([(other, random_state(other, 0))], network, recipe, CPU)


def test_a_teacher_of_grey_images_is_refused(network, random_state):
    units = tuple(
        (shufflenet.UnitPlan(path=f"stage{n}.unit1", mid=2, width=4, groups=1, compress_groups=1),)
        for n in (1, 2)
    )
    grey = shufflenet.make(shufflenet.Plan(3, units, K, input_channels=1))
    with pytest.raises(UserError, match="takes images of 1 channels, the network of 3: leave"):
        Teachers([(grey, random_state(grey, 0))], network, SOFT, CPU)


def test_a_teacher_without_a_stage_in_common_is_refused_for_features(network, teacher):
    stages = tuple(
        msgspec.structs.replace(stage, path=f"{stage.path}x") for stage in network.stages
    )
    other = msgspec.structs.replace(network, stages=stages)
    with pytest.raises(UserError, match=r"no stage of the same name.*set features=0"):
        Teachers([(other, teacher[1])], network, FEATURES, CPU)
    Teachers([(other, teacher[1])], network, SOFT, CPU)


def test_no_teacher_is_an_error_of_the_program(network):
    with pytest.raises(ValueError, match="no teacher"):
        Teachers([], network, SOFT, CPU)
