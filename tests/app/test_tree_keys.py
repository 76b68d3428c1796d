"""Keys of the tree under a pilot: marks, sorting, the filter, stages, columns."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Input, OptionList

from sessions.commands import ApplyEdit
from widgets.filter_line import FilterLine
from widgets.key_footer import KeyFooter
from widgets.network_tree import NetworkTree
from workbench.screens.columns import ColumnsScreen

SMALL, LARGE = (80, 24), (200, 60)


def tree_of(app: Any) -> NetworkTree:
    found = app.main.query_one(NetworkTree)
    assert isinstance(found, NetworkTree)
    return found


def edits_sent(staged: Any) -> list[str]:
    return [c.edit.unit for c in staged.engine.commands if isinstance(c, ApplyEdit)]


async def test_capital_j_and_k_go_from_stage_to_stage(opened_app: Any) -> None:
    async with opened_app() as (app, pilot):
        tree = tree_of(app)
        await pilot.press("J")
        assert tree.cursor == "stage2"
        await pilot.press("J", "J", "J", "J")
        assert tree.cursor == "output"
        await pilot.press("up", "K")
        assert tree.cursor == "stage3"
        await pilot.press("K", "K", "K", "K")
        assert tree.cursor == "init"


async def test_space_switches_all_marked_units_one_edit_each_in_order(
    opened_app: Any, staged: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("down", "down", "v", "up", "up", "v")
        assert "✓" in next(line for line in shows(tree_of(app)).splitlines() if "unit4" in line)
        assert " 2 marked" in shows(tree_of(app)).splitlines()[1]
        await pilot.press("space")
        await staged.confirm()
        assert edits_sent(staged) == ["stage1.unit2", "stage1.unit4"]
        assert staged.live.state.variant.macs == 1_688_940 - 2 * 91_500
        # WHEN undone THEN one comes back
        await pilot.press("u")
        assert staged.live.state.variant.macs == 1_688_940 - 91_500
        # WHEN one of the marked is off THEN only the other one goes
        await pilot.press("space")
        await staged.confirm()
        assert edits_sent(staged)[2:] == ["stage1.unit4"]
        # WHEN all are off THEN all come back
        await pilot.press("space")
        await staged.confirm()
        assert edits_sent(staged)[3:] == ["stage1.unit2", "stage1.unit4"]
        assert staged.live.state.variant.macs == 1_688_940
        await pilot.press("V")
        assert tree_of(app).marked == ()
        assert "marked" not in shows(tree_of(app))


async def test_a_mark_on_a_stage_marks_its_units_that_can_be_off(opened_app: Any) -> None:
    async with opened_app() as (app, pilot):
        tree_of(app).cursor = "stage3"
        await pilot.press("v")
        await pilot.pause()
        assert tree_of(app).marked == ("stage3.unit2", "stage3.unit3", "stage3.unit4")
        assert "toggle_unit" not in app.main.query_one(KeyFooter).hidden
        await pilot.press("v")
        await pilot.pause()
        assert "toggle_unit" in app.main.query_one(KeyFooter).hidden
        assert tree_of(app).marked == ()


async def test_a_layer_marks_its_unit(opened_app: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("right", "down", "v")
        assert tree_of(app).marked == ("stage1.unit2",)


@pytest.mark.parametrize(
    ("path", "words"),
    [("stage1.unit1", "stage1.unit1 stays: it halves"), ("init", "init stays: it halves")],
)
async def test_what_has_to_stay_cannot_be_marked_and_a_word_says_why(
    path: str, words: str, opened_app: Any
) -> None:
    async with opened_app() as (app, pilot):
        tree_of(app).cursor = path
        await pilot.press("v")
        await pilot.pause()
        assert tree_of(app).marked == ()
        assert any(words in note.message for note in app._notifications)


async def test_capital_o_sorts_and_the_header_says_by_what(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app(LARGE) as (app, pilot):
        tree = tree_of(app)
        first = []
        for mark in ("▼MACs", "▲std", "▼worth F1", "network"):
            await pilot.press("O")
            lines = shows(tree).splitlines()
            assert mark in lines[0]
            first.append(lines[1].split()[1])
            assert tree.cursor == "stage1.unit2"
        assert first[0] == "stage2"
        assert first[3] == "init"
        assert "▼" not in lines[0] + lines[1]


async def test_what_is_sorted_by_a_column_without_room_is_said(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app(SMALL) as (app, pilot):
        await pilot.press("O", "O", "O")
        assert "sorted by worth" in shows(tree_of(app)).splitlines()[1]


async def test_a_click_on_a_title_sorts_by_it(opened_app: Any, shows: Callable[..., str]) -> None:
    async with opened_app() as (app, pilot):
        at = shows(tree_of(app)).splitlines()[0].index("MACs")
        await pilot.click(NetworkTree, offset=(at + 1, 0))
        assert tree_of(app).sort == "macs"
        await pilot.click(NetworkTree, offset=(at + 1, 0))
        assert tree_of(app).sort == ""


async def test_a_click_left_of_a_row_marks_it(opened_app: Any, shows: Callable[..., str]) -> None:
    async with opened_app() as (app, pilot):
        lines = shows(tree_of(app)).splitlines()
        y = next(y for y, line in enumerate(lines) if "unit3" in line)
        await pilot.click(NetworkTree, offset=(0, y))
        assert tree_of(app).marked == ("stage1.unit3",)


async def test_a_filter_is_applied_as_it_is_typed_kept_and_taken_away(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        tree = tree_of(app)
        before = shows(tree)
        await pilot.press("slash")
        assert app.main.query_one(FilterLine).display
        await pilot.press(*"unit7")
        await pilot.pause()
        lines = shows(tree).splitlines()
        assert lines[1].startswith(" /unit7: 1 found, escape shows all")
        assert [line.split()[1] for line in lines[2:] if line.strip()] == ["stage2", "●"]
        assert tree.cursor == "stage2.unit7"
        # WHEN kept THEN the keys are the tree's again
        await pilot.press("enter")
        await pilot.pause()
        assert not app.main.query_one(FilterLine).display
        assert tree.has_focus
        await pilot.press("right")
        assert "dw_conv2" in shows(tree)
        # WHEN cleared THEN all rows are there, with the folds of before, and the cursor in sight
        await pilot.press("escape")
        await pilot.pause()
        assert tree.filter_text == ""
        assert tree.cursor == "stage2.unit7"
        assert "unit7" in shows(tree)
        await pilot.press("home")
        await pilot.pause()
        tree.cursor = "stage1.unit2"
        await pilot.pause()
        assert shows(tree) == before


async def test_folds_under_a_filter_are_its_own(opened_app: Any, shows: Callable[..., str]) -> None:
    async with opened_app() as (app, pilot):
        tree = tree_of(app)
        await pilot.press("slash", *"dw_conv", "enter")
        await pilot.pause()
        assert shows(tree).count("dw_conv2") > 3
        tree.cursor = "stage1"
        await pilot.press("left")
        assert "▸ stage1" in shows(tree)
        await pilot.press("escape")
        await pilot.pause()
        assert "▾ stage1" in shows(tree)
        assert "dw_conv" not in shows(tree)


async def test_an_edit_does_not_take_the_filter_away(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("slash", *":off", "enter")
        await pilot.pause()
        assert "no row matches :off: escape shows all" in shows(tree_of(app))
        app.live.toggle("stage3.unit2")
        await pilot.pause()
        await pilot.pause()
        lines = shows(tree_of(app)).splitlines()
        assert "stage3" in lines[2]
        assert "○ unit2" in lines[3]
        assert not "".join(lines[4:]).strip()


async def test_a_word_that_means_nothing_names_those_that_do(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("slash", *":big")
        await pilot.pause()
        assert "there is no :big: use :off, :edited, :decomposed" in shows(tree_of(app))
        await pilot.press("escape")
        await pilot.pause()
        assert tree_of(app).filter_text == ""
        assert tree_of(app).has_focus


async def test_the_filter_goes_on_from_where_it_was(opened_app: Any) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("slash", *"unit", "enter", "slash", "3")
        await pilot.pause()
        assert app.main.query_one(FilterLine).query_one(Input).value == "unit3"
        assert tree_of(app).filter_text == "unit3"


def prompts(app: Any) -> list[str]:
    values = app.screen.query_one(OptionList)
    return [str(values.get_option_at_index(i).prompt) for i in range(values.option_count)]


async def test_columns_are_switched_in_a_list_and_stay_so(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app(SMALL) as (app, pilot):
        await pilot.press("C")
        await pilot.pause()
        assert isinstance(app.screen, ColumnsScreen)
        assert [line[0] for line in prompts(app)] == list("●○○●●●●●○○○○")
        assert "no unit was off and measured yet" in prompts(app)[10]
        # WHEN one is switched on that has no room
        await pilot.press(*("down",) * 9, "space")
        assert "no room: switch another one off" in prompts(app)[9]
        # WHEN another one is switched off
        await pilot.press("home", "enter")
        assert prompts(app)[0].startswith("○ output")
        assert "no room" not in prompts(app)[9]
        await pilot.press("escape")
        await pilot.pause()
        header = shows(tree_of(app)).splitlines()[0].split()
        assert header == ["network", "g", "MACs", "share", "params", "std", "worth", "F1"]
        await pilot.press("C", "r", "escape")
        await pilot.pause()
        assert tree_of(app).columns == ()
        assert "output" in shows(tree_of(app)).splitlines()[0]


async def test_a_filter_outlives_a_tree_that_was_empty_for_a_moment(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        tree = tree_of(app)
        await pilot.press("slash", *"dw_conv2", "enter")
        await pilot.pause()
        rows, before = tree.rows, shows(tree)
        tree.rows = ()
        await pilot.pause()
        assert "no model is open yet" in shows(tree)
        tree.rows = rows
        tree.cursor = "stage1"
        await pilot.pause()
        assert shows(tree).count("dw_conv2") == before.count("dw_conv2")
