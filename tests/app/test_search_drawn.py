"""What the search panel draws of fixed searches: tables, words, parameters, the front."""

from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from sessions import choosing, edits, fronts, macs, search_events
from sessions.edits import Edit, Groups, Mid, UnitOff, Width
from sessions.evaluation import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import CONTEST
from sessions.searching import Measured, ScanPlan, Space, StudyPlan, Trial, Trust
from sessions.state import Autopilot, Search, SessionState, Variant
from sessions.steering import Steering
from widgets import table_list
from widgets.job_line import JobView, job_text
from widgets.plane_drawing import plane_text
from widgets.table_list import Column, TableRow, TableView
from workbench import toasts
from workbench.screens import (
    names,
    search,
    search_parameters,
    search_tables,
    search_trials,
    search_words,
)
from workbench.screens.event_words import event_line

A, B = UnitOff("stage1.unit2"), UnitOff("stage2.unit3")
WIDTHS = (30, 60, 75, 115, 200)


def evaluation(f1: float) -> Evaluation:
    return Evaluation(
        split="validation",
        images=505,
        f1=f1,
        accuracy=f1,
        classes=(),
        low=f1 - 0.03,
        high=f1 + 0.03,
    )


def measured(f1: float, count: int, *changes: Edit) -> Measured:
    return Measured(
        edits=changes, macs=count, f1=f1, low=f1 - 0.03, high=f1 + 0.03, loss=1 - f1, images=505
    )


def trial(number: int, count: int, f1: float, **values: Any) -> Trial:
    given = {"state": "finished", "evaluation": evaluation(f1), "macs": count, "checkpoint": "cc"}
    return Trial(number=number, **{**given, **values})


def scan(*found: Measured, **values: Any) -> Search:
    plan = ScanPlan(candidates=tuple(m.edits for m in found if m.edits))
    return Search(
        number=1, variant=0, plan=plan, recipe=Recipe(), measured=found, total=len(found), **values
    )


def study(*found: Trial, **values: Any) -> Search:
    plan = StudyPlan(rule=CONTEST, space=Space(recipe=("dropout",)))
    return Search(number=2, variant=0, plan=plan, recipe=Recipe(), trials=found, **values)


@pytest.fixture
def state(network: Network) -> SessionState:
    variant = Variant(
        number=0, parent=None, label="opened", network=network, macs=macs.count(network),
        evaluation=evaluation(0.8),
    )  # fmt: skip
    return SessionState(variants={0: variant}, current=0)


BASE = measured(0.8, 1_000_000)
SCAN = scan(
    BASE,
    measured(0.7, 900_000, A),
    measured(0.799, 900_000, B),
    measured(0.75, 500_000, Width(target="stage3", value=120)),
)


def test_candidates_come_by_exchange_rate_and_say_what_they_do_to_the_score(
    state: SessionState,
) -> None:
    view = search_tables.candidates(SCAN, state)
    assert [row.key for row in view.rows] == [
        "stage2.unit3 off", "stage3 width 120", "stage1.unit2 off",
    ]  # fmt: skip
    first = view.rows[0].cells
    worth = CONTEST.break_even(100_000)
    change = (0.001 - worth) / CONTEST.base_f1
    assert first[1:5] == ("100,000", ".799 [.769 .829]", "0.0010", f"{worth:.4f}")
    assert first[5] == f"{change:.4f}".replace("-", "−")
    assert [row.style for row in view.rows] == ["green", "", ""]
    ranked = choosing.ranked(SCAN.measured, CONTEST)
    assert [row.key for row in view.rows] == [search_tables.key_of(r.measured) for r in ranked]


def test_until_the_network_as_it_is_was_measured_the_table_says_what_it_waits_for(
    state: SessionState,
) -> None:
    for found in (scan(), scan(measured(0.7, 900_000, A))):
        view = search_tables.candidates(found, state)
        assert view.rows == ()
        assert "comes first" in view.word
    assert "no candidate" in search_tables.candidates(scan(BASE), state).word


