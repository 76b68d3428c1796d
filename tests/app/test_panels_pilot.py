"""The panels over the main screen, live on fake processes and in a replay."""

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from sessions.commands import DescribeChannels, MeasureActivations, RunJob
from sessions.events import (
    ActivationsMeasured,
    ChannelsDescribed,
    JobFinished,
)
from widgets.channel_bars import ChannelBars, heading
from widgets.confusion import ConfusionMap
from widgets.event_list import EventList
from widgets.network_tree import NetworkTree
from widgets.score_plane import ScorePlane
from workbench.app import WorkbenchApp
from workbench.player import Player
from workbench.screens.activity import ActivityScreen
from workbench.screens.channels import ChannelsScreen
from workbench.screens.confusion import ConfusionScreen
from workbench.screens.main import MainScreen
from workbench.screens.plane import PlaneScreen
from workbench.screens.variants import VariantsScreen

SIZES = [(80, 24), (120, 36), (200, 60)]


def words(screen: Any, selector: str) -> str:
    return str(screen.query_one(selector, Static).render())


async def measured(staged: Any, pilot: Any, f1: float) -> None:
    """Measure the current variant."""
    staged.live.queue_job("evaluate")
    number = max(staged.live.state.jobs)
    staged.finish_job(number, f1)
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["P", "b", "L", "m", "t"])
async def test_every_panel_closes_with_its_own_key_and_with_escape(
    opened_app: Any, key: str, size: tuple[int, int]
) -> None:
    async with opened_app(size) as (app, pilot):
        for closing in (key, "escape"):
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, MainScreen)
            await pilot.press(closing)
            await pilot.pause()
            assert isinstance(app.screen, MainScreen)


