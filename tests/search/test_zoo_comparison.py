"""Short fine-tunes of candidates: what a frozen body keeps, and what stays the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from sessions import macs
from sessions.edits import Classes, InputSize, apply
from sessions.events import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import load_rule
from sessions.splits import Splits
from workbench.errors import UserError
from workbench.search.zoo import STOPPED, Comparison, Plan, ranked
from workbench.surgery import files
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training.images.data import open_data
from workbench.training.images.resolution import own_edge
from workbench.training.jobs import Hooks
from workbench.training.loop import Run
from workbench.training.progress import Progress
from workbench.zoo import candidates
from workbench.zoo.candidates import Candidate
from workbench.zoo.catalogue import PUBLISHED

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=1, images_per_epoch=0, batch_size=8, recover_images=16)


class Desk:
    """Notes F1s, and stops after so many batches."""

    def __init__(self, batches: int | None = None) -> None:
        self.batches = batches
        self.evaluations: list[Evaluation] = []

    def started(self, steps: int, from_step: int) -> None: ...

    def progressed(self, phase: str, progress: Progress) -> None: ...

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        self.evaluations.append(evaluation)

    def stored(self, step: int, epoch: float) -> None: ...

    def should_stop(self) -> bool:
        if self.batches is None:
            return False
        self.batches -= 1
        return self.batches < 0

    def wants_evaluation(self) -> bool:
        return True


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 30 photos each, 40x20 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 190)):
        (folder / label).mkdir()
        for number in range(30):
            image = rng.normal(level, 30, (20, 40, 3)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / label / f"{number}.png"), image)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """A small network of five classes."""
    torch.manual_seed(0)
    network = shufflenet.fresh(3, 0.25, (1, 1, 1), classes=5)
    path = tmp_path_factory.mktemp("model") / "small.pth"
    files.save(path, network, build(network).state_dict())
    return Candidate("small", path, PUBLISHED["shufflenet_g3_wd4"])


@pytest.fixture
def plan(photos: Path) -> Callable[..., Plan]:
    def plan(**changes: Any) -> Plan:
        values: dict[str, Any] = {
            "data": str(photos), "splits": Splits(), "recipe": RECIPE, "head_epochs": 1,
            "rule": load_rule("smooth"),
        }  # fmt: skip
        return Plan(**{**values, **changes})

    return plan


def test_a_frozen_body_keeps_all_but_the_head(photos: Path, model: Candidate) -> None:
    assert model.path is not None
    opened = files.read_model(model.path, 32)
    network = apply(opened.network, Classes(2))
    before = build(network).state_dict()
    data = open_data(str(photos), 32)
    run = Run(build(network, before), network, data.train, RECIPE, CPU, is_body_frozen=True)
    # Evaluating after every batch switches the module's mode to and fro.
    assert run.fit(Hooks(data, Desk(), None))
    after = run.result()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"output.weight", "output.bias"}


def test_both_fine_tunes_are_measured_on_validation(
    plan: Callable[..., Plan], model: Candidate
) -> None:
    entry = Comparison(plan(), CPU, Desk()).measured(model, 32)
    network = _sized(model, 32, 2)
    assert entry.head is not None
    assert entry.full is not None
    assert {entry.head.split, entry.full.split} == {"validation"}
    assert entry.head.images == entry.full.images == 12
    assert (entry.macs, entry.params) == (macs.count(network), network.total_parameters())
    assert entry.score == load_rule("smooth").score(macs.count(network), entry.full.f1)
    assert (entry.published, entry.top1_error) == ("shufflenet_g3_wd4", 61.74)
    assert entry.reason == ""


def test_a_seed_gives_the_same_again(plan: Callable[..., Plan], model: Candidate) -> None:
    first, again = (Comparison(plan(), CPU, Desk()).measured(model, 32) for _ in range(2))
    assert (first.head, first.full) == (again.head, again.full)


def test_hold_out_images_are_neither_trained_nor_judged_on(
    plan: Callable[..., Plan], model: Candidate
) -> None:
    comparison = Comparison(plan(splits=Splits(hold_out=0.3)), CPU, Desk())
    entry = comparison.measured(model, 32)
    (data,) = comparison._datasets.values()
    assert data.hold_out is not None
    used = {*data.train.rows.tolist(), *data.val.rows.tolist()}
    assert not used & set(data.hold_out.rows.tolist())
    assert entry.full is not None
    assert (entry.full.split, entry.full.images) == ("validation", len(data.val))


def test_the_head_alone_can_be_left_out(plan: Callable[..., Plan], model: Candidate) -> None:
    entry = Comparison(plan(head_epochs=0), CPU, Desk()).measured(model, 32)
    assert entry.head is None
    assert entry.full is not None


def test_what_does_not_open_or_fit_is_an_entry_with_its_reason(
    plan: Callable[..., Plan], model: Candidate, tmp_path: Path
) -> None:
    (tmp_path / "junk.pth").write_bytes(b"junk")
    broken = Candidate("junk", tmp_path / "junk.pth")
    network = shufflenet.make(shufflenet.Plan(
        init_width=6, classes=2, input_channels=2,
        stages=((shufflenet.UnitPlan("stage1.unit1", 6, 6, 1, 1),),),
    ))  # fmt: skip
    files.save(tmp_path / "two.pth", network, build(network).state_dict())
    comparison = Comparison(plan(), CPU, Desk())
    reasons = [
        comparison.measured(broken, 32).reason,
        comparison.measured(Candidate("two", tmp_path / "two.pth"), 32).reason,
        comparison.measured(Candidate("none", None, reason="not there"), 32).reason,
        comparison.measured(model, 0).reason,
    ]
    assert "not a PyTorch checkpoint" in reasons[0]
    assert reasons[1] == "it takes 2 channels; images have 1 or 3"
    assert reasons[2] == "not there"
    assert "input:0 is out of" in reasons[3]


def test_a_loss_that_explodes_is_a_reason_too(plan: Callable[..., Plan], model: Candidate) -> None:
    recipe = Recipe(
        epochs=1, images_per_epoch=0, batch_size=8, optimizer="sgd", learning_rate=10.0,
        weight_decay=10.0, schedule="constant", warmup=0.0, momentum=0.99,
    )  # fmt: skip
    entry = Comparison(plan(recipe=recipe, head_epochs=0), CPU, Desk()).measured(model, 32)
    assert "infinite" in entry.reason
    assert entry.full is None
    assert entry.macs is not None


@pytest.mark.parametrize("batches", [0, 3, 12])
def test_stopping_ends_with_what_is_measured(
    plan: Callable[..., Plan], model: Candidate, batches: int
) -> None:
    entry = Comparison(plan(), CPU, Desk(batches)).measured(model, 32)
    assert entry.reason == STOPPED
    assert (entry.full, entry.score) == (None, None)


def test_data_that_cannot_be_opened_ends_the_comparison(
    plan: Callable[..., Plan], model: Candidate, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no data folder"):
        Comparison(plan(data=str(tmp_path / "none")), CPU, Desk()).measured(model, 32)


def test_recipes_with_teachers_are_refused(plan: Callable[..., Plan]) -> None:
    with pytest.raises(UserError, match="leave teachers and residual_of out"):
        Comparison(plan(recipe=Recipe(teachers=("a.pth",))), CPU, Desk())


def test_ranking_puts_the_lowest_score_first_and_failures_last(
    plan: Callable[..., Plan], model: Candidate
) -> None:
    comparison = Comparison(plan(head_epochs=0), CPU, Desk())
    failed = comparison.measured(Candidate("none", None, reason="not there"), 32)
    large, small = (comparison.measured(model, edge) for edge in (64, 32))
    assert [entry.name for entry in ranked([failed, large, small])][-1] == "none"
    scores = [entry.score for entry in ranked([failed, large, small])[:2]]
    assert scores == sorted(scores, key=float)


def test_photos_are_as_large_as_their_shorter_edge(photos: Path, tmp_path: Path) -> None:
    assert own_edge(str(photos)) == 20
    assert own_edge("digits") == 8
    with pytest.raises(UserError, match="no data folder"):
        own_edge(str(tmp_path / "none"))


def test_folders_are_searched_for_what_can_be_read() -> None:
    assert candidates.SUFFIXES == files.SUFFIXES


def _sized(model: Candidate, edge: int, classes: int) -> Network:
    assert model.path is not None
    return apply(apply(files.read_model(model.path).network, InputSize(edge)), Classes(classes))
