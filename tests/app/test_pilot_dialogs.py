"""The dialogs over the main screen: help, variants, save as, recipe."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static

from sessions.commands import RunJob, SaveModel
from sessions.events import CommandFailed, ModelSaved
from widgets.field_form import FieldForm
from widgets.score_panel import ScorePanel
from workbench.screens import styles
from workbench.screens.dialogs import HelpScreen, SaveScreen
from workbench.screens.main import MainScreen
from workbench.screens.recipe import RecipeScreen
from workbench.screens.variants import CompareScreen, VariantsScreen


def fill_in(screen: Any, field: str, typed: str) -> None:
    screen.query_one(FieldForm).go_to(field)
    screen.query_one(Input).value = typed


async def test_help_lists_every_key_with_what_it_does(opened_app: Any, shows: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        text = "\n".join(shows(part) for part in app.screen.query(Static))
        lines = [line.split() for line in text.splitlines()]
        for key, word in (("space", "Switch"), ("r", "Fit"), ("f", "Fine-tune")):
            assert any(line[:2] == [key, word] for line in lines), key
        for key in ("F", "e", "u", "^r", "t", "s", "?", "q"):
            assert any(line[:1] == [key] and len(line) > 1 for line in lines), key
        assert "MACs and F1 in one number" in text
        assert "Play" not in text
        await pilot.press("escape")
        assert isinstance(app.screen, MainScreen)


async def test_help_begins_with_the_keys_that_do_the_work(opened_app: Any) -> None:
    """The dialog is longer than a small terminal: what comes first is what is read."""
    async with opened_app() as (app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        seen = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "Switch the selected unit" in seen
        assert "Fit the cut network to its old outputs" in seen


async def test_the_variants_dialog_starts_at_the_current_one_and_jumps(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app() as (app, pilot):
        # GIVEN two units off
        await pilot.press("space", "down", "space")
        staged.confirm_edits()
        await pilot.press("t")
        await pilot.pause()
        assert isinstance(app.screen, VariantsScreen)
        options = app.screen.query_one(OptionList)
        assert options.option_count == 3
        assert options.highlighted == 2
        text = shows(options)
        assert "▸v2 stage1.unit3 off" in text
        # WHEN
        await pilot.press("up", "up", "enter")
        # THEN
        assert isinstance(app.screen, MainScreen)
        assert staged.live.state.current == 0
        assert "1,688,940" in shows(app.main.query_one(ScorePanel))


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=lambda size: str(size[0]))
async def test_two_variants_side_by_side_hide_the_list_below(
    size: tuple[int, int], opened_app: Any, staged: Any
) -> None:
    async with opened_app(size) as (app, pilot):
        await pilot.press("space")
        staged.confirm_edits()
        await pilot.press("t")
        await pilot.pause()
        below = app.screen.query_one(".dialog").region
        await pilot.press("up", "d")
        await pilot.pause()
        assert isinstance(app.screen, CompareScreen)
        assert app.screen.query_one(".dialog").region.contains_region(below)


async def test_escape_leaves_the_variants_as_they_were(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("space")
        staged.confirm_edits()
        await pilot.press("t", "up", "escape")
        assert isinstance(app.screen, MainScreen)
        assert staged.live.state.current == 1


async def test_save_suggests_a_name_and_asks_the_engine_for_the_file(
    opened_app: Any, staged: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened_app() as (app, pilot):
        await pilot.press("space")
        staged.confirm_edits()
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(app.screen, SaveScreen)
        assert app.screen.query_one(Input).value == str(tmp_path / "published-v1.pth")
        # WHEN another name is typed, with keys that mean something elsewhere
        app.screen.query_one(Input).value = ""
        await pilot.press(*"q.pt")
        await pilot.press("enter")
        # THEN
        await until(pilot, lambda: isinstance(staged.engine.commands[-1], SaveModel))
        command = staged.engine.commands[-1]
        assert command.path == str(tmp_path / "q.pt")
        assert command.variant == 1
        assert [type(edit).__name__ for edit in command.lineage.edits] == ["UnitOff"]


async def test_a_saved_file_and_a_failed_one_are_both_reported(
    opened_app: Any, staged: Any, tmp_path: Path
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("s", "enter")
        path = str(tmp_path / "a[b].pt")
        staged.engine.answer(
            ModelSaved(
                variant=0, path=path, sha256="", bytes=1234, macs=1688940, ptflops_macs=1688940
            ),
            CommandFailed(command="save-model", reason="cannot write x: no space left"),
        )
        await pilot.pause()
        toasts = [str(toast.render()) for toast in app.screen.query("Toast")]
        assert toasts == [
            f"saved {path} (1,234 bytes, 1,688,940 MACs, ptflops agrees)",
            "Error\ncannot write x: no space left",
        ]


async def test_escape_or_an_empty_name_saves_nothing(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("s", "escape")
        assert isinstance(app.screen, MainScreen)
        await pilot.press("s")
        app.screen.query_one(Input).value = "  "
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)
        assert not any(isinstance(command, SaveModel) for command in staged.engine.commands)


async def test_enter_starts_from_the_recipe_dialog_as_it_opens(
    opened_app: Any, staged: Any, until: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        assert app.focused is app.screen.query_one(Input)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        assert isinstance(app.screen, MainScreen)


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("epochs", "many", ("epochs", "'many'", "not a whole number")),
        ("epochs", "0", ("epochs", "1")),
        ("learning_rate", "11", ("learning_rate", "10")),
        ("augmentation", "wild", ("augmentation", "light", "strong")),
    ],
)
async def test_the_recipe_dialog_stays_and_says_what_is_wrong(
    field: str, typed: str, words: tuple[str, ...], opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        fill_in(app.screen, field, typed)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RecipeScreen)
        problem = str(app.screen.query_one("#problem", Label).render())
        for word in words:
            assert word in problem
        assert staged.live.state.jobs == {}


async def test_the_recipe_dialog_starts_a_fine_tuning_with_what_was_typed(
    opened_app: Any, staged: Any, until: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        assert app.screen.query_one(FieldForm).values["epochs"] == "25"
        fill_in(app.screen, "epochs", "3")
        fill_in(app.screen, "learning_rate", "1e-4")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        recipe = staged.trainer.commands[-1].recipe
        assert (recipe.epochs, recipe.learning_rate) == (3, 1e-4)
        assert isinstance(app.screen, MainScreen)
        # THEN the next one starts from these choices
        await pilot.press("F")
        await pilot.pause()
        assert app.screen.query_one(FieldForm).values["epochs"] == "3"
        await pilot.press("escape")
        assert len(staged.live.state.jobs) == 1


async def test_the_recipe_is_filled_in_by_keys_alone(
    opened_app: Any, staged: Any, shows: Any, until: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        form = app.screen.query_one(FieldForm)
        await pilot.press("backspace", "backspace", "7", "down", "pagedown", "up", "home", "end")
        assert form.at == 10
        assert form.values["epochs"] == "7"
        assert re.search(r"epochs +7 ", shows(form.query_one("_Lines")))
        # THEN the last field leads on to the buttons, and back
        form.at = len(form.values) - 1
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#start")
        await pilot.press("shift+tab", "up")
        assert form.at == len(form.values) - 2
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], RunJob))
        assert staged.trainer.commands[-1].recipe.epochs == 7


async def test_a_click_takes_up_a_field_of_the_recipe(opened_app: Any, shows: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        lines = app.screen.query_one("_Lines")
        row = (
            shows(lines)
            .splitlines()
            .index(
                next(line for line in shows(lines).splitlines() if line.startswith("learning rate"))
            )
        )
        await pilot.click(lines, offset=(2, row))
        assert app.screen.query_one(Input).value == "0.003"
        assert "learning rate: peak" in str(app.screen.query_one("#about", Label).render())
        # WHEN the name of a group is clicked THEN nothing is taken up
        await pilot.click(lines, offset=(2, 0))
        assert app.screen.query_one(Input).value == "0.003"


async def test_an_existing_file_is_overwritten_only_when_asked_twice(
    opened_app: Any, staged: Any, tmp_path: Any
) -> None:
    there = tmp_path / "there.pt"
    there.write_bytes(b"mine")
    async with opened_app() as (app, pilot):
        await pilot.press("s")
        await pilot.pause()
        app.screen.query_one(Input).value = str(there)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, SaveScreen)
        assert "exists" in str(app.screen.query_one("#hint", Label).render())
        assert not any(isinstance(c, SaveModel) for c in staged.engine.commands)
        await pilot.press("enter")
        await pilot.pause()
        assert [c.path for c in staged.engine.commands if isinstance(c, SaveModel)] == [str(there)]


def test_every_screen_with_a_style_of_its_own_is_in_the_sheet() -> None:
    def below(screen: type) -> Iterator[type]:
        for one in screen.__subclasses__():
            yield one
            yield from below(one)

    mine = {s for s in below(ModalScreen) if s.__module__.startswith("workbench")}
    assert {screen for screen in mine if "STYLE" in vars(screen)} == {*styles.SCREENS}
    assert not any("CSS" in vars(screen) for screen in mine)
