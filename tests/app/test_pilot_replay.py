"""The replay under a pilot: the same screen, moved by time instead of by edits."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from widgets.class_panel import ClassPanel
from widgets.curves import Curves
from widgets.job_line import JobLine
from widgets.network_tree import NetworkTree
from widgets.replay_bar import ReplayBar
from widgets.score_panel import ScorePanel
from workbench.app import WorkbenchApp, contexts
from workbench.player import Player
from workbench.screens.dialogs import HelpScreen
from workbench.screens.main import MainScreen
from workbench.screens.variants import VariantsScreen


@pytest.fixture
def replayed(recorded: Path) -> Any:
    """Starts the app on the recorded session; gives player, app and pilot."""

    @contextlib.asynccontextmanager
    async def replayed(size: tuple[int, int] = (80, 24), *, is_paused: bool = True) -> Any:
        player = Player(recorded, is_paused=is_paused)
        app = WorkbenchApp(player)
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            yield player, app, pilot

    return replayed


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_the_footer_has_the_replay_keys_and_none_that_edit(
    size: tuple[int, int], replayed: Any
) -> None:
    async with replayed(size) as (_, app, _):
        names = {str(key.description) for key in app.screen.query("FooterKey")}
        assert {"Play/pause", "Step", "Speed", "Seek", "End", "Help", "Quit"} <= names
        assert not names & {"On/off", "Recover", "Fine-tune", "Evaluate", "Undo", "Save", "Stop"}


async def test_keys_that_edit_do_nothing(replayed: Any) -> None:
    async with replayed() as (player, app, pilot):
        await pilot.press("9")
        before = player.state
        await pilot.press("r", "f", "F", "x", "c", "u", "ctrl+r", "s")
        await pilot.pause()
        assert player.state is before or player.state == before
        assert isinstance(app.screen, MainScreen)
        assert not app.screen.query("Toast")


async def test_space_plays_and_pauses_and_never_edits(replayed: Any, until: Any) -> None:
    async with replayed() as (player, _, pilot):
        assert player.playback.seconds == 0
        await pilot.press("space")
        await until(pilot, lambda: player.playback.seconds > 0)
        await pilot.press("space")
        stopped = player.playback.seconds
        await pilot.pause(0.1)
        assert player.playback.seconds == stopped
        assert not player.view.is_playing


async def test_it_plays_to_the_end_and_stops_there(
    replayed: Any, until: Any, shows: Callable[..., str]
) -> None:
    async with replayed(is_paused=False) as (player, app, pilot):
        await pilot.press(*["plus"] * 8)
        assert player.playback.speed == 64
        await until(pilot, lambda: player.playback.is_at_end)
        await pilot.pause()
        assert not player.view.is_playing
        assert "‖ 0:08 / 0:08" in shows(app.main.query_one(ReplayBar))
        assert "0.8120" in shows(app.main.query_one(ScorePanel))


async def test_stepping_goes_from_fact_to_fact_and_over_progress(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed() as (player, app, pilot):
        macs = []
        for _ in range(9):
            await pilot.press("full_stop")
            macs.append(player.state.variant.macs)
        assert macs[6] == 1_688_940
        assert macs[7] == 1_597_440
        assert macs[8] == 1_521_690
        assert "1,521,690" in shows(app.main.query_one(ScorePanel))
        assert "○ unit3" in shows(app.main.query_one(NetworkTree))
        await pilot.press("comma")
        assert player.state.variant.macs == 1_597_440
        assert "● unit4" in shows(app.main.query_one(NetworkTree))
        # WHEN stepping over a fine-tuning THEN its twenty progress reports are one step
        player.seek_share(1.0)
        await pilot.press("comma", "comma")
        assert player.state.jobs[2].status == "running"
        assert player.state.jobs[2].step == 0


async def test_seeking_goes_ten_seconds_and_stays_inside(replayed: Any) -> None:
    async with replayed() as (player, _, pilot):
        await pilot.press("right_square_bracket")
        assert player.playback.is_at_end
        await pilot.press("left_square_bracket")
        assert player.playback.seconds == 0
        await pilot.press("9")
        assert player.playback.is_at_end
        await pilot.press("0")
        assert player.playback.index == 0


async def test_before_the_model_was_open_the_screen_is_empty(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed() as (_, app, pilot):
        await pilot.press("9")
        assert "1,521,690" in shows(app.main.query_one(ScorePanel))
        await pilot.press("0")
        assert "1,521,690" not in shows(app.main.query_one(ScorePanel))
        assert app.main.query_one(NetworkTree).rows == ()
        assert app.main.query_one(ClassPanel).rows == ()
        assert app.main.query_one(Curves).view.f1 == ()


async def test_speed_changes_by_notches_and_is_shown(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed() as (player, app, pilot):
        await pilot.press("plus", "plus")
        assert player.playback.speed == 4
        assert "4x" in shows(app.main.query_one(ReplayBar))
        await pilot.press(*["minus"] * 6)
        assert player.playback.speed == 0.25
        assert "0.25x" in shows(app.main.query_one(ReplayBar))


async def test_a_click_on_the_bar_seeks_there(replayed: Any, shows: Callable[..., str]) -> None:
    async with replayed() as (player, app, pilot):
        width = app.main.query_one(ReplayBar).size.width
        await pilot.click(ReplayBar, offset=(1 + (width - 1) // 2, 0))
        total = player.playback.timeline.seconds
        assert 0.45 * total < player.playback.seconds < 0.55 * total
        await pilot.click(ReplayBar, offset=(width, 0))
        assert player.playback.is_at_end


async def test_a_click_on_a_mark_of_the_tree_edits_nothing(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed() as (player, app, pilot):
        await pilot.press("9")
        before = player.state
        line = shows(app.main.query_one(NetworkTree)).splitlines()[4]
        await pilot.click(NetworkTree, offset=(line.index("●"), 4))
        assert app.main.query_one(NetworkTree).cursor == "stage1.unit2"
        assert player.state == before


async def test_help_and_variants_open_and_edit_nothing(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed() as (player, app, pilot):
        await pilot.press("9", "t")
        await pilot.pause()
        assert isinstance(app.screen, VariantsScreen)
        await pilot.press("up", "enter")
        assert player.state.current == 3
        await pilot.press("escape")
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        text = "\n".join(shows(part) for part in app.screen.query("Static"))
        assert "Play or pause the replay" in text
        assert "Switch the selected unit" not in text


async def test_no_unit_can_be_marked_in_a_recording(replayed: Any) -> None:
    async with replayed() as (_, app, pilot):
        await pilot.press("9", "v")
        await pilot.pause()
        assert app.main.query_one(NetworkTree).marked == ()
        await pilot.click(NetworkTree, offset=(0, 4))
        assert app.main.query_one(NetworkTree).marked == ()
        _, keys = contexts()
        tooltips = {binding.action: binding.tooltip for binding in keys}
        assert "space then switches" not in " ".join(tooltips.values())
        assert "start, follow" not in tooltips["search"]


async def test_the_job_line_offers_no_key_that_replay_does_not_have(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed() as (_, app, pilot):
        await pilot.press("9")
        line = shows(app.main.query_one(JobLine)).strip()
        assert line == "ready · 2,022 training, 505 validation images"
