"""How far a run is: a report a few times a second, of time that was spent on training alone."""

import time
from typing import Protocol

import msgspec

PROGRESS_S = 0.25
"""Seconds between two progress reports."""


class Progress(msgspec.Struct, frozen=True):
    """Where a run is."""

    step: int
    steps: int
    epoch: float
    loss: float | None
    """Mean over the batches since the last report; None where nothing is trained."""
    images_per_s: float
    left_s: float


class Stepping(Protocol):
    """A run, as the meter sees it."""

    step: int
    steps: int
    batch_size: int

    @property
    def epoch(self) -> float:
        """Epochs done."""


class StepMeter:
    """Turns batch losses into a progress report a few times a second."""

    def __init__(self, run: Stepping) -> None:
        self.run = run
        self.losses: list[float] = []
        self.since = time.perf_counter()
        self.first_step = run.step
        self.training_s = 0.0
        self.outside_s = 0.0

    def add(self, loss: float) -> Progress | None:
        """Count a batch; a report where one is due."""
        self.losses.append(loss)
        now = time.perf_counter()
        elapsed = now - self.since
        if elapsed < PROGRESS_S and self.run.step < self.run.steps:
            return None
        run = self.run
        self.training_s += elapsed
        done = run.step - self.first_step
        per_step = (self.training_s + self.outside_s) / done
        report = Progress(
            step=run.step,
            steps=run.steps,
            epoch=run.epoch,
            loss=sum(self.losses) / len(self.losses),
            images_per_s=len(self.losses) * run.batch_size / max(elapsed, 1e-9),
            left_s=per_step * (run.steps - run.step),
        )
        self.losses = []
        self.since = now
        return report

    def paused(self) -> "StepMeter":
        """What is done inside is no training."""
        return self

    def __enter__(self) -> None:
        self._paused_at = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        elapsed = time.perf_counter() - self._paused_at
        self.since += elapsed
        self.outside_s += elapsed
