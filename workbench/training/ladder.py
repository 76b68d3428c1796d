"""The ladder of recovery: from a cut network back to its F1, the cheapest steps first.

Each rung is measured as it is reached, so that the first number is there in seconds, and whoever
ends the climb keeps what it reached.
"""

from collections.abc import Sequence

import msgspec
import torch

from sessions.events import BATCH_NORM, RAW, REPAIR, SHORT, Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.splits import VALIDATION
from workbench.surgery.build import State, build
from workbench.surgery.store import Since
from workbench.training.images.data import Dataset
from workbench.training.jobs import (
    Desk,
    Hooks,
    Meter,
    Outcome,
    check_fits,
    evaluated_state,
    merged,
    run_evaluate,
    settled,
)
from workbench.training.loop import Run
from workbench.training.machine import sparing_a_core
from workbench.training.objective import Teacher
from workbench.training.recover import reestimate
from workbench.training.repair import repair


def run_recover(
    since: Since,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    desk: Desk,
    teachers: Sequence[Teacher] = (),
) -> Outcome:
    """Climb from the raw network to the short fine-tune; the best rung on validation is kept.

    The rungs: as it is, batch norm measured anew, every layer fitted to what it put out before
    the edits, a few epochs with teachers. Without edits there is nothing to fit. Stopped, it
    keeps what it has reached.
    """
    network, state = since.edited
    check_fits(network, data)
    desk.started(1, 0)
    best = _Best(network, data, device, desk)
    best.tried(state, RAW)
    fresh = run_batch_norm(network, state, data, recipe, device, desk)
    if fresh is not None:
        best.tried(fresh, BATCH_NORM)
    if since.is_edited and not desk.should_stop():
        fitted = _run_repair(since, data, recipe, desk)
        if fitted is not None:
            best.tried(fitted, REPAIR)
    if recipe.short_epochs and not desk.should_stop():
        short = msgspec.structs.replace(recipe, epochs=recipe.short_epochs, pretrain_epochs=0)
        run = Run(build(network, best.state), network, data.train, short, device, teachers)
        if run.fit(Hooks(data, desk, None)):
            best.tried(settled(merged(best.state, run.result()), run, desk), SHORT, run.epoch)
    is_stopped = desk.should_stop()
    is_changed = best.state is not state
    return Outcome(best.state if is_changed else None, best.evaluation, is_stopped=is_stopped)


def run_climb(
    since: Since,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    desk: Desk,
    teachers: Sequence[Teacher] = (),
) -> Outcome:
    """Climb as far as the recipe says by itself; what was not climbed to its end is not kept."""
    if recipe.climb == BATCH_NORM:
        return run_evaluate_cut(since, data, recipe, device, desk)
    short = recipe.short_epochs if recipe.climb == SHORT else 0
    ahead = msgspec.structs.replace(recipe, short_epochs=short)
    outcome = run_recover(since, data, ahead, device, desk, teachers)
    is_whole = not outcome.is_stopped and short == recipe.short_epochs
    return outcome if is_whole else msgspec.structs.replace(outcome, state=None)


class _Best:
    """The weights of highest F1 so far, the later ones where it is the same.

    Where nothing validates, the hold-out only tells: then the latest weights are kept.
    """

    def __init__(self, network: Network, data: Dataset, device: torch.device, desk: Desk) -> None:
        self.network, self.data, self.device, self.desk = network, data, device, desk
        self.state: State = {}
        self.evaluation: Evaluation | None = None

    def tried(self, state: State, rung: str, epoch: float | None = 0.0) -> None:
        """Evaluate these weights and keep them where they are no worse."""
        found = evaluated_state(self.network, state, self.data, self.device)
        self.desk.evaluated(found, None if rung == RAW else epoch, rung)
        is_blind = found.split != VALIDATION
        if is_blind or self.evaluation is None or found.f1 >= self.evaluation.f1:
            self.state, self.evaluation = state, found


def run_batch_norm(
    network: Network,
    state: State,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    desk: Desk,
) -> State | None:
    """The weights with batch norm measured anew; None where it was ended."""
    module = build(network, state).to(device)
    meter = Meter("batch norm", desk)

    def after_batch(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    with sparing_a_core():
        is_whole = reestimate(module, network, data.train, recipe, device, after_batch)
    return merged(state, module.state_dict()) if is_whole else None


def _run_repair(since: Since, data: Dataset, recipe: Recipe, desk: Desk) -> State | None:
    meter = Meter("fitting layers", desk, counts_images=False)

    def after_layer(done: int, total: int) -> bool:
        meter.add(done, total)
        return not desk.should_stop()

    with sparing_a_core():
        return repair(
            since.original, since.edited, since.orders, data.train, recipe.seed, after_layer
        )


def run_evaluate_cut(
    since: Since, data: Dataset, recipe: Recipe, device: torch.device, desk: Desk
) -> Outcome:
    """Evaluate an edited network, also with batch norm measured anew: raw F1 alone misleads."""
    network, state = since.edited
    outcome = run_evaluate(network, state, data, device, desk, RAW)
    fresh = run_batch_norm(network, state, data, recipe, device, desk)
    if fresh is not None:
        desk.evaluated(evaluated_state(network, fresh, data, device), 0.0, BATCH_NORM)
    return outcome
