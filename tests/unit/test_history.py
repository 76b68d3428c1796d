"""The tree of variants: undo, redo, branches, lineages and what is compared with what."""

import pytest

from sessions import edits, events, history, macs
from sessions.commands import Lineage
from sessions.edits import Classes, UnitOff
from sessions.reducer import reduce, reduce_all
from sessions.state import SessionState

A, B, C = UnitOff("stage1.unit2"), UnitOff("stage2.unit3"), UnitOff("stage3.unit4")


@pytest.fixture
def opened(published):
    network = published()
    return events.ModelOpened(
        source="m", sha256="", checkpoint="stored", network=network, weights_sha256="", stats={},
        macs=macs.count(network), ptflops_macs=0,
    )  # fmt: skip


def edited(variant, parent, edit, *, is_preparation=False):
    return events.Edited(
        variant=variant, parent=parent, edit=edit, macs=0, weights_sha256="", exact=True,
        is_preparation=is_preparation,
    )  # fmt: skip


def trained(job, variant, result):
    return [
        events.JobQueued(job=job, job_kind="fine-tune", variant=variant, result=result),
        events.JobStarted(job=job, device="cpu", steps=1),
        events.JobFinished(job=job, checkpoint=f"after-{job}"),
    ]


def go(state, number):
    return reduce(state, events.VariantSelected(variant=number))


def undone(state):
    return go(state, history.undo_target(state))


def redone(state):
    return go(state, history.redo_target(state))


def test_nothing_opened_leads_nowhere():
    state = SessionState()
    assert history.undo_target(state) is None
    assert history.redo_target(state) is None
    assert history.baseline(state) is None
    assert history.previous(state) is None


def test_the_opened_model_leads_nowhere(opened):
    state = reduce_all([opened])
    assert (history.undo_target(state), history.redo_target(state)) == (None, None)
    assert history.previous(state) is None


def test_undo_and_redo_walk_the_same_way(opened):
    state = reduce_all([opened, edited(1, 0, A), edited(2, 1, B), edited(3, 2, C)])
    back = []
    while history.undo_target(state) is not None:
        state = undone(state)
        back.append(state.current)
    forth = []
    while history.redo_target(state) is not None:
        state = redone(state)
        forth.append(state.current)
    assert (back, forth) == ([2, 1, 0], [1, 2, 3])


def test_undo_gives_the_network_of_before(opened):
    state = reduce_all([opened, edited(1, 0, A)])
    assert undone(state).variant.network == opened.network
    assert redone(undone(state)).variant == state.variant


def test_redo_follows_the_branch_that_was_left_last(opened):
    state = reduce_all([opened, edited(1, 0, A), edited(2, 1, B)])
    state = undone(undone(state))
    state = reduce(state, edited(3, 0, C))
    assert history.undo_target(state) == 0
    assert history.redo_target(state) is None
    assert history.redo_target(undone(state)) == 3
    assert history.redo_target(undone(go(state, 1))) == 1
    assert history.redo_target(undone(undone(go(state, 2)))) == 1


def test_no_branch_is_lost_by_branching(opened):
    state = reduce_all([opened, edited(1, 0, A), edited(2, 1, B)])
    state = reduce(undone(undone(state)), edited(3, 0, C))
    assert state.variants.keys() == {0, 1, 2, 3}
    assert [variant.number for variant in history.path(state, 2)] == [0, 1, 2]
    assert [variant.number for variant in history.path(state, 3)] == [0, 3]


def test_preparation_is_not_undone(opened):
    state = reduce_all([opened, edited(1, 0, Classes(4), is_preparation=True)])
    assert history.undo_target(state) is None
    assert history.baseline(state).number == 1
    state = reduce(state, edited(2, 1, A))
    assert history.undo_target(state) == 1
    assert history.undo_target(undone(state)) is None
    assert history.previous(state).number == 1


def test_the_baseline_is_the_opened_model_where_nothing_was_prepared(opened):
    assert history.baseline(reduce_all([opened, edited(1, 0, A)])).number == 0


def test_redo_after_a_rejection_leads_nowhere(opened):
    request = events.EditRequested(variant=1, parent=0, edit=A)
    refusal = events.EditRejected(variant=1, parent=0, edit=A, reason="no")
    state = reduce_all([opened, request, refusal])
    assert history.redo_target(state) is None
    assert history.undo_target(state) is None


def test_redo_after_a_rejected_branch_leads_to_the_one_before(opened):
    state = reduce_all([opened, edited(1, 0, A), events.VariantSelected(variant=0)])
    assert history.redo_target(state) == 1
    for event in (
        events.EditRequested(variant=2, parent=0, edit=B),
        events.EditRejected(variant=2, parent=0, edit=B, reason="no"),
    ):
        state = reduce(state, event)
    assert state.current == 0
    assert history.redo_target(state) in (None, 1)


