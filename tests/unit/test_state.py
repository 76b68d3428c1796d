"""The reducer as tables: events -> state."""

import random

import msgspec
import pytest

from sessions import edits, events, macs
from sessions.edits import Classes, InputSize, UnitOff, UnitOn
from sessions.events import ClassScore, Evaluation, LayerStats, Skipped, Unknown
from sessions.recipe import Recipe
from sessions.reducer import CURVE_POINTS, reduce, reduce_all
from sessions.score import CONTEST, PRESETS
from sessions.state import CurvePoint, Rung, SessionState

STATS = {"init.conv": LayerStats(162, 0.0, 0.1, 0.0, -1.0, 1.0, (162,))}
NEW_STATS = {"init.conv": LayerStats(162, 0.0, 0.3, 0.0, -1.0, 1.0, (162,))}
HEAD_STATS = {"output.head": LayerStats(9, 0.0, 0.2, 0.0, -1.0, 1.0, (9,))}


@pytest.fixture
def opened(published):
    network = published()
    return events.ModelOpened(
        source="model.pt",
        sha256="aa",
        checkpoint="stored",
        network=network,
        weights_sha256="w0",
        stats=STATS,
        macs=macs.count(network),
        ptflops_macs=macs.count(network),
        notes=("weights found under 'model'",),
    )


def requested(variant, parent, edit):
    return events.EditRequested(variant=variant, parent=parent, edit=edit)


def edited(variant, parent, edit, **more):
    more = {"macs": 1, "exact": True, "weights_sha256": f"w{variant}"} | more
    return events.Edited(variant=variant, parent=parent, edit=edit, **more)


def rejected(variant, parent, edit):
    return events.EditRejected(variant=variant, parent=parent, edit=edit, reason="no")


def selected(variant):
    return events.VariantSelected(variant=variant)


def queued(job, kind="fine-tune", variant=0, result=None, **more):
    return events.JobQueued(job=job, job_kind=kind, variant=variant, result=result, **more)


def started(job, **more):
    return events.JobStarted(job=job, device="cpu", steps=100, **more)


def progressed(job, step, epoch=0.0, **more):
    return events.JobProgressed(
        job=job, phase="training", step=step, steps=100, epoch=epoch, **more
    )


def evaluation(f1):
    return Evaluation(
        split="validation", images=4, f1=f1, accuracy=f1, classes=(ClassScore("a", f1, f1, f1, 4),)
    )


def finished(job, **more):
    return events.JobFinished(job=job, **more)


A, B, C = UnitOff("stage1.unit2"), UnitOff("stage2.unit3"), UnitOff("stage3.unit4")


def test_no_event_is_the_empty_state():
    state = reduce_all([])
    assert state == SessionState()
    assert (state.variant, state.running, state.resumable, state.queued) == (None, None, None, ())
    assert (state.next_variant, state.next_job) == (0, 1)
    assert state.rule == CONTEST


def test_opening_a_model_makes_variant_0(opened):
    state = reduce_all([opened])
    assert (state.current, state.source, state.notes) == (0, "model.pt", opened.notes)
    variant = state.variant
    assert variant.network == opened.network
    assert (variant.parent, variant.checkpoint, variant.weights_sha256) == (None, "stored", "w0")
    assert (variant.stats, variant.macs, variant.is_pending) == (STATS, opened.macs, False)
    assert state.next_variant == 1


DATA = events.DataOpened(
    source="d",
    fingerprint="f",
    classes=("a", "b"),
    train_images=8,
    val_images=2,
    size=80,
    skipped=(Skipped("x.jpg", "empty file"),),
)
FAILED = events.DataFailed(source="d", reason="no images")
ASKED = events.DataRequested(source="d")
PROGRESS = events.DataProgressed(done=3, total=9)
EXITED = events.ProcessExited(process="trainer", code=-9, reason="was killed")
RESUMED = events.SessionResumed()


