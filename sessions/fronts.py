"""What stands out among the trials of a study: the best score, and the front of MACs and F1. Pure.

Only finished trials count: F1 of a pruned one is not that of its network.
"""

from collections.abc import Iterable, Sequence

from sessions.searching import Trial


def front(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The finished trials that no other one beats in MACs and F1, fewest MACs first.

    Of trials that are equal in both, all are on it.
    """
    ranked = sorted(_measured(trials), key=lambda t: (t.macs, -(t.f1 or 0.0), t.number))
    found: list[Trial] = []
    for trial in ranked:
        last = found[-1] if found else None
        is_equal = last is not None and (trial.macs, trial.f1) == (last.macs, last.f1)
        if last is None or is_equal or (trial.f1 or 0.0) > (last.f1 or 0.0):
            found.append(trial)
    return tuple(found)


def best(trials: Iterable[Trial]) -> Trial | None:
    """The finished trial of the lowest score, the earlier one of equals."""
    scored = [t for t in _measured(trials) if t.score is not None]
    return min(scored, key=lambda t: (t.score, t.number), default=None)


def _measured(trials: Iterable[Trial]) -> Sequence[Trial]:
    return [t for t in trials if t.state == "finished" and t.evaluation is not None]