@pytest.mark.parametrize(
    ("number", "lineage"),
    [
        (0, Lineage("stored")),
        (1, Lineage("stored", (A,))),
        (2, Lineage("stored", (A, B))),
        (3, Lineage("after-1")),
        (4, Lineage("after-1", (C,))),
        (5, Lineage("stored", (C,))),
    ],
)
def test_weights_follow_from_the_nearest_checkpoint(opened, number, lineage):
    state = reduce_all(
        [
            *(opened, edited(1, 0, A), edited(2, 1, B)),
            *trained(1, 2, 3),
            *(edited(4, 3, C), edited(5, 0, C)),
        ]
    )
    assert history.lineage(state, number) == lineage


def test_an_unknown_variant_has_no_lineage(opened):
    with pytest.raises(KeyError):
        history.lineage(reduce_all([opened]), 7)


def test_training_can_be_undone(opened):
    state = reduce_all([opened, edited(1, 0, A), *trained(1, 1, 2)])
    assert state.current == 2
    assert undone(state).current == 1
    assert redone(undone(state)).current == 2


def test_edits_since_a_job_began_can_be_carried_over_to_its_result(opened):
    # GIVEN a job on v0 that ends after two edits on v0
    state = reduce_all([opened, edited(1, 0, A), edited(2, 1, B), *trained(1, 0, 3)])
    state = go(state, 2)
    # THEN they are what its result waits for
    assert history.carriable(state) == (3, (A, B))
    assert history.edits_since(state, 0, 2) == (A, B)


def test_what_a_job_made_is_not_an_edit_to_carry(opened):
    state = reduce_all([opened, *trained(1, 0, 1), edited(2, 1, A)])
    assert history.edits_since(state, 0, 2) is None
    assert history.carriable(state) is None
    assert history.carriable(go(state, 0)) is None


def test_the_latest_result_is_the_one_to_carry(opened):
    steps = [opened, edited(1, 0, A), *trained(1, 0, 2), *trained(2, 0, 3)]
    assert history.carriable(go(reduce_all(steps), 1)) == (3, (A,))


def test_the_tree_keeps_branches_together_and_the_latest_on_its_line(opened):
    state = reduce_all([opened, edited(1, 0, A), edited(2, 1, B), edited(3, 0, C), edited(4, 3, A)])
    assert history.tree(state) == [(0, 0), (1, 1), (2, 1), (3, 0), (4, 0)]


def test_differences_name_units_and_their_macs(published):
    before = published()
    after = edits.apply(edits.apply(before, UnitOff("stage1.unit2")), edits.Mid("stage2.unit4", 24))
    rows = {row.path: row for row in history.differences(before, after)}
    assert rows.keys() == {"stage1.unit2", "stage2.unit4"}
    assert (rows["stage1.unit2"].after, rows["stage1.unit2"].macs) == ("off", -91_500)
    assert rows["stage2.unit4"].before == "30/3 → 30 3×3 → 120/3"
    assert rows["stage2.unit4"].after == "24/3 → 24 3×3 → 120/3"
    assert sum(row.macs for row in rows.values()) == macs.count(after) - macs.count(before)


def test_a_name_is_given_and_taken_away(opened):
    state = reduce(reduce_all([opened]), events.VariantNamed(variant=0, name="base"))
    assert state.variants[0].name == "base"
    assert reduce(state, events.VariantNamed(variant=0, name="")).variants[0].name == ""
    assert reduce(state, events.VariantNamed(variant=9, name="x")) == state


def measured(job, variant, f1):
    found = events.Evaluation(split="validation", images=9, f1=f1, accuracy=f1, classes=())
    return [
        events.JobQueued(job=job, job_kind="evaluate", variant=variant),
        events.Evaluated(job=job, evaluation=found),
        events.JobFinished(job=job),
    ]


def test_the_teacher_is_the_best_measured_network_from_before_the_cut(opened):
    state = reduce_all([opened, edited(1, 0, A)])
    assert history.teacher(state, 1) is None  # nothing was measured
    for event in measured(1, 0, 0.8):
        state = reduce(state, event)
    assert history.teacher(state, 1).number == 0
    assert history.teacher(state, 0) is None  # nothing was cut
    for event in [*trained(2, 0, 2), *measured(3, 2, 0.9), edited(3, 2, B)]:
        state = reduce(state, event)
    assert history.teacher(state, 3).number == 2
    assert history.teacher(state, 1).number == 0


def test_a_network_of_other_classes_is_no_teacher(opened):
    steps = [opened, *measured(1, 0, 0.8), edited(1, 0, Classes(4)), edited(2, 1, A)]
    assert history.teacher(reduce_all(steps), 2) is None