def test_the_best_so_far_is_in_the_score(state: SessionState) -> None:
    assert search_words.best_of(scan(BASE), state) == "best so far: nothing was measured yet"
    words = search_words.best_of(SCAN, state)
    assert words.startswith("best so far: stage2.unit3 off lowers the score by 0.00")
    assert words.endswith("100,000 MACs fewer")
    worse = scan(BASE, measured(0.7, 900_000, A))
    assert "none lowers the score; least harm: stage1.unit2 off raises it by 0.1" in (
        search_words.best_of(worse, state)
    )
    done = msgspec.structs.replace(SCAN, status="finished")
    assert search_words.best_of(done, state).startswith("best: stage2.unit3 off")


def trust(criterion: str, rho: float, low: float, **more: Any) -> Trust:
    return Trust(criterion=criterion, rho=rho, low=low, high=rho + 0.1, candidates=13, **more)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            [trust("l1", 0.3, -0.2)],
            "of 13 units: trust none, no ranking is surely better than chance",
        ),
        ([trust("l1", 0.3, 0.1), trust("std", 0.9, 0.7)], "of 13 units: trust std of weights most"),
        (
            [trust("l1", 0.75, 0.1), trust("std", 0.9, 0.7), trust("bn", 0.8, -0.1)],
            "of 13 units: trust std of weights most; L1 norm may be as good",
        ),
        (
            [trust("l1", 0.3, 0.1, over="cuts")],
            "of 13 widths, groups and bottlenecks: trust L1 norm most",
        ),
    ],
)  # fmt: skip
def test_which_criterion_to_trust_is_one_sentence(found: list[Trust], words: str) -> None:
    assert search_tables.verdict(tuple(found)) == words


def test_the_table_of_trust_has_a_line_a_criterion_the_best_first() -> None:
    found = (trust("l1", 0.3, 0.1), trust("std", 0.9, 0.7), trust("l1", 0.5, 0.2, over="cuts"))
    about, title, *lines = search_tables.trust_lines(found)
    assert "rank correlation" in about
    assert title.split("  ")[-1].strip() == "widths, groups, bottlenecks"
    assert [line.split("  ")[0] for line in lines[:2]] == ["std of weights", "L1 norm"]
    assert "+0.90 [+0.70 +1.00]" in lines[0]
    assert lines[0].endswith("no cut was made by it")
    assert len(lines) == 4
    assert max(map(cell_len, (about, title, *lines))) <= 74
    assert search_tables.trust_lines(()) == ()


MARKS = ("★", "◆", "✓", "◆", "‖", "✗")
TRIALS = (
    trial(0, 900_000, 0.80, edits=(A,)),
    trial(1, 800_000, 0.78, edits=(A, B, Groups(target="stage3", value=6))),
    trial(2, 950_000, 0.70),
    trial(3, 800_000, 0.78),
    trial(4, 700_000, 0.9, state="pruned", reason="behind", checkpoint=""),
    Trial(number=5, state="failed", reason="the loss became nan"),
)


def test_trials_come_the_latest_first_with_front_best_and_why_they_failed(
    state: SessionState,
) -> None:
    rows = {int(row.key): row for row in search_tables.trials(study(*TRIALS), state).rows}
    assert list(rows) == [5, 4, 3, 2, 1, 0]
    assert tuple(rows[number].cells[0] for number in range(6)) == MARKS
    assert rows[0].cells[2] == "3-8-4"
    assert rows[1].cells[2] == "3-7-4, s3 g6"
    assert rows[2].cells[2] == "as it is"
    assert rows[5].cells[2] == "the loss became nan"
    assert set(MARKS) == {sign for sign, _ in search_tables.SIGNS}
    assert rows[5].cells[3:7] == ("—", "—", "—", "—")
    assert rows[0].cells[6] == f"{CONTEST.score(900_000, 0.80):.4f}"


def test_the_front_of_the_plane_is_the_front_of_the_trials(state: SessionState) -> None:
    view = search_tables.front_plane(study(*TRIALS), state)
    shown = {point.number for point in view.points if point.is_front}
    assert shown == {found.number for found in fronts.front(TRIALS)} == {0, 1, 3}
    assert {point.number for point in view.points} == {-1, 0, 1, 2, 3}
    started = next(point for point in view.points if point.number == search_tables.START)
    assert (started.label, started.is_opened, started.is_front) == ("v0", True, False)
    text = plane_text(view, 0, 80, 20).plain
    assert "v0" in text
    assert "v1" not in text


