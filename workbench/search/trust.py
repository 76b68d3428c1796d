"""How far cheap criteria rank candidates as the measurement does: which one to trust here.

Spearman's rank correlation with the measured loss of F1, with a 95 % bootstrap interval over the
candidates. Over units that go, of the value that a criterion gives the unit: who gives a high
value should lose much. Over widths, bottlenecks and groups, of the importance that the cut loses
by the criterion that it was made with.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats as statistics

from sessions import edits
from sessions.choosing import baseline_of, lost_f1
from sessions.edits import Cut, UnitOff
from sessions.network import WEIGHTED, Network, Unit
from sessions.searching import Measured, Trust, TrustOver
from workbench.surgery.build import State
from workbench.surgery.criteria import BY_WEIGHT
from workbench.training.images.data import Dataset
from workbench.training.importance import Scores, basic_axes, gated_layers, measure
from workbench.training.machine import sparing_a_core

FEWEST = 5
"""Candidates below which a rank correlation says nothing."""
RESAMPLES = 1000
CONFIDENCE = 0.95

Values = dict[str, float]
"""By criterion, or of units by path."""
Floats = NDArray[np.float64]


def trusts(
    network: Network,
    state: State,
    data: Dataset,
    measured: Sequence[Measured],
    seed: int,
) -> tuple[Trust, ...]:
    """Every criterion's rank correlation over units, then that of the cuts' own criterion.

    The best first. Only single edits count; where there are fewer than five of a kind, nothing is
    said of it. Criteria that need images are measured on training images.

    Args:
        network: as it is, without the edits.
        state: its weights.
        data: with training images.
        measured: by a scan, the network as it is among them.
        seed: of the training images and the bootstrap.
    """
    baseline = baseline_of(measured)
    if baseline is None:
        return ()
    lost_by_unit: Values = {}
    cuts: dict[str, list[tuple[str, float, float]]] = {}
    for found in measured:
        match found.edits:
            case (UnitOff(path),):
                lost_by_unit[path] = lost_f1(baseline, found)
            case (Cut(criterion=criterion) as cut,):
                told = (edits.text(cut), 1 - found.kept, lost_f1(baseline, found))
                cuts.setdefault(criterion, []).append(told)
    by_criterion: dict[str, list[tuple[float, float]]] = {}
    if len(lost_by_unit) >= FEWEST:
        with sparing_a_core():
            scores = measure(network, state, data.train, seed) or {}
        for criterion, values in unit_values(network, state, scores).items():
            known = [(values[p], lost) for p, lost in sorted(lost_by_unit.items()) if p in values]
            by_criterion[criterion] = known
    by_cut = {criterion: [told[1:] for told in sorted(found)] for criterion, found in cuts.items()}
    return (*_compared(by_criterion, "units", seed), *_compared(by_cut, "cuts", seed))


def unit_values(network: Network, state: State, scores: Scores) -> dict[str, Values]:
    """What each criterion gives every unit that is on: of its layers with weights, each one voice.

    std: of all weights of a layer, the published rule. l1: mean size of a weight. l2: length of
    the weights that lead to a channel, its mean over the channels, so that neither depends on how
    many channels a layer reads. bn: mean size of the scales of the batch norms. taylor: sum over
    the unit's inner channels, whose losses add up; activation: their mean.

    Args:
        network: whose units.
        state: its weights.
        scores: of channels, as `importance.measure` gives them; empty for weights alone.
    """
    found: dict[str, Values] = {}
    for unit in network.units.values():
        if not unit.is_on:
            continue
        values = _of_weights(unit, state) | _of_images(network, unit, scores)
        for criterion, value in values.items():
            found.setdefault(criterion, {})[unit.path] = value
    return found


def _of_weights(unit: Unit, state: State) -> Values:
    by_layer: dict[str, list[float]] = {}
    for layer in unit.layers():
        weight = state.get(f"{layer.key}.weight")
        if weight is None:
            continue
        values = weight.detach().cpu().double().numpy()
        if layer.kind == "batch_norm":
            by_layer.setdefault("bn", []).append(float(np.abs(values).mean()))
        elif layer.kind in WEIGHTED:
            rows = values.reshape(len(values), -1)
            spread = float(rows.std(ddof=1)) if rows.size > 1 else 0.0
            by_layer.setdefault("std", []).append(spread)
            size = BY_WEIGHT["l1"](rows).mean() / rows.shape[1]
            by_layer.setdefault("l1", []).append(float(size))
            by_layer.setdefault("l2", []).append(float(BY_WEIGHT["l2"](rows).mean()))
    return {criterion: float(np.mean(values)) for criterion, values in by_layer.items()}


def _of_images(network: Network, unit: Unit, scores: Scores) -> Values:
    """Of the channels inside a unit alone: those behind it belong to the whole stage."""
    gated = gated_layers(unit)
    inside = [
        axis
        for layer in unit.branch
        if layer.path in gated
        for axis in basic_axes(network, layer.out_axis)
    ]
    found: Values = {}
    for criterion, by_axis in scores.items():
        values = [value for axis in inside for value in by_axis.get(axis, [])]
        if values:
            whole = sum(values) if criterion == "taylor" else float(np.mean(values))
            found[criterion] = whole
    return found


def _compared(
    by_criterion: dict[str, list[tuple[float, float]]], over: TrustOver, seed: int
) -> list[Trust]:
    found = []
    for criterion, pairs in by_criterion.items():
        if len(pairs) >= FEWEST:
            trust = correlated(criterion, np.array(pairs, dtype=np.float64), seed)
            found.append(msgspec.structs.replace(trust, over=over))
    return sorted(found, key=lambda trust: -trust.rho)


def correlated(criterion: str, pairs: Floats, seed: int) -> Trust:
    """Rank correlation of the columns of (N, 2) and its interval over resampled rows.

    Source: C. Spearman, 1904, as scipy.stats.spearmanr; the bootstrap is scipy's, percentile.
    """
    resampled = statistics.bootstrap(
        (pairs[:, 0], pairs[:, 1]),
        _spearman,
        n_resamples=RESAMPLES,
        paired=True,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Trust(
        criterion=criterion,
        rho=float(_spearman(pairs[:, 0], pairs[:, 1])),
        low=float(resampled.low),
        high=float(resampled.high),
        candidates=len(pairs),
    )


def _spearman(x: Floats, y: Floats, axis: int = -1) -> Floats:
    """Of many resamples at once; 0 where one side has no ranks, since then nothing is told."""
    ranks = [statistics.rankdata(side, axis=axis) for side in (x, y)]
    centred = [side - side.mean(axis=axis, keepdims=True) for side in ranks]
    together = (centred[0] * centred[1]).sum(axis=axis)
    apart = np.sqrt(np.square(centred[0]).sum(axis=axis) * np.square(centred[1]).sum(axis=axis))
    rho: Floats = np.divide(together, apart, out=np.zeros_like(together), where=apart > 0)
    return rho
