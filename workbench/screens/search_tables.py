"""Slices of the session state for the search panel: candidates, trials, steps, the front.

Pure functions, the same for live and replay.
"""

from math import isfinite

from sessions import choosing, fronts, offers
from sessions.choosing import Ranked
from sessions.searching import Measured, Trust
from sessions.state import Autopilot, Search, SessionState
from widgets import numbers
from widgets.plane_drawing import PlanePoint, PlaneView
from widgets.table_list import Column, TableRow, TableView
from workbench.screens import names, search_trials, search_words

START = -1
"""Number of the point where a study began: trials count from 0."""
TOLD_IN_FULL = 66
"""Cells of the table of trials from which on it has the intervals."""
CANDIDATES = (
    Column("by F1 lost per MAC", 0),
    Column("saves MACs", 10, is_right=True),
    Column("F1 [95%]", 16),
    Column("lost", 7, is_right=True),
    Column("worth F1", 8, is_right=True, least=80),
    Column("± score", 7, is_right=True),
    Column("lost per M MACs", 15, is_right=True, least=100),
    Column("importance kept", 15, is_right=True, least=110),
)
TRIALS = (
    Column("", 1),
    Column("no", 3, is_right=True),
    Column("structure, latest first", 0),
    Column("MACs", 10, is_right=True),
    Column("F1 [95%]", 16, least=TOLD_IN_FULL),
    Column("F1", 5, is_right=True, most=TOLD_IN_FULL - 1),
    Column("score", 7, is_right=True),
    Column("took", 6, is_right=True, least=90),
)
STEPS = (
    Column("", 5),
    Column("step", 0),
    Column("MACs", 10, is_right=True),
    Column("F1 [95%]", 16),
    Column("score", 7, is_right=True),
)
MARKS = {"finished": "✓", "pruned": "‖", "failed": "✗"}
SIGNS = (
    ("★", "best score"), ("◆", "best for its MACs"), ("✓", "done"), ("‖", "ended early"),
    ("✗", "failed"),
)  # fmt: skip
"""Of the trials."""
OVERS = {"units": "units", "cuts": "widths, groups and bottlenecks"}
"""What criteria ranked, in words."""
MISSING = {"units": "not for units", "cuts": "no cut was made by it"}
"""Why a criterion has no figure over them."""
NAMES, TRUST = 17, 26
"""Cells of a criterion, and of what is told of it."""
TRUSTED = "rank correlation of cheap criteria with the measured loss of F1 [95%]"


def candidates(search: Search, state: SessionState) -> TableView:
    """What a scan found, the best exchange rate first."""
    if choosing.baseline_of(search.measured) is None:
        word = "the network as it is comes first: what edits cost is told against it"
        return TableView(columns=CANDIDATES, word=word)
    found = choosing.ranked(search.measured, state.rule)
    rows = tuple(map(_candidate, found))
    return TableView(columns=CANDIDATES, rows=rows, word="no candidate was measured yet")


def _candidate(ranked: Ranked) -> TableRow:
    found = ranked.measured
    rate = numbers.plain(ranked.rate, ".3f") if isfinite(ranked.rate) else "saves nothing"
    cells = (
        search_words.edits_words(found.edits),
        numbers.plain(ranked.saved, ",d"),
        interval(found.f1, (found.low, found.high)),
        numbers.plain(ranked.lost, ".4f"),
        numbers.plain(ranked.worth, ".4f"),
        numbers.signed(ranked.change, ".4f"),
        rate,
        numbers.percent(found.kept),
    )
    return TableRow(key_of(found), cells, "green" if ranked.change < 0 else "")


def key_of(found: Measured) -> str:
    """What a candidate is known by."""
    return search_words.edits_words(found.edits)


def interval(f1: float, ends: tuple[float, float] | None) -> str:
    """F1 with its interval, as short as can be."""
    inside = "" if ends is None else " [{} {}]".format(*map(numbers.ratio, ends))
    return numbers.ratio(f1) + inside


def trust_lines(found: tuple[Trust, ...]) -> tuple[str, ...]:
    """Cheap criteria against the measurement, the most like it first, then which to trust."""
    if not found:
        return ()
    overs = [over for over in OVERS if any(trust.over == over for trust in found)]
    ordered = sorted(found, key=lambda trust: -trust.rho)
    names = list(dict.fromkeys(trust.criterion for trust in ordered))
    titles = "  ".join([" " * NAMES, *(numbers.fitted(OVERS[o], TRUST) for o in overs[:-1])])
    lines = [TRUSTED, f"{titles}  {OVERS[overs[-1]].replace(' and', ',')}"]
    known = {(trust.criterion, str(trust.over)): trust for trust in found}
    for name in names:
        told = [_trust(known.get((name, over)), over) for over in overs]
        cells = [numbers.fitted(cell, TRUST) for cell in told]
        title = numbers.fitted(offers.criterion_title(name), NAMES)
        lines.append("  ".join([title, *cells]).rstrip())
    told_of = [tuple(trust for trust in found if trust.over == over) for over in overs]
    return (*lines, *(verdict(each) for each in told_of))


