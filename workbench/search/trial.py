"""One trial: the network after its edits, or a new one, recovered, fine-tuned and measured.

It is the same wherever it runs: task, supplies and the number of threads decide every figure.
F1 is of the validation split; the hold-out is never looked at.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import safetensors.torch
import torch

from sessions import macs
from sessions.edits import Classes, Edit, EditError, InputSize
from sessions.evaluation import Evaluation
from sessions.network import Network
from sessions.recipe import BEFORE_CUT, Recipe
from sessions.splits import VALIDATION
from workbench.errors import UserError
from workbench.search.backends import Done, Failed, Reported, Result, Stopped, Supplies, Task
from workbench.surgery.build import State, build
from workbench.surgery.carry import carry
from workbench.surgery.files import read_model, stored_network, to_safetensors
from workbench.surgery.store import Since
from workbench.training.images.data import Dataset, open_data
from workbench.training.jobs import Hooks, check_fits, evaluated_state, merged, settled
from workbench.training.ladder import run_recover
from workbench.training.loop import Run, pick_device
from workbench.training.progress import Progress

Model = tuple[Network, State]


class Opened:
    """Supplies as a worker uses them: networks read, data opened once for each image size."""

    def __init__(
        self, supplies: Supplies, datasets: Mapping[tuple[int, int], Dataset] | None = None
    ) -> None:
        """Read the networks.

        Args:
            datasets: data that is open already, by image size and channels.

        Raises:
            UserError: the device is not here.
        """
        self.supplies = supplies
        self.start = _read(supplies.start)
        self.teachers = [_read(teacher) for teacher in supplies.teachers]
        self.device = pick_device(supplies.device)
        self._datasets = dict(datasets or {})

    def data(self, network: Network) -> Dataset:
        """The images at a network's input size.

        Raises:
            UserError: they cannot be opened.
        """
        key = network.input_size, network.input_channels
        if key not in self._datasets:
            self._datasets[key] = open_data(self.supplies.data, *key, self.supplies.splits)
        return self._datasets[key]


def make_supplies(
    start: Model, data: Dataset, recipe: Recipe, device: torch.device, threads: int = 0
) -> Supplies:
    """What every trial of a study needs; `before-cut` is the network that it starts from.

    Raises:
        UserError: nothing validates, the classes differ, a teacher cannot be read, or the recipe
            asks for what trials do not do.
    """
    check_fits(start[0], data)
    if data.judge != VALIDATION:
        raise UserError("a study chooses by F1 on validation images: train without --train-all")
    if recipe.pretrain_epochs or recipe.residual_of:
        raise UserError(
            "trials neither pretrain nor learn residuals: leave pretrain_epochs and residual_of out"
        )
    packed = to_safetensors(*start)
    teachers = []
    for name in recipe.teachers:
        if name == BEFORE_CUT:
            teachers.append(packed)
        else:
            model = read_model(Path(name).expanduser())
            teachers.append(to_safetensors(model.network, model.state))
    return Supplies(
        start=packed, teachers=tuple(teachers), data=data.source, splits=data.splits,
        device=str(device), threads=threads,
    )  # fmt: skip


def attempt(
    task: Task,
    opened: Opened,
    tell: Callable[[Reported], None],
    should_stop: Callable[[], bool],
) -> Done | Stopped | Failed:
    """Carry a trial out as a backend's worker does; every end that has a reason becomes one."""
    started = time.perf_counter()

    def report(epoch: int, f1: float) -> None:
        tell(Reported(task.trial, epoch, f1))

    try:
        result = run_trial(task, opened, report, should_stop)
    except (UserError, EditError) as error:
        return Failed(task.trial, str(error))
    if result is None:
        return Stopped(task.trial, time.perf_counter() - started, worker_name())
    return Done(task.trial, result)


def run_trial(
    task: Task,
    opened: Opened,
    report: Callable[[int, float], None],
    should_stop: Callable[[], bool],
) -> Result | None:
    """Carry a trial out; None where it was asked to end.

    Args:
        report: called with (epochs done, F1), 0 before training.

    Raises:
        EditError: an edit is not legal.
        UserError: data cannot be opened, or training cannot go on.
    """
    started = time.perf_counter()
    desk = _Desk(should_stop)
    recovered: Evaluation | None = None
    if task.network is not None:
        model = _drawn(task.network, task.recipe.seed)
        data = opened.data(task.network)
        check_fits(task.network, data)
    else:
        since = carried(opened.start, task.edits)
        network, state = since.edited
        data = opened.data(network)
        ladder = msgspec.structs.replace(task.recipe, short_epochs=0)
        outcome = run_recover(since, data, ladder, opened.device, desk)
        if should_stop():
            return None
        recovered = outcome.evaluation
        assert recovered is not None
        report(0, recovered.f1)
        model = network, state if outcome.state is None else outcome.state
    network, state = model
    run = Run(
        build(network, state), network, data.train, task.recipe, opened.device, opened.teachers
    )
    if not run.fit(_EpochHooks(data, desk, report)):
        return None
    kept = settled(merged(state, run.result()), run, desk)
    evaluation = evaluated_state(network, kept, data, opened.device)
    report(task.recipe.epochs, evaluation.f1)
    if recovered is not None and recovered.f1 > evaluation.f1:  # as the ladder of recovery keeps
        kept, evaluation = state, recovered
    return Result(
        network=network, weights=to_safetensors(network, kept), evaluation=evaluation,
        macs=macs.count(network), seconds=time.perf_counter() - started, worker=worker_name(),
    )  # fmt: skip


def carried(start: Model, edits: Sequence[Edit]) -> Since:
    """The start and what edits make of it, with the way that its channels went.

    Raises:
        EditError: an edit is not legal.
    """
    original = network, state = start
    orders: dict[str, list[int]] = {}
    for edit in edits:
        done = carry(network, state, edit)
        network, state = done.network, done.state
        if isinstance(edit, Classes | InputSize):  # other outputs, or other images
            original, orders = (network, state), {}
        for axis, order in done.orders.items():
            before = orders.get(axis)
            orders[axis] = [c if c < 0 or before is None else before[c] for c in order]
    return Since(original, (network, state), orders)


def worker_name() -> str:
    """This host and process."""
    return f"{platform.node()}:{os.getpid()}"


def _read(content: bytes) -> Model:
    return stored_network(Path("supplies"), content), safetensors.torch.load(content)


def _drawn(network: Network, seed: int) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network, dict(build(network).state_dict())


class _Desk:
    """Asks whether to stop; a trial's reports go their own way."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self.should_stop = should_stop

    def started(self, steps: int, from_step: int) -> None:
        """Not told."""

    def progressed(self, phase: str, progress: Progress) -> None:
        """Not told."""

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        """Not told."""

    def stored(self, step: int, epoch: float) -> None:
        """Not told: a trial that is cut off begins anew."""

    def wants_evaluation(self) -> bool:
        """Never."""
        return False


class _EpochHooks(Hooks):
    """Measures once an epoch, and reports that."""

    def __init__(self, data: Dataset, desk: _Desk, report: Callable[[int, float], None]) -> None:
        super().__init__(data, desk, None)
        self.report = report

    def after_batch(self, run: Run) -> bool:
        """False ends the run."""
        return not self.desk.should_stop()

    def epoch_ended(self, run: Run) -> None:
        """The last epoch is measured when all is done."""
        if run.step < run.steps:
            self.report(round(run.epoch), self.evaluate(run).f1)
