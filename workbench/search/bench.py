"""Where a scan measures: the images it holds, and what the network makes of them stage by stage.

An edit changes nothing before the first stage that it reaches, batch norm included, since every
network is measured on the same batches. So what comes into each stage is kept, and only what
follows is run: the figures are those of the whole network, bit for bit.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sessions import edits, macs
from sessions.choosing import unit_kept
from sessions.edits import DATA_CRITERIA, Cut, Edit, EditError, UnitOff
from sessions.network import Network, Stage
from sessions.recipe import Recipe
from sessions.searching import Measured, ScanPlan
from sessions.splits import VALIDATION
from workbench.errors import UserError
from workbench.surgery.build import TENSORS, Assembled, State, build
from workbench.surgery.carry import carry
from workbench.surgery.stats import layer_stats
from workbench.training.images.data import Dataset, Split
from workbench.training.importance import measure
from workbench.training.machine import sparing_a_core
from workbench.training.measuring.evaluate import image_batches, mapped, score_predictions
from workbench.training.recover import batches, reestimate_on

HELD_BYTES = 256 * 2**20
"""Of images for batch norm that are held: all 1,024 up to 147 pixels. As much again of what comes
into the stages."""
AS_IT_IS = "the network as it is"


class Entry(msgspec.Struct, frozen=True):
    """What comes into a stage."""

    stage: int
    """Its place."""
    train: list[Tensor]
    """Batches (N, C, S, S) that batch norm is measured on."""
    val: Sequence[Callable[[], Tensor]]
    """Each gives a batch to measure F1 on, which may be changed."""


class Bench:
    """Measures edits of one network on the same images."""

    def __init__(
        self,
        network: Network,
        state: State,
        data: Dataset,
        plan: ScanPlan,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.network, self.state, self.device = network, state, device
        self.classes = data.classes
        val = data.part(VALIDATION)
        where = stratified(val.labels, plan.images, recipe.seed)
        self.val = Split(val.source, val.rows[where], val.labels[where])
        self.stats = layer_stats(network, state)
        needs_images = any(
            isinstance(edit, Cut) and edit.criterion in DATA_CRITERIA
            for changes in plan.candidates
            for edit in changes
        )
        with sparing_a_core():
            held = _held(network, data.train, recipe, device)
            found = measure(network, state, data.train, recipe.seed) if needs_images else None
        self.scores = found or {}
        self.entries = [Entry(0, held, image_batches(self.val, network, device))]
        self._fill()

    def measured(self, changes: tuple[Edit, ...]) -> Measured:
        """What some edits come to after batch norm was measured anew.

        Raises:
            UserError: an edit cannot be made, or the network puts out no finite numbers.
        """
        began = time.perf_counter()
        try:
            network, state, kept = self._carried(changes)
        except EditError as error:
            raise UserError(str(error)) from error
        same = _same_stages((self.network, self.state), (network, state))
        entry = next(entry for entry in reversed(self.entries) if entry.stage <= same)
        module = self._recovered(network.stages[entry.stage :], network, state, entry)
        logits = torch.cat(mapped(module, entry.val, self.device, lambda x: x.float().cpu()))
        loss = float(F.cross_entropy(logits.double(), torch.from_numpy(self.val.labels)))
        if not math.isfinite(loss):
            raise UserError(
                f"{words(changes)}: it puts out no finite numbers; scan a model from before its "
                "weights went wrong"
            )
        predicted = logits.argmax(dim=1).numpy()
        found = score_predictions(self.val.labels, predicted, self.classes)
        assert found.interval is not None
        low, high = found.interval
        return Measured(
            edits=changes,
            macs=macs.count(network),
            f1=found.f1,
            low=low,
            high=high,
            loss=loss,
            images=found.images,
            kept=kept,
            seconds=time.perf_counter() - began,
        )

    def _carried(self, changes: Iterable[Edit]) -> tuple[Network, State, float]:
        """The edited network, its weights, and the share of importance that it keeps."""
        network, state, scores, kept = self.network, self.state, self.scores, 1.0
        for edit in changes:
            by = scores.get(edit.criterion) if isinstance(edit, Cut) else None
            carried = carry(network, state, edit, by)
            if isinstance(edit, UnitOff):
                kept *= unit_kept(network, edit.unit, self.stats)
            else:
                kept *= carried.kept_share
            scores = {
                criterion: _followed(by_axis, carried.orders)
                for criterion, by_axis in scores.items()
            }
            network, state = carried.network, carried.state
        return network, state, kept

    def _recovered(
        self,
        stages: tuple[Stage, ...],
        network: Network,
        state: State,
        entry: Entry,
        on_output: Callable[[Tensor], object] = lambda output: None,
    ) -> Assembled:
        """The module of some stages, with batch norm measured anew."""
        part = msgspec.structs.replace(network, stages=stages)
        module = build(part, state).to(self.device)
        with sparing_a_core():
            # Copies, for a network that changes its input in place.
            copies = (x.clone() for x in entry.train)
            reestimate_on(module, copies, sum(map(len, entry.train)), on_output=on_output)
        return module

    def _fill(self) -> None:
        """Run the network stage by stage, and keep what comes into each while there is room."""
        entry, room = self.entries[0], HELD_BYTES
        for place, stage in enumerate(self.network.stages[:-1]):
            train: list[Tensor] = []
            module = self._recovered((stage,), self.network, self.state, entry, train.append)
            val = mapped(module, entry.val, self.device, lambda x: x)
            entry = Entry(place + 1, train, [x.clone for x in val])
            size = sum(x.numel() * x.element_size() for x in (*train, *val))
            if size <= room:
                self.entries.append(entry)
                room -= size


def words(changes: Sequence[Edit]) -> str:
    """Some edits in words."""
    return " ".join(map(edits.text, changes)) or AS_IT_IS


def stratified(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.intp]:
    """Positions of so many labels at most, drawn so that each class keeps its share.

    Each class has one at least where the count allows; ascending, the same for the same seed.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        place[of_class] = np.arange(len(of_class)) / len(of_class)
    chosen: NDArray[np.intp] = np.sort(order[np.argsort(place[order], kind="stable")[:count]])
    return chosen


def _held(network: Network, train: Split, recipe: Recipe, device: torch.device) -> list[Tensor]:
    """The batches of images that batch norm is measured on, as many as there is room for."""
    image_bytes = 4 * network.input_channels * network.input_size**2
    room = max(HELD_BYTES // image_bytes, 2)
    fitting = msgspec.structs.replace(recipe, recover_images=min(recipe.recover_images, room))
    return list(batches(network, train, fitting, device))


def _followed(
    by_axis: Mapping[str, list[float]], orders: Mapping[str, list[int]]
) -> dict[str, list[float]]:
    """Channel scores after an edit moved the channels; those of new channels are 0."""
    return {
        axis: [values[old] if old >= 0 else 0.0 for old in orders[axis]]
        if axis in orders
        else values
        for axis, values in by_axis.items()
    }


def _same_stages(before: tuple[Network, State], after: tuple[Network, State]) -> int:
    """How many leading stages are the very same, with all their weights; never all of them."""
    (old, old_state), (new, new_state) = before, after
    count = 0
    for stage, other in zip(old.stages[:-1], new.stages[:-1], strict=True):
        names = (
            f"{layer.key}.{part}"
            for unit in stage.units if unit.is_on
            for layer in unit.layers()
            for part in TENSORS
        )  # fmt: skip
        if stage != other or any(old_state.get(n) is not new_state.get(n) for n in names):
            break
        count += 1
    return count