def _trust(trust: Trust | None, over: str) -> str:
    if trust is None:
        return MISSING[over]
    ends = " ".join(numbers.signed(end, ".2f") for end in (trust.low, trust.high))
    return f"{numbers.signed(trust.rho, '.2f')} [{ends}] {numbers.bar(trust.rho, 6)}"


def verdict(found: tuple[Trust, ...]) -> str:
    """One sentence: which criterion to trust, of those that ranked the same."""
    sure = sorted((trust for trust in found if trust.low > 0), key=lambda trust: -trust.rho)
    over = f"{max(trust.candidates for trust in found)} {OVERS[found[0].over]}"
    if not sure:
        return f"of {over}: trust none, no ranking is surely better than chance"
    best = sure[0]
    alike = [offers.criterion_title(trust.criterion) for trust in sure[1:] if trust.rho >= best.low]
    also = f"; {', '.join(alike)} may be as good" if alike else ""
    return f"of {over}: trust {offers.criterion_title(best.criterion)} most{also}"


def trials(search: Search, state: SessionState) -> TableView:
    """What a study tried, the latest first; ★ is the best score, ◆ is on the front."""
    network = search_trials.edited_network(search, state)
    front = {trial.number for trial in fronts.front(search.trials)}
    best = best_trial(search, state)
    rows = tuple(
        TableRow(
            str(trial.number),
            (
                "★" if trial.number == best else "◆" if trial.number in front
                else MARKS[trial.state],
                str(trial.number),
                trial.reason if trial.state == "failed"
                else search_trials.structure(trial, network, is_short=True),
                f"{trial.macs:,}" if trial.macs else "—",
                "—" if trial.evaluation is None
                else interval(trial.evaluation.f1, trial.evaluation.interval),
                "—" if trial.f1 is None else numbers.ratio(trial.f1),
                _score(search_words.score_of(trial, state)),
                numbers.duration(trial.seconds),
            ),
            "green" if trial.number in front else "" if trial.state == "finished" else "dim",
        )
        for trial in reversed(search.trials)
    )  # fmt: skip
    return TableView(
        columns=TRIALS, rows=rows, word="no trial has ended yet: each trains a network"
    )


def _score(score: float | None) -> str:
    return "—" if score is None else numbers.plain(score, ".4f")


def best_trial(search: Search, state: SessionState) -> int | None:
    """The trial of the lowest score."""
    scores = [
        (score, trial.number)
        for trial in search.trials
        if (score := search_words.score_of(trial, state)) is not None
    ]
    return min(scores)[1] if scores else None


def front_plane(search: Search, state: SessionState) -> PlaneView:
    """Every measured trial as a point, and the variant where the study began."""
    front = {trial.number for trial in fronts.front(search.trials)}
    best = best_trial(search, state)
    points = [
        PlanePoint(
            number=trial.number,
            name=f"trial {trial.number}",
            label=str(trial.number),
            macs=trial.macs,
            f1=trial.evaluation.f1,
            score=state.rule.score(trial.macs, trial.evaluation.f1),
            is_front=trial.number in front,
            is_best=trial.number == best,
            interval=trial.evaluation.interval,
        )
        for trial in search.trials
        if trial.evaluation is not None and trial.state == "finished"
    ]
    started = state.variants.get(search.variant)
    if started is not None and started.evaluation is not None:
        f1 = started.evaluation.f1
        points.append(
            PlanePoint(
                number=START, name=started.name or started.label, label=f"v{started.number}",
                macs=started.macs, f1=f1, score=state.rule.score(started.macs, f1),
                is_opened=True, interval=started.evaluation.interval,
            )
        )  # fmt: skip
    return PlaneView(points=tuple(points), rule=state.rule)


def steps(state: SessionState, pilot: Autopilot) -> TableView:
    """Where the autopilot began, and every step since."""
    rows = []
    for variant in search_words.steps(state, pilot):
        found = variant.evaluation
        begun = "where it began" if variant.number == pilot.variant else variant.label
        words = names.edit_words(variant.edit) if variant.edit is not None else begun
        rows.append(
            TableRow(
                str(variant.number),
                (
                    f"{'▸' if variant.number == state.current else ' '}v{variant.number}",
                    begun if variant.number == pilot.variant else words,
                    f"{variant.macs:,}",
                    "not measured" if found is None else interval(found.f1, found.interval),
                    "—" if found is None else _score(state.rule.score(variant.macs, found.f1)),
                ),
            )
        )
    return TableView(columns=STEPS, rows=tuple(rows), word="its first step is being chosen")
