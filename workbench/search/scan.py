"""The sensitivity scan: what each of some edits costs, measured without training.

Every candidate is measured in the same way, the network as it is included: weights carried over
the edits, batch norm measured anew on the same augmented training images, F1 and cross-entropy on
the same validation images. So losses compare, and the same recipe and plan give the same figures.
"""

import time
from collections.abc import Callable, Sequence

import torch

from sessions.network import Network
from sessions.recipe import Recipe
from sessions.searching import Measured, ScanPlan
from workbench.search.bench import Bench, words
from workbench.surgery.build import State
from workbench.training.images.data import Dataset
from workbench.training.jobs import check_fits

OnProgress = Callable[[int, int, str, float | None], None]
"""Candidates measured, candidates in all, what comes now, seconds left where they are known."""


def scan(
    network: Network,
    state: State,
    data: Dataset,
    plan: ScanPlan,
    recipe: Recipe,
    device: torch.device,
    *,
    known: Sequence[Measured] = (),
    should_stop: Callable[[], bool] = lambda: False,
    on_measured: Callable[[Measured], None] = lambda found: None,
    on_progress: OnProgress = lambda done, total, doing, left_s: None,
) -> tuple[Measured, ...]:
    """Measure the network as it is, then every candidate in the order of the plan.

    Args:
        known: what an earlier run of the same plan measured; it is not measured again.
        should_stop: asked before each candidate; what was measured until then is returned.
        on_measured: called with each find as it comes.

    Raises:
        UserError: the classes differ, nothing validates, an edit cannot be made, or the network
            puts out no finite numbers.
    """
    check_fits(network, data)
    done = {found.edits: found for found in known}
    wanted = list(dict.fromkeys(((), *plan.candidates)))
    missing = [changes for changes in wanted if changes not in done]
    if not missing or should_stop():
        return tuple(done.values())
    on_progress(len(done), len(wanted), "preparing images", None)
    bench = Bench(network, state, data, plan, recipe, device)
    began = time.perf_counter()
    for number, changes in enumerate(missing):
        if should_stop():
            break
        spent = time.perf_counter() - began
        left_s = spent / number * (len(missing) - number) if number else None
        on_progress(len(done), len(wanted), words(changes), left_s)
        found = bench.measured(changes)
        done[changes] = found
        on_measured(found)
    return tuple(done.values())
