"""What Ray costs against local processes, and at which rate the process that runs a study keeps up.

Two figures of a place: an empty trial, refused before it trains, is all overhead; the same few
trials again and again are work. Rounds alternate between this process, a worker process, and a
private Ray, one and two workers each; medians, and ratios to the worker processes of the same
round. The last part runs a study of 1,000 trials whose workers answer at once: what is left is
Optuna, its storage, and the storing of weights. `estimate` puts these together for 64 GPUs.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import optuna
import torch

from sessions import edits
from sessions.evaluation import Evaluation
from sessions.recipe import Recipe
from sessions.score import PRESETS
from sessions.searching import Space, StudyPlan
from workbench.search import study
from workbench.search.backends import Backend, Done, Happened, Result, Supplies, Task
from workbench.search.cluster import RayBackend
from workbench.search.processes import ProcessBackend
from workbench.search.trial import Model, Opened, attempt, make_supplies
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.surgery.files import to_safetensors
from workbench.training.images.data import open_data

SIZE = 32
ROUNDS = 3
EMPTY, FULL = 40, 8
"""Trials of a round."""
MANY = 1000
WINDOW = 50
"""Trials at each end of a long study over which its rate is told."""
GPUS = 64
GPU_TRIAL_S = 60.0
"""Assumed: a fine-tune of 25 epochs of 6,000 images at 2,500 images/s, one trial a GPU."""
HERE = "in this process"
PROCESSES = "a worker process", "2 worker processes"
RAY = "Ray, 1 worker", "Ray, 2 workers"
CPU = torch.device("cpu")
RECIPE = Recipe(epochs=1, images_per_epoch=0, augmentation="none", recover_images=256)


class Here:
    """A Backend of this process: each trial is carried out when its end is asked for."""

    capacity = 1

    def __init__(self, supplies: Supplies) -> None:
        torch.set_num_threads(supplies.threads)
        self._opened = Opened(supplies)
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        """Queue it."""
        self._tasks.append(task)

    def next(self, timeout_s: float) -> Happened | None:
        """Carry one out."""
        if not self._tasks:
            return None
        return attempt(self._tasks.pop(0), self._opened, lambda report: None, lambda: False)

    def stop(self, trial: int) -> None:
        """Nothing runs between two calls."""

    def close(self) -> None:
        """Nothing to end."""


class AtOnce:
    """A Backend whose workers have the result already: a random F1 and the start's weights."""

    capacity = 2

    def __init__(self, start: Model) -> None:
        self._result = Result(
            network=start[0], weights=to_safetensors(*start), macs=1_000_000, seconds=1.0,
            worker="none", evaluation=Evaluation(
                split="validation", images=100, f1=0.5, accuracy=0.5, classes=()
            ),
        )  # fmt: skip
        self._random = random.Random(0)
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        """Note it."""
        self._tasks.append(task)

    def next(self, timeout_s: float) -> Happened | None:
        """The end of the one that waits longest."""
        if not self._tasks:
            return None
        measured = msgspec.structs.replace(self._result.evaluation, f1=self._random.random())
        result = msgspec.structs.replace(self._result, evaluation=measured)
        return Done(self._tasks.pop(0).trial, result)

    def stop(self, trial: int) -> None:
        """None runs."""

    def close(self) -> None:
        """Nothing to end."""


def timed(backend: Backend, tasks: Sequence[Task]) -> float:
    """Seconds that a backend takes for these trials, always as many at a time as it can."""
    started = time.perf_counter()
    waiting, running = list(tasks), 0
    while waiting or running:
        while waiting and running < backend.capacity:
            backend.submit(waiting.pop(0))
            running += 1
        happened = backend.next(1.0)
        running -= happened is not None and not hasattr(happened, "epoch")
    return time.perf_counter() - started


def in_store() -> float:
    """Bytes in the object store of a Ray."""
    import ray

    name = "object_store_memory"
    return ray.cluster_resources()[name] - ray.available_resources().get(name, 0.0)


