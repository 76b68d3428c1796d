"""Compares pretrained networks on one's own photos: a short head-only and a short full fine-tune.

Every candidate gets the same images, seeds and recipe, and F1 on the same validation images; a
candidate that fails is an entry with its reason. For the head alone, batch norm is measured anew
on the photos first and then kept: statistics of other photos at another size would be judged
with the weights.
"""

import tempfile
import time
from pathlib import Path

import msgspec
import torch

from sessions import macs
from sessions.edits import Classes, EditError
from sessions.evaluation import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import Rule
from sessions.splits import VALIDATION, Splits
from workbench.errors import UserError
from workbench.surgery.build import State, build
from workbench.surgery.carry import carry
from workbench.surgery.files import read_model
from workbench.training.images.data import Dataset, open_data
from workbench.training.images.listing import Progress
from workbench.training.jobs import (
    Desk,
    Hooks,
    Outcome,
    evaluated_state,
    merged,
    run_fine_tune,
)
from workbench.training.ladder import run_batch_norm
from workbench.training.loop import Run
from workbench.zoo.candidates import Candidate

STOPPED = "stopped before it was measured"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What every candidate goes through."""

    data: str
    splits: Splits
    recipe: Recipe
    """Of both fine-tunes; its epochs are those of the full one."""
    head_epochs: int
    """Of the head alone; 0 leaves that out."""
    rule: Rule


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate came to; both figures of F1 are of validation images."""

    name: str
    published: str = ""
    """Its name in the zoo, where it is a network with public weights."""
    top1_error: float | None = None
    """As published, on ImageNet-1K, per cent."""
    input_size: int | None = None
    macs: int | None = None
    """At the input size and with the data's classes; contest convention."""
    params: int | None = None
    head: Evaluation | None = None
    full: Evaluation | None = None
    score: float | None = None
    """Of the full fine-tune."""
    seconds: float = 0.0
    """Of both fine-tunes and their measuring."""
    reason: str = ""
    """Why a figure is missing."""


class Comparison:
    """Measures candidates one after another; data is opened once for each image size."""

    def __init__(
        self, plan: Plan, device: torch.device, desk: Desk, reading: Progress | None = None
    ) -> None:
        """Begin.

        Args:
            reading: told of images that are read.

        Raises:
            UserError: the recipe asks for what a comparison does not do.
        """
        if plan.recipe.teachers or plan.recipe.residual_of:
            raise UserError("candidates learn alone: leave teachers and residual_of out")
        self.plan = plan
        self.device = device
        self.desk = desk
        self._reading = reading
        self._datasets: dict[tuple[int, int], Dataset] = {}

    def measured(self, candidate: Candidate, input_size: int | None = None) -> Entry:
        """Fine-tune a candidate both ways and measure it.

        Args:
            input_size: edge in pixels; None keeps the file's own.

        Raises:
            UserError: the data cannot be opened, or nothing validates.
        """
        published = candidate.published
        entry = Entry(
            name=candidate.name,
            published=published.name if published is not None else "",
            top1_error=published.top1_error if published is not None else None,
            input_size=input_size,
            reason=candidate.reason,
        )
        if candidate.path is None:
            return entry
        if self.desk.should_stop():
            return msgspec.structs.replace(entry, reason=STOPPED)
        try:
            network, state = self._opened(candidate.path, input_size)
        except (UserError, EditError) as error:
            return msgspec.structs.replace(entry, reason=str(error))
        data = self._data(network)
        return self._trained(entry, network, state, data)

    def _opened(self, path: Path, input_size: int | None) -> tuple[Network, State]:
        opened = read_model(path, input_size)
        if opened.network.input_channels not in (1, 3):
            raise UserError(
                f"it takes {opened.network.input_channels} channels; images have 1 or 3"
            )
        return opened.network, opened.state

    def _data(self, network: Network) -> Dataset:
        key = network.input_size, network.input_channels
        if key not in self._datasets:
            data = open_data(self.plan.data, *key, self.plan.splits, self._reading)
            if data.judge != VALIDATION:
                raise UserError("candidates are chosen by F1 on validation images: keep some")
            self._datasets[key] = data
        return self._datasets[key]

    def _trained(self, entry: Entry, network: Network, state: State, data: Dataset) -> Entry:
        started = time.perf_counter()
        try:
            if network.classes != len(data.classes):
                fitted = carry(network, state, Classes(len(data.classes), self.plan.recipe.seed))
                network, state = fitted.network, fitted.state
            entry = msgspec.structs.replace(
                entry,
                input_size=network.input_size,
                macs=macs.count(network),
                params=network.total_parameters(),
            )
            if self.plan.head_epochs:
                head = self._head_alone(network, state, data)
                entry = msgspec.structs.replace(entry, head=head)
            outcome = self._whole(network, state, data)
        except (UserError, EditError) as error:
            return msgspec.structs.replace(entry, reason=str(error))
        seconds = time.perf_counter() - started
        full = outcome.evaluation
        if full is None or (outcome.is_stopped and not outcome.reason):
            return msgspec.structs.replace(entry, seconds=seconds, reason=STOPPED)
        score = self.plan.rule.score(macs.count(network), full.f1)
        return msgspec.structs.replace(
            entry, full=full, score=score, seconds=seconds, reason=outcome.reason
        )

    def _head_alone(self, network: Network, state: State, data: Dataset) -> Evaluation | None:
        """F1 with the classifier trained and all else as it came; None where it was stopped."""
        recipe = msgspec.structs.replace(self.plan.recipe, epochs=self.plan.head_epochs)
        fresh = run_batch_norm(network, state, data, recipe, self.device, self.desk)
        if fresh is None:
            return None
        module = build(network, fresh)
        run = Run(module, network, data.train, recipe, self.device, is_body_frozen=True)
        if not run.fit(Hooks(data, self.desk, None)):
            return None
        found = evaluated_state(network, merged(fresh, run.result()), data, self.device)
        self.desk.evaluated(found, None, f"the head alone, {_epochs(recipe.epochs)}")
        return found

    def _whole(self, network: Network, state: State, data: Dataset) -> Outcome:
        """The fine-tune that `workbench train` makes."""
        if self.desk.should_stop():
            return Outcome(None, None, is_stopped=True)
        with tempfile.TemporaryDirectory() as folder:
            return run_fine_tune(
                network, state, data, self.plan.recipe, self.device, self.desk,
                Path(folder) / "resume",
            )  # fmt: skip


def _epochs(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"


def ranked(entries: list[Entry]) -> list[Entry]:
    """The lowest score first, those without one last in the order in which they came."""
    return sorted(entries, key=lambda entry: (entry.score is None, entry.score or 0.0))