@pytest.mark.parametrize(
    ("recorded", "data", "opening", "error", "progress"),
    [
        ([ASKED], None, "d", "", None),
        ([ASKED, PROGRESS], None, "d", "", (3, 9)),
        ([ASKED, PROGRESS, DATA], DATA, "", "", None),
        ([ASKED, PROGRESS, FAILED], None, "", "no images", None),
        ([ASKED, FAILED, ASKED], None, "d", "", None),
        ([ASKED, FAILED, ASKED, DATA], DATA, "", "", None),
        ([DATA, ASKED, FAILED], DATA, "", "no images", None),
        ([ASKED, EXITED], None, "", "the trainer ended while it opened them", None),
        ([ASKED, PROGRESS, EXITED], None, "", "the trainer ended while it opened them", None),
        ([ASKED, DATA, EXITED], DATA, "", "", None),
    ],
)
def test_data(recorded, data, opening, error, progress):
    state = reduce_all(recorded)
    assert (state.data, state.data_source, state.data_error) == (data, opening, error)
    assert state.data_progress == progress


# Edits


def test_a_requested_edit_shows_at_once_and_pends(opened):
    state = reduce_all([opened, requested(1, 0, B)])
    variant = state.variant
    assert (state.current, variant.parent, variant.label) == (1, 0, "off:stage2.unit3")
    assert variant.macs == opened.macs - 75_750
    assert not variant.network.units["stage2.unit3"].is_on
    assert (variant.is_pending, variant.edit, variant.checkpoint) == (True, B, None)
    assert variant.stats == STATS


def test_an_answer_confirms_what_was_requested(opened):
    answer = edited(1, 0, Classes(4), exact=False, lost=("the head",), stats=HEAD_STATS)
    before = reduce_all([opened, requested(1, 0, Classes(4))])
    after = reduce(before, answer)
    assert after.current == 1
    assert after.variant == msgspec.structs.replace(
        before.variant,
        is_pending=False,
        weights_sha256="w1",
        stats=STATS | HEAD_STATS,
        exact=False,
        lost=("the head",),
    )


def test_a_recorded_answer_needs_no_request(opened):
    for edit in (A, Classes(4), InputSize(64), edits.Head("conv")):
        short = reduce_all([opened, edited(1, 0, edit)])
        assert short == reduce_all([opened, requested(1, 0, edit), edited(1, 0, edit)])
        assert short.current == 1


@pytest.mark.parametrize(
    ("steps", "left", "current"),
    [
        ([requested(1, 0, A), rejected(1, 0, A)], {0}, 0),
        ([requested(1, 0, A), requested(2, 1, B), rejected(1, 0, A)], {0}, 0),
        ([requested(1, 0, A), requested(2, 1, B), rejected(2, 1, B)], {0, 1}, 1),
        (
            [requested(1, 0, A), requested(2, 1, B), requested(3, 2, C), rejected(2, 1, B)],
            {0, 1},
            1,
        ),
        (
            [requested(1, 0, A), selected(0), requested(2, 0, B), rejected(1, 0, A)],
            {0, 2},
            2,
        ),
        ([requested(1, 0, A), selected(0), rejected(1, 0, A)], {0}, 0),
        ([requested(1, 0, A), rejected(1, 0, A), rejected(1, 0, A)], {0}, 0),
        ([rejected(1, 0, A)], {0}, 0),
        ([requested(1, 0, A), requested(2, 1, B), rejected(1, 0, A), rejected(2, 1, B)], {0}, 0),
        ([requested(1, 0, A), requested(2, 1, B), rejected(1, 0, A), edited(2, 1, B)], {0}, 0),
        ([requested(1, 0, A), requested(2, 1, B), RESUMED], {0}, 0),
        ([requested(1, 0, A), edited(1, 0, A), requested(2, 1, B), RESUMED], {0, 1}, 1),
    ],
)
def test_a_refused_edit_goes_with_all_that_was_built_on_it(opened, steps, left, current):
    state = reduce_all([opened, *steps])
    assert state.variants.keys() == left
    assert state.current == current
    assert set(state.redo.values()) <= left
    assert state.redo.keys() <= left


