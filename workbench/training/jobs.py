"""The three jobs: evaluate, recover, fine-tune. Each takes weights and returns weights and F1.

Used by the trainer process and by the headless commands; a Desk is what they report to.
"""

import time
from pathlib import Path
from typing import Protocol

import msgspec
import torch

from sessions.events import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import Assembled, State, build
from workbench.surgery.files import write_atomically
from workbench.surgery.store import Since
from workbench.training.data import Dataset
from workbench.training.evaluate import evaluate
from workbench.training.importance import IMAGES, Scores, measure
from workbench.training.loop import PROGRESS_S, Progress, Run
from workbench.training.machine import sparing_a_core
from workbench.training.recover import reestimate
from workbench.training.repair import LINKING, repair


class Desk(Protocol):
    """What a job reports to and asks."""

    def started(self, steps: int, from_step: int) -> None:
        """The job begins, or goes on from a stored step."""

    def progressed(self, phase: str, progress: Progress) -> None:
        """A few times a second."""

    def evaluated(self, evaluation: Evaluation, epoch: float | None) -> None:
        """F1 is known: of the variant (None) or of the weights in training."""

    def stored(self, step: int, epoch: float) -> None:
        """The job can go on from this step."""

    def should_stop(self) -> bool:
        """Whether to end after this batch and keep the result."""

    def wants_evaluation(self) -> bool:
        """Whether an early evaluation was asked for."""


class Outcome(msgspec.Struct, frozen=True):
    """What a job came to."""

    state: State | None
    """New weights; None where they did not change."""
    evaluation: Evaluation | None
    is_stopped: bool = False
    scores: Scores | None = None
    """Channel importances, where they were measured."""


def check_fits(network: Network, data: Dataset) -> None:
    """Make sure that the network's outputs are the data's classes.

    Raises:
        UserError: another number of classes.
    """
    if network.classes != len(data.classes):
        raise UserError(
            f"the network has {network.classes} classes, the data has {len(data.classes)}: "
            f"edit classes:{len(data.classes)} first"
        )


def run_evaluate(
    network: Network, state: State, data: Dataset, device: torch.device, desk: Desk
) -> Outcome:
    """Evaluate on the validation split."""
    check_fits(network, data)
    desk.started(1, 0)
    module = build(network, state).to(device)
    evaluation = evaluate(module, network, data.val, data.classes, device)
    desk.evaluated(evaluation, None)
    return Outcome(None, evaluation)


def run_measure(
    network: Network, state: State, data: Dataset, recipe: Recipe, desk: Desk
) -> Outcome:
    """Measure on training images how much the loss hangs on every channel."""
    check_fits(network, data)
    desk.started(min(IMAGES, len(data.train)), 0)
    meter = _Meter("measuring channels", desk)

    def after_batch(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    with sparing_a_core():
        scores = measure(network, state, data.train, recipe.seed, after_batch)
    return Outcome(None, None, is_stopped=scores is None, scores=scores)


def run_recover(
    since: Since, data: Dataset, recipe: Recipe, device: torch.device, desk: Desk
) -> Outcome:
    """Fit an edited network to what it put out before the edits, then evaluate.

    Without edits there is nothing to fit: its batch norms are measured anew.
    """
    network, state = since.edited
    check_fits(network, data)
    if since.original[0] != network:
        return _run_repair(since, data, recipe, device, desk)
    images = min(recipe.recover_images, len(data.train))
    desk.started(images, 0)
    module = build(network, state).to(device)
    meter = _Meter("batch norm", desk)

    def after_batch(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    if not reestimate(module, network, data.train, recipe, device, after_batch):
        return Outcome(None, None, is_stopped=True)
    evaluation = evaluate(module, network, data.val, data.classes, device)
    desk.evaluated(evaluation, 0.0)
    return Outcome(_merged(state, module), evaluation)


def _run_repair(
    since: Since, data: Dataset, recipe: Recipe, device: torch.device, desk: Desk
) -> Outcome:
    network, _ = since.edited
    layers = sum(layer.kind in LINKING for _, layer in network.layers())
    desk.started(layers, 0)
    meter = _Meter("fitting layers", desk, counts_images=False)

    def after_layer(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    with sparing_a_core():
        fitted = repair(
            since.original, since.edited, since.orders, data.train, recipe.seed, after_layer
        )
    if fitted is None:
        return Outcome(None, None, is_stopped=True)
    evaluation = evaluate(
        build(network, fitted).to(device), network, data.val, data.classes, device
    )
    desk.evaluated(evaluation, 0.0)
    return Outcome(fitted, evaluation)


def run_fine_tune(
    network: Network,
    state: State,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    desk: Desk,
    resume_file: Path,
) -> Outcome:
    """Train from these weights, or on from the resume file where it exists; keep the last epoch.

    Raises:
        UserError: the classes differ, or the resume file cannot be written.
        TrainingError: the loss is not finite, or the resume file belongs to another run.
    """
    check_fits(network, data)
    run = Run(build(network, state), network, data.train, recipe, device)
    if resume_file.exists():
        run.restore(resume_file)
    desk.started(run.steps, run.step)
    hooks = _Hooks(data, desk, resume_file)
    is_whole = run.fit(hooks)
    evaluation = hooks.latest if hooks.latest_step == run.step else hooks.evaluate(run)
    return Outcome(_merged(state, run.module), evaluation, is_stopped=not is_whole)


class _Hooks:
    """Ties the loop to a desk: early evaluations, checkpoints, an evaluation an epoch."""

    def __init__(self, data: Dataset, desk: Desk, resume_file: Path) -> None:
        self.data = data
        self.desk = desk
        self.resume_file = resume_file
        self.latest: Evaluation | None = None
        self.latest_step = -1

    def progressed(self, progress: Progress) -> None:
        self.desk.progressed("training", progress)

    def after_batch(self, run: Run) -> bool:
        if self.desk.wants_evaluation():
            self.desk.evaluated(self.evaluate(run), run.epoch)
        if not self.desk.should_stop():
            return True
        self.store(run)
        return False

    def epoch_ended(self, run: Run) -> None:
        self.store(run)
        self.desk.evaluated(self.evaluate(run), run.epoch)

    def store(self, run: Run) -> None:
        self.resume_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.resume_file, run.save())
        self.desk.stored(run.step, run.epoch)

    def evaluate(self, run: Run) -> Evaluation:
        self.latest = evaluate(
            run.module, run.network, self.data.val, self.data.classes, run.device
        )
        self.latest_step = run.step
        return self.latest


class _Meter:
    """Progress of a pass over images, or over layers."""

    def __init__(self, phase: str, desk: Desk, *, counts_images: bool = True) -> None:
        self.phase = phase
        self.counts_images = counts_images
        self.desk = desk
        self.began = self.reported = time.perf_counter()

    def add(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if now - self.reported < PROGRESS_S and done < total:
            return
        self.reported = now
        rate = done / max(now - self.began, 1e-9)
        progress = Progress(
            step=done, steps=total, epoch=0.0, loss=None,
            images_per_s=rate if self.counts_images else 0.0,
            left_s=(total - done) / rate,
        )  # fmt: skip
        self.desk.progressed(self.phase, progress)


def _merged(state: State, module: Assembled) -> State:
    """The module's weights, with those of off units as they were."""
    trained = {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}
    return state | trained
