"""The search panel over a live session on fake processes, and over a recording."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.widgets import Input, Label, Static

from sessions import choosing, macs
from sessions.codec import Record, encode_record
from sessions.commands import OpenTrial, RunSearch, StopSearch
from sessions.edits import UnitOff
from sessions.evaluation import Evaluation
from sessions.log import LOG_NAME
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import CONTEST
from sessions.search_events import (
    AutopilotStarted,
    CandidateMeasured,
    SearchFinished,
    SearchProgressed,
    SearchStarted,
    TrialFinished,
)
from sessions.searching import Measured, ScanPlan, Space, StudyPlan, Trial
from sessions.steering import Steering
from widgets.choice_field import ChoiceField
from widgets.choice_line import ChoiceLine
from widgets.job_line import JobLine
from widgets.network_tree import NetworkTree
from widgets.score_plane import ScorePlane
from widgets.table_list import TableList
from workbench.app import WorkbenchApp
from workbench.player import Player
from workbench.screens.main import MainScreen
from workbench.screens.search import SearchScreen
from workbench.screens.search_form import SearchForm
from workbench.screens.search_results import ScanResults
from workbench.screens.search_study import StudyResults

SIZES = [(64, 16), (80, 24), (120, 36), (200, 60)]


def sent(staged: Any, kind: type[Any]) -> list[Any]:
    """Commands of a kind, to whichever process."""
    live = staged.live
    children = (live._engine, live._trainer, live._searcher)
    return [x for child in children for x in child.commands if isinstance(x, kind)]


async def say(staged: Any, pilot: Any, *events: Any) -> None:
    staged.live._searcher.answer(*events)
    await pilot.pause()
    await pilot.pause()


def found(network: Network, number: int, *changes: Any) -> CandidateMeasured:
    f1 = 0.8 - number / 100
    return CandidateMeasured(
        search=1,
        measured=Measured(
            edits=changes, macs=macs.count(choosing.edited(network, changes)), f1=f1, low=f1 - 0.03,
            high=f1 + 0.03, loss=1 - f1, images=505,
        ),
    )  # fmt: skip


def trial(number: int, evaluation_of: Callable[[float], Evaluation]) -> TrialFinished:
    off = (UnitOff("stage1.unit2"),) if number % 2 else ()
    return TrialFinished(
        search=1,
        trial=Trial(
            number=number, state="finished", edits=off, macs=1_600_000 - number * 50_000,
            evaluation=evaluation_of(0.8 - number / 100), checkpoint="cc" * 32,
        ),
    )  # fmt: skip


def line(screen: Any, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).render())


def table(app: WorkbenchApp) -> TableList:
    return next(part for part in app.screen.query(TableList) if part.is_on_screen)


async def scanning(staged: Any, pilot: Any) -> tuple[Any, ...]:
    """Start a scan with its defaults; its candidates."""
    await pilot.press("S", "n", "enter")
    await pilot.pause()
    (command,) = sent(staged, RunSearch)
    assert isinstance(command.plan, ScanPlan)
    return command.plan.candidates


@pytest.mark.parametrize("size", SIZES)
async def test_the_panel_opens_says_what_to_do_and_closes(opened_app: Any, size: Any) -> None:
    async with opened_app(size) as (app, pilot):
        for closing in ("S", "escape"):
            await pilot.press("S")
            await pilot.pause()
            assert isinstance(app.screen, SearchScreen)
            assert "n starts one" in line(app.screen, "empty")
            await pilot.press(closing)
            await pilot.pause()
            assert isinstance(app.screen, MainScreen)


async def test_a_scan_is_started_followed_and_its_finds_are_made(
    opened_app: Any, staged: Any, network: Network
) -> None:
    async with opened_app() as (app, pilot):
        candidates = await scanning(staged, pilot)
        assert staged.live.state.searching.variant == 0
        await say(staged, pilot, SearchProgressed(search=1, done=0, total=9, doing="x", left_s=9.0))
        assert line(app.screen, "status") == "▶ 0 of 8 done, 0:09 left · now x"
        first, second = candidates[0], candidates[1]
        await say(staged, pilot, found(network, 0), found(network, 30, *first))
        assert len(table(app).view.rows) == 1
        await say(staged, pilot, found(network, 1, *second))
        assert table(app).view.rows[0].key == table(app).selected
        assert line(app.screen, "best").startswith("best so far: ")
        await pilot.press("enter")
        variant = staged.live.state.variant
        assert (variant.number, (variant.edit,)) == (1, second)
        assert isinstance(app.screen, SearchScreen)


async def test_the_cursor_stays_on_its_candidate_when_better_ones_come(
    opened_app: Any, staged: Any, network: Network
) -> None:
    async with opened_app() as (app, pilot):
        candidates = await scanning(staged, pilot)
        worse, bad, good = candidates[:3]
        await say(
            staged, pilot, found(network, 0), found(network, 40, *worse), found(network, 20, *bad)
        )
        await pilot.press("down")
        selected = table(app).selected
        assert table(app).cursor == 1
        await say(staged, pilot, found(network, 1, *good))
        assert table(app).cursor == 2
        assert table(app).selected == selected


async def test_a_search_is_stopped_and_goes_on_with_what_it_knows(
    opened_app: Any, staged: Any, network: Network
) -> None:
    async with opened_app() as (app, pilot):
        await scanning(staged, pilot)
        await pilot.press("n")  # one at a time
        assert isinstance(app.screen, SearchScreen)
        await pilot.press("x")
        assert [command.search for command in sent(staged, StopSearch)] == [1]
        await say(staged, pilot, found(network, 0), SearchFinished(search=1, is_stopped=True))
        assert "p goes on" in line(app.screen, "status")
        assert "p goes on" in str(app.screen.query_one(".panel-body").border_subtitle)
        await pilot.press("p")
        await pilot.pause()
        again = sent(staged, RunSearch)[-1]
        assert (again.search, [m.edits for m in again.done]) == (1, [()])
        assert staged.live.state.searching.number == 1


async def test_a_form_says_what_is_wrong_and_starts_what_is_right(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("S", "n", "right")
        form = app.screen
        assert isinstance(form, SearchForm)
        assert form.query_one("#study").display
        assert not form.query_one("#scan").display
        for name, value, words in (
            ("trials", "none", "trials: 'none' is no whole number from 1"),
            ("input_sizes", "64, 5000", "input sizes: '5000' is no whole number from 8 to 1,024"),
            ("recipe", "learning_speed", "no field 'learning_speed'"),
            ("minutes", "nan", "minutes: 'nan' is no number from 0"),
        ):
            field = form.query_one(f"#study-{name}", Input)
            before, field.value = field.value, value
            await pilot.press("enter")
            assert app.screen is form
            assert words in str(form.query_one("#problem", Label).render())
            field.value = before
        form.query_one("#study-trials", Input).value = "7"
        form.query_one("#study-epochs", Input).value = "3"
        form.query_one("#study-input_sizes", Input).value = "64,80"
        form.query_one("#study-recipe", Input).value = "learning rate, dropout"
        form.query_one("#study-groups", ChoiceField).at = 1
        form.query_one("#study-goal", ChoiceField).at = 1
        await pilot.press("enter")
        await pilot.pause()
        (command,) = sent(staged, RunSearch)
        plan = command.plan
        assert plan == StudyPlan(
            space=Space(groups=False, input_sizes=(64, 80), recipe=("learning_rate", "dropout")),
            rule=staged.live.state.rule, is_front=True, trials=7, minutes=60.0,
            max_macs=1_688_940,
        )  # fmt: skip
        assert command.recipe.epochs == 3
        assert staged.live.state.recipe == Recipe()  # of the next fine-tune: as it was


async def test_a_study_that_varies_nothing_is_refused(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("S", "n", "right")
        for name in ("units", "widths", "groups"):
            app.screen.query_one(f"#study-{name}", ChoiceField).at = 1
        await pilot.press("enter")
        assert "nothing varies" in str(app.screen.query_one("#problem", Label).render())
        await pilot.press("escape")
        assert isinstance(app.screen, SearchScreen)
        assert sent(staged, RunSearch) == []


async def test_the_autopilot_is_started_with_its_target_and_taken_over(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await pilot.press("S", "n", "left")
        form = app.screen
        form.query_one("#autopilot-max_macs", Input).value = "9,999,999"
        await pilot.press("enter")
        assert "below the present 1,688,940" in str(form.query_one("#problem", Label).render())
        form.query_one("#autopilot-max_macs", Input).value = "1,083,210"
        form.query_one("#autopilot-by", ChoiceField).at = 1
        await pilot.press("enter")
        await pilot.pause()
        pilot_state = staged.live.state.autopilot
        assert pilot_state is not None
        assert (pilot_state.is_on, pilot_state.variant) == (True, 0)
        assert (pilot_state.steering.by, pilot_state.steering.max_macs) == ("std", 1_083_210)
        assert "to at most 1,083,210 MACs by lowest weight std first" in line(app.screen, "asked")
        assert table(app).view.rows[0].cells[1] == "where it began"
        await pilot.press("x")
        await pilot.pause()
        assert not staged.live.state.autopilot.is_on
        assert line(app.screen, "status").startswith("‖ ")


@pytest.mark.parametrize("size", SIZES)
async def test_trials_come_and_one_is_opened_by_table_and_by_plane(
    opened_app: Any, staged: Any, size: Any, evaluation_of: Any
) -> None:
    async with opened_app(size) as (app, pilot):
        await pilot.press("S", "n", "right", "enter")
        await pilot.pause()
        await say(staged, pilot, *(trial(number, evaluation_of) for number in range(3)))
        study = app.screen.query_one(StudyResults)
        assert [row.key for row in study.query_one(TableList).view.rows] == ["2", "1", "0"]
        await pilot.press("down", "enter")
        await pilot.pause()
        assert [(c.search, c.trial) for c in sent(staged, OpenTrial)] == [(1, 1)]
        if not study.query_one(ScorePlane).is_on_screen:
            await pilot.press("v")
        study.query_one(ScorePlane).focus()
        await pilot.pause()
        await pilot.press("right", "right", "right")
        assert study.query_one(ScorePlane).cursor == 0
        await pilot.press("enter")
        await pilot.pause()
        assert [c.trial for c in sent(staged, OpenTrial)] == [1, 0]


async def test_where_there_is_no_room_a_study_is_shown_part_by_part(
    opened_app: Any, staged: Any, evaluation_of: Any
) -> None:
    async with opened_app((80, 24)) as (app, pilot):
        await pilot.press("S", "n", "right", "enter")
        await pilot.pause()
        await say(staged, pilot, *(trial(number, evaluation_of) for number in range(6)))
        study = app.screen.query_one(StudyResults)

        def shown() -> list[str]:
            parts = ("#trials", "ScorePlane", "#parameters")
            return [part for part in parts if study.query_one(part).is_on_screen]

        def offered() -> str:
            return str(app.screen.query_one(".panel-body").border_subtitle)

        seen = [shown()]
        assert "v front" in offered()
        for following in ("v parameters", "v trials", "v front"):
            await pilot.press("v")
            await pilot.pause()
            seen.append(shown())
            assert following in offered()
            assert ("enter opens" in offered()) == (seen[-1] != ["#parameters"])
        assert seen == [["#trials"], ["ScorePlane"], ["#parameters"], ["#trials"]]


async def test_where_a_study_is_shown_whole_no_other_view_is_offered(
    opened_app: Any, staged: Any, evaluation_of: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await pilot.press("S", "n", "right", "enter")
        await pilot.pause()
        await say(staged, pilot, *(trial(number, evaluation_of) for number in range(6)))
        offered = str(app.screen.query_one(".panel-body").border_subtitle)
        assert "enter opens" in offered
        assert "v " not in offered


async def test_the_plane_shows_the_selected_trial_and_the_words_the_selected_point(
    opened_app: Any, staged: Any, evaluation_of: Any
) -> None:
    async with opened_app((80, 24)) as (app, pilot):
        staged.live.queue_job("evaluate")
        staged.finish_job(max(staged.live.state.jobs), 0.8)
        await pilot.pause()
        await pilot.press("S", "n", "right", "enter")
        await pilot.pause()
        await say(staged, pilot, *(trial(number, evaluation_of) for number in range(3)))
        plane = app.screen.query_one(ScorePlane)
        assert plane.cursor == 2
        ended = Trial(number=3, state="pruned", macs=1_500_000, reason="behind the median")
        await say(staged, pilot, TrialFinished(search=1, trial=ended))
        assert table(app).selected == "3"
        assert plane.cursor is None
        await pilot.press("v")
        await pilot.pause()
        assert "trial 3 is not on the plane" in line(app.screen, "point")
        await pilot.press("right", "right", "right", "right")
        await pilot.pause()
        assert "v0, where the study began" in line(app.screen, "point")
        await pilot.press("enter")
        await pilot.pause()
        assert any("v0 is a variant already" in note.message for note in app._notifications)
        assert sent(staged, OpenTrial) == []


async def test_all_parameters_that_there_is_room_for_are_shown(
    opened_app: Any, staged: Any, evaluation_of: Any
) -> None:
    async with opened_app((80, 24)) as (app, pilot):
        await pilot.press("S", "n", "right", "enter")
        await pilot.pause()
        for number in range(6):
            told = trial(number, evaluation_of).trial
            values = {f"parameter{letter}": float(number) for letter in "abcdefghij"}
            told = msgspec.structs.replace(told, parameters=values)
            await say(staged, pilot, TrialFinished(search=1, trial=told))
        await pilot.press("v", "v")
        await pilot.pause()
        part = app.screen.query_one("#parameters", Static)
        lines = str(part.render()).splitlines()
        assert len(lines) == 12
        assert part.size.height == 12


async def test_with_several_searches_one_is_shown_and_brackets_go_through_them(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await scanning(staged, pilot)
        await say(staged, pilot, SearchFinished(search=1))
        await pilot.press("n", "right", "enter")
        await pilot.pause()
        choices = app.screen.query_one(ChoiceLine)
        assert choices.titles == ("1 scan of v0", "▶ 2 study of v0")
        assert choices.at == 1
        await pilot.press("left_square_bracket")
        assert app.screen.query_one(ScanResults).display
        assert not app.screen.query_one(StudyResults).display
        await say(staged, pilot, SearchProgressed(search=2, done=1, total=40))
        assert app.screen.query_one(ScanResults).display
        await pilot.press("right_square_bracket")
        assert app.screen.query_one(StudyResults).display


async def test_what_a_scan_finds_streams_into_the_tree(
    opened_app: Any, staged: Any, network: Network, shows: Any
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        await scanning(staged, pilot)
        await pilot.press("escape")
        await pilot.pause()
        tree = app.main.query_one(NetworkTree)
        units = [UnitOff(f"stage2.unit{number}") for number in (2, 3, 4)]
        await say(staged, pilot, found(network, 0), found(network, 4, units[0]))
        costs = {row.path: row.cost for row in tree.rows if row.cost is not None}
        assert list(costs) == ["stage2.unit2"]
        assert costs["stage2.unit2"].best == pytest.approx(-0.04)
        before = tree.rows
        await say(staged, pilot, SearchProgressed(search=1, done=2, total=9, left_s=40.0))
        assert tree.rows is before  # how far it is changes no row
        assert app.main.query_one(JobLine).view.search == "scan 1/8, 0:40 left"
        assert shows(app.main.query_one(JobLine)).rstrip().endswith("scan 1/8, 0:40 left")
        await say(staged, pilot, found(network, 5, units[1]), found(network, 6, units[2]))
        assert "cost F1" in shows(tree)
        assert " .0500" in shows(tree)


async def test_without_data_nothing_is_searched(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        staged.live.recorder.state = msgspec.structs.replace(staged.live.state, data=None)
        await pilot.press("S", "n", "enter")
        await pilot.pause()
        assert sent(staged, RunSearch) == []
        assert any("--data" in note.message for note in app._notifications)


@pytest.fixture
def recording(recorded: Path, network: Network, evaluation_of: Any) -> Path:
    """The short session with a scan, a study and the autopilot behind it."""
    events = [
        SearchStarted(
            search=1, variant=0, plan=ScanPlan(candidates=((UnitOff("stage1.unit2"),),)),
            recipe=Recipe(),
        ),
        found(network, 0),
        found(network, 3, UnitOff("stage1.unit2")),
        SearchFinished(search=1),
        SearchStarted(search=2, variant=0, plan=StudyPlan(rule=CONTEST), recipe=Recipe()),
        TrialFinished(search=2, trial=trial(1, evaluation_of).trial),
        AutopilotStarted(variant=2, steering=Steering(max_macs=1_083_210)),
    ]  # fmt: skip
    with open(recorded / LOG_NAME, "ab") as file:
        for number, event in enumerate(events):
            file.write(encode_record(Record(9.0 + number, event)) + b"\n")
    return recorded


@pytest.mark.parametrize("size", SIZES)
async def test_a_recording_is_looked_at_and_starts_nothing(recording: Path, size: Any) -> None:
    player = Player(recording, is_paused=True)
    player.seek_share(1.0)
    app = WorkbenchApp(player)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        before = player.state
        await pilot.press("S")
        await pilot.pause()
        assert isinstance(app.screen, SearchScreen)
        for _ in range(3):
            for key in ("n", "x", "p", "enter"):
                await pilot.press(key)
                await pilot.pause()
                assert isinstance(app.screen, SearchScreen)
            await pilot.press("left_square_bracket")
            await pilot.pause()
        assert player.state == before
        assert table(app).view.rows[0].key == "stage1.unit2 off"
        assert "n new" not in str(app.screen.query_one(".panel-body").border_subtitle)
        await pilot.press("S")
        await pilot.pause()
        assert app.screen is app.main


async def test_a_replay_back_to_before_the_searches_shows_that_there_are_none(
    recording: Path,
) -> None:
    player = Player(recording, is_paused=True)
    player.seek_share(1.0)
    app = WorkbenchApp(player)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("S")
        await pilot.pause()
        assert not app.screen.query_one("#empty").is_on_screen
        player.seek_share(0.1)
        await pilot.pause()
        assert "Nothing was searched" in line(app.screen, "empty")
        assert app.screen.query_one("#empty").is_on_screen


async def test_what_happens_while_the_panel_opens_is_shown_once_it_is_open(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        app.action_search()  # pushed, and not composed yet
        network = staged.live.state.variant.network
        plan = ScanPlan(candidates=((UnitOff("stage1.unit2"),),))
        staged.live.dispatch(SearchStarted(search=1, variant=0, plan=plan, recipe=Recipe()))
        staged.live.dispatch(found(network, 1))
        await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, SearchScreen)
        assert app.screen.state is staged.live.state
