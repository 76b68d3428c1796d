"""Recovery on the screen: rungs, batch norm's promise, pause, teachers, and augmented images."""

from typing import Any

import pytest
from textual.widgets import Label

from sessions import history
from sessions.commands import DrawSamples, RunJob, StopJob
from sessions.events import (
    BATCH_NORM,
    RAW,
    REPAIR,
    SHORT,
    Evaluated,
    JobFinished,
    JobPaused,
    JobQueued,
    JobStarted,
    SamplesDrawn,
)
from sessions.recipe import BEFORE_CUT
from widgets.job_line import JobLine
from widgets.photos import photo_cells, shown
from widgets.score_panel import ScorePanel
from workbench.screens import views
from workbench.screens.recipe import RecipeScreen
from workbench.screens.samples import SamplesScreen, sizes_for
from workbench.session import RequestError
from workbench.toasts import recovery

RUNGS = ((RAW, 0.2, None), (BATCH_NORM, 0.5, 0.0), (REPAIR, 0.7, 0.0), (SHORT, 0.8, 3.0))


def climb(staged: Any, evaluation_of: Any, job: int, rungs: Any = RUNGS) -> None:
    staged.trainer.answer(JobStarted(job=job, device="cpu", steps=1))
    staged.trainer.answer(
        *(
            Evaluated(job=job, evaluation=evaluation_of(f1), epoch=epoch, rung=rung)
            for rung, f1, epoch in rungs
        )
    )


@pytest.fixture
async def measured(staged: Any) -> Any:
    """Model and data are open, and the network is measured."""
    await staged.live.start()
    await staged.until(lambda: staged.engine.commands)
    staged.open_model()
    staged.open_data()
    staged.live.queue_job("evaluate")
    staged.trainer.answer(JobStarted(job=1, device="cpu", steps=1))
    staged.finish_job(1, 0.9)
    return staged


async def sent(staged: Any) -> None:
    """The latest job reached the trainer."""
    latest = max(staged.live.state.jobs)
    await staged.until(
        lambda: isinstance(last := staged.trainer.commands[-1], RunJob) and last.job == latest
    )


async def test_every_rung_of_a_recovery_is_told_and_drawn(
    measured: Any, evaluation_of: Any
) -> None:
    live = measured.live
    live.toggle("stage1.unit2")
    await measured.confirm()
    live.queue_job("recover")
    await sent(measured)
    job = measured.trainer.commands[-1].job
    climb(measured, evaluation_of, job)
    view = views.score_view(live.state)
    assert view is not None
    assert view.f1_notes[0] == (
        "live: raw 0.200, batch norm 0.500, fitted 0.700, short fine-tune 0.800"
    )
    measured.trainer.answer(
        JobFinished(job=job, checkpoint="c" * 64, evaluation=evaluation_of(0.8))
    )
    assert recovery(live.state, job) == (
        "F1 before the edits 0.9000, raw 0.2000, batch norm 0.5000, fitted 0.7000, "
        "short fine-tune 0.8000"
    )
    curves = views.curves_view(live.state)
    assert [(value, name) for _, value, name in curves.rungs] == [
        (f1, rung) for rung, f1, _ in RUNGS
    ]
    assert all(curves.f1[int(at)][1] == value for at, value, _ in curves.rungs)


async def test_a_cut_network_shows_what_batch_norm_would_bring(
    measured: Any, evaluation_of: Any
) -> None:
    live = measured.live
    live.toggle("stage1.unit2")
    await measured.confirm()
    live.queue_job("evaluate")
    climb(measured, evaluation_of, max(live.state.jobs), RUNGS[:2])
    note = views.score_view(live.state).f1_notes[0]
    assert note.startswith("→ 0.500 batch norm · ")
    assert live.state.variant.evaluation.f1 == 0.2


async def test_the_natural_teacher_goes_with_the_job(measured: Any) -> None:
    live = measured.live
    assert not live.can_distil
    with pytest.raises(RequestError, match="no teacher yet"):
        live.distil()
    live.toggle("stage1.unit2")
    await measured.confirm()
    assert live.can_distil
    live.distil()
    await sent(measured)
    command = measured.trainer.commands[-1]
    assert command.recipe.teachers == (BEFORE_CUT,)
    assert command.teacher == history.lineage(live.state, 0)
    assert live.state.recipe.teachers == ()


