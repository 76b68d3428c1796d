"""The fine-tuning loop: cross entropy, AdamW, cosine with warm-up; the last epoch is kept.

Every step's images and augmentation follow from (seed, epoch, step) alone, so that a run that was
cut off goes on from its stored step as if nothing had happened.
"""

import io
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sessions.network import Network
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import Assembled
from workbench.training.augment import augmented, pipeline
from workbench.training.data import Split
from workbench.training.evaluate import normalised
from workbench.training.machine import sparing_a_core

PROGRESS_S = 0.25
"""Seconds between two progress reports."""


class TrainingError(UserError):
    """Training cannot go on; the message says why."""


class Progress(msgspec.Struct, frozen=True):
    """Where a run is."""

    step: int
    steps: int
    epoch: float
    loss: float | None
    """Mean over the batches since the last report; None where nothing is trained."""
    images_per_s: float
    left_s: float


class Hooks(Protocol):
    """What the loop tells and asks its owner."""

    def progressed(self, progress: Progress) -> None:
        """A few times a second."""

    def after_batch(self, run: "Run") -> bool:
        """After every batch; False ends the run."""

    def epoch_ended(self, run: "Run") -> None:
        """After every epoch."""


class Run:
    """One fine-tuning run: module, optimiser and the step it is at."""

    def __init__(
        self, module: Assembled, network: Network, train: Split, recipe: Recipe,
        device: torch.device,
    ) -> None:  # fmt: skip
        # Images arrive in this layout, and oneDNN's convolutions are a fifth faster in it.
        self.module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.train = train
        self.recipe = recipe
        self.device = device
        self.step = 0
        batch = min(recipe.batch_size, len(train))
        self.steps_per_epoch = len(train) // batch
        self.steps = self.steps_per_epoch * recipe.epochs
        self.batch_size = batch
        self.optimizer = torch.optim.AdamW(_groups(module, recipe), fused=True)
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.transform = pipeline(recipe.augmentation)

    @property
    def epoch(self) -> float:
        """Epochs done, with the fraction of the running one."""
        return self.step / self.steps_per_epoch

    def fit(self, hooks: Hooks) -> bool:
        """Train to the end; returns whether it got there.

        Raises:
            TrainingError: the loss is not finite.
        """
        with sparing_a_core():
            return self._fit(hooks)

    def _fit(self, hooks: Hooks) -> bool:
        meter = _Meter(self)
        self.module.train()
        for images, labels in self._batches():
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * self._lr_factor()
            loss = self.loss(self.module(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingError(self._exploded())
            if (progress := meter.add(value)) is not None:
                hooks.progressed(progress)
            with meter.paused():
                if self.step % self.steps_per_epoch == 0:
                    hooks.epoch_ended(self)
                goes_on = hooks.after_batch(self)
            if not goes_on and self.step < self.steps:
                return False
        if not all(torch.isfinite(value).all() for value in self.module.state_dict().values()):
            raise TrainingError(self._exploded())
        return True

    def save(self) -> bytes:
        """The run's whole state as bytes that torch.load(weights_only=True) reads."""
        buffer = io.BytesIO()
        torch.save(
            {
                "step": self.step,
                "model": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            buffer,
        )
        return buffer.getvalue()

    def restore(self, path: Path) -> None:
        """Go on from a stored state.

        Raises:
            TrainingError: it does not belong to this run.
        """
        try:
            stored = torch.load(path, map_location=self.device, weights_only=True)
            self.module.load_state_dict(stored["model"])
            self.optimizer.load_state_dict(stored["optimizer"])
            self.step = int(stored["step"])
        except Exception as error:
            raise TrainingError(
                f"{path} does not belong to this run or is damaged ({type(error).__name__}): "
                "start the fine-tuning anew"
            ) from error

    def _exploded(self) -> str:
        return (
            f"loss or weights became infinite in epoch {self.epoch:.1f}: lower the learning rate "
            f"({self.recipe.learning_rate:g})"
        )

    def _lr_factor(self) -> float:
        warmup = max(int(self.recipe.warmup * self.steps), 1)
        if self.step < warmup:
            return (self.step + 1) / warmup
        done = (self.step - warmup) / max(self.steps - warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * done))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from the present step on; the next one is prepared while this one trains."""
        with ThreadPoolExecutor(1) as pool:
            if self.step >= self.steps:
                return
            waiting = pool.submit(self._batch, self.step)
            for step in range(self.step, self.steps):
                images, where = waiting.result()
                if step + 1 < self.steps:
                    waiting = pool.submit(self._batch, step + 1)
                labels = torch.from_numpy(self.train.labels[where]).to(self.device)
                yield normalised(images, self.network, self.device), labels

    def _batch(self, step: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
        epoch, within = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.train))
        where = order[within * self.batch_size : (within + 1) * self.batch_size]
        seed = int(np.random.default_rng((self.recipe.seed, epoch, within)).integers(2**31))
        return augmented(self.transform, self.train.take(where), seed), where


class _Meter:
    """Turns batch losses into a progress report a few times a second."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.losses: list[float] = []
        self.since = time.perf_counter()
        self.first_step = run.step
        self.training_s = 0.0
        self.outside_s = 0.0

    def add(self, loss: float) -> Progress | None:
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

    def paused(self) -> "_Meter":
        return self

    def __enter__(self) -> None:
        self._paused_at = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        elapsed = time.perf_counter() - self._paused_at
        self.since += elapsed
        self.outside_s += elapsed


def _groups(module: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """Weight decay for conv and linear weights only, as usual."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    plain = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` is the GPU where there is one.

    Raises:
        TrainingError: torch does not have that device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"no device {name!r} here ({reason}): use --device cpu") from None
    return device
