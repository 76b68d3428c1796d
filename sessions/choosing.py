"""What edits cost for what they save, and which one to make next; those to try are proposed.

Pure, and nothing here knows a family. F1 was measured with batch norm anew and without training:
it ranks edits against each other, and is far below what a recovery brings back.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sessions import edits, macs
from sessions.edits import Edit, UnitOff
from sessions.evaluation import LayerStats
from sessions.network import Network
from sessions.proposing import SHARES as SHARES
from sessions.proposing import TINY, count_after
from sessions.proposing import candidates as candidates
from sessions.proposing import edited as edited
from sessions.proposing import promising as promising
from sessions.score import Rule
from sessions.searching import Measured
from sessions.stats import unit_std
from sessions.steering import Steering

DEVIATIONS = 2 * 1.96
"""Standard errors in a 95 % interval."""
MILLION = 1e6


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """What some edits cost for what they save."""

    measured: Measured
    saved: int
    """MACs."""
    lost: float
    """F1; negative where it rose."""
    worth: float
    """The loss of F1 that cancels the saving under the score rule, between cliff and halving."""
    rate: float
    """F1 lost per million MACs saved."""
    change: float
    """Of the score, as if it followed F1 evenly: see `change_of_score`."""


def saved_macs(baseline: Measured, found: Measured) -> int:
    """Contest MACs that the edits save."""
    return baseline.macs - found.macs


def lost_f1(baseline: Measured, found: Measured) -> float:
    """F1 that the edits cost; negative where it rose."""
    return baseline.f1 - found.f1


def rate(baseline: Measured, found: Measured, needed: float = math.inf) -> float:
    """The exchange rate: F1 lost per million MACs saved, lower is better; infinite for no saving.

    Args:
        needed: MACs that are still to be saved: what goes beyond them counts for nothing.
    """
    saved = min(saved_macs(baseline, found), needed)
    return lost_f1(baseline, found) / saved * MILLION if saved > 0 else math.inf


def change_of_score(rule: Rule, baseline: Measured, found: Measured) -> float:
    """What the edits do to the score, lower is better, by the slope between cliff and halving.

    A rule's cliff and halving would hide every difference below the one, and exaggerate those
    across either, while F1 is not recovered yet.
    """
    worth = rule.break_even(saved_macs(baseline, found))
    return (lost_f1(baseline, found) - worth) / rule.base_f1


def baseline_of(measured: Iterable[Measured]) -> Measured | None:
    """The network as it is, which the others are compared with; None where it is not there."""
    return next((found for found in measured if not found.edits), None)


def ranked(measured: Sequence[Measured], rule: Rule) -> tuple[Ranked, ...]:
    """All that was measured but the baseline, the best exchange rate first.

    What could be the best but for one standard error of F1 is compared by its rise of
    cross-entropy per MACs saved, which is the finer measure. Empty without a baseline.
    """
    baseline = baseline_of(measured)
    if baseline is None:
        return ()
    return tuple(
        Ranked(
            measured=found,
            saved=saved_macs(baseline, found),
            lost=lost_f1(baseline, found),
            worth=rule.break_even(saved_macs(baseline, found)),
            rate=rate(baseline, found),
            change=change_of_score(rule, baseline, found),
        )
        for found in _ordered(baseline, [found for found in measured if found.edits])
    )


def best_next(measured: Sequence[Measured], steering: Steering, rule: Rule) -> Edit | None:
    """The edit to make next by sensitivity; None where the target is reached or nothing is left.

    Of single edits the one with the best exchange rate, as in `ranked`; where pairs were measured
    too, the first edit of the best pair, since a cheap first step may spoil the second. A single
    edit that reaches the target needs no second one and competes with the pairs. MACs saved
    beyond the target count for nothing.
    """
    baseline = baseline_of(measured)
    if baseline is None:
        return None
    needed = needed_macs(steering, baseline.macs, rule.score(baseline.macs, baseline.f1), rule)
    if needed <= 0:
        return None
    is_ahead = any(len(found.edits) > 1 for found in measured)
    rivals = [
        found
        for found in measured
        if len(found.edits) > (1 if is_ahead else 0)
        or (len(found.edits) == 1 and saved_macs(baseline, found) >= needed)
    ]
    ordered = _ordered(baseline, [r for r in rivals if saved_macs(baseline, r) > 0], needed)
    return ordered[0].edits[0] if ordered else None


def needed_macs(steering: Steering, count: int, score: float, rule: Rule) -> float:
    """MACs still to be saved until the target, at the present F1; infinite without a target.

    Args:
        steering: with the target, of MACs or of the score.
        count: the present MACs.
        score: the present score.
        rule: of the score.
    """
    if steering.max_macs:
        return count - steering.max_macs
    return math.inf if steering.score is None else (score - steering.score) * rule.base_macs


def lowest_std(network: Network, stats: Mapping[str, LayerStats]) -> Edit | None:
    """The next edit by the published rule: the removable unit whose weight std is lowest goes.

    A unit's std is the mean over its conv layers; None where no unit is left to remove.
    """
    known = [
        (std, unit.path)
        for unit in network.units.values()
        if unit.is_removable and unit.is_on and (std := unit_std(unit, stats)) is not None
    ]
    return UnitOff(min(known)[1]) if known else None


def most_kept(
    network: Network, kept: Mapping[Edit, float], needed: float = math.inf
) -> Edit | None:
    """The next edit by importance: the one that loses the least of it for the same MACs saved.

    Args:
        network: before the edit.
        kept: importance that each edit keeps, 0..1: of cuts what carrying the weights told, of
            units `unit_kept`.
        needed: MACs still to be saved: what goes beyond them counts for nothing.
    """
    before = macs.count(network)
    found = []
    for edit, share in kept.items():
        saved = min(before - count_after(network, edit), needed)
        if saved > 0:
            found.append(((1 - share) / saved, -saved, edits.text(edit), edit))
    return min(found)[3] if found else None


def unit_kept(network: Network, path: str, stats: Mapping[str, LayerStats]) -> float:
    """Importance that a stage keeps without one of its units, 0..1, by weight std.

    The share of the other units that are on, of the sum over all of them; so a unit can be set
    against a cut of its stage. 1 where nothing is known of its weights.
    """
    stage = next(stage for stage in network.stages if any(u.path == path for u in stage.units))
    stds = {unit.path: unit_std(unit, stats) or 0.0 for unit in stage.units if unit.is_on}
    total = sum(stds.values())
    return 1 - stds.get(path, 0.0) / total if total > 0 else 1.0


def _ordered(baseline: Measured, found: list[Measured], needed: float = math.inf) -> list[Measured]:
    """By exchange rate; what one standard error of F1 could put first, by cross-entropy."""
    error = (baseline.high - baseline.low) / DEVIATIONS
    left, ordered = list(found), []

    def saved(one: Measured) -> float:
        return max(min(saved_macs(baseline, one), needed), TINY)

    while left:
        best = min(rate(baseline, one, needed) for one in left)
        alike = [
            one for one in left
            if (lost_f1(baseline, one) - error) / saved(one) * MILLION <= best
        ]  # fmt: skip
        first = min(alike or left, key=lambda one: (one.loss - baseline.loss) / saved(one))
        left.remove(first)
        ordered.append(first)
    return ordered