def test_a_trial_is_told_in_full(state: SessionState) -> None:
    first = trial(0, 9, 0.8, edits=(A,), recipe=Recipe(dropout=0.25), worker="gpu-1")
    assert search_trials.trial_words(study(first), 0, state) == (
        "trial 0: 3-8-4 units",
        "dropout 0.25",
        "F1 0.8000 [0.770, 0.830] on 505 validation images · on gpu-1",
    )
    assert search_trials.trial_words(study(*TRIALS), 4, state)[-1] == "ended early: behind"
    assert search_trials.trial_words(study(), 9, state) == ()
    assert search_trials.without_point(study(*TRIALS), 4)[0] == (
        "trial 4 is not on the plane: it ended early"
    )
    assert search_trials.start_words(study(), state)[0] == "v0, where the study began"


@pytest.mark.parametrize(
    ("height", "words"),
    [
        (2, "trial 7: 3-7…\ndropout 0.25"),
        (3, "trial 7:\n3-7-4 units,…\ndropout 0.25"),
        (6, "trial 7:\n3-7-4 units,\nstage3 width\n150\ndropout 0.25"),
    ],
)
def test_words_go_on_below_as_far_as_there_is_height(height: int, words: str) -> None:
    lines = ("trial 7: 3-7-4 units, stage3 width 150", "dropout 0.25")
    assert search_trials.wrapped(lines, 13, height) == words


def test_a_new_network_is_told_by_its_parameters(state: SessionState) -> None:
    found = trial(0, 9, 0.8, parameters={"groups": 3, "width": 0.2471934, "stem.pool": True})
    assert search_trials.structure(found, None) == "groups 3, width 0.247, stem.pool yes"


def test_the_width_of_a_stage_is_told_as_a_share() -> None:
    assert search_trials.value_words("stage3.width", 1.0) == "100%"
    assert search_trials.value_words("stage3.bottleneck", 0.625) == "62%"
    assert search_trials.value_words("learning_rate", 0.0012345) == "0.00123"


@pytest.mark.parametrize(
    ("xs", "ys", "rho"),
    [
        ((1, 2, 3, 4), (10, 20, 30, 40), 1.0),
        ((1, 2, 3, 4), (40, 30, 20, 10), -1.0),
        ((1, 2, 3, 4, 5), (2, 1, 4, 3, 5), 0.8),
        ((1, 1, 2, 2), (1, 2, 3, 4), 0.8944),
        ((1, 1, 1), (1, 2, 3), None),
    ],
)
def test_the_rank_correlation_is_spearmans(xs: Any, ys: Any, rho: float | None) -> None:
    found = search_parameters.rank_correlation(xs, ys)
    assert found == (rho if rho is None else pytest.approx(rho, abs=1e-4))


def test_parameters_are_told_by_what_they_have_to_do_with_the_score(state: SessionState) -> None:
    found = [
        trial(
            number, 1_000_000, 0.6 + number / 50,
            parameters={
                "stage1.units": number, "is_wide": number % 2 == 0, "fixed": 1,
                "loss": "focal" if number < 3 else "cross-entropy",
            },
        )
        for number in range(6)
    ]  # fmt: skip
    told = search_parameters.parameters(study(*found), state)
    assert [p.name for p in told] == ["stage1.units", "is_wide", "loss"]
    assert told[0].rho == pytest.approx(-1.0)
    assert told[0].best == 5 + 1  # the first unit cannot be off
    assert [word for word, _ in told[2].medians] == ["cross-entropy", "focal"]
    assert told[2].medians[0][1] == pytest.approx(CONTEST.score(1_000_000, 0.68))
    lines = search_parameters.lines(told, 80, 9)
    assert "6 trials" in lines[0]
    assert "−1.00" in lines[2]
    assert "best no" in lines[3]
    narrow = search_parameters.lines(told, 44, 9)[4]
    assert narrow.startswith("loss          best cross-entropy")
    assert "0." not in narrow  # no figure is cut
    assert search_parameters.lines(told, 80, 4)[-1] == "and 2 more: a larger terminal shows them"
    assert search_parameters.parameters(study(*found[:4]), state) == ()
    assert "from 5 measured trials" in search_parameters.lines((), 80, 9)[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"done": 7, "left_s": 40.0, "doing": "x off"}, "▶ 6 of 3 done, 0:40 left · now x off"),
        ({"status": "finished", "done": 4, "seconds": 112.0}, "✓ done: 3 of 3 in 1:52"),
        ({"status": "stopped", "done": 2}, "‖ stopped at 1 of 3, p goes on"),
        (
            {"status": "interrupted", "reason": "was killed"},
            "‖ cut off at 0 of 3, p goes on: was killed",
        ),
        ({"status": "failed", "reason": "no images"}, "✗ failed at 0 of 3: no images"),
    ],
)
def test_how_far_a_search_is_in_words(values: dict[str, Any], words: str) -> None:
    found = msgspec.structs.replace(SCAN, **values)
    assert search_words.status(found, is_live=True) == words
    assert ", p goes on" not in search_words.status(found, is_live=False)


