"""The timeline of a replay under a pilot: marks, jumps, two moments compared, a branch."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessions import log
from widgets import timeline
from widgets.network_tree import NetworkTree
from widgets.replay_bar import ReplayBar
from workbench import live as live_module
from workbench import replaying
from workbench.app import WorkbenchApp
from workbench.player import Player
from workbench.screens.branching import BranchScreen, free_folder
from workbench.screens.dialogs import HelpScreen
from workbench.screens.moments import MomentsScreen


@pytest.fixture
def replayed(recorded: Path) -> Any:
    """Starts the app on the recorded session, paused; gives player, app and pilot."""

    @contextlib.asynccontextmanager
    async def replayed(size: tuple[int, int] = (80, 24)) -> Any:
        player = Player(recorded, is_paused=True)
        app = WorkbenchApp(player)
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            yield player, app, pilot

    return replayed


def bar(app: WorkbenchApp, shows: Callable[..., str]) -> list[str]:
    return shows(app.main.query_one(ReplayBar)).splitlines()


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=str)
async def test_the_track_shows_edits_jobs_and_evaluations_at_their_times(
    size: tuple[int, int], replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed(size) as (_player, app, pilot):
        await pilot.press("9")
        await pilot.pause()
        *track, words = bar(app, shows)
        assert len(track) == (1 if size[1] < 30 else 2)
        signs = "".join(track)
        assert signs.count("○") == 2
        assert signs.count("◆") == 2 or size[0] == 80
        width = len(track[0])
        # THEN the edits of 3 and 4 seconds lie where 3 and 4 of 8.2 seconds are
        edits = [at for at, sign in enumerate(track[0]) if sign == "○"]
        assert edits == [round(t / 8.2 * (width - 1)) for t in (3.0, 4.0)]
        # THEN the fine-tuning runs from 6 seconds on
        assert track[-1].index("━") == round(6.0 / 8.2 * (width - 1))
        assert "fine-tune finished: v3" in words
        assert "event 35/35" in words
        assert all(len(line) <= size[0] for line in (*track, words))


async def test_the_words_say_what_happened_last(replayed: Any, shows: Callable[..., str]) -> None:
    async with replayed() as (player, app, _pilot):
        assert "the session begins" in bar(app, shows)[-1]
        found = {}
        for moment in range(1, len(player.playback.timeline.records) + 1):
            player.playback.go_to(moment)
            found[moment] = player.words
        assert "opened published.pth" in found[1]
        assert "edit off:stage1.unit3" in found.values()
        assert "fine-tune epoch 2/2" in found.values()
        assert "to v1 off:stage1.unit3" in found.values()
        assert "F1 0.8120 on validation" in found.values()


async def test_n_and_e_go_from_edit_to_edit_and_from_f1_to_f1(replayed: Any) -> None:
    async with replayed() as (player, app, pilot):
        await pilot.press("n")
        assert player.state.variant.label == "off:stage1.unit3"
        await pilot.press("n")
        assert player.state.variant.label == "off:stage2.unit4"
        assert not player.view.is_playing
        await pilot.press("n")
        await pilot.pause()
        assert player.state.variant.label == "off:stage2.unit4"
        assert any("no edit after" in n.message for n in app._notifications)
        await pilot.press("N")
        assert player.state.variant.label == "off:stage1.unit3"
        await pilot.press("E")
        assert player.state.variant.evaluation.f1 == 0.835
        assert player.playback.seconds == 2.0
        await pilot.press("e")
        assert player.playback.seconds == pytest.approx(8.1)
        assert player.state.jobs[2].evaluation.f1 == 0.812


async def test_dragging_seeks_along_and_ends_with_the_button(replayed: Any) -> None:
    async with replayed() as (player, app, pilot):
        width = app.main.query_one(ReplayBar).size.width
        await pilot.mouse_down(ReplayBar, offset=(1, 0))
        seen = []
        for part in (4, 2, 1):
            await pilot.hover(ReplayBar, offset=(1 + (width - 1) // part, 0))
            seen.append(player.playback.seconds / player.playback.timeline.seconds)
        assert seen == pytest.approx([0.25, 0.5, 1.0], abs=0.02)
        await pilot.mouse_up(ReplayBar, offset=(width, 0))
        await pilot.hover(ReplayBar, offset=(10, 0))
        assert player.playback.is_at_end


async def test_the_words_below_the_track_are_no_place_to_seek(replayed: Any) -> None:
    async with replayed() as (player, _app, pilot):
        await pilot.click(ReplayBar, offset=(40, 1))
        assert player.playback.seconds == 0


async def test_two_moments_are_compared_and_the_mark_stays_until_it_is_cleared(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed((100, 40)) as (player, app, pilot):
        await pilot.press("n", "comma", "a")
        assert player.mark == 7
        await pilot.press("a")
        assert not isinstance(app.screen, MomentsScreen)
        await pilot.press("9")
        await pilot.pause()
        assert "A" in bar(app, shows)[0]
        assert "A 0:02" in bar(app, shows)[-1]
        await pilot.press("a")
        await pilot.pause()
        assert isinstance(app.screen, MomentsScreen)
        text = "\n".join(shows(part) for part in app.screen.query("Static"))
        for words in (
            "v3 fine-tune, 2 epochs", "1,688,940", "1,521,690", "−167,250", "0.8350", "0.8120",
            "−0.0230", "stage1.unit3", "stage2.unit4", "off", "2 edits", "fine-tune of v2 → v3",
        ):  # fmt: skip
            assert words in text
        await pilot.press("escape")
        await pilot.pause()
        assert player.mark == 7
        await pilot.press("A")
        assert player.mark is None


async def test_the_earlier_moment_is_to_the_left_whichever_was_marked(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed((100, 40)) as (_player, app, pilot):
        await pilot.press("9", "a", "N", "a")
        await pilot.pause()
        assert str(app.screen.query_one(".dialog").border_title) == "here 0:04 → A 0:08"
        text = "\n".join(shows(part) for part in app.screen.query("Static"))
        assert "here 0:04" in text.splitlines()[0]


async def test_before_a_model_is_open_there_is_nothing_to_mark_or_to_branch(replayed: Any) -> None:
    async with replayed() as (player, app, pilot):
        player.playback.go_to(0)
        await pilot.press("a", "B")
        await pilot.pause()
        assert player.mark is None
        assert app.screen is app.main
        assert all("no model is open yet" in n.message for n in app._notifications)


async def test_z_plays_idle_times_too_and_the_moment_stays(
    network: Any, tmp_path: Path, events: Any, shows: Callable[..., str]
) -> None:
    folder = tmp_path / "idle"
    folder.mkdir()
    written = log.SessionLog.create(folder, log.Header(created="", model_sha256="", seed=0))
    written.append(log.Record(1.0, events["model"](network)))
    written.append(log.Record(601.0, events["data"]()))
    written.close()
    player = Player(folder, is_paused=True)
    app = WorkbenchApp(player)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("9")
        await pilot.pause()
        assert "0:03 / 0:03" in bar(app, shows)[-1]
        await pilot.press("z")
        await pilot.pause()
        assert "10:01 / 10:01" in bar(app, shows)[-1]
        assert "idle times too" in bar(app, shows)[-1]
        assert player.playback.is_at_end
        await pilot.press("comma", "z")
        assert (player.playback.index, player.playback.seconds) == (1, 1.0)


async def test_help_explains_the_keys_and_the_signs(
    replayed: Any, shows: Callable[..., str]
) -> None:
    async with replayed((100, 60)) as (_, app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        text = "\n".join(shows(part) for part in app.screen.query("Static"))
        assert "n N" in text
        assert "To the next or previous edit" in text
        assert "Go on live from this moment" in text
        assert "On the timeline" in text
        assert "an epoch was over; F1 was measured" in text


@pytest.fixture
def fake_children(monkeypatch: pytest.MonkeyPatch, stage: Any) -> dict[str, Any]:
    """The processes of sessions that are opened from now on, by name."""
    made: dict[str, Any] = {}
    child = live_module.Child

    def remember(name: str, *arguments: Any) -> Any:
        made[name] = child(name, *arguments)
        return made[name]

    monkeypatch.setattr(live_module, "Child", remember)
    return made


def with_checkpoints(folder: Path) -> Path:
    (folder / log.CHECKPOINTS).mkdir()
    for name in ("cd" * 32, "78" * 32):
        (folder / log.CHECKPOINTS / f"{name}.safetensors").write_bytes(name.encode())
    return folder


async def test_a_branch_goes_on_live_in_the_same_screen(
    replayed: Any, recorded: Path, fake_children: Any, until: Any, shows: Callable[..., str]
) -> None:
    with_checkpoints(recorded)
    before = (recorded / log.LOG_NAME).read_bytes()
    out = free_folder(recorded)
    async with replayed((120, 36)) as (_player, app, pilot):
        await pilot.press("n", "B")
        await pilot.pause()
        assert isinstance(app.screen, BranchScreen)
        await pilot.press("enter")
        await until(pilot, lambda: app.live is not None and fake_children["trainer"].commands)
        assert app.player is None
        assert app.live.folder == out
        assert app.live.state.variant.label == "off:stage1.unit3"
        assert set(app.live.state.variants) == {0, 1}
        assert not app.main.query_one(ReplayBar).display
        # WHEN a unit is switched THEN that is an edit of the new session
        app.main.query_one(NetworkTree).cursor = "stage2.unit2"
        await pilot.press("space")
        await until(pilot, lambda: fake_children["engine"].commands)
        assert app.live.state.variant.label == "off:stage2.unit2"
        await pilot.press("n")
        assert not isinstance(app.screen, MomentsScreen)
    assert (recorded / log.LOG_NAME).read_bytes() == before
    assert log.read(out).header.origin.session == str(recorded)


async def test_a_branch_that_fails_says_why_and_the_replay_goes_on(
    replayed: Any, recorded: Path, until: Any
) -> None:
    async with replayed() as (player, app, pilot):
        await pilot.press("n", "B", "enter")
        await until(pilot, lambda: app._notifications)
        assert any("is missing" in n.message for n in app._notifications)
        assert app.live is None
        assert not free_folder(recorded).exists()
        await pilot.press("n")
        assert player.state.variant.label == "off:stage2.unit4"


async def test_a_folder_in_use_is_refused_in_the_dialog(replayed: Any, recorded: Path) -> None:
    async with replayed() as (_, app, pilot):
        await pilot.press("9", "B")
        await pilot.pause()
        app.screen.query_one("Input").value = str(recorded)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, BranchScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main


def test_a_search_is_a_line_of_its_own_where_no_job_runs() -> None:
    jobs = (timeline.JobSpan(0.2, 0.8, "search"), timeline.JobSpan(0.5, 1.0, "fine-tune"))
    signs = "".join(sign for sign, _ in timeline.job_cells(timeline.Track(jobs), 11))
    assert signs == "──≈≈≈━━━━━━"
    assert any("≈" in signs.split() and "search" in words for signs, words in timeline.LEGEND)


def test_every_key_of_a_replay_has_a_name_and_words() -> None:
    assert all(binding.tooltip and binding.description for binding in replaying.BINDINGS)
    assert {b.action.partition("(")[0] for b in replaying.BINDINGS} == replaying.JUMPS


def test_a_long_recording_is_drawn_at_once(recorded: Path) -> None:
    marks = tuple((n / 20_000, "w") for n in range(20_000))
    track = timeline.Track(edits=marks, evaluations=tuple(share for share, _ in marks))
    began = time.perf_counter()
    assert all(sign == timeline.MANY for sign, _ in timeline.mark_cells(track, 200))
    assert time.perf_counter() - began < 1.0