def test_a_rejected_edit_frees_its_number(opened):
    state = reduce_all([opened, requested(1, 0, A), rejected(1, 0, A)])
    assert state.next_variant == 1


def test_selecting_moves_and_remembers_the_way_forward(opened):
    recorded = [opened, edited(1, 0, A), edited(2, 1, B), selected(1), selected(0)]
    state = reduce_all(recorded)
    assert (state.current, state.redo) == (0, {0: 1, 1: 2})
    assert state.variants.keys() == {0, 1, 2}


def test_a_branch_takes_the_way_forward_over(opened):
    state = reduce_all([opened, edited(1, 0, A), selected(0), edited(2, 0, B)])
    assert (state.current, state.redo) == (2, {0: 2})
    assert reduce(state, selected(1)).redo == {0: 1}


def test_selecting_what_is_not_there_changes_nothing(opened):
    state = reduce_all([opened])
    assert reduce(state, selected(7)) == state


def test_the_log_of_a_quick_undo_ends_where_the_screen_did(opened):
    lived = [opened, requested(1, 0, A), selected(0), edited(1, 0, A)]
    recorded = [event for event in lived if event.is_logged]
    assert reduce_all(lived).current == 0
    assert reduce_all(recorded) == reduce_all(lived)


def live_events(rng, opened):
    """A user who edits and jumps faster than the engine answers; in the end all is quiet."""
    lived, waiting = [opened], []
    state = reduce_all(lived)

    def happen(event):
        nonlocal state
        lived.append(event)
        state = reduce(state, event)

    for _ in range(rng.randint(1, 25)):
        action = rng.random()
        if action < 0.4:
            paths = [p for p, u in state.variant.network.units.items() if u.is_removable]
            edit = edits.toggle(state.variant.network, rng.choice(paths))
            waiting.append((state.next_variant, state.current, edit))
            happen(requested(*waiting[-1]))
        elif action < 0.6:
            happen(selected(rng.choice(list(state.variants))))
        elif waiting:
            happen(edited(*waiting.pop(0)))
    for answer in waiting:
        happen(edited(*answer))
    return lived


@pytest.mark.parametrize("seed", range(20))
def test_the_log_reduces_to_what_was_shown_once_all_is_answered(opened, seed):
    lived = live_events(random.Random(seed), opened)
    shown = reduce_all(lived)
    recorded = reduce_all([event for event in lived if event.is_logged])
    assert recorded.variants == shown.variants
    assert (recorded.current, recorded.redo) == (shown.current, shown.redo)


# Jobs


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([queued(1)], "queued"),
        ([queued(1), started(1)], "running"),
        ([queued(1), events.JobCancelled(job=1)], "cancelled"),
        ([queued(1), started(1), events.JobFailed(job=1, reason="nan")], "failed"),
        ([queued(1), started(1), finished(1)], "finished"),
        ([queued(1), started(1), finished(1, is_stopped=True)], "stopped"),
        ([queued(1), started(1), events.JobPaused(job=1)], "paused"),
        ([queued(1), started(1), events.JobPaused(job=1), EXITED, RESUMED], "paused"),
        ([queued(1), started(1), EXITED], "interrupted"),
        ([queued(1), started(1), RESUMED], "interrupted"),
        ([queued(1), RESUMED], "interrupted"),
        ([queued(1, "evaluate"), started(1), EXITED], "cancelled"),
        ([queued(1, "evaluate"), RESUMED], "cancelled"),
        ([queued(1, "recover"), started(1), RESUMED], "interrupted"),
        ([queued(1), started(1), EXITED, started(1, from_step=40)], "running"),
        ([queued(1), started(1), EXITED, events.JobCancelled(job=1)], "cancelled"),
        ([queued(1), started(1), finished(1), EXITED, RESUMED], "finished"),
        ([queued(1), started(1), events.ProcessExited(process="engine", code=1)], "running"),
    ],
)
def test_the_status_of_a_job(opened, steps, status):
    job = reduce_all([opened, *steps]).jobs[1]
    assert job.status == status
    assert job.is_active == (status in ("queued", "running"))
    assert job.is_resumable == (status in ("interrupted", "paused"))