def places(start: Model) -> None:
    """Overhead and wall time of the same trials in each place."""
    supplies = make_supplies(start, open_data("digits", SIZE), RECIPE, CPU, threads=1)
    bad = Task(trial=0, edits=(edits.UnitOff("nowhere"),), recipe=RECIPE)
    empty = [msgspec.structs.replace(bad, trial=number) for number in range(EMPTY)]
    full = [
        Task(trial=n, recipe=msgspec.structs.replace(RECIPE, learning_rate=1e-3 * (n + 1)))
        for n in range(FULL)
    ]
    kinds: dict[str, Callable[[], Backend]] = {
        HERE: lambda: Here(supplies),
        PROCESSES[0]: lambda: ProcessBackend(supplies, 1),
        PROCESSES[1]: lambda: ProcessBackend(supplies, 2),
        RAY[0]: lambda: RayBackend(supplies, "local", 1),
        RAY[1]: lambda: RayBackend(supplies, "local", 2),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, make in kinds.items():
            started = time.perf_counter()
            backend = make()
            try:
                timed(backend, full[: backend.capacity])  # torch is loaded, data opened
                up = time.perf_counter() - started
                each = timed(backend, empty) / EMPTY
                found[name].append((up, each, timed(backend, full)))
                if name == RAY[0]:
                    shipped = in_store()
            finally:
                backend.close()
    report_places(found, supplies, shipped)


def report_places(
    found: dict[str, list[tuple[float, float, float]]], supplies: Supplies, shipped: float
) -> None:
    """Print the medians, and ratios to worker processes of the same round."""
    print(f"trials of {SIZE} px digits, {os.cpu_count()} cores, {ROUNDS} rounds, medians")
    for name, rounds in found.items():
        up, each, wall = (statistics.median(figures) for figures in zip(*rounds, strict=True))
        peers = found[PROCESSES[name in (PROCESSES[1], RAY[1])]]
        ratio = statistics.median(a[2] / b[2] for a, b in zip(rounds, peers, strict=True))
        print(
            f"  {name:19} ready after {up:5.1f} s   empty trial {each * 1e3:6.1f} ms   "
            f"{FULL} trials {wall:5.1f} s   ratio to processes {ratio:.2f}"
        )
    for kind, (one, two) in (("processes", PROCESSES), ("Ray", RAY)):
        gain = statistics.median(a[2] / b[2] for a, b in zip(found[one], found[two], strict=True))
        print(f"  {kind:19} 2 workers are {gain:.2f} times as fast as 1")
    print(
        f"  shipped to a node once: {shipped / 1e6:.2f} MB (networks "
        f"{(len(supplies.start) + sum(map(len, supplies.teachers))) / 1e6:.2f} MB, the rest images)"
    )


class Pace:
    """When each trial ended: by the clock, and by the seconds that this process computed."""

    def __init__(self) -> None:
        self.clock, self.computed = [time.perf_counter()], [time.process_time()]

    def ended(self, trial: object = None) -> None:
        """Note one."""
        self.clock.append(time.perf_counter())
        self.computed.append(time.process_time())

    def said(self) -> str:
        """Both, in ms a trial, at the start and at the end."""
        window = min(WINDOW, len(self.clock) // 2)
        parts = []
        for name, ends in (("clock", self.clock), ("CPU", self.computed)):
            first, last = ends[window] - ends[0], ends[-1] - ends[-1 - window]
            parts.append(f"{first / window * 1e3:.1f}, then {last / window * 1e3:.1f} ms ({name})")
        return ", ".join(parts)

    @property
    def cpu_s(self) -> float:
        """Computed seconds a trial, of all."""
        return (self.computed[-1] - self.computed[0]) / (len(self.computed) - 1)


def keeping_up(start: Model, trials: int) -> Pace:
    """What a study itself takes a trial."""
    plan = StudyPlan(
        rule=PRESETS["contest"], trials=trials, is_pruned=False,
        space=Space(units=False, recipe=("learning_rate", "weight_decay", "label_smoothing")),
    )  # fmt: skip
    pace = Pace()
    real, study.open_backend = study.open_backend, lambda *args: AtOnce(start)
    try:
        with tempfile.TemporaryDirectory() as folder:
            data = open_data("digits", SIZE)
            study.run_study(Path(folder), 1, plan, start, data, RECIPE, CPU, on_trial=pace.ended)
    finally:
        study.open_backend = real
    return pace


def asking(storage: optuna.storages.BaseStorage, trials: int) -> Pace:
    """What Optuna alone takes for ask, six values, and tell."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=0))
    pace = Pace()
    for _ in range(trials):
        trial = made.ask()
        values = [trial.suggest_float(f"x{number}", 0, 1) for number in range(6)]
        made.tell(trial, sum(values))
        pace.ended()
    return pace


def estimate(driver_s: float) -> None:
    """What binds for MANY trials on GPUS GPUs."""
    workers_s, every_s = MANY / GPUS * GPU_TRIAL_S, GPU_TRIAL_S / GPUS
    print(f"{MANY} trials on {GPUS} GPUs, {GPU_TRIAL_S:.0f} s each (assumed)")
    print(f"  workers {workers_s / 60:.0f} min; the study's process {MANY * driver_s / 60:.0f} min")
    print(
        f"  it takes {driver_s:.2f} s a trial, and the GPUs end one every {every_s:.2f} s: "
        + ("it binds" if driver_s > every_s else "the GPUs bind")
    )


def main() -> None:
    torch.manual_seed(0)
    network = edits.apply(shufflenet.fresh(units=(2, 2, 2), classes=10), edits.InputSize(SIZE))
    start = network, dict(build(network).state_dict())
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    places(start)
    pace = keeping_up(start, trials)
    print(f"a study of {trials} trials whose workers answer at once: time a trial, start and end")
    print(f"  the study with SQLite      {pace.said()}")
    with tempfile.TemporaryDirectory() as folder:
        journal = optuna.storages.journal.JournalFileBackend(f"{folder}/journal")
        for name, storage in (
            ("in memory", optuna.storages.InMemoryStorage()),
            ("SQLite   ", optuna.storages.RDBStorage(f"sqlite:///{folder}/study.db")),
            ("journal  ", optuna.storages.JournalStorage(journal)),
        ):
            print(f"  Optuna alone, {name}    {asking(storage, trials).said()}")
    estimate(pace.cpu_s)


if __name__ == "__main__":
    main()
