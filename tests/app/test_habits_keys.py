"""Keys of one's own, the palette, the footer of the moment, the clipboard, any size."""

import random
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from habits import text_of
from textual.command import CommandPalette
from textual.widgets import Button, Input, OptionList, Static

from sessions import edits
from sessions.commands import SaveModel, StopJob
from sessions.events import DataFailed
from widgets.job_line import JobLine
from widgets.key_footer import KeyFooter
from widgets.network_tree import NetworkTree
from widgets.title_line import TitleLine
from workbench import keymap
from workbench.app import WorkbenchApp, contexts
from workbench.config import Config
from workbench.palette import Actions
from workbench.player import Player
from workbench.screens import shell
from workbench.screens.dialogs import HelpScreen, SaveScreen
from workbench.screens.main import MainScreen
from workbench.screens.variants import VariantsScreen


def footer(app: WorkbenchApp) -> dict[str, str]:
    """What the footer shows: description and key."""
    return {str(key.description): str(key.key_display) for key in app.screen.query("FooterKey")}


@pytest.fixture
def opened_with(staged: Any, until: Any) -> Any:
    """Starts the app with a config, model and data open."""
    import contextlib

    @contextlib.asynccontextmanager
    async def opened_with(config: Config, size: tuple[int, int] = (120, 36)) -> Any:
        app = WorkbenchApp(staged.live, config)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: staged.engine.commands)
            staged.open_model()
            staged.open_data()
            await pilot.pause()
            yield app, pilot

    return opened_with


async def test_own_keys_take_the_place_of_the_usual_ones(
    opened_with: Any, staged: Any, until: Any, shows: Any
) -> None:
    keys = {"toggle_unit": "z", "undo": "ctrl+z,backspace", "down": "f6"}
    async with opened_with(Config(keys=keys)) as (app, pilot):
        await pilot.press("space")
        assert staged.live.state.current == 0
        await pilot.press("z")
        assert staged.live.state.current == 1
        staged.confirm_edits()
        await pilot.press("u")
        assert staged.live.state.current == 1
        await pilot.press("backspace")
        assert staged.live.state.current == 0
        tree = app.main.query_one(NetworkTree)
        before = tree.cursor
        await pilot.press("f6")
        assert tree.cursor != before
        await until(pilot, lambda: footer(app).get("On/off") == "z")
        await pilot.press("question_mark")
        await pilot.pause()
        help_text = "\n".join(shows(part) for part in app.screen.query(Static))
        assert any(line.split()[:2] == ["z", "Switch"] for line in help_text.splitlines())
        assert not any(line.split()[:2] == ["space", "Switch"] for line in help_text.splitlines())


async def test_a_replay_keeps_its_space_where_live_gave_it_away(recorded: Path) -> None:
    app = WorkbenchApp(Player(recorded, is_paused=True), Config(keys={"toggle_unit": "z"}))
    async with app.run_test() as pilot:
        await pilot.press("0")
        assert app.player is not None
        assert not app.player.view.is_playing
        await pilot.press("space")
        assert app.player.view.is_playing


async def test_columns_convention_and_theme_are_those_of_the_config(opened_with: Any) -> None:
    config = Config(columns=("params", "macs"), convention="fvcore", theme="workbench-light")
    async with opened_with(config) as (app, pilot):
        await pilot.pause()
        assert app.theme == "workbench-light"
        header = next(line for line in text_of(app) if "network" in line)
        assert header.index("params") < header.index("MACs")
        assert "share" not in header
        assert any("fvcore" in line for line in text_of(app))


async def commands(app: WorkbenchApp) -> dict[str, str]:
    """Name and help of every line of the palette."""
    provider = Actions(app.screen, None)
    return {hit.text: hit.help or "" async for hit in provider.discover()}  # type: ignore[union-attr]


async def test_the_palette_has_every_action_that_is_possible_now(
    opened_with: Any, staged: Any
) -> None:
    async with opened_with(Config()) as (app, _):
        found = await commands(app)
        possible = {
            binding.description
            for binding in contexts()[0]
            if binding.description and app.check_action(binding.action.partition("(")[0], ())
        }
        assert possible <= set(found)
        assert {"Stop", "Continue", "Play/pause"}.isdisjoint(found)
        assert found["Recover"] == "Fit the cut network to its old outputs"
        assert {"Theme workbench-dark", "Theme workbench-light", "Theme high-contrast"} <= set(
            found
        )
        staged.live.queue_job("fine-tune")
        staged.start_job(1)
        assert "Stop" in await commands(app)


async def test_a_command_is_found_by_a_word_of_its_help_and_runs(
    opened_with: Any, until: Any
) -> None:
    async with opened_with(Config()) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"all variants")
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
        await until(pilot, lambda: app.screen.query_one(OptionList).highlighted is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, VariantsScreen))