def test_an_interrupted_job_keeps_its_last_stored_step(opened):
    before = [
        *(opened, queued(1, result=1, recipe=Recipe(images_per_epoch=0, epochs=4)), started(1)),
        events.CheckpointWritten(job=1, step=40, epoch=0.4),
        progressed(1, 55, 0.55, loss=1.0, left_s=9.0),
        EXITED,
    ]
    job = reduce_all(before).resumable
    assert (job.number, job.stored_step, job.step, job.left_s) == (1, 40, 55, None)
    assert (job.reason, job.recipe.epochs) == ("was killed", 4)
    resumed = reduce_all([*before, started(1, from_step=40)])
    assert (resumed.running.step, resumed.running.reason) == (40, "")
    assert resumed.running.losses == (CurvePoint(0.55, 1.0),)
    assert resumed.resumable is None


def test_a_job_that_failed_can_go_on_from_a_step_that_is_on_disk(opened):
    stored = events.CheckpointWritten(job=1, step=40, epoch=0.4)
    failed = events.JobFailed(job=1, reason="out of memory")
    steps = [opened, queued(1, result=1), started(1)]
    assert reduce_all([*steps, stored, failed]).resumable.number == 1
    assert reduce_all([*steps, failed]).resumable is None


def test_the_latest_interrupted_job_is_the_one_to_resume(opened):
    state = reduce_all([opened, queued(1, result=1), queued(2, result=2), RESUMED])
    assert state.resumable.number == 2
    assert reduce(state, events.JobCancelled(job=2)).resumable.number == 1


def test_one_job_runs_and_the_others_wait_in_order(opened):
    state = reduce_all([opened, queued(1), queued(2), queued(3), started(1)])
    assert state.running.number == 1
    assert [job.number for job in state.queued] == [2, 3]
    assert state.next_job == 4


def test_progress_moves_a_job_and_its_curves(opened):
    state = reduce_all(
        [
            *(opened, queued(1), started(1)),
            progressed(1, 10, 0.1, loss=2.0, images_per_s=500.0, left_s=9.0),
            progressed(1, 20, 0.2),
            events.Evaluated(job=1, evaluation=evaluation(0.4), epoch=0.2),
            progressed(1, 30, 0.3, loss=1.5, images_per_s=450.0, left_s=7.0),
        ]
    )
    job = state.running
    assert (job.phase, job.step, job.steps, job.epoch) == ("training", 30, 100, 0.3)
    assert (job.images_per_s, job.left_s) == (450.0, 7.0)
    assert job.losses == (CurvePoint(0.1, 2.0), CurvePoint(0.3, 1.5))
    assert job.f1s == (CurvePoint(0.2, 0.4),)
    assert job.evaluation == evaluation(0.4)
    assert state.variant.evaluation is None


def test_a_long_curve_stays_bounded_and_spans_the_whole_job(opened):
    recorded = [opened, queued(1), started(1)]
    recorded += [progressed(1, n, float(n), loss=float(n)) for n in range(5 * CURVE_POINTS)]
    state = SessionState()
    for event in recorded:
        state = reduce(state, event)
        assert not state.jobs or len(state.jobs[1].losses) <= CURVE_POINTS
    epochs = [point.epoch for point in state.jobs[1].losses]
    assert (epochs[0], epochs[-1]) == (0.0, 5.0 * CURVE_POINTS - 1)
    assert epochs == sorted(set(epochs))


def test_an_evaluation_of_a_variant_is_shown_with_it(opened):
    evaluated = events.Evaluated(job=1, evaluation=evaluation(0.6))
    state = reduce_all([opened, queued(1, "evaluate"), edited(1, 0, A), started(1), evaluated])
    assert state.variants[0].evaluation == evaluation(0.6)
    assert state.variants[1].evaluation is None


