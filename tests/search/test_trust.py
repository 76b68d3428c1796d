"""Which cheap criterion ranks candidates as the measurement does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as statistics

import workbench
from sessions.edits import UnitOff, Width
from sessions.searching import Measured
from sessions.stats import unit_std
from workbench.search.trust import FEWEST, correlated, trusts, unit_values
from workbench.surgery.files import read_model
from workbench.surgery.stats import layer_stats
from workbench.training.images.data import open_data
from workbench.training.importance import measure

CRITERIA = {"std", "l1", "l2", "bn", "taylor", "activation"}


@pytest.fixture(scope="module")
def opened() -> Any:
    model = read_model(Path(workbench.__file__).parent / "demo" / "digits.safetensors")
    return model.network, model.state, open_data("digits", model.network.input_size)


def find(*changes: Any, lost: float = 0.0, kept: float = 1.0) -> Measured:
    f1 = 0.9 - lost
    return Measured(
        edits=changes, macs=9, f1=f1, low=f1, high=f1, loss=1.0, images=9, kept=kept
    )  # fmt: skip


def removable(network: Any) -> list[str]:
    return [unit.path for unit in network.units.values() if unit.is_removable]


def test_a_criterion_that_ranks_as_measured_is_told_as_1_and_the_reverse_as_minus_1(
    opened: Any,
) -> None:
    network, state, _ = opened
    values = unit_values(network, state, {})
    for sign in (1, -1):
        found = [find(UnitOff(p), lost=0.5 + sign * values["l2"][p]) for p in removable(network)]
        told = {t.criterion: t for t in trusts(*opened, [find(), *found], 0)}
        assert set(told) == CRITERIA
        assert told["l2"].rho == pytest.approx(sign)
        assert (told["l2"].low, told["l2"].high) == pytest.approx((sign, sign))
        assert told["l2"].candidates == len(found)
        assert abs(told["activation"].rho) < 1
        assert told["activation"].low < told["activation"].rho < told["activation"].high


def test_the_best_criterion_comes_first_and_the_same_seed_tells_the_same(opened: Any) -> None:
    losses = np.random.default_rng(0).random(len(removable(opened[0])))
    found = [find(UnitOff(p), lost=x) for p, x in zip(removable(opened[0]), losses, strict=True)]
    told = trusts(*opened, [find(), *found], 3)
    rhos = [trust.rho for trust in told]
    assert rhos == sorted(rhos, reverse=True)
    assert trusts(*opened, [find(), *found[::-1]], 3) == told
    assert trusts(*opened, [find(), *found], 4) != told


def test_cuts_are_compared_by_the_importance_that_they_lose(opened: Any) -> None:
    found = [
        find(Width(target="stage3", value=n), lost=0.01 * n, kept=1 - 0.001 * n) for n in range(7)
    ]
    (told,) = trusts(*opened, [find(), *found], 0)
    assert (told.criterion, told.over, told.candidates) == ("l2", "cuts", 7)
    assert told.rho == pytest.approx(1)


def test_too_few_candidates_pairs_and_a_missing_baseline_tell_nothing(opened: Any) -> None:
    units = removable(opened[0])
    found = [find(UnitOff(path), lost=0.1 * n) for n, path in enumerate(units)]
    assert trusts(*opened, [find(), *found[: FEWEST - 1]], 0) == ()
    assert trusts(*opened, [find(), *found[:FEWEST]], 0)
    assert trusts(*opened, found, 0) == ()
    pairs = [find(UnitOff(units[0]), UnitOff(path)) for path in units[1:]]
    assert trusts(*opened, [find(), *pairs], 0) == ()


def test_values_of_units_are_those_of_their_layers(opened: Any) -> None:
    network, state, data = opened
    scores = measure(network, state, data.train, 0)
    assert scores is not None
    values = unit_values(network, state, scores)
    assert set(values) == CRITERIA
    stats = layer_stats(network, state)
    unit = network.units["stage2.unit3"]
    assert values["std"][unit.path] == pytest.approx(unit_std(unit, stats))
    convs = [x for x in unit.branch if x.kind in ("conv", "depthwise")]
    sizes = [float(state[f"{x.key}.weight"].abs().mean()) for x in convs]
    assert values["l1"][unit.path] == pytest.approx(np.mean(sizes))
    lengths = [float(state[f"{x.key}.weight"].flatten(1).norm(dim=1).mean()) for x in convs]
    assert values["l2"][unit.path] == pytest.approx(np.mean(lengths))
    norms = [x for x in unit.branch if x.kind == "batch_norm"]
    scales = [float(state[f"{x.key}.weight"].abs().mean()) for x in norms]
    assert values["bn"][unit.path] == pytest.approx(np.mean(scales))
    (inner,) = {x.out_axis for x in unit.branch} - {unit.out_axis}
    assert values["taylor"][unit.path] == pytest.approx(sum(scores["taylor"][inner]))
    assert values["activation"][unit.path] == pytest.approx(np.mean(scores["activation"][inner]))


def test_the_correlation_is_scipys_ties_included() -> None:
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 6, (15, 2)).astype(float)
    told = correlated("x", pairs, 0)
    assert told.rho == pytest.approx(statistics.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    assert told.low < told.rho < told.high
    flat = np.column_stack([pairs[:, 0], np.ones(15)])
    assert (correlated("x", flat, 0).rho, correlated("x", flat, 0).low) == (0.0, 0.0)