async def test_the_footer_offers_what_the_selected_row_can_have(
    opened_with: Any, until: Any
) -> None:
    async with opened_with(Config(), (160, 45)) as (app, pilot):
        tree = app.main.query_one(NetworkTree)
        assert tree.cursor == "stage1.unit2"
        await until(pilot, lambda: {"On/off", "Reshape"} <= set(footer(app)))
        tree.cursor = "stage1"
        await until(pilot, lambda: "On/off" not in footer(app))
        assert "Reshape" in footer(app)
        tree.cursor = "stage1.unit1"  # it halves the resolution and has to stay
        await until(pilot, lambda: "On/off" not in footer(app))
        hidden = app.main.query_one(KeyFooter).hidden
        assert hidden == {"toggle_unit", "undo"}  # nothing was edited yet
        tree.cursor = "stage1.unit3"
        await until(pilot, lambda: "On/off" in footer(app))


async def test_the_footer_offers_no_key_that_would_do_nothing(
    staged: Any, until: Any, shows: Any
) -> None:
    app = WorkbenchApp(staged.live)
    async with app.run_test(size=(160, 45), notifications=True) as pilot:
        await until(pilot, lambda: {"Help", "Quit"} <= set(footer(app)))
        needs_model = {"On/off", "Reshape", "Recover", "Fine-tune", "Eval", "Undo", "Save"}
        assert needs_model.isdisjoint(footer(app))
        # WHEN such a key is pressed all the same THEN it says why nothing happens
        await pilot.press("space", "w", "s")
        await pilot.pause()
        toasts = [shows(toast) for toast in app.screen.query("Toast")]
        assert any("the model is still opening" in " ".join(text.split()) for text in toasts)
        # WHEN the model is open THEN only what needs data or an edit is left out
        await until(pilot, lambda: staged.engine.commands)
        staged.open_model()
        await until(pilot, lambda: {"On/off", "Reshape", "Save"} <= set(footer(app)))
        assert {"Recover", "Fine-tune", "Eval", "Undo"}.isdisjoint(footer(app))
        staged.open_data()
        await until(pilot, lambda: {"Recover", "Fine-tune", "Eval"} <= set(footer(app)))
        assert "Undo" not in footer(app)
        await pilot.press("space")
        staged.confirm_edits()
        await until(pilot, lambda: "Undo" in footer(app))
        await pilot.press("u")
        await until(pilot, lambda: "Undo" not in footer(app))


async def test_data_that_failed_leave_the_key_that_tries_again(staged: Any, until: Any) -> None:
    app = WorkbenchApp(staged.live)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: staged.engine.commands)
        staged.open_model()
        staged.trainer.answer(DataFailed(source="/data/trashnet", reason="no images"))
        await until(pilot, lambda: "Eval" in footer(app))
        assert {"Recover", "Fine-tune"}.isdisjoint(footer(app))


@pytest.mark.parametrize("width", [64, 80, 100])
async def test_help_and_quit_stay_in_the_footer_whatever_else_there_is(
    width: int, opened_with: Any, staged: Any, until: Any
) -> None:
    async with opened_with(Config(), (width, 24)) as (app, pilot):
        staged.live.queue_job("fine-tune")
        staged.start_job(1)
        await until(pilot, lambda: {"Stop", "Help", "Quit"} <= set(footer(app)))
        last = text_of(app)[-1]
        assert "? Help" in last
        assert "q Quit" in last
        assert "x Stop" in last


async def test_y_copies_the_path_and_says_what_it_copied(opened_with: Any, shows: Any) -> None:
    async with opened_with(Config()) as (app, pilot):
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == "stage1.unit2"
        assert any("copied stage1.unit2" in shows(toast) for toast in app.screen.query("Toast"))


