"""Slices of fixed states for the widgets: what each part of the screen is told."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sessions import edits
from sessions.codec import Record
from sessions.events import (
    AnyEvent,
    ClassScore,
    DataFailed,
    DataProgressed,
    DataRequested,
    Edited,
    EditRequested,
    Evaluated,
    Evaluation,
    JobFailed,
    JobFinished,
    JobProgressed,
    JobQueued,
    JobStarted,
    ProcessExited,
    VariantSelected,
)
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.replay import Timeline
from sessions.score import CONTEST
from sessions.state import SessionState
from widgets.job_line import job_text
from widgets.rows import tree_rows
from workbench.screens import panel_views, views
from workbench.screens.variant_lines import variant_lines


def found(f1: float) -> Evaluation:
    """An evaluation of two classes around an F1."""
    classes = (
        ClassScore("glass", f1 - 0.1, f1, f1, 90),
        ClassScore("metal", f1 + 0.1, f1, f1, 110),
    )
    return Evaluation(split="validation", images=200, f1=f1, accuracy=f1, classes=classes)


def after(*happened: AnyEvent) -> SessionState:
    """The state that these events come to."""
    records = [Record(float(number), event) for number, event in enumerate(happened)]
    return Timeline(records).state_at(len(records))


@pytest.fixture
def start(events: dict[str, Callable[..., Any]], network: Network) -> list[AnyEvent]:
    """The published model is open, its data too, and its F1 is known."""
    return [
        events["model"](network),
        events["data"](classes=("glass", "metal", *tuple("abcdefg"))),
        JobQueued(job=1, job_kind="evaluate", variant=0, is_automatic=True),
        JobStarted(job=1, device="cpu", steps=1),
        Evaluated(job=1, evaluation=found(0.835)),
        JobFinished(job=1, evaluation=found(0.835)),
    ]


OFF = EditRequested(variant=1, parent=0, edit=edits.UnitOff("stage1.unit3"))
FINE_TUNE = JobQueued(job=2, job_kind="fine-tune", variant=0, result=2, recipe=Recipe(epochs=4))
RUNNING = (
    FINE_TUNE,
    JobStarted(job=2, device="cpu", steps=40),
    JobProgressed(
        job=2, phase="training", step=15, steps=40, epoch=1.5, loss=0.42, images_per_s=600, left_s=9
    ),
)


def test_before_the_model_is_open_there_is_nothing_but_a_word() -> None:
    state = SessionState()
    assert views.title(state) == "workbench"
    assert views.facts(state) == ""
    assert views.score_view(state) is None
    assert panel_views.class_rows(state) == ()
    assert views.job_view(state).message == "opening the model …"
    assert views.job_view(state, is_live=False).message == "before the model was opened"


def test_the_title_names_the_file_and_the_step(start: list[AnyEvent]) -> None:
    assert views.title(after(*start)) == "published.pth"
    state = after(*start, OFF)
    assert views.title(state) == "published.pth › v1 stage1.unit3 off"
    assert views.facts(state) == "3-8-4 · 80×80 · 9 classes · trashnet"


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        ((), "· no data"),
        ((DataRequested(source="/data/trashnet"),), "· opening data …"),
        ((DataFailed(source="/data/trashnet", reason="no images"),), "· data failed"),
    ],
    ids=["none", "opening", "failed"],
)
def test_facts_without_data_say_so(
    happened: tuple[AnyEvent, ...], words: str, events: dict[str, Any], network: Network
) -> None:
    assert views.facts(after(events["model"](network), *happened)).endswith(words)


def test_on_the_opened_model_there_is_nothing_to_compare_with(start: list[AnyEvent]) -> None:
    view = views.score_view(after(*start))
    assert view is not None
    assert (view.now.macs, view.now.f1) == (1_688_940, 0.835)
    assert view.now.score == pytest.approx(1_688_940 / 13_878_369 + 1 - 0.835 / 0.8367)
    assert (view.opened, view.before) == (None, None)
    assert view.f1_notes[0] == "200 validation images"


def test_an_edit_is_compared_with_the_opened_model_before_it_is_measured(
    start: list[AnyEvent],
) -> None:
    view = views.score_view(after(*start, OFF))
    assert view is not None
    assert (view.now.macs, view.now.f1, view.now.score) == (1_597_440, None, None)
    assert view.opened is not None
    assert view.opened.macs == 1_688_940
    assert view.before == view.opened
    assert view.f1_notes[0] == "not measured: press e"


def test_weights_in_training_are_live_and_compared_with_those_before(
    start: list[AnyEvent],
) -> None:
    state = after(*start, *RUNNING, Evaluated(job=2, evaluation=found(0.81), epoch=1.0))
    view = views.score_view(state)
    assert view is not None
    assert view.is_live
    assert view.now.f1 == 0.81
    assert view.before is not None
    assert view.before.f1 == 0.835
    assert view.f1_notes[0] == "live, epoch 1.5 of 4 · validation"


def test_another_variant_is_not_shown_with_the_f1_of_the_one_in_training(
    start: list[AnyEvent],
) -> None:
    state = after(*start, *RUNNING, Evaluated(job=2, evaluation=found(0.81), epoch=1.0), OFF)
    view = views.score_view(state)
    assert view is not None
    assert not view.is_live
    assert view.now.f1 is None


def test_class_rows_change_against_the_opened_model(start: list[AnyEvent]) -> None:
    assert [row.change for row in panel_views.class_rows(after(*start))] == [None, None]
    trained = JobFinished(job=2, checkpoint="ab", evaluation=found(0.80))
    rows = panel_views.class_rows(after(*start, *RUNNING, trained))
    assert [row.name for row in rows] == ["glass", "metal"]
    assert [row.change for row in rows] == [pytest.approx(-0.035), pytest.approx(-0.035)]


def test_curves_join_all_jobs_and_mark_the_cuts(start: list[AnyEvent]) -> None:
    measured = (
        OFF,
        JobQueued(job=2, job_kind="evaluate", variant=1),
        JobStarted(job=2, device="cpu", steps=1),
        Evaluated(job=2, evaluation=found(0.5)),
        JobFinished(job=2, evaluation=found(0.5)),
        JobQueued(job=3, job_kind="fine-tune", variant=1, result=2, recipe=Recipe(epochs=1)),
        JobStarted(job=3, device="cpu", steps=10),
        JobProgressed(job=3, phase="training", step=5, steps=10, epoch=0.5, loss=0.9),
        JobProgressed(job=3, phase="training", step=10, steps=10, epoch=1.0, loss=0.8),
        Evaluated(job=3, evaluation=found(0.7), epoch=1.0),
    )
    view = views.curves_view(after(*start, *measured))
    assert view.f1 == ((0, 0.835), (1, 0.5), (2, 0.7))
    assert view.loss == ((0.5, 0.9), (1.0, 0.8))
    assert view.marks == (1,)


def test_a_running_job_is_described_by_epoch_loss_and_share(start: list[AnyEvent]) -> None:
    view = views.job_view(after(*start, *RUNNING))
    assert (view.name, view.detail) == ("fine-tune", "v0 epoch 2/4 loss 0.420")
    assert view.share == pytest.approx(15 / 40)
    assert (view.images_per_s, view.left_s) == (600, 9)


def test_the_last_batch_is_still_in_the_last_epoch(start: list[AnyEvent]) -> None:
    last = JobProgressed(job=2, phase="training", step=40, steps=40, epoch=4.0, loss=0.3)
    assert "epoch 4/4" in views.job_view(after(*start, *RUNNING, last)).detail


def test_jobs_that_wait_are_named_after_the_running_one(start: list[AnyEvent]) -> None:
    waiting = JobQueued(job=3, job_kind="evaluate", variant=0)
    assert views.job_view(after(*start, *RUNNING, waiting)).queue == "evaluate"


@pytest.mark.parametrize(
    ("happened", "words", "is_warning"),
    [
        ((), ("ready", "2,022 training", "505 validation"), False),
        ((FINE_TUNE,), (), False),
        (
            (*RUNNING, JobFailed(job=2, reason="the loss became nan")),
            ("fine-tune of v0 failed", "nan"),
            True,
        ),
        (
            (*RUNNING, ProcessExited(process="trainer", code=-9, reason="killed")),
            ("fine-tune of v0 was cut off", "c goes on"),
            True,
        ),
        ((DataFailed(source="x", reason="no images"),), ("data: no images",), True),
    ],
    ids=["idle", "starting", "failed", "cut off", "no data"],
)
def test_the_job_line_says_what_there_is_to_know(
    happened: tuple[AnyEvent, ...], words: tuple[str, ...], is_warning: bool, start: list[AnyEvent]
) -> None:
    view = views.job_view(after(*start, *happened))
    assert all(word in view.message for word in words)
    assert view.is_warning == is_warning
    assert bool(view.message) != bool(view.name)


def test_skipped_files_are_counted_in_the_job_line(
    events: dict[str, Any], network: Network
) -> None:
    state = after(events["model"](network), events["data"](skipped_count=3))
    assert "3 skipped" in views.job_view(state).message


def test_a_log_that_cannot_be_written_comes_before_everything_else(start: list[AnyEvent]) -> None:
    view = views.job_view(after(*start), "No space left on device")
    assert view.message.startswith("NOT SAVED: No space left on device")
    assert view.is_warning


def test_a_log_that_cannot_be_written_leaves_the_running_job_in_sight(
    start: list[AnyEvent],
) -> None:
    view = views.job_view(after(*start, *RUNNING), "No space left on device")
    line = job_text(view, 78).plain
    assert line.startswith("NOT SAVED: No space left on device · ▶ fine-tune v0")
    assert "38%" in line
    assert len(line) <= 78


def test_an_edit_that_the_engine_has_not_answered_is_being_checked(start: list[AnyEvent]) -> None:
    assert views.job_view(after(*start, OFF)).message == "v1 stage1.unit3 off: being checked …"
    done = Edited(variant=1, parent=0, edit=OFF.edit, macs=1_597_440, weights_sha256="", exact=True)
    assert "checked" not in views.job_view(after(*start, OFF, done)).message


def test_a_refusal_is_told_until_a_job_has_the_line(start: list[AnyEvent]) -> None:
    view = views.job_view(after(*start), refusal="off:stage1.unit3 was not made: x")
    assert view.message == "off:stage1.unit3 was not made: x"
    assert view.is_warning
    assert views.job_view(after(*start, *RUNNING), refusal="x").name == "fine-tune"


@pytest.mark.parametrize(("is_live", "word"), [(True, "starting"), (False, "waits")], ids=str)
def test_a_job_in_the_queue_waits_in_a_recording(
    is_live: bool, word: str, start: list[AnyEvent]
) -> None:
    assert word in views.job_view(after(*start, FINE_TUNE), is_live=is_live).detail


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (lambda opened: opened, "no data: open with --data FOLDER"),
        (
            lambda opened: msgspec.structs.replace(opened, data_source="/data/trashnet"),
            "opening the data …",
        ),
        (
            lambda opened: msgspec.structs.replace(opened, data_error="no images"),
            "data not open: e tries again",
        ),
    ],
    ids=["no data", "opening", "failed"],
)
def test_the_note_beside_f1_says_why_it_is_not_known(
    state: Callable[[SessionState], SessionState],
    note: str,
    events: dict[str, Any],
    network: Network,
) -> None:
    view = views.score_view(state(after(events["model"](network))))
    assert view is not None
    assert view.f1_notes[0] == note


def test_other_classes_in_the_data_are_noted(events: dict[str, Any], network: Network) -> None:
    view = views.score_view(after(events["model"](network), events["data"](classes=("a", "b"))))
    assert view is not None
    assert view.f1_notes[0] == "the data has 2 classes"


def test_data_that_is_being_read_is_shown_like_a_job_until_it_is_there(
    events: dict[str, Any], network: Network
) -> None:
    reading = (
        events["model"](network),
        DataRequested(source="/data/trashnet"),
        DataProgressed(done=640, total=2560),
    )
    view = views.job_view(after(*reading))
    assert (view.name, view.detail) == ("opening", "trashnet 640 of 2,560 images")
    assert view.share == 0.25
    assert views.job_view(after(*reading, events["data"]())).name == ""


def test_data_whose_process_ended_is_not_shown_as_opening(
    events: dict[str, Any], network: Network
) -> None:
    ended = ProcessExited(process="trainer", code=-9, reason="killed")
    state = after(events["model"](network), DataRequested(source="/data/trashnet"), ended)
    view = views.job_view(state)
    assert view.name == ""
    assert view.is_warning


def layer_view_of(state: SessionState, path: str) -> Any:
    variant = state.variant
    assert variant is not None
    opened = state.variants[0].network
    row = next(row for row in tree_rows(variant, opened, CONTEST) if row.path == path)
    return views.layer_view(state, row)


def test_the_layer_panel_of_a_unit_says_what_cutting_it_may_cost(start: list[AnyEvent]) -> None:
    view = layer_view_of(after(*start), "stage2.unit2")
    assert view.title == "stage2.unit2"
    text = "\n".join(view.lines)
    assert "75,750 MACs, 4.5% of the network" in text
    assert "0.0046 F1" in text
    assert view.stats_of in ("compress_conv1", "expand_conv3")


def test_the_layer_panel_of_an_off_unit_says_what_it_saves(start: list[AnyEvent]) -> None:
    view = layer_view_of(after(*start, OFF), "stage1.unit3")
    assert any("off: saves 91,500 MACs" in line for line in view.lines)


def test_the_layer_panel_of_a_downsampling_unit_says_why_it_stays(start: list[AnyEvent]) -> None:
    view = layer_view_of(after(*start), "stage3.unit1")
    assert any("halves the resolution" in line for line in view.lines)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("stage1.unit2.dw_conv2", ("3×3 depthwise", "groups 15", "weights 15×1×3×3")),
        ("stage1.unit2.expand_conv3", ("conv, groups 3", "60×10×10 out", "weights 60×5×1×1")),
        ("output.head", ("weights 9×240×1×1", "2,160 MACs   2,160 parameters")),
    ],
)
def test_the_layer_panel_of_a_layer_has_shape_and_statistics(
    path: str, words: tuple[str, ...], start: list[AnyEvent]
) -> None:
    view = layer_view_of(after(*start), path)
    text = "\n".join(view.lines)
    for word in words:
        assert word in text
    assert "near zero" in text
    assert view.stats is not None


def test_every_row_has_a_layer_view(start: list[AnyEvent]) -> None:
    state = after(*start, OFF)
    variant = state.variant
    assert variant is not None
    for row in tree_rows(variant, state.variants[0].network, CONTEST):
        view = views.layer_view(state, row)
        assert view.title == row.path
        assert view.lines


def test_variants_are_lines_with_their_figures_indented_where_history_branched(
    start: list[AnyEvent],
) -> None:
    state = after(
        *start,
        OFF,
        EditRequested(variant=2, parent=1, edit=edits.UnitOff("stage2.unit4")),
        VariantSelected(variant=0),
        EditRequested(variant=3, parent=0, edit=edits.UnitOff("stage3.unit2")),
    )
    title, *lines = variant_lines(state, 90)
    assert title.split() == ["variant", "units", "MACs", "F1", "interval", "score"]
    assert lines[0].split() == ["v0", "opened", "4-8-4", "1,688,940", "0.8350", "—", "0.1237", "★"]
    assert lines[1].split()[:5] == ["├", "v1", "stage1.unit3", "off", "3-8-4"]
    assert lines[1].split()[5:] == ["1,597,440", "—", "—", "—"]
    assert lines[2].startswith(" │ v2")
    assert [line.index("v") for line in lines] == [1, 3, 3, 1]
    assert lines[3].startswith("▸v3")
    assert {len(line) for line in lines} == {90}
    for name in ("units", "MACs", "F1", "interval", "score"):
        end = title.index(name) + len(name)
        assert all(line[end - 1] != " " and line[end : end + 1] in ("", " ") for line in lines)


def test_a_long_variant_name_leaves_its_figures_whole(start: list[AnyEvent]) -> None:
    long = EditRequested(variant=1, parent=0, edit=edits.Classes(100_000, 123))
    line = variant_lines(after(*start, long), 64)[2]
    assert len(line) == 64
    assert line.split()[-4] == "25,686,780"


def test_the_layer_panel_tells_what_an_edit_kept(start: list[AnyEvent]) -> None:
    cut = edits.Groups("stage3.unit2", 6)
    shares = {"stage3.unit2.compress_conv1": 0.5, "stage3.unit2.expand_conv3": 0.7}
    answer = Edited(
        variant=1, parent=0, edit=cut, macs=1, weights_sha256="x", exact=False, kept=0.6,
        kept_layers=shares,
    )  # fmt: skip
    state = after(*start, answer)
    assert state.variant is not None
    rows = {row.path: row for row in tree_rows(state.variant, state.variants[0].network, CONTEST)}
    lines = {path: views.layer_view(state, rows[path]).lines for path in rows}
    assert "kept 60.0% in stage3.unit2 groups 6" in lines["stage3.unit2"]
    assert "kept 50.0% in stage3.unit2 groups 6" in lines["stage3.unit2.compress_conv1"]
    assert not any("kept" in line for line in lines["stage3.unit3"])
