"""A study small enough for tests: the demo network at 16 pixels, few digits, and a place to run."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import optuna
import torch

import workbench
from sessions import edits, macs
from sessions import recipe as recipes
from sessions.evaluation import ClassScore, Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import CONTEST
from sessions.searching import Space, StudyPlan, Trial
from sessions.splits import Splits
from workbench.search import storages, study
from workbench.search.backends import Done, Happened, Reported, Result, Stopped, Task
from workbench.search.trial import Model, Opened, carried
from workbench.surgery.files import read_model, to_safetensors
from workbench.training.images.data import Dataset, open_data

NAME = storages.study_name(1)
DEMO = Path(workbench.__file__).parent / "demo" / "digits.safetensors"
RECIPE = Recipe(
    epochs=1, images_per_epoch=0, augmentation="none", recover_images=64, teachers=("before-cut",)
)
SPLITS = Splits(validation=0.1, hold_out=0.75)
"""About 270 images to train on, 180 to validate."""
SPACE = Space(recipe=("learning_rate",))


@cache
def start() -> Model:
    """What studies start from."""
    model = read_model(DEMO)
    return carried((model.network, model.state), [edits.InputSize(16)]).edited


@cache
def digits() -> Dataset:
    """The images."""
    return open_data("digits", 16, 3, SPLITS)


def edited(network: Network, found: Task | Trial) -> Network:
    """The network after a trial's edits."""
    for edit in found.edits:
        network = edits.apply(network, edit)
    return network


def plan(**changes: object) -> StudyPlan:
    """A plan of a few trials."""
    return StudyPlan(**{"rule": CONTEST, "space": SPACE, "trials": 4, **changes})


def run(
    folder: Path, planned: StudyPlan, epochs: int = 1, **hooks: Callable[..., object]
) -> list[Trial]:
    """Run a study; returns the trials that it told of."""
    told: list[Trial] = []
    recipe = recipes.changed(RECIPE, epochs=epochs)
    study.run_study(
        folder, 1, planned, start(), digits(), recipe, torch.device("cpu"),
        on_trial=told.append, **hooks,
    )  # fmt: skip
    return told


def read(folder: Path) -> tuple[Trial, ...]:
    """The trials in a study's storage."""
    return storages.study_trials(storages.default_url(folder, 1), NAME)


def loaded(folder: Path) -> optuna.Study:
    """The study as Optuna has it."""
    return optuna.load_study(study_name=NAME, storage=storages.default_url(folder, 1))


class Scripted:
    """A backend without training: F1 follows from the MACs, and the ends come as they are told to.

    With a capacity of two it finishes the later one first.
    """

    def __init__(self, opened: Opened, capacity: int = 1) -> None:
        self.opened, self.capacity = opened, capacity
        self.running: list[Task] = []
        self.reports: dict[int, int] = {}
        self.stopped: set[int] = set()
        self.submitted: list[int] = []
        self.ends: list[Callable[[Task], Happened]] = []
        """What the next tasks end with, in place of Done."""
        self.is_closed = False

    def submit(self, task: Task) -> None:
        assert len(self.running) < self.capacity
        self.running.append(task)
        self.submitted.append(task.trial)
        self.reports[task.trial] = 0

    def next(self, timeout_s: float) -> Happened | None:
        if not self.running:
            return None
        task = self.running[-1]
        if task.trial in self.stopped:
            self.running.remove(task)
            return Stopped(task.trial, 1.0, "here")
        if self.reports[task.trial] < task.recipe.epochs:
            self.reports[task.trial] += 1
            epoch = self.reports[task.trial]
            return Reported(task.trial, epoch, self.f1(task) * epoch / task.recipe.epochs)
        self.running.remove(task)
        if self.ends:
            return self.ends.pop(0)(task)
        return Done(task.trial, self.result(task))

    def stop(self, trial: int) -> None:
        self.stopped.add(trial)

    def close(self) -> None:
        self.is_closed = True

    def f1(self, task: Task) -> float:
        """More MACs give more, with something of its own for each learning rate."""
        share = self.macs(task) / macs.count(self.opened.start[0])
        return 0.6 + 0.2 * share + task.recipe.learning_rate

    def macs(self, task: Task) -> int:
        return macs.count(edited(self.opened.start[0], task))

    def result(self, task: Task) -> Result:
        network = edited(self.opened.start[0], task)
        f1 = self.f1(task)
        evaluation = Evaluation(
            split="validation", images=9, f1=f1, accuracy=f1, low=f1 - 0.1, high=f1 + 0.1,
            classes=(ClassScore("0", f1, f1, f1, 9),),
        )  # fmt: skip
        return Result(
            network=network,
            weights=to_safetensors(network, {"f1": torch.tensor(f1)}), evaluation=evaluation,
            macs=macs.count(network), seconds=1.0, worker="here",
        )  # fmt: skip
