"""A second student learns what the first one lacks: their logits are added."""

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
from workbench.training.distillation import FirstStudent, Teachers, distillation_loss
from workbench.training.images.data import Split
from workbench.training.measuring.evaluate import evaluate, predict
from workbench.training.objective import Objective

CPU = torch.device("cpu")
K = 4
RECIPE = Recipe(label_smoothing=0.0, residual_of="first.pt", distill=0.6, temperature=2.0)


def fresh(width=0.125, size=32, classes=K):
    made = shufflenet.fresh(groups=1, width=width, units=(1, 2, 1), classes=classes)
    return edits.apply(made, edits.InputSize(size))


@pytest.fixture
def split():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    return Split(source, np.arange(40), rng.integers(0, K, 40))


@pytest.fixture
def three(random_state):
    """The second student, the first, and a teacher of another size."""
    networks = fresh(), fresh(), fresh(0.25, 64)
    return [(network, random_state(network, seed)) for seed, network in enumerate(networks)]


def test_the_loss_is_that_of_the_sum_and_only_the_second_student_learns(three, split):
    second, first, teacher = three
    module = build(*second)
    student = FirstStudent(first, second[0], CPU)
    objective = Objective(module, second[0], split, RECIPE, CPU, [teacher], student)
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = F.one_hot(torch.tensor([0, 1, 2, 3, 0, 1]), K).float()
    loss = objective(images, targets, np.arange(6))
    with torch.no_grad():
        whole = module(images) + build(*first)(images)
        taught = Teachers([teacher], second[0], RECIPE, CPU).probabilities(images)
        wanted = 0.4 * F.cross_entropy(whole, targets) + 0.6 * distillation_loss(whole, taught, 2.0)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    loss.backward()
    assert all(p.grad is not None for p in module.parameters())
    assert not student.logits(images).requires_grad


def test_classes_are_those_of_the_sum(three, split):
    second, first, _ = three
    added = FirstStudent(first, second[0], CPU).logits
    module = build(*second).eval()
    found = predict(module, second[0], split, CPU, added)
    alone = predict(module, second[0], split, CPU)
    images = torch.from_numpy(split.take(slice(None))).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (second[0].mean, second[0].std))
    images = (images - mean) / std
    with torch.no_grad():
        wanted = (module(images) + build(*first).eval()(images)).argmax(dim=1).numpy()
    assert (found == wanted).all()
    assert (found != alone).any()
    told = evaluate(module, second[0], split, tuple("abcd"), CPU, added=added)
    assert told.accuracy == pytest.approx((wanted == split.labels).mean())


def test_what_cannot_be_added_is_refused(three, split, random_state):
    second, first, _ = three
    other = fresh(classes=5)
    with pytest.raises(UserError, match="5 classes, the network 4"):
        FirstStudent((other, random_state(other, 1)), second[0], CPU)
    recipe = msgspec.structs.replace(RECIPE, loss="arcface")
    with pytest.raises(UserError, match="arcface"):
        Objective(
            build(*second), second[0], split, recipe, CPU,
            first=FirstStudent(first, second[0], CPU),
        )  # fmt: skip
