"""What the facts of searches change in the state, as tables: events -> state."""

import msgspec
import pytest

from sessions import edits, events, macs
from sessions.edits import UnitOff
from sessions.evaluation import Evaluation
from sessions.recipe import Recipe
from sessions.reducer import reduce_all
from sessions.score import CONTEST
from sessions.search_events import (
    AutopilotEnded,
    AutopilotStarted,
    CandidateMeasured,
    SearchFinished,
    SearchProgressed,
    SearchStarted,
    TrialFinished,
    TrialOpened,
)
from sessions.searching import Measured, ScanPlan, StudyPlan, Trial, Trust
from sessions.steering import Steering

A, B = UnitOff("stage1.unit2"), UnitOff("stage2.unit3")
SCAN = ScanPlan(candidates=((A,), (B,)))
STUDY = StudyPlan(rule=CONTEST, trials=5)
RECIPE = Recipe(epochs=3)
TRUST = (Trust(criterion="l1", rho=0.5, low=0.1, high=0.8, candidates=2),)
EVALUATION = Evaluation(split="validation", images=4, f1=0.7, accuracy=0.7, classes=())
EXITED = events.ProcessExited(process="searcher", code=-9, reason="was killed")


@pytest.fixture
def opened(published):
    network = published()
    return events.ModelOpened(
        source="model.pt", sha256="aa", checkpoint="stored", network=network, weights_sha256="w0",
        stats={}, macs=macs.count(network), ptflops_macs=macs.count(network),
    )  # fmt: skip


def started(plan=SCAN, search=1):
    return SearchStarted(search=search, variant=0, plan=plan, recipe=RECIPE)


def measured(*changes, f1=0.7, search=1):
    found = Measured(edits=changes, macs=9, f1=f1, low=0.6, high=0.8, loss=1.0, images=4)
    return CandidateMeasured(search=search, measured=found)


def tried(number, f1=0.7, search=1):
    evaluation = msgspec.structs.replace(EVALUATION, f1=f1)
    trial = Trial(number=number, state="finished", macs=9, evaluation=evaluation, checkpoint="cc")
    return TrialFinished(search=search, trial=trial)


def finished(**more):
    return SearchFinished(search=1, **more)


PROGRESS = SearchProgressed(search=1, done=2, total=3, doing="stage1.unit2 off", left_s=4.0)


@pytest.mark.parametrize(
    ("happened", "status", "done", "total", "doing"),
    [
        ([started()], "running", 0, 3, ""),
        ([started(STUDY)], "running", 0, 5, ""),
        ([started(), PROGRESS], "running", 2, 3, "stage1.unit2 off"),
        ([started(), measured()], "running", 1, 3, ""),
        ([started(), measured(), measured(A)], "running", 2, 3, ""),
        ([started(), measured(), measured()], "running", 1, 3, ""),
        ([started(STUDY), tried(0), tried(1), tried(1)], "running", 2, 5, ""),
        ([started(), PROGRESS, finished()], "finished", 2, 3, ""),
        ([started(), PROGRESS, finished(is_stopped=True)], "stopped", 2, 3, ""),
        ([started(), PROGRESS, finished(reason="no images")], "failed", 2, 3, ""),
        ([started(), PROGRESS, EXITED], "interrupted", 2, 3, ""),
        ([started(), PROGRESS, events.SessionResumed()], "interrupted", 2, 3, ""),
        ([started(), finished(is_stopped=True), started()], "running", 0, 3, ""),
        ([started(), finished(), EXITED], "finished", 0, 3, ""),
        ([started(), PROGRESS, events.ProcessExited(process="trainer", code=-9)],
         "running", 2, 3, "stage1.unit2 off"),
    ],
)  # fmt: skip
def test_how_far_a_search_is(opened, happened, status, done, total, doing):
    search = reduce_all([opened, *happened]).searches[1]
    assert (search.status, search.done, search.total, search.doing) == (status, done, total, doing)
    assert search.is_resumable == (status in ("interrupted", "stopped"))
    assert (search.left_s is None) == (not doing)