def test_what_a_search_was_asked_for(state: SessionState) -> None:
    words = search_words.asked(SCAN)
    assert words.startswith("2 units, 1 widths, groups")
    assert "F1 on 505 validation images" in words
    assert "at most 1,024 validation images" in search_words.asked(scan())
    words = search_words.asked(study())
    assert words == (
        "lowest score (contest); 40 trials; varies units, widths, groups, dropout; 25 epochs each"
    )
    plan = StudyPlan(rule=CONTEST, is_front=True, trials=3, minutes=1.5, max_macs=1_000_000)
    assert search_words.budget(plan) == (
        "fewest MACs and highest F1; 3 trials, 1.5 minutes, at most 1,000,000 MACs"
    )


@pytest.mark.parametrize("edit", [
    edits.UnitOff("a.b"), edits.UnitOn("a.b"), Width(target="a", value=3), Mid(target="a", value=3),
    Groups(target="a", value=3), edits.Widen("a", 3), edits.Kernel("a", 3), edits.Head("conv"),
    edits.InputSize(64), edits.Classes(9), edits.Rank("a.conv", (2, 4)),
    edits.Rank("a.conv", rule="auto"),
])  # fmt: skip
def test_every_edit_has_words_without_a_colon(edit: Edit) -> None:
    words = names.edit_words(edit)
    assert ":" not in words
    assert "=" not in words
    value = edits.text(edit).replace("=", ":").split(":")[-1].partition("@")[0]
    assert value in words or value == "a.b"


def test_the_steps_of_the_autopilot_begin_where_it_began(state: SessionState) -> None:
    first = state.variants[0]
    later = [
        msgspec.structs.replace(first, number=n, parent=n - 1, edit=edit, evaluation=None)
        for n, edit in ((1, A), (2, B))
    ]
    pilot = Autopilot(variant=1, steering=Steering(max_macs=900_000))
    known = {v.number: v for v in (first, *later)}
    at_end = msgspec.structs.replace(state, variants=known, current=2, autopilot=pilot)
    rows = search_tables.steps(at_end, pilot).rows
    assert [row.cells[:2] for row in rows] == [
        (" v1", "where it began"), ("▸v2", "stage2.unit3 off"),
    ]  # fmt: skip
    assert rows[1].cells[3:] == ("not measured", "—")
    assert search_words.short(at_end) == "autopilot, 1 step"
    elsewhere = msgspec.structs.replace(at_end, current=0)
    assert [row.key for row in search_tables.steps(elsewhere, pilot).rows] == ["1"]
    over = msgspec.structs.replace(pilot, is_on=False, reason="you took over")
    assert search_words.pilot_status(at_end, over) == "‖ you took over"


def test_a_search_is_told_beside_the_job_and_neither_pushes_the_other_out() -> None:
    job = JobView(
        name="fine-tune", detail="v0 epoch 7/25 loss 0.700", share=0.24, images_per_s=412.0,
        left_s=95.0, search="scan 7/31, 0:40 left",
    )  # fmt: skip
    for width in (64, 80, 120):
        text = job_text(job, width).plain
        assert cell_len(text) == width
        assert text.endswith(("  scan 7/31, 0:40 left", " · scan 7/31, 0:40 left"))
        assert "fine-tune" in text
        assert "24%" in text
    assert "1:35 left" in job_text(job, 120).plain
    idle = job_text(JobView(message="ready " * 30, search="scan 7/31"), 80).plain
    assert idle.endswith("… · scan 7/31")
    assert cell_len(idle) == 80


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_of_a_table_runs_over(state: SessionState, width: int) -> None:
    views = (
        search_tables.candidates(SCAN, state),
        search_tables.trials(study(*TRIALS), state),
        TableView(
            columns=(Column("유리", 4), Column("x", 0)),
            rows=(TableRow("k", ("유리병", "플라스틱")),),
        ),
    )  # fmt: skip
    for view in views:
        assert table_list.heading(view, width).cell_len <= width
        for row in view.rows:
            assert cell_len(table_list.line(view.columns, row.cells, width)) <= width


