"""Writes the session of a long working day, for benchmarks.

Edits of all kinds, each measured and its recovery tried, undos, recoveries and fine-tunings with
progress four times a second. The numbers are random, their sizes are real.
"""

import random
from pathlib import Path
from typing import Any

from sessions import codec, edits, events, log, macs, offers, reshaping
from sessions.codec import Header, Record
from sessions.network import WEIGHTED, Network
from sessions.recipe import Recipe
from workbench.surgery.families import shufflenet

CLASSES = (
    "cardboard",
    "glass",
    "metal",
    "paper",
    "plastic",
    "trash",
    "battery",
    "clothes",
    "shoes",
)
BINS = 40


class Day:
    """Writes what happens on a long day."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.rng = random.Random(0)
        self.file = open(folder / log.LOG_NAME, "wb")  # noqa: SIM115 - closed by main
        self.file.write(codec.encode(Header(created="", model_sha256="ab", seed=0)) + b"\n")
        self.t, self.count, self.job, self.variant = 0.0, 0, 0, 0
        self.networks = {0: network}
        self.next = 1
        opened = events.ModelOpened(
            source="m.pth", sha256="ab", checkpoint="cd" * 32, network=network,
            weights_sha256="ef" * 32, stats=self._stats(network), macs=macs.count(network),
            ptflops_macs=macs.count(network),
        )  # fmt: skip
        self._put(0.5, opened)
        self._put(1.0, events.DataOpened(
            source="photos", fingerprint="", classes=CLASSES, train_images=2022, val_images=505,
            size=80,
        ))  # fmt: skip

    def _put(self, pause_s: float, event: Any) -> None:
        self.t += pause_s
        self.count += 1
        self.file.write(codec.encode_record(Record(self.t, event)) + b"\n")

    def _stats(
        self, network: Network, before: Network | None = None
    ) -> dict[str, events.LayerStats]:
        """Of all layers, or of those whose MACs differ from another network's."""
        known = {} if before is None else macs.count_layers(before)
        found = {}
        for path, count in macs.count_layers(network).items():
            kind = next(x.kind for _, x in network.layers(include_off=True) if x.path == path)
            if (kind in WEIGHTED or kind == "batch_norm") and known.get(path) != count:
                heights = tuple(self.rng.randint(0, 400) for _ in range(BINS))
                mean, std, low, high = (self.rng.random() for _ in range(4))
                found[path] = events.LayerStats(sum(heights), mean, std, 0.1, -low, high, heights)
        return found

    def _evaluation(self) -> events.Evaluation:
        f1 = self.rng.uniform(0.5, 0.85)
        return events.Evaluation(
            split="validation", images=505, f1=f1, accuracy=f1, low=f1 - 0.03, high=f1 + 0.03,
            confusion=tuple(tuple(self.rng.randint(0, 60) for _ in CLASSES) for _ in CLASSES),
            classes=tuple(events.ClassScore(name, f1, f1, f1, 56) for name in CLASSES),
        )  # fmt: skip

    def _random_edit(self) -> edits.Edit | None:
        network = self.networks[self.variant]
        path = self.rng.choice(list(network.units))
        if self.rng.random() < 0.5 and network.units[path].is_removable:
            return edits.toggle(network, path)
        found = [
            offer
            for offer in offers.offers(network, self.rng.choice([path, path.partition(".")[0]]))
            if offer.name in ("width", "mid", "groups", "kernel")
        ]
        if not found:
            return None
        offer = self.rng.choice(found)
        values = [v for v in reshaping.options(network, offer.name, offer.target) if v != offer.now]
        value = max(values[-4:], default=0)
        return edits.RESHAPES[offer.name](target=offer.target, value=value) if value > 2 else None

    def _edit(self) -> None:
        edit, parent = self._random_edit(), self.variant
        if edit is None:
            return
        try:
            after = edits.apply(self.networks[parent], edit)
        except edits.EditError:
            return
        self.variant, self.next = self.next, self.next + 1
        self.networks[self.variant] = after
        names = {"variant": self.variant, "parent": parent, "edit": edit}
        self._put(self.rng.expovariate(1 / 20), events.EditRequested(**names))
        stats = self._stats(after, self.networks[parent])
        self._put(0.1, events.Edited(
            **names, macs=macs.count(after), weights_sha256="12" * 32, exact=False, kept=0.97,
            stats=stats,
        ))  # fmt: skip
        self._measure()

    def _measure(self) -> None:
        """The automatic evaluation, and the recovery that is tried where there is time."""
        job = self._start("evaluate", 1, is_automatic=True)
        self._put(0.5, events.Evaluated(job=job, evaluation=self._evaluation(), rung=events.RAW))
        if self.rng.random() < 0.5:
            self._put(0.3, events.JobFinished(job=job))
            return
        for rung in (events.BATCH_NORM, events.REPAIR, events.SHORT):
            found = self._evaluation()
            self._put(2.0, events.Evaluated(job=job, evaluation=found, rung=rung, epoch=0.0))
        self._finish(job)

    def _start(self, kind: Any, steps: int, **more: Any) -> int:
        self.job += 1
        queued = events.JobQueued(job=self.job, job_kind=kind, variant=self.variant, **more)
        self._put(0.1, queued)
        self._put(0.1, events.JobStarted(job=self.job, device="cpu", steps=steps))
        return self.job

    def _finish(self, job: int) -> None:
        self._put(0.3, events.JobFinished(
            job=job, checkpoint=f"{self.rng.getrandbits(256):064x}", weights_sha256="34" * 32,
            stats=self._stats(self.networks[self.variant]), evaluation=self._evaluation(),
        ))  # fmt: skip

    def _train(self, kind: Any, epochs: int) -> None:
        result, self.next = self.next, self.next + 1
        job = self._start(kind, 32 * epochs, result=result, recipe=Recipe(epochs=epochs))
        for part in range(1, 20 * epochs + 1):
            epoch = part / 20
            self._put(0.25, events.JobProgressed(
                job=job, phase="training", step=int(32 * epoch), steps=32 * epochs, epoch=epoch,
                loss=self.rng.random() * 2, images_per_s=self.rng.uniform(600, 900),
                left_s=5 * (epochs - epoch),
            ))  # fmt: skip
            if part % 20 == 0 and kind == "fine-tune":
                step = int(32 * epoch)
                self._put(0.05, events.CheckpointWritten(job=job, step=step, epoch=epoch))
                self._put(
                    0.3, events.Evaluated(job=job, evaluation=self._evaluation(), epoch=epoch)
                )
        self._finish(job)
        self.networks[result] = self.networks[self.variant]
        self.variant = result

    def go_on(self) -> None:
        """One thing or another."""
        choice = self.rng.random()
        if choice < 0.6:
            self._edit()
        elif choice < 0.8:
            self.variant = self.rng.choice(list(self.networks)[-8:])
            self._put(self.rng.expovariate(1 / 10), events.VariantSelected(variant=self.variant))
        elif choice < 0.92:
            self._train("recover", 1)
        else:
            self._train("fine-tune", self.rng.choice((5, 10, 25)))


def make(folder: Path, count: int) -> None:
    network = edits.apply(shufflenet.fresh(units=(4, 8, 4), classes=9), edits.InputSize(80))
    day = Day(folder, network)
    while day.count < count:
        day.go_on()
    day.file.close()
