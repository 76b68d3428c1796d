"""What the parameters of a study have to do with the score: no model of them, only its trials.

A number is told by its rank correlation with the score, words by the medians of their trials.
Neither is a cause: a sampler tries more of what did well.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import StatisticsError, correlation, median

import msgspec
from rich.cells import cell_len

from sessions.network import Network
from sessions.searching import Value
from sessions.state import Search, SessionState
from widgets import numbers
from widgets.table_list import whole_items
from workbench.screens import search_trials, search_words

LEAST = 5
"""Trials below which nothing is told."""
BAR = 10
LEAST_FIGURES = 8
"""Cells that are left for the figures, with the gaps."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter over the measured trials."""

    name: str
    best: Value
    """In the best trial."""
    rho: float | None = None
    """Spearman's rank correlation of a number with the score, below 0 where more is better."""
    medians: tuple[tuple[str, float], ...] = ()
    """Median score by word, the lowest first."""
    trials: int = 0

    @property
    def spread(self) -> float:
        """Between the medians."""
        return self.medians[-1][1] - self.medians[0][1] if self.medians else 0.0


def parameters(search: Search, state: SessionState) -> tuple[Parameter, ...]:
    """Every parameter that took several values, numbers first, the strongest first."""
    scored = [
        (trial.parameters, score)
        for trial in search.trials
        if (score := search_words.score_of(trial, state)) is not None
    ]
    if len(scored) < LEAST:
        return ()
    best = min(scored, key=lambda pair: pair[1])[0]
    found = [_parameter(name, best[name], scored) for name in best]
    network = search_trials.edited_network(search, state)
    told = [_in_all(parameter, network) for parameter in found if parameter is not None]
    return tuple(sorted(told, key=lambda p: (p.rho is None, -abs(p.rho or 0.0), -p.spread)))


def _parameter(
    name: str, best: Value, scored: Sequence[tuple[Mapping[str, Value], float]]
) -> Parameter | None:
    pairs = [(values[name], score) for values, score in scored if name in values]
    if len(pairs) < LEAST:
        return None
    values, scores = [value for value, _ in pairs], [score for _, score in pairs]
    if any(isinstance(value, str) for value in values):
        by_word = defaultdict(list)
        for value, score in pairs:
            by_word[str(value)].append(score)
        if len(by_word) < 2:
            return None
        medians = sorted(((word, median(of)) for word, of in by_word.items()), key=lambda m: m[1])
        return Parameter(name=name, best=best, medians=tuple(medians), trials=len(pairs))
    rho = rank_correlation([float(value) for value in values], scores)
    return None if rho is None else Parameter(name=name, best=best, rho=rho, trials=len(pairs))


def _in_all(parameter: Parameter, network: Network | None) -> Parameter:
    """A count of units with those that the study leaves on."""
    fixed = search_trials.fixed_units(network, parameter.name)
    if not fixed or not isinstance(parameter.best, int):
        return parameter
    return msgspec.structs.replace(parameter, best=parameter.best + fixed)


def rank_correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Spearman's: Pearson's of the ranks, ties at their mean; None where one is constant."""
    try:
        return correlation(_ranks(xs), _ranks(ys))
    except StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [
        (ordered.index(value) + len(ordered) - 1 - ordered[::-1].index(value)) / 2
        for value in values
    ]


def lines(found: Sequence[Parameter], width: int, height: int) -> list[str]:
    """What the figures are, then a parameter a line; what has no room is counted."""
    if not found:
        return [f"parameters: told from {LEAST} measured trials on"]
    most = max(parameter.trials for parameter in found)
    heads = (
        f"parameters: rank correlation with score, {most} trials",
        "(− : more of it goes with a lower, better score)",
    )
    told = [numbers.shortened(head, width) for head in heads]
    room = max(height - len(heads), 2)
    shown = found if len(found) <= room else found[: room - 1]
    wide = min(max(cell_len(parameter.name) for parameter in found), max(width // 3, 8))
    bests = [f"best {search_trials.value_words(p.name, p.best)}" for p in shown]
    best_wide = min(max(map(cell_len, bests)), max(width - wide - LEAST_FIGURES, 8))
    for parameter, best in zip(shown, bests, strict=True):
        name = numbers.fitted(parameter.name.replace("_", " "), wide)
        head = f"{name}  {numbers.fitted(best, best_wide)}  "
        told.append(head + _figures(parameter, max(width - cell_len(head), 1)))
    if len(shown) < len(found):
        told.append(f"and {len(found) - len(shown)} more: a larger terminal shows them")
    return told


def _figures(parameter: Parameter, width: int) -> str:
    """The correlation, or as many medians as have room."""
    if parameter.rho is not None:
        bar = numbers.bar(abs(parameter.rho), BAR)
        return numbers.shortened(f"{numbers.signed(parameter.rho, '.2f')} {bar}".rstrip(), width)
    medians = [f"{word} {numbers.plain(score, '.3f')}" for word, score in parameter.medians]
    for words in ("medians " + ", ".join(medians), ", ".join(medians)):
        short = whole_items(words, width)
        if short == words or short.endswith(", …"):
            return short
    return "…"