async def test_the_clipboard_is_the_terminals_own(
    opened_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_with(Config()) as (app, pilot):
        sent: list[str] = []
        monkeypatch.setattr(app._driver, "write", sent.append)
        await pilot.press("y")
        assert "\x1b]52;c;c3RhZ2UxLnVuaXQy\a" in sent  # base64 of the path


async def test_the_copied_command_makes_the_variant_again(
    opened_with: Any, staged: Any, shows: Any
) -> None:
    async with opened_with(Config()) as (app, pilot):
        await pilot.press("space")
        await staged.confirm()
        staged.live.request_edit(edits.parse("width:stage3=210"))
        await staged.confirm()
        await pilot.press("Y")
        await pilot.pause()
        state = staged.live.state
        words = shlex.split(app.clipboard)
        assert words[:2] == ["workbench", "edit"]
        assert words[2] == state.source
        assert words[3].endswith(f"-v{state.current}.pth")
        network = state.variants[0].network
        for word in words[4:]:
            network = edits.apply(network, edits.parse(word))
        assert network == state.variant.network
        assert any("that makes v2" in shows(toast) for toast in app.screen.query("Toast"))


async def test_of_trained_weights_the_copied_command_says_that_they_are_not_in_it(
    opened_with: Any, staged: Any, shows: Any
) -> None:
    async with opened_with(Config()) as (app, pilot):
        staged.live.queue_job("fine-tune")
        staged.start_job(1)
        staged.finish_job(1, 0.8, checkpoint="12" * 32)
        assert not shell.is_trained(staged.live.state, 0)
        assert shell.is_trained(staged.live.state, staged.live.state.current)
        await pilot.press("Y")
        await pilot.pause()
        toasts = " ".join(" ".join(shows(toast).split()) for toast in app.screen.query("Toast"))
        assert "its trained weights are not in it: s saves them" in toasts


async def test_a_model_in_a_folder_with_spaces_is_quoted(staged: Any, opened_with: Any) -> None:
    async with opened_with(Config()):
        state = msgspec.structs.replace(staged.live.state, source="/my models/it's one.pth")
        words = shlex.split(shell.edit_command(state, 0))
        assert words[2:4] == ["/my models/it's one.pth", "it's one-v0.pth"]


async def test_saving_over_a_file_is_asked_about_unless_the_config_says_not_to(
    opened_with: Any, staged: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "published-v0.pth").write_bytes(b"precious")
    async with opened_with(Config()) as (app, pilot):
        await pilot.press("s", "enter")
        await pilot.pause()
        assert isinstance(app.screen, SaveScreen)
        assert any("exists: save again overwrites it" in line for line in text_of(app))
        app.screen.query_one(Input).value = "other.pt"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(staged.engine.commands[-1], SaveModel))
    assert not SaveScreen("x", confirms=False)._confirms


async def test_a_click_beside_a_dialog_and_its_buttons_close_it(opened_with: Any) -> None:
    async with opened_with(Config()) as (app, pilot):
        for key in ("question_mark", "t", "s", "m"):
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, MainScreen)
            await pilot.click(offset=(1, 1))
            await pilot.pause()
            assert isinstance(app.screen, MainScreen), key
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        app.screen.query_one(Button).press()
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)
        await pilot.press("s")
        await pilot.pause()
        await pilot.click("#cancel")
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)


SIZES = ((80, 24), (300, 100), (40, 10), (1, 1), (120, 36), (64, 16), (63, 16), (10, 60), (200, 5))


async def test_a_terminal_that_is_too_small_says_how_large_it_should_be(
    opened_with: Any,
) -> None:
    async with opened_with(Config()) as (app, pilot):
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "terminal too small" in text
        assert "40×10, at least 64×16" in text
        assert "stage1" not in text
        await pilot.resize_terminal(64, 16)
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "too small" not in text
        assert "stage1" in text
        assert "1,688,940" in text


@pytest.mark.parametrize("seed", range(2))
async def test_any_size_at_any_moment_leaves_the_session_as_it_is(
    seed: int, opened_with: Any, staged: Any
) -> None:
    rng = random.Random(seed)
    async with opened_with(Config()) as (app, pilot):
        staged.live.queue_job("fine-tune")
        staged.start_job(1)
        keys = [keymap.keys_of(b)[0] for b in contexts()[0] if keymap.name(b) != "quit"]
        for _ in range(20):
            width, height = rng.choice(SIZES)
            await pilot.resize_terminal(width, height)
            await pilot.press(rng.choice(keys))
            if rng.random() < 0.3:
                await pilot.pause()
            await pilot.press("escape")
            await pilot.pause()
            await staged.confirm()
            assert app.is_running
            lines = text_of(app)
            assert len(lines) == height
        assert app.return_code in (None, 0)
    assert not staged.live.log_error


async def test_a_click_on_the_first_line_shows_the_variants_and_one_on_the_job_puts_it_aside(
    opened_with: Any, staged: Any, until: Any
) -> None:
    async with opened_with(Config()) as (app, pilot):
        await pilot.click(TitleLine)
        await pilot.pause()
        assert isinstance(app.screen, VariantsScreen)
        await pilot.press("escape")
        await pilot.pause()
        before = len(staged.trainer.commands)
        await pilot.click(JobLine)  # nothing runs, so nothing happens
        await pilot.pause()
        assert len(staged.trainer.commands) == before
        staged.live.queue_job("fine-tune")
        await staged.confirm()
        staged.start_job(1)
        await pilot.click(JobLine)
        await until(
            pilot,
            lambda: any(isinstance(c, StopJob) and c.is_pause for c in staged.trainer.commands),
        )