def test_a_search_that_goes_on_keeps_what_it_found_and_how_long_it_took(opened):
    first = [opened, started(), measured(), measured(A), finished(is_stopped=True, seconds=2.0)]
    state = reduce_all([*first, started(), measured(B), finished(trust=TRUST, seconds=3.0)])
    search = state.searches[1]
    assert [found.edits for found in search.measured] == [(), (A,), (B,)]
    assert (search.trust, search.seconds, search.status) == (TRUST, 5.0, "finished")
    assert (search.recipe, search.reason) == (RECIPE, "")


def test_the_later_measurement_of_the_same_takes_the_place_of_the_earlier(opened):
    state = reduce_all([opened, started(), measured(), measured(A, f1=0.5), measured(A, f1=0.6)])
    assert [found.f1 for found in state.searches[1].measured] == [0.7, 0.6]
    state = reduce_all([opened, started(STUDY), tried(1, 0.5), tried(0), tried(1, 0.6)])
    assert [(t.number, t.f1) for t in state.searches[1].trials] == [(0, 0.7), (1, 0.6)]


def test_why_it_ended_is_kept_and_forgotten_when_it_goes_on(opened):
    state = reduce_all([opened, started(), EXITED])
    assert state.searches[1].reason == "was killed"
    assert reduce_all([opened, started(), EXITED, started()]).searches[1].reason == ""


@pytest.mark.parametrize(
    "event", [PROGRESS, measured(A), tried(0), finished()], ids=lambda event: type(event).__name__
)
def test_what_is_said_of_a_search_that_never_began_changes_nothing(opened, event):
    assert reduce_all([opened, event]) == reduce_all([opened])


def test_which_search_runs_and_the_number_of_the_next(opened):
    state = reduce_all([opened])
    assert (state.searching, state.next_search) == (None, 1)
    state = reduce_all([opened, started(), finished(), started(STUDY, 2)])
    assert state.searching is not None
    assert (state.searching.number, state.next_search) == (2, 3)


def test_an_opened_trial_is_a_variant_with_weights_of_its_own(opened, published):
    cut = edits.apply(published(), A)
    event = TrialOpened(
        variant=1, parent=0, search=2, trial=7, checkpoint="cc", network=cut, macs=5,
        weights_sha256="ww", stats={}, evaluation=EVALUATION,
    )  # fmt: skip
    state = reduce_all([opened, event])
    variant = state.variant
    assert variant is not None
    assert (variant.number, variant.parent, variant.checkpoint) == (1, 0, "cc")
    assert (variant.network, variant.macs, variant.evaluation) == (cut, 5, EVALUATION)
    assert variant.label == "trial 7 of search 2"
    assert state.redo[0] == 1
    assert state.next_variant == 2


STEERING = Steering(by="std", max_macs=1_083_210)
BEGUN = AutopilotStarted(variant=0, steering=STEERING)


@pytest.mark.parametrize(
    ("happened", "is_on", "is_reached", "reason"),
    [
        ([BEGUN], True, False, ""),
        ([BEGUN, AutopilotEnded(reason="done", is_reached=True)], False, True, "done"),
        ([BEGUN, AutopilotEnded(reason="you took over")], False, False, "you took over"),
        (
            [BEGUN, AutopilotEnded(reason="first"), AutopilotEnded(reason="second")],
            False, False, "first",
        ),
        ([BEGUN, events.SessionResumed()], False, False, "the session ended while it steered"),
        ([BEGUN, AutopilotEnded(reason="first"), BEGUN], True, False, ""),
    ],
)  # fmt: skip
def test_whether_the_autopilot_steers(opened, happened, is_on, is_reached, reason):
    pilot = reduce_all([opened, *happened]).autopilot
    assert pilot is not None
    assert (pilot.variant, pilot.steering) == (0, STEERING)
    assert (pilot.is_on, pilot.is_reached, pilot.reason) == (is_on, is_reached, reason)


def test_an_end_without_a_start_changes_nothing(opened):
    assert reduce_all([opened, AutopilotEnded(reason="x")]).autopilot is None
