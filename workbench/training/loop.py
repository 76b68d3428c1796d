"""The fine-tuning loop: batches by the recipe, steps, moving average; the last epoch is kept.

Every step's images, augmentation and dropout follow from (seed, epoch, step) alone, so that a run
that was cut off goes on from its stored step as if nothing had happened.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sessions.network import Network
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import Assembled, State, build
from workbench.training.augmentation.augment import Augmenter
from workbench.training.augmentation.mixing import mixed
from workbench.training.distillation import FirstStudent
from workbench.training.images.data import Split
from workbench.training.machine import sparing_a_core
from workbench.training.objective import Objective, Teacher
from workbench.training.optimizers import make_optimizer
from workbench.training.progress import Progress, StepMeter
from workbench.training.sampling import epoch_order, passes
from workbench.training.schedules import rate

NO_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)
"""How torch words it, which has no type of its own for it on every device."""
DEVICE_SHARE = 0.25
"""Of a device's free memory that a whole data set may take there."""


class TrainingError(UserError):
    """Training cannot go on; the message says why."""


class OutOfMemoryError(UserError):
    """A batch does not fit; what was stored is whole, and the run can go on from it."""


class Hooks(Protocol):
    """What the loop tells and asks its owner."""

    def progressed(self, progress: Progress) -> None:
        """A few times a second."""

    def after_batch(self, run: "Run") -> bool:
        """After every batch; False ends the run."""

    def epoch_ended(self, run: "Run") -> None:
        """After every epoch."""