async def test_a_paused_job_goes_on_with_the_same_teacher(measured: Any) -> None:
    live = measured.live
    live.toggle("stage1.unit2")
    await measured.confirm()
    live.distil()
    await sent(measured)
    job = measured.trainer.commands[-1].job
    measured.start_job(job)
    live.pause_job()
    await measured.until(lambda: isinstance(measured.trainer.commands[-1], StopJob))
    assert measured.trainer.commands[-1].is_pause
    measured.trainer.answer(JobPaused(job=job))
    assert views.job_view(live.state).message.startswith("fine-tune of v1 is paused")
    assert not views.job_view(live.state).is_warning
    live.resume_job()
    await sent(measured)
    again = measured.trainer.commands[-1]
    assert (again.job, again.teacher) == (job, history.lineage(live.state, 0))


async def test_an_edit_ends_what_runs_by_itself_and_nothing_else(measured: Any) -> None:
    live = measured.live
    live.dispatch(JobQueued(job=9, job_kind="evaluate", variant=0, is_automatic=True))
    live.dispatch(JobStarted(job=9, device="cpu", steps=1))
    live.toggle("stage1.unit2")
    await measured.until(lambda: isinstance(measured.trainer.commands[-1], StopJob))
    assert measured.trainer.commands[-1] == StopJob(job=9)
    live.dispatch(JobFinished(job=9))
    await measured.confirm()
    live.queue_job("fine-tune")
    await sent(measured)
    measured.start_job(measured.trainer.commands[-1].job)
    live.toggle("stage2.unit3")
    await measured.confirm()
    assert isinstance(measured.trainer.commands[-1], RunJob)


async def test_images_are_shown_as_the_presets_change_them(
    opened_app: Any, staged: Any, until: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], DrawSamples))
        asked = staged.trainer.commands[-1]
        assert asked.recipe.augmentation == staged.live.state.recipe.augmentation
        red = bytes((255, 0, 0)) * asked.edge**2
        rows = ((red,) * (asked.copies + 1),) * 2
        staged.trainer.answer(SamplesDrawn(edge=asked.edge, rows=rows, names=("glass", "유리")))
        await pilot.pause()
        assert isinstance(app.screen, SamplesScreen)
        assert "first as it is" in str(app.screen.query_one("#title", Label).render())
        await pilot.press("a")
        await until(
            pilot,
            lambda: staged.trainer.commands[-1].recipe.augmentation != asked.recipe.augmentation,
        )
        staged.trainer.answer(SamplesDrawn(edge=asked.edge, reason="the pipeline fails"))
        await pilot.pause()
        assert "the pipeline fails" in str(app.screen.query_one("#title", Label).render())


async def test_the_images_lead_on_to_the_recipe(opened_app: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("i", "F")
        await pilot.pause()
        assert isinstance(app.screen, RecipeScreen)
        assert not any(isinstance(screen, SamplesScreen) for screen in app.screen_stack)


@pytest.mark.parametrize("width", [73, 113, 193, 293])
def test_photos_and_their_copies_fill_the_width(width: int) -> None:
    copies, edge = sizes_for(width)
    used = (copies + 1) * (edge + 1) - 1
    assert width - edge < used <= width


def test_two_pixels_share_a_cell() -> None:
    image = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9))  # red green / blue grey
    cells = photo_cells(image, 2, 0)
    assert [cell.text for cell in cells] == ["▀", "▀"]
    styles = [cell.style for cell in cells if cell.style is not None]
    assert [style.color.triplet for style in styles if style.color] == [(255, 0, 0), (0, 255, 0)]
    assert [style.bgcolor.triplet for style in styles if style.bgcolor] == [(0, 0, 255), (9, 9, 9)]


def test_equal_pixels_are_one_run_and_the_last_line_may_have_no_lower_half() -> None:
    image = bytes((7, 7, 7)) * 9
    first, last = (photo_cells(image, 3, line) for line in range(2))
    assert [cell.text for cell in (*first, *last)] == ["▀▀▀", "▀▀▀"]
    assert last[0].style is not None
    assert last[0].style.bgcolor is None


def test_the_colours_shown_are_near_to_those_there_are_and_reach_black_and_white() -> None:
    seen = shown(bytes(range(256)))
    assert (seen[0], seen[255]) == (0, 255)
    assert max(abs(new - old) for old, new in enumerate(seen)) <= 7
    assert shown(seen) == seen


async def test_pausing_and_distilling_are_offered_when_they_are_possible(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app() as (app, pilot):
        assert app.check_action("distil", ()) is False
        assert app.check_action("pause", ()) is False
        await pilot.press("f")
        await pilot.pause()
        staged.start_job(max(staged.live.state.jobs))
        await pilot.pause()
        assert app.check_action("pause", ()) is not False
        assert "fine-tune" in shows(app.screen.query_one(JobLine))
        assert shows(app.screen.query_one(ScorePanel))
