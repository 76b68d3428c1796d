"""The live screen under a pilot: keys and clicks to requests, events to what is shown."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual._styles_cache import StylesCache
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets._footer import FooterKey

from sessions.commands import ApplyEdit, EvaluateNow, OpenData, OpenModel, RunJob, StopJob
from sessions.edits import UnitOff, UnitOn
from sessions.events import CommandFailed, DataFailed, EditRejected, ProcessExited
from widgets.job_line import JobLine
from widgets.key_footer import KeyFooter
from widgets.layer_panel import LayerPanel
from widgets.network_tree import NetworkTree
from widgets.score_panel import ScorePanel
from widgets.side_panels import SidePanels
from widgets.title_line import TitleLine
from workbench import processes, tidying
from workbench.app import WorkbenchApp
from workbench.screens.dialogs import HelpScreen
from workbench.session import Opening

SMALL, LARGE = (80, 24), (160, 45)
both_sizes = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x45"])


class Screen:
    """The app of a staged session, and its widgets by name."""

    def __init__(self, app: WorkbenchApp, pilot: Pilot[Any], shows: Callable[..., str]) -> None:
        self.app = app
        self.pilot = pilot
        self._shows = shows

    @property
    def tree(self) -> NetworkTree:
        return self.app.main.query_one(NetworkTree)

    def text(self, kind: type[Any]) -> str:
        return self._shows(self.app.main.query_one(kind))

    def line(self, name: str) -> str:
        """The first line of the tree that has this name."""
        return next(line for line in self.text(NetworkTree).splitlines() if name in line)

    @property
    def toasts(self) -> list[str]:
        """Their words, without the titles that say how grave they are."""
        found = [str(toast.render()) for toast in self.app.screen.query("Toast")]
        return [words.removeprefix("Error\n").removeprefix("Warning\n") for words in found]

    @property
    def footer(self) -> set[str]:
        return {str(key.description) for key in self.app.screen.query("FooterKey")}


@pytest.fixture
def opened(staged: Any, shows: Callable[..., str], until: Callable[..., Any]) -> Any:
    """Starts the app at a size with the model, and by choice the data, open."""
    import contextlib

    @contextlib.asynccontextmanager
    async def opened(size: tuple[int, int] = SMALL, *, has_data: bool = True) -> Any:
        app = WorkbenchApp(staged.live)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: staged.engine.commands)
            staged.open_model()
            if has_data:
                staged.open_data()
            await pilot.pause()
            yield Screen(app, pilot, shows)

    return opened


async def test_opening_asks_the_engine_for_the_model_and_the_trainer_for_the_data(
    opened: Any, staged: Any, until: Any
) -> None:
    async with opened() as screen:
        await until(screen.pilot, lambda: staged.trainer.commands)
    assert isinstance(staged.engine.commands[0], OpenModel)
    command = staged.trainer.commands[0]
    assert isinstance(command, OpenData)
    assert (command.source, command.size, command.channels) == ("/data/trashnet", 80, 3)


@both_sizes
async def test_the_tree_shows_every_stage_with_its_units_folded(
    size: tuple[int, int], opened: Any
) -> None:
    async with opened(size) as screen:
        paths = [row.path for row in screen.tree.rows if row.level == "stage"]
        assert paths == ["init", "stage1", "stage2", "stage3", "output"]
        lines = screen.text(NetworkTree).splitlines()
        assert lines[1].startswith(" ▸ init")
        assert lines[2].startswith(" ▾ stage1")
        assert lines[3].startswith("   ▸ ● unit1 ↓")
        assert lines[4].startswith("   ▸ ● unit2")


@both_sizes
async def test_numbers_stand_right_aligned_under_their_titles(
    size: tuple[int, int], opened: Any
) -> None:
    async with opened(size) as screen:
        header, *lines = screen.text(NetworkTree).splitlines()
        lines = [line for line in lines if line.strip()]
        end = header.index("MACs") + len("MACs")
        macs = [line[:end].split()[-1] for line in lines]
        assert macs[:4] == ["288,000", "379,200", "104,700", "91,500"]
        assert all(line[end - 1].isdigit() and line[end] == " " for line in lines)
        params = header.index("params") + len("params")
        assert all(line[params - 1].isdigit() for line in lines)
        assert lines[2][:params].split()[-1] == "663"


async def test_a_wide_terminal_shows_more_columns_than_a_narrow_one(opened: Any) -> None:
    async with opened(SMALL) as screen:
        narrow = screen.text(NetworkTree).splitlines()[0].split()
    assert narrow == ["network", "output", "g", "MACs", "share", "params", "std"]


async def test_a_wide_terminal_shows_what_cutting_a_unit_is_worth(opened: Any) -> None:
    async with opened(LARGE) as screen:
        header = screen.text(NetworkTree).splitlines()[0].split()
        assert header[-2:] == ["worth", "F1"]
        assert "mid" in header
        assert screen.line("unit1 ↓").split()[-1] == "needed"
        assert screen.line("unit2").split()[-1] == ".0055"


@both_sizes
async def test_space_moves_the_macs_at_once_before_any_answer(
    size: tuple[int, int], opened: Any, staged: Any
) -> None:
    async with opened(size) as screen:
        # GIVEN
        assert "1,688,940" in screen.text(ScorePanel)
        # WHEN nothing answers
        await screen.pilot.press("space")
        # THEN
        shown = screen.text(ScorePanel).splitlines()
        macs = next(line for line in shown if line.startswith("MACs"))
        assert "1,597,440" in macs
        assert macs.count("−91,500") == 2
        assert "stage1.unit2 off" in screen.text(TitleLine)
        assert "3-8-4" in screen.text(TitleLine)
        assert "○ unit2" in screen.line("unit2")
        assert "off" in screen.line("unit2")
        assert staged.live.state.variant.is_pending


async def test_the_engine_is_asked_to_make_the_edit_and_its_answer_confirms_it(
    opened: Any, staged: Any, until: Any
) -> None:
    async with opened() as screen:
        await screen.pilot.press("space")
        await until(screen.pilot, lambda: isinstance(staged.engine.commands[-1], ApplyEdit))
        assert staged.engine.commands[-1].edit == UnitOff("stage1.unit2")
        staged.confirm_edits()
        await screen.pilot.pause()
        assert not staged.live.state.variant.is_pending
        await screen.pilot.press("space")
        await until(screen.pilot, lambda: staged.engine.commands[-1].edit == UnitOn("stage1.unit2"))
        assert "1,688,940" in screen.text(ScorePanel)


async def test_undo_and_redo_go_back_and_forth_over_the_edits(opened: Any, staged: Any) -> None:
    async with opened() as screen:
        await screen.pilot.press("space", "down", "space")
        staged.confirm_edits()
        await screen.pilot.pause()
        assert "1,505,940" in screen.text(ScorePanel)
        await screen.pilot.press("u")
        assert "1,597,440" in screen.text(ScorePanel)
        assert "● unit3" in screen.line("unit3")
        await screen.pilot.press("u")
        assert "1,688,940" in screen.text(ScorePanel)
        await screen.pilot.press("ctrl+r", "ctrl+r")
        assert "1,505,940" in screen.text(ScorePanel)
        assert "○ unit3" in screen.line("unit3")


async def test_undo_with_nothing_to_undo_says_so(opened: Any) -> None:
    async with opened() as screen:
        await screen.pilot.press("u")
        await screen.pilot.pause()
        assert screen.toasts == ["nothing to undo"]


async def test_a_rejected_edit_goes_back_and_a_toast_gives_the_reason(
    opened: Any, staged: Any, until: Any
) -> None:
    async with opened() as screen:
        await screen.pilot.press("space")
        await until(screen.pilot, lambda: isinstance(staged.engine.commands[-1], ApplyEdit))
        # WHEN the reason has what could be markup
        staged.reject_edit("it differs [/b] from the original")
        await screen.pilot.pause()
        # THEN
        assert screen.toasts == ["stage1.unit2 off: it differs [/b] from the original"]
        assert "1,688,940" in screen.text(ScorePanel)
        assert "● unit2" in screen.line("unit2")


async def test_a_downsampling_unit_stays_and_the_reason_is_shown(opened: Any, staged: Any) -> None:
    async with opened() as screen:
        await screen.pilot.press("up", "space")
        await screen.pilot.pause()
        assert len(screen.toasts) == 1
        assert "halves the resolution" in screen.toasts[0]
        assert "can be off: stage1.unit2" in screen.toasts[0]
        assert len(staged.engine.commands) == 1
        assert "1,688,940" in screen.text(ScorePanel)


async def test_space_on_a_layer_acts_on_its_unit_and_on_a_stage_says_why_not(
    opened: Any, staged: Any
) -> None:
    async with opened() as screen:
        await screen.pilot.press("right", "down")
        assert screen.tree.cursor == "stage1.unit2.compress_conv1"
        await screen.pilot.press("space")
        assert not staged.live.state.variant.network.units["stage1.unit2"].is_on
        await screen.pilot.press("home", "down", "space")
        await screen.pilot.pause()
        assert screen.tree.cursor == "stage1"
        assert any("stage1 as a whole cannot be off" in toast for toast in screen.toasts)
        assert staged.live.state.current == 1
        await screen.pilot.press("enter")
        assert screen.text(NetworkTree).splitlines()[2].startswith(" ▸ stage1")


async def test_keys_move_the_cursor_and_the_layer_panel_follows(opened: Any) -> None:
    async with opened(LARGE) as screen:
        await screen.pilot.press("end")
        assert screen.tree.cursor == "output"
        await screen.pilot.press("home")
        assert screen.tree.cursor == "init"
        await screen.pilot.press("j", "j", "j", "right", "down")
        assert screen.tree.cursor == "stage1.unit2.compress_conv1"
        facts = str(screen.app.main.query_one(LayerPanel).query_one("Static").render())
        assert facts.startswith("stage1.unit2.compress_conv1\nconv, groups 3, stride 1, 15×10×10")
        assert "30,000 MACs" in facts
        await screen.pilot.press("left")
        assert screen.tree.cursor == "stage1.unit2"
        await screen.pilot.press("left", "left")
        assert screen.tree.cursor == "stage1"


async def test_a_click_on_the_mark_toggles_on_the_arrow_folds_elsewhere_selects(
    opened: Any, staged: Any
) -> None:
    async with opened() as screen:
        line = screen.text(NetworkTree).splitlines()[5]
        assert "▸ ● unit3" in line
        # a click on the name
        await screen.pilot.click(NetworkTree, offset=(line.index("unit3"), 5))
        assert screen.tree.cursor == "stage1.unit3"
        assert staged.live.state.current == 0
        # on the arrow
        await screen.pilot.click(NetworkTree, offset=(line.index("▸"), 5))
        assert "compress_conv1" in screen.text(NetworkTree).splitlines()[6]
        assert staged.live.state.current == 0
        # on the mark
        await screen.pilot.click(NetworkTree, offset=(line.index("●"), 5))
        assert not staged.live.state.variant.network.units["stage1.unit3"].is_on
        assert "○ unit3" in screen.line("unit3")


async def test_a_click_below_the_header_of_a_scrolled_tree_hits_the_row_that_is_seen(
    opened: Any,
) -> None:
    async with opened() as screen:
        await screen.pilot.press("end")
        await screen.pilot.pause()
        seen = screen.text(NetworkTree).splitlines()[3]
        await screen.pilot.click(NetworkTree, offset=(12, 3))
        assert screen.tree.cursor.rpartition(".")[2] in seen


async def test_resizing_keeps_the_cursor_and_the_folds(opened: Any) -> None:
    async with opened(LARGE) as screen:
        await screen.pilot.press("down", "right")
        assert screen.tree.cursor == "stage1.unit3"
        await screen.pilot.resize_terminal(*SMALL)
        await screen.pilot.pause()
        assert screen.tree.cursor == "stage1.unit3"
        assert "▾ ● unit3" in screen.line("unit3")
        assert "expand_conv3" in screen.text(NetworkTree)
        await screen.pilot.resize_terminal(*LARGE)
        await screen.pilot.pause()
        assert screen.tree.cursor == "stage1.unit3"
        assert "worth F1" in screen.text(NetworkTree)


async def test_a_smaller_terminal_still_shows_the_row_of_the_cursor(opened: Any) -> None:
    async with opened(LARGE) as screen:
        await screen.pilot.press("end")
        await screen.pilot.resize_terminal(*SMALL)
        await screen.pilot.pause()
        assert screen.tree.cursor == "output"
        assert "▸ output" in screen.text(NetworkTree)


async def test_a_narrow_terminal_shows_one_panel_at_a_time(opened: Any) -> None:
    async with opened(SMALL) as screen:
        panels = screen.app.main.query_one(SidePanels)
        shown = [panel for panel in panels.query(".panel") if panel.display]
        assert [panel.border_title for panel in shown] == ["Layer"]
        await screen.pilot.press("3")
        shown = [panel for panel in panels.query(".panel") if panel.display]
        assert [panel.border_title for panel in shown] == ["Classes"]
        await screen.pilot.press("tab")
        assert panels.active == 0
        await screen.pilot.resize_terminal(*LARGE)
        await screen.pilot.pause()
        assert all(panel.display for panel in panels.query(".panel"))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (CommandFailed(command="open-model", reason="x.pt is empty: save it again"), "x.pt is em"),
        (ProcessExited(process="engine", code=-9, reason="killed by signal 9"), "signal 9"),
    ],
    ids=["unusable file", "engine killed"],
)
async def test_a_model_that_does_not_open_ends_the_app_with_the_reason(
    event: Any, words: str, staged: Any, until: Any
) -> None:
    app = WorkbenchApp(staged.live)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: staged.engine.commands)
        staged.engine.answer(event)
        await pilot.pause()
    assert words in app.return_value
    assert app.return_code == 1
    assert staged.engine.is_closed
    assert not staged.live.folder.exists()


async def test_a_job_is_queued_shown_stopped_and_ended_by_force(
    opened: Any, staged: Any, until: Any
) -> None:
    async with opened() as screen:
        assert "Stop" not in screen.footer
        # WHEN
        await screen.pilot.press("f")
        await until(screen.pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        assert staged.trainer.commands[-1].job_kind == "fine-tune"
        staged.start_job(1, steps=100, step=31)
        await screen.pilot.pause()
        # THEN
        line = screen.text(JobLine)
        assert line.startswith("▶ fine-tune v0 epoch 4/25 loss 0.500")
        assert "31%" in line
        assert "812 images/s" in line
        # WHEN
        await screen.pilot.pause()
        assert "Stop" in screen.footer
        await screen.pilot.press("x")
        await until(screen.pilot, lambda: isinstance(staged.trainer.commands[-1], StopJob))
        assert not staged.trainer.is_terminated
        await screen.pilot.press("x")
        assert staged.trainer.is_terminated


async def test_f1_and_score_of_weights_in_training_are_shown_live(
    opened: Any, staged: Any, until: Any
) -> None:
    from sessions.events import Evaluated

    async with opened(LARGE) as screen:
        await screen.pilot.press("f")
        await until(screen.pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        staged.start_job(1, steps=100, step=20)
        found = _evaluation(0.7512)
        staged.trainer.answer(Evaluated(job=1, evaluation=found, epoch=2.0))
        await screen.pilot.pause()
        shown = screen.text(ScorePanel)
        assert "0.7512" in shown
        assert "live, epoch 2.0 of 25" in shown
        assert f"{1_688_940 / 13_878_369 + 1 - 0.7512 / 0.8367:.4f}" in shown


async def test_the_cut_off_job_can_be_continued_by_its_key(
    opened: Any, staged: Any, until: Any
) -> None:
    async with opened() as screen:
        assert "Continue" not in screen.footer
        await screen.pilot.press("f")
        await until(screen.pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        staged.start_job(1)
        staged.trainer.answer(ProcessExited(process="trainer", code=-9, reason="killed"))
        await screen.pilot.pause()
        assert "Continue" in screen.footer
        assert "fine-tune of v0 was cut off" in screen.text(JobLine)
        before = len(staged.trainer.commands)
        await screen.pilot.press("c")
        await until(screen.pilot, lambda: len(staged.trainer.commands) > before)
        assert staged.trainer.commands[-1].job == 1


async def test_a_session_that_was_cut_off_offers_to_go_on_as_soon_as_it_is_open(
    stage: Any, cut_off: Path, shows: Any, until: Any
) -> None:
    staged = stage(Opening(folder=cut_off))
    app = WorkbenchApp(staged.live)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: staged.trainer.commands)
        staged.open_data()
        await pilot.pause()
        screen = Screen(app, pilot, shows)
        assert "1,521,690" in screen.text(ScorePanel)
        assert "fine-tune of v2 was cut off" in screen.text(JobLine)
        assert "Continue" in screen.footer


async def test_evaluate_while_training_measures_the_weights_in_training(
    opened: Any, staged: Any, until: Any
) -> None:
    async with opened() as screen:
        await screen.pilot.press("f")
        await until(screen.pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        staged.start_job(1)
        await screen.pilot.press("e")
        await until(screen.pilot, lambda: isinstance(staged.trainer.commands[-1], EvaluateNow))
        assert len(staged.live.state.jobs) == 1


async def test_without_data_recovery_says_how_to_open_some(
    stage: Any, tmp_path: Path, shows: Any, until: Any
) -> None:
    staged = stage(Opening(folder=tmp_path / "session", model=tmp_path / "published.pth"))
    app = WorkbenchApp(staged.live)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, lambda: staged.engine.commands)
        staged.open_model()
        await pilot.press("r")
        await pilot.pause()
        toasts = Screen(app, pilot, shows).toasts
        assert len(toasts) == 1
        assert "--data FOLDER" in toasts[0]
        assert staged.live.state.jobs == {}


async def test_data_that_does_not_open_is_told_and_stays_told(opened: Any, staged: Any) -> None:
    async with opened(has_data=False) as screen:
        staged.trainer.answer(DataFailed(source="/data/trashnet", reason="no data folder [x]"))
        await screen.pilot.pause()
        assert screen.toasts == ["data: no data folder [x]"]
        assert "no data folder [x]" in screen.text(JobLine)
        assert "1,688,940" in screen.text(ScorePanel)


async def test_why_an_edit_was_refused_stays_on_the_line_until_something_happens(
    opened: Any, staged: Any
) -> None:
    async with opened() as screen:
        await screen.pilot.press("space")
        asked = staged.engine.commands[-1]
        assert "being checked" in screen.text(JobLine)
        staged.engine.answer(
            EditRejected(
                variant=asked.variant, parent=asked.parent, edit=asked.edit, reason="no room [x]"
            )
        )
        await screen.pilot.pause()
        assert screen.text(JobLine).strip() == "stage1.unit2 off: no room [x]"
        await screen.pilot.press("down")
        await screen.pilot.pause()
        assert screen.text(JobLine).strip() == "stage1.unit2 off: no room [x]"
        await screen.pilot.press("space")
        assert "no room" not in screen.text(JobLine)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=str)
async def test_a_toast_leaves_score_job_and_the_facts_of_a_layer_in_sight(
    size: tuple[int, int], opened: Any, shows: Any
) -> None:
    async with opened(size=size) as screen:
        screen.app.notify("fine-tune of v2 failed: the disk is full: no space left")
        await screen.pilot.pause()
        (toast,) = screen.app.screen.query("Toast")
        await screen.pilot.pause()
        assert toast.region.height > 0
        for kind in (ScorePanel, JobLine, KeyFooter):
            assert not toast.region.overlaps(screen.app.main.query_one(kind).region)
        panel = screen.app.main.query_one(LayerPanel)
        words = max(len(line.rstrip()) for line in shows(panel).splitlines()[:1])
        assert toast.region.x >= panel.region.x + words or toast.region.y >= panel.region.bottom


async def test_a_session_that_cannot_be_written_says_so_until_it_can(
    opened: Any, staged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with opened() as screen:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            await screen.pilot.press("space")
            staged.confirm_edits()
            await screen.pilot.pause()
            assert screen.text(JobLine).startswith("NOT SAVED: No space left on device")
        await screen.pilot.press("u")
        assert "NOT SAVED" not in screen.text(JobLine)


@both_sizes
async def test_no_figure_of_the_score_panel_is_cut_off(
    size: tuple[int, int], opened: Any, staged: Any, until: Any
) -> None:
    async with opened(size) as screen:
        # GIVEN an opened model with an F1, and a cut one with another
        await _evaluated(screen, staged, until, 0.8350)
        await screen.pilot.press("space")
        staged.confirm_edits()
        await _evaluated(screen, staged, until, 0.8120)
        # THEN
        lines = {line.split()[0]: line for line in screen.text(ScorePanel).splitlines()}
        assert "−91,500 −5%" in lines["MACs"]
        assert lines["F1"].count("−0.0230") == 2
        assert lines["score"].count("+0.0209") == 2


@both_sizes
async def test_help_and_quit_can_be_read_in_the_footer(size: tuple[int, int], opened: Any) -> None:
    async with opened(size) as screen:
        last = screen.app.screen._compositor.render_strips()[-1].text
        assert "? Help" in last
        assert "q Quit" in last


async def test_quitting_closes_the_processes_and_keeps_the_session(
    opened: Any, staged: Any
) -> None:
    from sessions.log import read

    async with opened() as screen:
        await screen.pilot.press("space")
        staged.confirm_edits()
        await screen.pilot.press("q")
    assert staged.engine.is_closed
    assert staged.trainer.is_closed
    kinds = [type(record.event).__name__ for record in read(staged.live.folder).records]
    assert kinds[0] == "ModelOpened"
    assert kinds[-1] == "Edited"


async def _evaluated(screen: Screen, staged: Any, until: Any, f1: float) -> None:
    before = len(staged.trainer.commands)
    await screen.pilot.press("e")
    await until(screen.pilot, lambda: len(staged.trainer.commands) > before)
    staged.finish_job(staged.trainer.commands[-1].job, f1)
    await screen.pilot.pause()


def _evaluation(f1: float) -> Any:
    from sessions.events import ClassScore, Evaluation

    classes = (ClassScore("glass", f1, f1, f1, 100), ClassScore("metal", f1, f1, f1, 100))
    return Evaluation(split="validation", images=200, f1=f1, accuracy=f1, classes=classes)


async def test_what_closed_screens_leave_is_freed_when_nobody_types(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    freed: list[float] = []
    monkeypatch.setattr(tidying, "monotonic", lambda: clock[0])
    monkeypatch.setattr(tidying, "LOOK_S", 3600.0)  # it looks when the test says so
    async with opened() as screen:
        app = screen.pilot.app
        await screen.pilot.press("question_mark", "escape")
        monkeypatch.setattr(tidying.gc, "collect", lambda: freed.append(clock[0]))
        app._look()
        assert not freed
        clock[0] += tidying.RESTED_S
        app._look()
        assert freed
        # WHEN somebody types on and on THEN it is done all the same in the end
        await screen.pilot.press("question_mark", "escape")
        while len(freed) == 1:
            clock[0] += 0.9
            await screen.pilot.press("j")
            app._look()
        assert tidying.LATEST_S <= freed[1] - freed[0] <= tidying.LATEST_S + 2


async def test_screens_that_were_closed_leave_nothing_in_memory(opened: Any) -> None:
    """A footer kept every key that it had drawn, and a cache the lines of closed screens."""
    async with opened() as screen:
        app = screen.pilot.app
        for _ in range(3):
            await screen.pilot.press("question_mark")
            await screen.pilot.pause()
            await screen.pilot.press("escape")
            await screen.pilot.pause()
        app._tidy_by = 0.0
        app._look()
        gone = (FooterKey, HelpScreen)
        kept = [o for o in gc.get_objects() if isinstance(o, gone) and not o.is_attached]
        lines = [o for o in gc.get_objects() if isinstance(o, StylesCache)]
        assert not kept
        assert len(lines) < 3 * len(list(app.main.query(Widget)))


async def test_the_screen_ends_with_the_reason_where_events_can_no_longer_be_taken(
    opened: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(event: object) -> None:
        raise LookupError("no such variant")

    async with opened() as screen:
        child = processes.Child("trainer", tmp_path / "trainer.log", breaks)
        reader = asyncio.create_task(_taken(breaks))
        reader.add_done_callback(child._tell_failure)
        await asyncio.wait([reader])
        await screen.pilot.pause()
        assert screen.pilot.app.return_code == 1
    told = "".join(capsys.readouterr())
    assert "an event of the trainer could not be taken" in told
    assert "no such variant" in told


async def _taken(take: Callable[[object], None]) -> None:
    take("an event")
