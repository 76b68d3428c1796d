"""From a cut network back to its F1: our recovery against the usual recipe, on the same photos.

TrashNet at 80 pixels, 80 % to train on and 20 % held out (by class, seed 0), from the ImageNet
checkpoint. The hold-out is told, never chosen on: the recipes were chosen on a validation split of
the 80 %. Four runs a seed: the usual recipe (a) and ours (b) on the whole network; the units of
2-5-2 cut from each, then the usual recipe again (c), and our ladder with the whole network as
teacher (d). Seconds are of training, measuring left out.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import torch
from photos import SHARED, photo_folder

from sessions.edits import Classes, UnitOff
from sessions.events import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.splits import Splits
from workbench.surgery import files
from workbench.surgery.build import State
from workbench.surgery.carry import carry
from workbench.surgery.store import Since
from workbench.training import jobs, ladder
from workbench.training.images.data import Dataset, open_data
from workbench.training.progress import Progress

SIZE, EPOCHS, SEEDS = 80, 25, (0, 1, 2)
CUT = tuple(
    f"stage{stage}.unit{unit}"
    for stage, units in ((1, (3, 4)), (2, (6, 7, 8)), (3, (3, 4)))
    for unit in units
)
CPU = torch.device("cpu")
USUAL = Recipe(
    epochs=EPOCHS, batch_size=64, learning_rate=2e-4, lowest_rate=0.25, schedule="restarts",
    warmup=0.0, restart_epochs=5, weight_decay=0.01, loss="f1-focal", label_smoothing=0.0,
    augmentation="light", images_per_epoch=0,
)  # fmt: skip
OURS = Recipe(epochs=EPOCHS)
Weights = tuple[Network, State]


class Watch:
    """Notes F1 against seconds of training."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float, str]] = []
        self._since = time.perf_counter()
        self._outside = 0.0
        self._last: float | None = None

    @property
    def seconds(self) -> float:
        """Of training so far."""
        return time.perf_counter() - self._since - self._outside

    def started(self, steps: int, from_step: int) -> None:
        """Nothing to note."""

    def progressed(self, phase: str, progress: Progress) -> None:
        """Nothing to note."""

    def stored(self, step: int, epoch: float) -> None:
        """What follows is an evaluation."""
        self._last = self.seconds

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        """Note it, and take the evaluation out of the time."""
        at = self.seconds if self._last is None else self._last
        self.points.append((at, evaluation.f1, rung))
        self._outside += self.seconds - at
        self._last = None

    def should_stop(self) -> bool:
        """Never."""
        return False

    def wants_evaluation(self) -> bool:
        """Never."""
        return False


def tuned(
    start: Weights, data: Dataset, recipe: Recipe, watch: Watch, teachers: tuple[Weights, ...] = ()
) -> Weights:
    """Train from these weights."""
    with tempfile.TemporaryDirectory() as folder:
        resume_file = Path(folder) / "resume.pt"
        outcome = jobs.run_fine_tune(*start, data, recipe, CPU, watch, resume_file, teachers)
    assert outcome.state is not None
    return start[0], outcome.state


def shown(data: Dataset) -> Dataset:
    """The same with the hold-out told after every epoch: the last epoch is kept, come what may."""
    assert data.hold_out is not None
    return msgspec.structs.replace(data, val=data.hold_out)


def blind(data: Dataset) -> Dataset:
    """The same with nothing to choose rungs by."""
    return msgspec.structs.replace(
        data, val=msgspec.structs.replace(data.val, rows=data.val.rows[:0])
    )


def cut(start: Weights) -> Weights:
    """2-5-2 of 4-8-4."""
    for unit in CUT:
        carried = carry(*start, UnitOff(unit))
        start = carried.network, carried.state
    return start


def climbed(whole: Weights, data: Dataset, recipe: Recipe, watch: Watch) -> Weights:
    """The ladder: batch norm, repair, then the full fine-tune with the whole network as teacher."""
    edited = cut(whole)
    quick = msgspec.structs.replace(recipe, short_epochs=0)
    outcome = ladder.run_recover(Since(whole, edited, {}), blind(data), quick, CPU, watch)
    start = edited[0], edited[1] if outcome.state is None else outcome.state
    taught = msgspec.structs.replace(recipe, teachers=("the whole network",))
    return tuned(start, data, taught, watch, (whole,))


def run(opened: Weights, data: Dataset, seed: int) -> dict[str, Watch]:
    """The four runs of a seed."""
    started = carry(*opened, Classes(len(data.classes), seed))
    start = started.network, started.state
    usual, ours = (msgspec.structs.replace(recipe, seed=seed) for recipe in (USUAL, OURS))
    watches: dict[str, Watch] = {}

    def watch(name: str) -> Watch:
        watches[name] = Watch()
        return watches[name]

    a = tuned(start, data, usual, watch("a"))
    b = tuned(start, data, ours, watch("b"))
    tuned(cut(a), data, usual, watch("c"))
    climbed(b, data, ours, watch("d"))
    for name, found in watches.items():
        points = "  ".join(
            f"{at:.1f}s {f1:.3f}{' ' * bool(rung)}{rung}" for at, f1, rung in found.points
        )
        print(f"seed {seed} ({name}) {points}", flush=True)
    return watches


def main() -> None:
    model = SHARED / "models" / "shufflenet_g3_wd4.pth"
    if not model.exists():
        sys.exit(f"needs {model} and the photos beside it")
    opened = files.read_model(model, SIZE)
    with tempfile.TemporaryDirectory() as work:
        folder, what = photo_folder(Path(work))
        splits = Splits(seed=0, hold_out=0.2, train_all=True)
        data = open_data(str(folder), SIZE, splits=splits)
        runs = [run((opened.network, opened.state), shown(data), seed) for seed in SEEDS]
    assert data.hold_out is not None
    print(f"{what}, {len(data.train)} to train on, {len(data.hold_out)} held out, {EPOCHS} epochs")
    for name, words in (
        ("a", "usual recipe, 4-8-4"), ("b", "our recipe, 4-8-4"),
        ("c", "usual recipe, 2-5-2 cut from a"), ("d", "our ladder, 2-5-2 cut from b"),
    ):  # fmt: skip
        f1s = [found[name].points[-1][1] for found in runs]
        seconds = statistics.median(found[name].points[-1][0] for found in runs)
        print(
            f"  ({name}) {words:32} F1 {statistics.mean(f1s):.4f} ± {statistics.stdev(f1s):.4f}"
            f"   {seconds:.0f} s"
        )
    shares = []
    for found in runs:
        end, wanted, _ = found["c"].points[-1]
        reached = next((at for at, f1, _ in found["d"].points if f1 >= wanted), float("inf"))
        shares.append(reached / end)
    print(f"  (d) reaches the end of (c) in {[round(share, 3) for share in shares]} of its time")


if __name__ == "__main__":
    main()
