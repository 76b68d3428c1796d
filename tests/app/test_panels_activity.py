"""Jobs and the log of events, over the main screen."""

from typing import Any

from textual.widgets import Input

from widgets.event_list import EventList
from widgets.job_list import JobList
from workbench.screens.activity import ActivityScreen
from workbench.screens.main import MainScreen


async def test_activity_shows_jobs_and_events_and_cancels_a_waiting_job(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        # GIVEN a job that runs and two that wait
        for kind in ("fine-tune", "evaluate", "recover"):
            staged.live.queue_job(kind)
        staged.start_job(1)
        await pilot.press("L")
        await pilot.pause()
        assert isinstance(app.screen, ActivityScreen)
        jobs, events = app.screen.query_one(JobList), app.screen.query_one(EventList)
        lines = shows(jobs).splitlines()
        assert lines[0].split()[:3] == ["▶", "running", "fine-tune"]
        assert "25%" in lines[0]
        assert [line.split()[1] for line in lines[1:3]] == ["waiting", "waiting"]
        assert "opened published.pth: 1,688,940 MACs" in shows(events)
        assert "x cancels" in app.screen.query_one(".panel-body").border_subtitle
        assert "step 10 of 40" not in shows(events)
        # WHEN the last one is cancelled
        await pilot.press("x")
        await pilot.pause()
        # THEN the others stay
        state = staged.live.state
        assert [job.status for job in state.jobs.values()] == ["running", "queued", "cancelled"]
        assert "recovery of v0 was given up" in shows(events)
        # WHEN steps are asked for as well
        await pilot.press("a")
        await pilot.pause()
        assert "step 10 of 40" in shows(events)


async def test_events_are_filtered_while_it_is_typed_and_escape_takes_the_filter_away(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        staged.live.toggle("stage1.unit3")
        await staged.confirm()
        await pilot.press("L")
        await pilot.pause()
        await pilot.press("slash", *"REFU")
        await pilot.pause()
        events = app.screen.query_one(EventList)
        assert events.count == 0
        assert "no event has these words" in shows(events)
        app.screen.query_one(Input).value = "STAGE1.unit3"
        await pilot.pause()
        assert events.count == 2
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert isinstance(app.screen, ActivityScreen)
        assert events.count > 2
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)


async def test_enter_on_an_edit_goes_to_its_variant(opened_app: Any, staged: Any) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        staged.live.toggle("stage1.unit3")
        await staged.confirm()
        staged.live.undo()
        await pilot.press("L")
        await pilot.pause()
        assert "x cancels" not in app.screen.query_one(".panel-body").border_subtitle
        await pilot.press("up", "enter")
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)
        assert staged.live.state.current == 1
