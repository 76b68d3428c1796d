"""A study: opens or goes on with its storage, brings up workers, and runs trials until it is whole.

A study is one with its storage: whatever process runs it next goes on where the last one was, with
the trials that were under way begun anew under their own numbers. One process at a time runs it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import filelock
import msgspec
import optuna
import torch

from sessions.edits import UnitOff
from sessions.evaluation import Evaluation
from sessions.recipe import Recipe
from sessions.searching import ScanPlan, StudyPlan, Trial
from sessions.splits import HOLD_OUT
from workbench.errors import UserError
from workbench.search import scan, storages
from workbench.search.backends import Backend, Supplies
from workbench.search.processes import ProcessBackend
from workbench.search.ranges import check_fields
from workbench.search.running import OnProgress, StudyRun
from workbench.search.spaces import Designs, NewDesigns, VariantDesigns, removable
from workbench.search.trial import Model, make_supplies
from workbench.surgery import store
from workbench.surgery.build import build
from workbench.training.images.data import Dataset, open_data
from workbench.training.measuring.evaluate import judge

COSTS = "unit costs"
"""The study's value with what F1 falls by without each unit."""
COST_IMAGES = 1024
"""Validation images at most that it is measured on."""


def run_study(
    folder: Path,
    search: int,
    plan: StudyPlan,
    start: Model,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    *,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    on_progress: OnProgress = lambda done, total, doing, left_s: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run a study to its end, or go on with it.

    Args:
        folder: where weights go, into `checkpoints`, and the storage where the plan names none.
        search: the study's number, for its name.
        start: network and weights that designs are made from; the teacher `before-cut`.
        recipe: of each trial, where its space does not vary it.
        on_trial: called with each trial of this run that has ended.
        should_stop: asked a few times a second; the trials under way begin anew the next time.

    Raises:
        UserError: the storage, a worker or the data cannot be used, the space is empty or has
            nothing below the limit of MACs, or another process runs the study.
    """
    check_fields(recipe, plan.space.recipe)
    # Sums depend on the number of threads: one that does not depend on the number of workers.
    threads = 1 if plan.is_reproducible else 0
    supplies = make_supplies(start, data, recipe, device, threads)
    url = plan.storage or storages.default_url(folder, search)
    with _alone(folder, search):
        made_for = _made_for(plan, start, data, recipe)
        storage = storages.open_storage(url)
        study = storages.open_study(storage, storages.study_name(search), plan, made_for)
        designs = _designs(study, plan, start, data, recipe, device, on_progress, should_stop)
        if designs is None:
            return
        on_progress(0, plan.trials, "starting workers", None)
        backend = open_backend(plan, supplies, data)
        try:
            run = StudyRun(folder, study, plan, designs, backend)
            run.run(on_trial, on_progress, should_stop)
        except storages.STORAGE_ERRORS as error:
            raise UserError(
                f"the storage {url} does not take what was found ({storages.first_line(error)}): "
                "make room or wait until it is there, and run the same again"
            ) from error
        finally:
            backend.close()


def hold_out_of(model: Model, data: Dataset, device: torch.device) -> Evaluation:
    """F1 of a network on the images that are held out: to be told, never to choose by.

    Raises:
        UserError: nothing is held out.
    """
    network, state = model
    key = network.input_size, network.input_channels
    if key != data.train.source.shape[2:]:
        data = open_data(data.source, *key, data.splits)
    return judge(build(network, state).to(device), network, data, device, HOLD_OUT)


def open_backend(plan: StudyPlan, supplies: Supplies, data: Dataset) -> Backend:
    """Where the plan wants its trials to run.

    Raises:
        UserError: there is no such cluster.
    """
    if not plan.ray:
        return ProcessBackend(supplies, max(plan.workers, 1))
    from workbench.search import cluster  # an extra that need not be installed

    return cluster.RayBackend(supplies, plan.ray, plan.workers)


def _designs(
    study: optuna.Study,
    plan: StudyPlan,
    start: Model,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> Designs | None:
    """The space of the plan; None where it was ended before it was known."""
    if plan.start != "variant":
        return NewDesigns(plan.start, start[0], plan.space, recipe, plan.max_macs)
    costs: dict[str, float] = study.user_attrs.get(COSTS, {})
    units = removable(start[0]) if plan.space.units else ()
    missing = [unit for unit in units if unit not in costs]
    if missing:
        measured = _costs(missing, start, data, recipe, device, on_progress, should_stop)
        if should_stop():
            return None
        costs = costs | measured
        study.set_user_attr(COSTS, costs)
    designs = VariantDesigns(start[0], plan.space, recipe, costs)
    if not designs.starts()[0]:
        raise UserError("the space leaves nothing to vary: allow units, widths or input sizes")
    return designs


def _costs(
    units: Sequence[str],
    start: Model,
    data: Dataset,
    recipe: Recipe,
    device: torch.device,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> dict[str, float]:
    """What F1 falls by without each unit, batch norm measured anew."""
    plan = ScanPlan(candidates=tuple((UnitOff(unit),) for unit in units), images=COST_IMAGES)
    found = {
        measured.edits: measured.f1
        for measured in scan.scan(
            *start, data, plan, recipe, device, should_stop=should_stop,
            on_progress=lambda done, total, doing, left_s: on_progress(
                0, 0, f"measuring units: {doing}", left_s
            ),
        )
    }  # fmt: skip
    if () not in found:
        return {}
    return {
        edits[0].unit: found[()] - f1
        for edits, f1 in found.items()
        if edits and isinstance(edits[0], UnitOff)
    }


def _made_for(plan: StudyPlan, start: Model, data: Dataset, recipe: Recipe) -> dict[str, object]:
    """What all trials of a study have in common, as it comes back from JSON."""
    common = {
        "model": store.weights_sha256(*start),
        "data": data.fingerprint,
        "division of the data": data.splits,
        "recipe": recipe,
        "space": plan.space,
        "start": plan.start,
        "rule": plan.rule,
        "kind of goal": "front" if plan.is_front else "score",
        "limit of MACs": plan.max_macs,
        "seed": plan.seed,
    }
    decoded: dict[str, object] = msgspec.json.decode(msgspec.json.encode(common))
    return decoded


def _alone(folder: Path, search: int) -> filelock.BaseFileLock:
    """A lock that one process at a time gets.

    Raises:
        UserError: another process runs the study, or the folder cannot be written.
    """
    place = folder / "searches"
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place / f"{search}.lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise UserError(
            f"another process runs the study in {folder}: stop it first, or take another folder"
        ) from None
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}: choose another folder") from error
    return lock
