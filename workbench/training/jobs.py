"""The jobs: evaluate, measure, recover, fine-tune. Each takes weights and returns weights and F1.

Used by the trainer process and by the headless commands; a Desk is what they report to.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import torch
from torch import Tensor

from sessions.events import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.splits import VALIDATION
from workbench.errors import UserError
from workbench.surgery.build import Assembled, State, build
from workbench.surgery.files import write_atomically
from workbench.training.distillation import FirstStudent
from workbench.training.images.data import Dataset, open_unlabelled
from workbench.training.importance import IMAGES, Scores, measure
from workbench.training.loop import Run, TrainingError
from workbench.training.machine import sparing_a_core
from workbench.training.measuring.evaluate import Logits, judge
from workbench.training.objective import Teacher
from workbench.training.pretrain import pretrain
from workbench.training.progress import PROGRESS_S, Progress
from workbench.training.recover import reestimate


class Desk(Protocol):
    """What a job reports to and asks."""

    def started(self, steps: int, from_step: int) -> None:
        """The job begins, or goes on from a stored step."""

    def progressed(self, phase: str, progress: Progress) -> None:
        """A few times a second."""

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        """F1 is known: of the variant (None), of the weights in training, or after a rung."""

    def stored(self, step: int, epoch: float) -> None:
        """The job can go on from this step."""

    def should_stop(self) -> bool:
        """Whether to end after this batch, to keep the result or to go on later."""

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
    reason: str = ""
    """Why it ended early by itself, with the last good weights."""


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
    network: Network,
    state: State,
    data: Dataset,
    device: torch.device,
    desk: Desk,
    rung: str = "",
) -> Outcome:
    """Evaluate on the validation split."""
    check_fits(network, data)
    desk.started(1, 0)
    evaluation = evaluated_state(network, state, data, device)
    desk.evaluated(evaluation, None, rung)
    return Outcome(None, evaluation)


def evaluated_state(
    network: Network,
    state: State,
    data: Dataset,
    device: torch.device,
    added: Logits | None = None,
) -> Evaluation:
    """F1 of these weights on the split that judges, with a first student's logits added."""
    return judge(build(network, state).to(device), network, data, device, added=added)