def test_a_recovery_keeps_every_rung_and_its_first_is_the_raw_network(opened):
    steps = [
        events.Evaluated(job=1, evaluation=evaluation(f1), epoch=epoch, rung=rung)
        for f1, epoch, rung in (
            (0.2, None, events.RAW), (0.5, 0.0, events.BATCH_NORM), (0.7, 0.0, events.REPAIR),
            (0.8, 3.0, events.SHORT),
        )
    ]  # fmt: skip
    state = reduce_all([opened, edited(1, 0, A), queued(1, "recover", 1, 2), started(1), *steps])
    assert [(r.name, r.evaluation.f1, r.epoch) for r in state.jobs[1].rungs] == [
        ("raw", 0.2, 0.0), ("batch norm", 0.5, 0.0), ("fitted", 0.7, 0.0),
        ("short fine-tune", 0.8, 3.0),
    ]  # fmt: skip
    assert state.variants[1].evaluation == evaluation(0.2)
    assert state.variants[1].recoverable is None


def test_measuring_a_cut_network_tells_what_batch_norm_would_bring(opened):
    raw = events.Evaluated(job=1, evaluation=evaluation(0.2), rung=events.RAW)
    fresh = events.Evaluated(job=1, evaluation=evaluation(0.6), epoch=0.0, rung=events.BATCH_NORM)
    state = reduce_all([opened, edited(1, 0, A), queued(1, "evaluate", 1), started(1), raw, fresh])
    assert state.variants[1].evaluation == evaluation(0.2)
    assert state.variants[1].recoverable == Rung(events.BATCH_NORM, evaluation(0.6), 0.0)


def climbed(opened, *f1s):
    rungs = [
        events.Evaluated(job=1, evaluation=evaluation(f1), epoch=epoch, rung=rung)
        for f1, (epoch, rung) in zip(
            f1s,
            [(None, events.RAW), (0.0, events.BATCH_NORM), (0.0, events.REPAIR)],
            strict=True,
        )
    ]
    return reduce_all([opened, edited(1, 0, A), queued(1, "evaluate", 1), started(1), *rungs])


def test_what_a_recovery_would_bring_is_its_best_rung(opened):
    assert climbed(opened, 0.2, 0.6, 0.7).variants[1].recoverable.name == events.REPAIR
    assert climbed(opened, 0.2, 0.6, 0.5).variants[1].recoverable.name == events.BATCH_NORM
    assert climbed(opened, 0.2, 0.6, 0.5).variants[1].evaluation == evaluation(0.2)


def test_the_end_of_a_ladder_climbed_by_itself_waits_at_its_variant(opened):
    state = climbed(opened, 0.2, 0.6, 0.7)
    end = events.JobFinished(job=1, checkpoint="c", weights_sha256="w", evaluation=evaluation(0.7))
    state = reduce(state, end)
    assert state.current == 1
    assert len(state.variants) == 2
    assert state.variants[1].checkpoint is None
    assert state.variants[1].evaluation == evaluation(0.2)
    assert state.variants[1].recovered.checkpoint == "c"
    assert state.variants[1].recovered.recipe == state.jobs[1].recipe


def test_a_job_that_ended_by_itself_says_why(opened):
    done = finished(1, checkpoint="good", is_stopped=True, reason="the loss became infinite")
    state = reduce_all([opened, queued(1, result=1), started(1), done])
    assert (state.jobs[1].status, state.jobs[1].reason) == ("stopped", "the loss became infinite")
    assert state.variants[1].checkpoint == "good"


def test_a_finished_job_makes_its_promised_variant_and_shows_it(opened):
    done = finished(
        1, checkpoint="new", weights_sha256="w1", stats=NEW_STATS, evaluation=evaluation(0.7)
    )
    recorded = [
        opened,
        queued(1, result=1, recipe=Recipe(images_per_epoch=0, epochs=3)),
        started(1),
        done,
    ]
    state = reduce_all(recorded)
    variant = state.variant
    assert (variant.number, variant.parent, variant.checkpoint) == (1, 0, "new")
    assert (variant.label, variant.stats, variant.evaluation) == (
        *("fine-tune, 3 epochs", NEW_STATS, evaluation(0.7)),
    )
    assert (variant.network, variant.macs) == (opened.network, opened.macs)
    assert state.next_variant == 2