class Run:
    """One fine-tuning run: module, objective, optimiser and the step it is at."""

    def __init__(
        self, module: Assembled, network: Network, train: Split, recipe: Recipe,
        device: torch.device, teachers: Sequence[Teacher] = (), first: FirstStudent | None = None,
        *, is_body_frozen: bool = False,
    ) -> None:  # fmt: skip
        """With a frozen body the head alone learns: all other weights and statistics stay."""
        # Images arrive in this layout, and oneDNN's convolutions are a fifth faster in it.
        self.module: Assembled = module.to(device).to(  # type: ignore[call-overload]
            memory_format=torch.channels_last
        )
        self.network = network
        self.train = train
        self.recipe = recipe
        self.device = device
        self.is_body_frozen = is_body_frozen
        if is_body_frozen:
            module.requires_grad_(False)
            module.get_submodule(network.head.key).requires_grad_(True)
        self.step = 0
        self.batch_size = min(recipe.batch_size, len(train))
        self.passes = passes(len(train), recipe)
        self.steps_per_epoch = self.passes * len(train) // self.batch_size
        self.steps = self.steps_per_epoch * recipe.epochs
        self.objective = Objective(module, network, train, recipe, device, teachers, first)
        self.optimizer = make_optimizer(module, self.objective, recipe)
        self.averaged = _averaged(self.module, recipe)
        self.augmenter = Augmenter(recipe.augmentation, network, device)
        self.is_mixed_precision = recipe.amp == "on" or (
            recipe.amp == "auto" and device.type == "cuda"
        )
        self._on_device = _on_device(train, device)

    @property
    def epoch(self) -> float:
        """Epochs done, with the fraction of the running one."""
        return self.step / self.steps_per_epoch

    @property
    def has_ended_pass(self) -> bool:
        """Whether a pass through the images just ended and the epoch goes on with another."""
        within = self.step % self.steps_per_epoch
        done, left = divmod(within, max(self.steps_per_epoch // self.passes, 1))
        return 0 < done < self.passes and not left

    def result(self) -> State:
        """The weights to keep, on the CPU: the moving average where there is one."""
        source = self.averaged.module if self.averaged is not None else self.module
        state = {k: v.detach().cpu().clone() for k, v in source.state_dict().items()}
        return self.objective.finished(state)

    def kept(self) -> Assembled:
        """A module for evaluation with the weights to keep; the one in training where it is it."""
        if self.averaged is None and not self.objective.changes_head:
            return self.module
        kept = build(self.network, self.result())
        kept.to(self.device)
        return kept

    def fit(self, hooks: Hooks) -> bool:
        """Train to the end; returns whether it got there.

        Raises:
            TrainingError: the loss is not finite.
            OutOfMemoryError: a batch does not fit into memory.
        """
        try:
            with sparing_a_core(), self.objective:
                return self._fit(hooks)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not NO_MEMORY.search(str(error)):
                raise
            raise OutOfMemoryError(
                f"out of memory in epoch {self.epoch:.1f} with batch_size {self.batch_size}: close "
                "other programs and go on, or start anew with a smaller batch_size"
            ) from error

    def _fit(self, hooks: Hooks) -> bool:
        meter = StepMeter(self)
        self.module.train()
        for images, targets, where in self._batches():
            value = self._stepped(images, targets, where)
            if not math.isfinite(value):
                raise TrainingError(self._exploded())
            if (progress := meter.add(value)) is not None:
                hooks.progressed(progress)
            with meter.paused():
                if self.step % self.steps_per_epoch == 0:
                    self._check_weights()
                    hooks.epoch_ended(self)
                goes_on = hooks.after_batch(self)
            if not goes_on and self.step < self.steps:
                return False
        return True

    def _stepped(self, images: Tensor, targets: Tensor, where: NDArray[np.intp]) -> float:
        factor = rate(self.recipe, self.step, self.steps, self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor
        if self.is_body_frozen:
            _hold_norms(self.module)
        torch.manual_seed(self._seed(self.step))  # for dropout
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.is_mixed_precision
        ):
            loss = self.objective(images, targets, where)
        self.optimizer.zero_grad()
        loss.backward()
        if self.recipe.clip_norm:
            trained = [*self.module.parameters(), *self.objective.parameters()]
            nn.utils.clip_grad_norm_(trained, self.recipe.clip_norm)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.module)
        self.step += 1
        return float(loss.item())

    def _check_weights(self) -> None:
        if not all(torch.isfinite(value).all() for value in self.module.state_dict().values()):
            raise TrainingError(self._exploded())

    def save(self) -> bytes:
        """The run's whole state as bytes that torch.load(weights_only=True) reads."""
        buffer = io.BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({"step": self.step, **parts}, buffer)
        return buffer.getvalue()

    def restore(self, path: Path) -> None:
        """Go on from a stored state.

        Raises:
            TrainingError: it does not belong to this run.
        """
        try:
            stored = torch.load(path, map_location=self.device, weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(stored[name])
            self.step = int(stored["step"])
        except Exception as error:
            raise TrainingError(
                f"{path} does not belong to this run or is damaged ({type(error).__name__}): "
                "start the fine-tuning anew"
            ) from error

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "model": self.module, "optimizer": self.optimizer, "objective": self.objective,
        }  # fmt: skip
        return parts if self.averaged is None else parts | {"averaged": self.averaged}

    def _exploded(self) -> str:
        return (
            f"loss or weights became infinite in epoch {self.epoch:.1f}: lower the learning rate "
            f"({self.recipe.learning_rate:g}), or set clip_norm"
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, NDArray[np.intp]]]:
        """Batches from the present step on; the next one is prepared while this one trains."""
        with ThreadPoolExecutor(1, initializer=_one_core) as pool:
            if self.step >= self.steps:
                return
            waiting = pool.submit(self._batch, self.step)
            for step in range(self.step, self.steps):
                batch = waiting.result()
                if step + 1 < self.steps:
                    waiting = pool.submit(self._batch, step + 1)
                yield batch

    def _batch(self, step: int) -> tuple[Tensor, Tensor, NDArray[np.intp]]:
        """Images (N, C, S, S), soft targets (N, classes), and the rows they were made from."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = epoch_order(
            self.train.labels, self.recipe.sampler, (self.recipe.seed, epoch), self.passes
        )
        where = order[within * self.batch_size : (within + 1) * self.batch_size]
        seed = self._seed(step)
        if self._on_device is None:
            images = self.augmenter(self.train.take(where), seed)
        else:
            images = self.augmenter(self._on_device[torch.from_numpy(where)], seed)
        labels = torch.from_numpy(self.train.labels[where])
        targets = nn.functional.one_hot(labels, self.network.classes).float().to(self.device)
        return *mixed(images, targets, self.recipe, seed), where

    def _seed(self, step: int) -> int:
        epoch, within = divmod(step, self.steps_per_epoch)
        return int(np.random.default_rng((self.recipe.seed, epoch, within)).integers(2**31))


def _averaged(module: Assembled, recipe: Recipe) -> AveragedModel | None:
    if not recipe.ema:
        return None
    average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=average, use_buffers=True)


def _hold_norms(module: nn.Module) -> None:
    """Batch norms use and keep the statistics that they have; evaluating in between frees them."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def _on_device(train: Split, device: torch.device) -> Tensor | None:
    """All training images on an accelerator, where they fit: copying batch by batch is slower."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    size = len(train) * int(np.prod(train.source.shape[1:]))
    return (
        torch.from_numpy(train.take(slice(None))).to(device) if size < DEVICE_SHARE * free else None
    )


def _one_core() -> None:
    """Holds for the calling thread only."""
    torch.set_num_threads(1)


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