def run_measure(
    network: Network, state: State, data: Dataset, recipe: Recipe, desk: Desk
) -> Outcome:
    """Measure on training images how much the loss hangs on every channel."""
    check_fits(network, data)
    desk.started(min(IMAGES, len(data.train)), 0)
    meter = Meter("measuring channels", desk)

    def after_batch(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    with sparing_a_core():
        scores = measure(network, state, data.train, recipe.seed, after_batch)
    return Outcome(None, None, is_stopped=scores is None, scores=scores)


def run_fine_tune(
    network: Network,
    state: State,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    desk: Desk,
    resume_file: Path,
    teachers: Sequence[Teacher] = (),
    first: Teacher | None = None,
) -> Outcome:
    """Train from these weights, or on from the resume file where it exists; keep the last epoch.

    With a first student it learns what that one lacks, and F1 is of the sum of their logits. A
    loss that explodes after a whole epoch ends the job with the weights of the last whole one.

    Raises:
        UserError: the classes differ, or the resume file cannot be written.
        TrainingError: the loss is not finite in the first epoch, or the resume file belongs to
            another run.
    """
    check_fits(network, data)
    is_new = not resume_file.exists()
    module = build(network, state)
    if (
        is_new
        and recipe.pretrain_epochs
        and not _pretrained(module, network, data, recipe, device, desk)
    ):
        return Outcome(None, None, is_stopped=True)
    student = FirstStudent(first, network, device) if first is not None else None
    added = student.logits if student is not None else None
    run = Run(module, network, data.train, recipe, device, teachers, student)
    if not is_new:
        run.restore(resume_file)
    desk.started(run.steps, run.step)
    hooks = Hooks(data, desk, resume_file)
    reason = ""
    try:
        is_whole = run.fit(hooks)
    except TrainingError as error:
        if hooks.good is None:
            raise
        reason, is_whole = f"{error}; the weights of epoch {hooks.good_epoch:g} are kept", False
    if reason:
        assert hooks.good is not None
        kept = merged(state, hooks.good)
        evaluation = evaluated_state(network, kept, data, device, added)
        return Outcome(kept, evaluation, is_stopped=True, reason=reason)
    if not is_whole:
        latest = hooks.latest if hooks.latest_step == run.step else hooks.evaluate(run)
        return Outcome(merged(state, run.result()), latest, is_stopped=True)
    kept = settled(merged(state, run.result()), run, desk)
    evaluation = evaluated_state(network, kept, data, device, added)
    desk.evaluated(evaluation, run.epoch)
    return Outcome(kept, evaluation)


def settled(state: State, run: Run, desk: Desk) -> State:
    """The weights with the batch norm that the recipe keeps."""
    wanted = run.recipe.batch_norm
    if wanted == "running" or (wanted == "auto" and run.objective.teachers is not None):
        return state
    plain = msgspec.structs.replace(
        run.recipe, augmentation="none", recover_images=max(len(run.train), 2)
    )
    meter = Meter("batch norm", desk, epoch=run.epoch)
    module = build(run.network, state).to(run.device)

    def after_batch(done: int, total: int) -> bool:
        meter.add(done, total)
        return True

    with sparing_a_core():
        reestimate(module, run.network, run.train, plain, run.device, after_batch)
    return merged(state, module.state_dict())


def _pretrained(
    module: Assembled,
    network: Network,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    desk: Desk,
) -> bool:
    meter = Meter("reconstructing", desk)

    def after_batch(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    images = data.train
    if recipe.pretrain_data:
        opening = Meter("reading images", desk)
        images = open_unlabelled(
            recipe.pretrain_data, network.input_size, network.input_channels, opening.add
        )
    with sparing_a_core():
        return pretrain(module, network, images, recipe, device, after_batch)


class Hooks:
    """Ties the loop to a desk: checkpoints, an evaluation after each pass, others when asked."""

    def __init__(self, data: Dataset, desk: Desk, resume_file: Path | None) -> None:
        self.data = data
        self.desk = desk
        self.resume_file = resume_file
        """None for a run too short to go on with."""
        self.latest: Evaluation | None = None
        self.latest_step = -1
        self.good: State | None = None
        """The weights after the last whole epoch."""
        self.good_epoch = 0.0

    def progressed(self, progress: Progress) -> None:
        """Tell where the run is."""
        self.desk.progressed("training", progress)

    def after_batch(self, run: Run) -> bool:
        """Do what was asked for meanwhile; False ends the run."""
        ended_pass = run.has_ended_pass and self.data.judge == VALIDATION
        if self.desk.wants_evaluation() or ended_pass:
            self.desk.evaluated(self.evaluate(run), run.epoch)
        if not self.desk.should_stop():
            return True
        self.store(run)
        return False

    def epoch_ended(self, run: Run) -> None:
        """Store and measure."""
        self.store(run)
        self.good, self.good_epoch = run.result(), run.epoch
        # The last epoch is measured when all is done; a hold-out is looked at then alone.
        if run.step < run.steps and self.data.judge == VALIDATION:
            self.desk.evaluated(self.evaluate(run), run.epoch)

    def store(self, run: Run) -> None:
        """Put the run's state where it can go on from."""
        if self.resume_file is None:
            return
        self.resume_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.resume_file, run.save())
        self.desk.stored(run.step, run.epoch)

    def evaluate(self, run: Run) -> Evaluation:
        """F1 of the weights that would be kept now."""
        first = run.objective.first
        added = first.logits if first is not None else None
        self.latest = judge(run.kept(), run.network, self.data, run.device, added=added)
        self.latest_step = run.step
        return self.latest


class Meter:
    """Progress of a pass over images, or over layers."""

    def __init__(
        self, phase: str, desk: Desk, *, counts_images: bool = True, epoch: float = 0.0
    ) -> None:
        self.phase = phase
        self.counts_images = counts_images
        self.epoch = epoch
        self.desk = desk
        self.began = self.reported = time.perf_counter()

    def add(self, done: int, total: int) -> None:
        """Count what is done; it is told a few times a second."""
        now = time.perf_counter()
        if now - self.reported < PROGRESS_S and done < total:
            return
        self.reported = now
        rate = done / max(now - self.began, 1e-9)
        progress = Progress(
            step=done, steps=total, epoch=self.epoch, loss=None,
            images_per_s=rate if self.counts_images else 0.0,
            left_s=(total - done) / rate,
        )  # fmt: skip
        self.desk.progressed(self.phase, progress)


def merged(state: State, trained: Mapping[str, Tensor]) -> State:
    """The trained weights, with those of off units as they were."""
    return state | {k: v.detach().cpu().clone() for k, v in trained.items()}