@pytest.mark.parametrize(
    ("kind", "is_stopped", "label"),
    [
        ("recover", False, "recover"),
        ("fine-tune", False, "fine-tune, 25 epochs"),
        ("fine-tune", True, "fine-tune, 2.5 of 25 epochs"),
    ],
)
def test_the_label_of_a_job_s_variant(opened, kind, is_stopped, label):
    done = finished(1, checkpoint="new", is_stopped=is_stopped)
    steps = [opened, queued(1, kind, result=1), started(1), progressed(1, 25, 2.5), done]
    assert reduce_all(steps).variants[1].label == label


def test_a_job_that_ends_while_the_user_works_elsewhere_does_not_move_them(opened):
    done = finished(1, checkpoint="new")
    state = reduce_all([opened, queued(1, result=1), started(1), edited(2, 0, A), done])
    assert state.current == 2
    assert state.variants.keys() == {0, 1, 2}
    assert state.redo == {0: 2}


def test_numbers_promised_to_jobs_are_not_given_again(opened):
    state = reduce_all([opened, queued(1, result=1), queued(2, result=2)])
    assert state.next_variant == 3
    assert reduce(state, events.JobFailed(job=2, reason="x")).next_variant == 3


def test_a_job_without_new_weights_makes_no_variant(opened):
    state = reduce_all([opened, queued(1, "evaluate"), started(1), finished(1)])
    assert state.variants.keys() == {0}
    stopped = reduce_all(
        [opened, queued(1, "recover", result=1), started(1), finished(1, is_stopped=True)]
    )
    assert stopped.variants.keys() == {0}
    assert stopped.jobs[1].status == "stopped"


def test_a_job_of_a_rejected_variant_ends_without_one(opened):
    steps = [opened, requested(1, 0, A), queued(1, variant=1, result=2), rejected(1, 0, A)]
    state = reduce_all([*steps, finished(1, checkpoint="new")])
    assert state.variants.keys() == {0}
    assert state.current == 0


@pytest.mark.parametrize(
    "event",
    [
        started(9),
        progressed(9, 1, loss=1.0),
        events.CheckpointWritten(job=9, step=1, epoch=0.1),
        events.Evaluated(job=9, evaluation=evaluation(0.5)),
        finished(9, checkpoint="new"),
        events.JobFailed(job=9, reason="x"),
        events.JobCancelled(job=9),
        events.CommandFailed(command="save-model", reason="x"),
        Unknown("of-tomorrow", b'{"kind":"of-tomorrow"}'),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_concerns_nothing_here_changes_nothing(opened, event):
    state = reduce_all([opened, queued(1)])
    assert reduce(state, event) == state


def test_saving_rules_and_recipes(opened):
    saved = events.ModelSaved(variant=0, path="a.pt", sha256="s", bytes=1, macs=1, ptflops_macs=1)
    again = msgspec.structs.replace(saved, path="b.pt")
    chosen = events.RuleChosen(rule=PRESETS["smooth"])
    recipe = events.RecipeChosen(recipe=Recipe(images_per_epoch=0, epochs=3))
    state = reduce_all([opened, saved, again, chosen, recipe])
    assert state.saved == {0: "b.pt"}
    assert state.rule == PRESETS["smooth"]
    assert state.recipe == Recipe(images_per_epoch=0, epochs=3)


def test_reducing_never_changes_an_earlier_state(opened):
    recorded = [
        *(opened, edited(1, 0, A), queued(1, variant=1, result=2), started(1)),
        *(progressed(1, 10, 0.1, loss=2.0), selected(0), edited(3, 0, B)),
        *(finished(1, checkpoint="new"), requested(4, 3, UnitOn("stage2.unit3"))),
        rejected(4, 3, UnitOn("stage2.unit3")),
    ]
    state, states, copies = SessionState(), [], []
    for event in recorded:
        state = reduce(state, event)
        states.append(state)
        copies.append(msgspec.json.encode(state))
    assert [msgspec.json.encode(s) for s in states] == copies