def test_numbers_stand_under_the_end_of_their_title(state: SessionState) -> None:
    view = search_tables.candidates(SCAN, state)
    title = table_list.heading(view, 75).plain
    free = table_list.free_width(view)
    line = table_list.line(view.columns, view.rows[0].cells, 75, free)
    at = title.index("saves MACs") + len("saves MACs")
    assert line[:at].endswith("100,000")


def test_a_wide_table_keeps_its_figures_beside_the_names(state: SessionState) -> None:
    view = search_tables.candidates(SCAN, state)
    line = table_list.line(view.columns, view.rows[0].cells, 200, table_list.free_width(view))
    assert cell_len(line) < 130
    assert len(line) - len(line.removeprefix("stage2.unit3 off").lstrip()) < 40


@pytest.mark.parametrize(
    ("width", "words"),
    [(30, "3-7-4, s3 w150, s3 g6"), (19, "3-7-4, s3 w150, …"), (13, "3-7-4, …"), (4, "3-7…")],
)
def test_items_that_have_no_room_are_left_out_whole(width: int, words: str) -> None:
    assert table_list.whole_items("3-7-4, s3 w150, s3 g6", width) == words


def test_of_many_searches_those_about_the_shown_one_are_named() -> None:
    titles = tuple(f"{number} scan of v{number}" for number in range(1, 30))
    for at in (0, 14, 28):
        first, shown = search.around(titles, at, 60)
        assert titles[at] in shown
        assert shown == titles[first : first + len(shown)]
        assert sum(map(len, shown)) + 2 * (len(shown) - 1) <= 60
        assert len(shown) >= 3
    assert search.around(titles[:2], 1, 60) == (0, titles[:2])
    assert search.around(("x" * 90, "b"), 0, 60) == (0, ("x" * 90,))


def test_the_end_of_a_search_is_told_with_its_best_find(state: SessionState) -> None:
    ended = search_events.SearchFinished(search=1)
    over = msgspec.structs.replace(state, searches={1: SCAN})
    words, severity = toasts.describe(ended, over) or ("", "")
    assert words.startswith("scan of v0 is done: S shows it; best: stage2.unit3 off")
    assert severity == "information"
    failed = search_events.SearchFinished(search=1, reason="no images")
    assert toasts.describe(failed, over) == ("scan of v0: no images", "error")
    steering = Autopilot(variant=0, steering=Steering(max_macs=9))
    steered = msgspec.structs.replace(over, autopilot=steering)
    assert toasts.describe(ended, steered) is None
    end = search_events.AutopilotEnded(reason="nothing is left to cut")
    assert toasts.describe(end, steered) == (
        "the autopilot has ended: nothing is left to cut", "warning",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            search_events.SearchStarted(
                search=1, variant=0, plan=SCAN.plan, recipe=Recipe()
            ),
            "search 1 began: a scan of 3 cuts of v0",
        ),
        (
            search_events.CandidateMeasured(search=1, measured=SCAN.measured[2]),
            "search 1: stage2.unit3 off: F1 0.7990 on 505 validation images, 900,000 MACs",
        ),
        (
            search_events.TrialFinished(search=2, trial=TRIALS[5]),
            "search 2: trial 5 failed: the loss became nan",
        ),
        (
            search_events.SearchFinished(search=1, is_stopped=True, seconds=3.0),
            "search 1 was stopped, what it found is kept, 0:03",
        ),
        (
            search_events.AutopilotStarted(variant=0, steering=Steering(by="std", score=0.3)),
            "the autopilot began at v0, to a score of 0.3 or lower by lowest weight std first; "
            "units only",
        ),
    ],
)  # fmt: skip
def test_searches_in_the_log(event: Any, words: str) -> None:
    assert event_line(0.0, event, {}).words == words
