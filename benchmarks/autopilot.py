"""Which way of choosing cuts keeps most: the autopilot's three ways against cuts by hand.

TrashNet at 80 pixels from the ImageNet checkpoint: 20 % held out, 20 % to choose on, the rest to
train on. For each seed one whole network is trained; then each way brings it to at most 1,083,210
contest MACs. Between its steps nothing is trained (batch norm anew, each conv fitted); at the end
each gets the same fine-tune with the whole network as teacher. F1 and score are of the hold-out,
which nothing was chosen on; mean and standard deviation over the seeds.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from photos import SHARED, photo_folder
from terminal import executable

from sessions import macs
from sessions.edits import UnitOff
from sessions.recipe import BEFORE_CUT, Recipe
from sessions.score import CONTEST
from sessions.splits import HOLD_OUT, Splits
from sessions.state import SessionState
from sessions.steering import Steering
from workbench.flight import fly
from workbench.session import Opening
from workbench.watching import Watch

SIZE, TARGET, CLASSES = 80, 1_083_210, 6
PUBLISHED = tuple(
    f"stage{stage}.unit{unit}"
    for stage, units in ((1, (3, 4)), (2, (6, 7, 8)), (3, (3, 4)))
    for unit in units
)
"""Of 4-8-4, so that 2-5-2 is left."""
WAYS = {
    "published 2-5-2": None,
    "std, units": Steering(by="std", is_units_only=True, max_macs=TARGET),
    "sensitivity, units": Steering(by="sensitivity", is_units_only=True, max_macs=TARGET),
    "sensitivity, all": Steering(by="sensitivity", max_macs=TARGET),
    "importance, all": Steering(by="importance", max_macs=TARGET),
}


async def by_hand(opening: Opening, out: Path) -> None:
    """The published units off, then what the autopilot does at its end."""
    watch = Watch(opening)
    live = watch.live
    live.claim()
    try:
        await live.start()
        await watch.until(is_quiet, 600)
        for unit in PUBLISHED:
            live.request_edit(UnitOff(unit))
        for kind in ("recover", "fine-tune"):
            await watch.until(lambda state: not state.variants[state.current or 0].is_pending, 600)
            live.queue_job(kind)
            await watch.until(lambda state: not any(j.is_active for j in state.jobs.values()), 600)
        live.save_model(out)
        await watch.until(lambda state: watch.saved is not None, 600)
    finally:
        await live.close()


def is_quiet(state: SessionState) -> bool:
    """Whether F1 is known and nothing runs."""
    variant = state.variant
    is_known = variant is not None and variant.evaluation is not None
    return is_known and not any(job.is_active for job in state.jobs.values())


def told(model: Path, data: Path, seed: int) -> dict[str, Any]:
    """MACs, and F1 on the hold-out."""
    from workbench.surgery.build import build
    from workbench.surgery.files import read_model
    from workbench.training.images.data import open_data
    from workbench.training.loop import pick_device
    from workbench.training.measuring.evaluate import judge

    found = read_model(model)
    splits = Splits(seed=seed, hold_out=0.2)
    opened = open_data(str(data), found.network.input_size, 3, splits)
    module = build(found.network, found.state)
    f1 = judge(module, found.network, opened, pick_device("cpu"), HOLD_OUT).f1
    count = macs.count(found.network)
    return {
        "macs": count, "f1": f1, "score": CONTEST.score(count, f1),
        "units": found.network.units_per_stage,
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--teacher-epochs", type=int, default=10)
    options.add_argument("--epochs", type=int, default=6)
    given = options.parse_args()
    model = SHARED / "models" / "shufflenet_g3_wd4.pth"
    if not model.is_file():
        sys.exit("no shared models here: set WORKBENCH_SHARED")
    results: dict[str, list[dict[str, Any]]] = {"whole": []} | {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        data, what = photo_folder(work)
        print(f"{what}; {given.seeds} seeds", flush=True)
        for seed in range(given.seeds):
            whole = trained(model, data, work, seed, given.teacher_epochs)
            results["whole"].append(told(whole, data, seed))
            show("whole", seed, results["whole"][-1])
            for number, (way, steering) in enumerate(WAYS.items()):
                out = work / f"{seed}-{number}.pt"
                recipe = Recipe(
                    seed=seed, epochs=given.epochs, short_epochs=0, teachers=(BEFORE_CUT,)
                )
                opening = Opening(
                    folder=work / f"session-{seed}-{number}", model=whole, data=str(data),
                    recipe=recipe, splits=Splits(seed=seed, hold_out=0.2),
                )  # fmt: skip
                run = by_hand(opening, out) if steering is None else fly(opening, steering, out)
                asyncio.run(run)
                results[way].append(told(out, data, seed))
                show(way, seed, results[way][-1])
    print("\nmean and standard deviation over the seeds, on the hold-out")
    for way, found in results.items():
        columns = {key: [one[key] for one in found] for key in ("macs", "f1", "score")}
        count = statistics.mean(columns["macs"])
        spread = ", ".join(
            f"{key} {statistics.mean(columns[key]):.4f} ± {deviation(columns[key]):.4f}"
            for key in ("f1", "score")
        )
        print(f"  {way:<20} {count:>11,.0f} MACs  {spread}")


def trained(model: Path, data: Path, work: Path, seed: int, epochs: int) -> Path:
    """The whole network, fine-tuned on the photos."""
    start, whole = work / f"start-{seed}.pt", work / f"whole-{seed}.pt"
    edits = [f"input:{SIZE}", f"classes:{CLASSES}", "head:conv"]
    subprocess.run(
        [executable(), "edit", str(model), str(start), *edits], check=True, capture_output=True
    )
    subprocess.run(
        [
            executable(), "train", str(start), str(whole), "--data", str(data), "--epochs",
            str(epochs), "--seed", str(seed), "--hold-out", "0.2", "--json",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return whole


def deviation(values: list[float]) -> float:
    """Of one value there is none."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def show(way: str, seed: int, found: dict[str, Any]) -> None:
    """One line, as it comes."""
    units = "-".join(map(str, found["units"]))
    print(
        f"seed {seed}  {way:<20} {units:<8} {found['macs']:>11,} MACs  F1 {found['f1']:.4f}  "
        f"score {found['score']:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