async def test_the_plane_shows_measured_variants_lists_the_others_and_jumps(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        # GIVEN the opened model and one cut measured, another one not
        await measured(staged, pilot, 0.83)
        staged.live.toggle("stage1.unit3")
        await staged.confirm()
        await measured(staged, pilot, 0.80)
        staged.live.toggle("stage1.unit2")
        await staged.confirm()
        # WHEN
        await pilot.press("P")
        await pilot.pause()
        # THEN
        assert isinstance(app.screen, PlaneScreen)
        plane = app.screen.query_one(ScorePlane)
        drawn = shows(plane)
        assert "■v0" in drawn
        assert "v1" in drawn
        assert "v2" not in drawn
        assert "not measured" in words(app.screen, "#beside")
        assert "v2 stage1.unit2 off" in words(app.screen, "#beside")
        # WHEN a point with more MACs is selected, then one with fewer
        await pilot.press("right", "right")
        assert plane.cursor == 0
        await pilot.press("left")
        assert plane.cursor == 1
        assert "F1 0.8000" in words(app.screen, "#selected")
        await pilot.press("enter")
        await pilot.pause()
        # THEN
        assert isinstance(app.screen, MainScreen)
        assert staged.live.state.current == 1


async def test_the_plane_follows_what_is_measured_while_it_is_open(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("P")
        await pilot.pause()
        plane = app.screen.query_one(ScorePlane)
        assert plane.view.points == ()
        assert "not measured: v0" in words(app.screen, "#below")
        await measured(staged, pilot, 0.8)
        assert [point.number for point in plane.view.points] == [0]
        assert not app.screen.query_one("#below").display


async def test_a_click_on_a_point_selects_it_and_a_double_click_jumps(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await measured(staged, pilot, 0.83)
        staged.live.toggle("stage1.unit3")
        await staged.confirm()
        await measured(staged, pilot, 0.70)
        await pilot.press("P")
        await pilot.pause()
        plane = app.screen.query_one(ScorePlane)
        lines = [plane.render_line(y).text for y in range(plane.size.height)]
        y = next(y for y, line in enumerate(lines) if "■" in line)
        await pilot.click(ScorePlane, offset=(lines[y].index("■"), y))
        assert plane.cursor == 0
        await pilot.click(ScorePlane, offset=(lines[y].index("■"), y), times=2)
        await pilot.pause()
        assert staged.live.state.current == 0


async def test_channels_are_asked_for_once_and_shown_with_what_a_cut_takes(
    opened_app: Any, staged: Any, until: Any, shows: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await pilot.press("b")
        await until(pilot, lambda: isinstance(staged.engine.commands[-1], DescribeChannels))
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], MeasureActivations))
        assert isinstance(app.screen, ChannelsScreen)
        asked = staged.engine.commands[-1]
        width = staged.network.axes[asked.axis].width
        assert asked.edit is not None
        # WHEN both answer
        importance = tuple(2 * (at + 1) / (width + 1) for at in reversed(range(width)))
        staged.engine.answer(
            ChannelsDescribed(
                variant=0, axis=asked.axis, criterion="l2", importance=importance, taken=(4,)
            )
        )
        stds = {asked.axis: tuple(0.5 for _ in range(width))}
        staged.trainer.answer(ActivationsMeasured(variant=0, images=128, stds=stds))
        await pilot.pause()
        # THEN the least important comes first, and what the cut takes is marked
        bars = app.screen.query_one(ChannelBars)
        lines = shows(bars).splitlines()
        assert lines[0].split()[0] == str(width)
        assert [line.split()[0] for line in lines if line.rstrip().endswith("cut")] == ["5"]
        assert "activations of 128 training images" in words(app.screen, "#what")
        assert "takes 1" in words(app.screen, "#cut")
        await pilot.press("o")
        assert shows(bars).splitlines()[0].split()[0] == "1"
        # WHEN something else happens
        asked_before = len(staged.engine.commands), len(staged.trainer.commands)
        staged.live.name_variant(0, "mine")
        await pilot.pause()
        # THEN nothing is asked again
        assert (len(staged.engine.commands), len(staged.trainer.commands)) == asked_before


async def test_a_criterion_that_needs_images_offers_to_measure_and_then_asks(
    opened_app: Any, staged: Any, until: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await pilot.press("b")
        await pilot.pause()
        await pilot.press(*"cccccc")
        assert "by Taylor score: not measured on images yet; m measures" in words(
            app.screen, "#cut"
        )
        await pilot.press("m")
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        job = staged.trainer.commands[-1]
        assert job.job_kind == "measure"
        staged.trainer.answer(JobFinished(job=job.job, scores="ab" * 32))
        await until(pilot, lambda: isinstance(staged.engine.commands[-1], DescribeChannels)
                    and staged.engine.commands[-1].scores == "ab" * 32)  # fmt: skip
        assert staged.engine.commands[-1].criterion == "taylor"


async def test_why_there_are_no_channels_is_told(opened_app: Any, staged: Any, until: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("b")
        await until(pilot, lambda: isinstance(staged.engine.commands[-1], DescribeChannels))
        axis = staged.engine.commands[-1].axis
        staged.engine.answer(
            ChannelsDescribed(variant=0, axis=axis, criterion="l2", reason="checkpoint is gone")
        )
        staged.trainer.answer(ActivationsMeasured(variant=0, reason="the disk is full"))
        await pilot.pause()
        assert "checkpoint is gone" in words(app.screen, "#cut")
        assert "the disk is full" in words(app.screen, "#what")


@pytest.mark.parametrize("key", ["P", "L", "t", "m"])
async def test_panels_of_a_replay_follow_it_and_change_nothing(recorded: Path, key: str) -> None:
    before = (recorded / "session.jsonl").read_bytes()
    player = Player(recorded, is_paused=True)
    app = WorkbenchApp(player)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        player.seek_share(1.0)
        await pilot.press(key)
        await pilot.pause()
        screen = app.screen
        assert not isinstance(screen, MainScreen)
        # WHEN a variant would be jumped to
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is screen
        assert player.state.current == 3
        # WHEN the replay goes back
        player.seek_share(0.0)
        player.step(1)
        await pilot.pause()
        if isinstance(screen, PlaneScreen):
            assert screen.query_one(ScorePlane).view.points == ()
        if isinstance(screen, ActivityScreen):
            assert screen.query_one(EventList).count == player.playback.index
        if isinstance(screen, VariantsScreen):
            assert screen.query_one("OptionList").option_count == 1  # type: ignore[attr-defined]
        if isinstance(screen, ConfusionScreen):
            assert screen.query_one(ConfusionMap).view is None
    assert (recorded / "session.jsonl").read_bytes() == before


async def test_channels_of_a_stage_say_where_its_others_come_from(
    opened_app: Any, shows: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        app.main.query_one(NetworkTree).cursor = "stage1"
        await pilot.press("b")
        await pilot.pause()
        assert "stage1 adds 54 channels to the 6 of init" in words(app.screen, "#what")
        await pilot.press("tab")
        await pilot.pause()
        drawn = words(app.screen, "#heading")
        bars = app.screen.query_one(ChannelBars)
        assert drawn == heading(bars.scrollable_content_region.width)
