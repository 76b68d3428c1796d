"""Every loss is its formula, also for soft targets, empty classes and extreme logits."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from sessions.recipe import Recipe
from workbench.training.losses import (
    arcface,
    balanced_weights,
    focal_loss,
    log_prior,
    make_loss,
    plain_weight,
    smoothed,
    soft_f1_loss,
)

K, N = 5, 12
COUNTS = torch.tensor([10, 40, 25, 5, 20])
KINDS = ("cross-entropy", "focal", "soft-f1", "f1-focal", "arcface")
PLAIN = {"label_smoothing": 0.0}


@pytest.fixture
def logits():
    return torch.randn(N, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


@pytest.fixture
def labels():
    return torch.arange(N) % K


@pytest.fixture
def hard(labels):
    return F.one_hot(labels, K).double()


@pytest.fixture
def soft():
    drawn = torch.rand(N, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return drawn / drawn.sum(dim=1, keepdim=True)


def loss_of(logits, targets, counts=COUNTS, **recipe):
    return make_loss(Recipe(**recipe), counts)(logits, targets).item()


# Cross entropy


@pytest.mark.parametrize("share", [0.0, 0.05, 0.6])
def test_cross_entropy_of_labels_with_smoothing_is_that_of_torch(logits, labels, hard, share):
    wanted = F.cross_entropy(logits, labels, label_smoothing=share).item()
    assert loss_of(logits, hard, label_smoothing=share) == pytest.approx(wanted)


def test_cross_entropy_of_soft_targets_is_the_formula_also_of_smoothed_ones(logits, soft, hard):
    assert torch.allclose(smoothed(hard, 0.2)[0], torch.tensor([0.84, *[0.04] * 4]).double())
    for share in (0.0, 0.2):
        wanted = -(smoothed(soft, share) * logits.log_softmax(dim=1)).sum() / N
        assert loss_of(logits, soft, label_smoothing=share) == pytest.approx(wanted.item())


# Class weights


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.repeat(np.arange(K), COUNTS.numpy())
    weights = balanced_weights(COUNTS).numpy()
    assert weights == pytest.approx(
        compute_class_weight("balanced", classes=np.arange(K), y=labels)
    )
    assert weights[labels] == pytest.approx(compute_sample_weight("balanced", labels))
    assert weights[labels].mean() == pytest.approx(1.0)


def test_a_class_without_images_weighs_nothing_and_leaves_the_others_as_they_are():
    weights = balanced_weights(torch.tensor([10, 0, 30])).numpy()
    present = compute_class_weight("balanced", classes=np.array([0, 2]), y=[0] * 10 + [2] * 30)
    assert weights == pytest.approx([present[0], 0.0, present[1]])


@pytest.mark.parametrize("loss", ["cross-entropy", "focal"])
def test_weights_multiply_terms_and_the_mean_is_over_images(logits, labels, hard, soft, loss):
    recipe = {"loss": loss, "class_weights": "balanced", "focal_gamma": 0.0, **PLAIN}
    weights = balanced_weights(COUNTS).double()
    each = F.cross_entropy(logits, labels, reduction="none")
    wanted = (each * weights[labels]).mean().item()
    assert loss_of(logits, hard, **recipe) == pytest.approx(wanted)
    wanted = F.cross_entropy(logits, soft, weights).item()
    assert loss_of(logits, soft, **recipe) == pytest.approx(wanted)


# Focal


def test_focal_of_labels_is_the_formula_of_the_paper(logits, labels, hard):
    p = logits.softmax(dim=1)[torch.arange(N), labels]
    for gamma in (0.5, 1.0, 2.0, 5.0):
        wanted = -((1 - p) ** gamma * p.log()).mean().item()
        assert loss_of(logits, hard, loss="focal", focal_gamma=gamma, **PLAIN) == pytest.approx(
            wanted
        )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_focal_without_gamma_is_cross_entropy(logits, soft, smoothing, weights):
    recipe = {"label_smoothing": smoothing, "class_weights": weights}
    wanted = loss_of(logits, soft, **recipe)
    assert loss_of(logits, soft, loss="focal", focal_gamma=0.0, **recipe) == pytest.approx(wanted)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradient_is_the_numeric_one(logits, soft, gamma):
    assert torch.autograd.gradcheck(
        lambda x: focal_loss(x, soft, gamma), logits.clone().requires_grad_()
    )


# Soft F1


def test_soft_f1_of_decided_logits_is_one_minus_macro_f1(labels, hard):
    guessed = (labels + (torch.arange(N) % 3 == 0)) % K
    decided = F.one_hot(guessed, K).double() * 1e4
    wanted = 1 - f1_score(labels, guessed, average="macro")
    assert soft_f1_loss(decided, hard).item() == pytest.approx(wanted)


def test_soft_f1_is_the_formula(logits, soft):
    p = logits.softmax(dim=1).numpy()
    t = soft.numpy()
    f1 = [2 * (p[:, k] @ t[:, k]) / (p[:, k].sum() + t[:, k].sum()) for k in range(K)]
    assert soft_f1_loss(logits, soft).item() == pytest.approx(1 - np.mean(f1))


def test_soft_f1_leaves_out_classes_that_the_batch_does_not_have(logits, hard):
    rows = hard[:, :2].sum(dim=1) > 0
    logits, targets = logits[rows], hard[rows]
    p = logits.softmax(dim=1)
    f1 = [2 * p[:, k] @ targets[:, k] / (p[:, k].sum() + targets[:, k].sum()) for k in (0, 1)]
    wanted = 1 - (f1[0] + f1[1]) / 2
    assert soft_f1_loss(logits, targets).item() == pytest.approx(wanted.item())


@pytest.mark.parametrize("is_missing", [False, True])
def test_soft_f1_gradient_is_the_numeric_one(logits, hard, soft, is_missing):
    targets = soft
    if is_missing:
        targets = hard.clone()
        targets[:, 1] += targets[:, 3]
        targets[:, 3] = 0
    assert torch.autograd.gradcheck(
        lambda x: soft_f1_loss(x, targets), logits.clone().requires_grad_()
    )


def test_soft_f1_is_not_smoothed(logits, hard):
    assert loss_of(logits, hard, loss="soft-f1", label_smoothing=0.5) == pytest.approx(
        soft_f1_loss(logits, hard).item()
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_f1_focal_is_the_weighted_sum(logits, soft, share):
    f1, focal = (loss_of(logits, soft, loss=kind) for kind in ("soft-f1", "focal"))
    found = loss_of(logits, soft, loss="f1-focal", f1_share=share)
    assert found == pytest.approx(share * f1 + (1 - share) * focal)


# Logit adjustment


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logit_adjustment_adds_the_log_prior(logits, labels, hard, tau):
    prior = COUNTS.double() / COUNTS.sum()
    wanted = F.cross_entropy(logits + tau * prior.log(), labels).item()
    assert loss_of(logits, hard, logit_adjustment=tau, **PLAIN) == pytest.approx(wanted)


def test_logit_adjustment_is_for_training_only(logits, labels, hard):
    loss = make_loss(Recipe(logit_adjustment=1.0, **PLAIN), COUNTS).eval()
    assert loss(logits, hard).item() == pytest.approx(F.cross_entropy(logits, labels).item())


def test_a_class_without_images_has_a_finite_prior():
    assert log_prior(torch.tensor([0, 1, 99])).tolist() == pytest.approx(
        [math.log(0.01), math.log(0.01), math.log(0.99)]
    )


# All of them


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e3, 1e30])
def test_no_loss_is_ever_infinite_not_even_for_a_class_without_images(kind, size, hard):
    counts = torch.tensor([3, 0, 9, 0, 1])
    recipe = Recipe(loss=kind, class_weights="balanced", logit_adjustment=1.0, focal_gamma=0.3)
    loss = make_loss(recipe, counts)
    for sign in (1, -1):
        logits = (sign * size * hard.float()).requires_grad_()
        value = loss(logits, hard.float())
        value.backward()
        assert value.shape == ()
        assert torch.isfinite(value)
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_logits_are_worked_out_in_full(kind, logits, hard):
    half = logits.bfloat16()
    found = make_loss(Recipe(loss=kind), COUNTS)(half, hard.float())
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss_of(half.double(), hard, loss=kind), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_holds_nothing_that_is_stored_or_trained(kind):
    recipe = Recipe(loss=kind, class_weights="balanced", logit_adjustment=1.0)
    loss = make_loss(recipe, COUNTS)
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []


# ArcFace


@pytest.fixture
def embedding():
    return torch.randn(N, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def weight():
    return torch.randn(K, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def angles(embedding, weight):
    lengths = embedding.norm(dim=1)[:, None] * weight.norm(dim=1)[None]
    return ((embedding @ weight.T) / lengths).acos()


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_arcface_is_the_formula_with_the_angle_written_out(embedding, weight, hard, soft, margin):
    theta = angles(embedding, weight)
    assert (theta + margin < math.pi).all()
    for targets in (hard, soft):
        wanted = 16 * (theta + margin * targets).cos()
        assert torch.allclose(arcface(embedding, weight, targets, 16.0, margin), wanted, atol=1e-9)


@pytest.mark.parametrize("margin", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_arcface_falls_with_the_angle_all_the_way_round(margin, share):
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    around = torch.stack([theta.cos(), theta.sin()], dim=1)
    weight = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    found = arcface(around, weight, torch.full((2001, 1), share).double(), 1.0, margin)[:, 0]
    assert (found.diff() < 0).all()
    assert found[-1] < -1  # beyond pi - margin


def test_arcface_gradient_is_the_numeric_one_and_finite_at_the_ends(embedding, weight, soft):
    inputs = embedding.clone().requires_grad_(), weight.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: arcface(x, w, soft, 2.0, 0.3), inputs)
    ends = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    arcface(ends, torch.tensor([[3.0, 0.0]]), torch.ones(3, 1), 16.0, 0.3).sum().backward()
    assert torch.isfinite(ends.grad).all()


def test_arcface_takes_a_conv_head_and_half_precision(embedding, weight, hard):
    wanted = arcface(embedding, weight, hard, 16.0, 0.3)
    assert torch.equal(arcface(embedding, weight[:, :, None, None], hard, 16.0, 0.3), wanted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = arcface(embedding.float(), weight.float(), hard, 16.0, 0.3)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), wanted, atol=1e-4)


def test_the_plain_head_after_arcface_decides_alike(embedding, weight, hard):
    weight = weight * torch.tensor([[0.1], [1], [10], [1], [0.1]])
    cosines = arcface(embedding, weight, torch.zeros_like(hard), 16.0, 0.3)
    plain = plain_weight(weight, 16.0)
    logits = embedding @ plain.T
    assert torch.equal(logits.argmax(dim=1), cosines.argmax(dim=1))
    assert not torch.equal(logits.argmax(dim=1), (embedding @ weight.T).argmax(dim=1))
    lengths = embedding.norm(dim=1, keepdim=True)
    assert torch.allclose(logits, cosines * lengths)
    conv = plain_weight(weight[:, :, None, None], 16.0)
    assert torch.equal(conv[:, :, 0, 0], plain)
