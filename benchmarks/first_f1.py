"""From an edit to the first F1: raw, and with batch norm measured anew, in a live session.

TrashNet at 80 pixels and the ImageNet checkpoint where the shared data lies, drawn photos and a
fresh network elsewhere. The peer is one epoch of our own training, which is what a user would
have to wait for without this.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from photos import SHARED, photo_folder

from sessions.events import BATCH_NORM, RAW, AnyEvent, Evaluated, Unknown
from sessions.recipe import Recipe
from workbench.live import LiveSession
from workbench.session import Opening
from workbench.surgery import files
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet

SIZE, ROUNDS = 80, 15
UNITS = ("stage1.unit2", "stage2.unit3", "stage2.unit8", "stage3.unit4")


class Clock:
    """When which F1 came, in seconds since the last start."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._since = time.perf_counter()

    def start(self) -> None:
        """From now on."""
        self.at.clear()
        self._since = time.perf_counter()

    def take(self, event: AnyEvent | Unknown) -> None:
        """Note an evaluation."""
        if isinstance(event, Evaluated):
            name = event.rung if event.epoch is None or event.rung else f"epoch {event.epoch:g}"
            self.at.setdefault(name, time.perf_counter() - self._since)

    async def until(self, name: str) -> float:
        """Wait for an F1."""
        while name not in self.at:
            await asyncio.sleep(0.005)
        return self.at[name]


async def measured(model: Path, photos: Path, folder: Path) -> dict[str, list[float]]:
    """Seconds to each F1 over all rounds."""
    clock = Clock()
    recipe = Recipe(images_per_epoch=0, epochs=1)
    live = LiveSession(
        Opening(folder=folder, model=model, data=str(photos), input_size=SIZE, recipe=recipe),
        clock.take,
    )
    live.claim()
    found: dict[str, list[float]] = {RAW: [], BATCH_NORM: [], "epoch 1": []}
    try:
        await live.start()
        await clock.until("")
        for number in range(ROUNDS):
            clock.start()
            live.toggle(UNITS[number % len(UNITS)])
            found[RAW].append(await clock.until(RAW))
            found[BATCH_NORM].append(await clock.until(BATCH_NORM))
            while any(job.is_active for job in live.state.jobs.values()):
                await asyncio.sleep(0.01)
            live.undo()
        clock.start()
        live.queue_job("fine-tune")
        found["epoch 1"].append(await clock.until("epoch 1"))
    finally:
        await live.close()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        photos, what = photo_folder(Path(work))
        model = SHARED / "models" / "shufflenet_g3_wd4.pth"
        if not model.exists():
            model = Path(work) / "fresh.pt"
            network = shufflenet.fresh(classes=6)
            files.save(model, network, build(network).state_dict())
        found = asyncio.run(measured(model, photos, Path(work) / "session"))
    epoch = statistics.median(found["epoch 1"])
    print(f"from an edit to F1 on {what}, {ROUNDS} rounds, with the pause for more edits in it")
    for name, limit in ((RAW, 2), (BATCH_NORM, 5)):
        times = sorted(found[name])
        print(
            f"  {name:11} p50 {statistics.median(times):.2f} s   worst {times[-1]:.2f} s   "
            f"below {limit} s wanted   ratio to an epoch {statistics.median(times) / epoch:.2f}"
        )
    print(f"  one epoch of training and its F1: {epoch:.1f} s")


if __name__ == "__main__":
    main()
