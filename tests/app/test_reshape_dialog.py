"""The reshape dialog: legal values in a strip, what each costs and keeps, by key and by mouse."""

from typing import Any

import msgspec
import pytest
from textual.widgets import Button, Static

from sessions import edits
from sessions.commands import ApplyEdit, DescribeCuts, DescribeRanks
from sessions.edits import Groups, Mid, Rank, Width
from sessions.events import ChannelFates, CutDescribed, RanksDescribed
from widgets.channel_map import ChannelMap
from widgets.choice_line import ChoiceLine
from widgets.network_tree import NetworkTree
from widgets.value_strip import ValueStrip, value_at
from workbench.screens.reshape import ReshapeScreen

MAP = (ChannelFates("stage3.new", "k" * 80 + "m" * 10 + "c" * 30, 3),)


async def reshape(app: Any, pilot: Any, path: str, turns: int = 0) -> None:
    app.main.query_one(NetworkTree).cursor = path
    await pilot.press("w", *("tab",) * turns)
    await pilot.pause()
    assert isinstance(app.screen, ReshapeScreen)


def sent(staged: Any, kind: type) -> list[Any]:
    return [c for c in staged.engine.commands if isinstance(c, kind)]


def values(app: Any) -> list[str]:
    return [value.value for value in app.screen.query_one(ValueStrip).view.values]


def chosen(app: Any) -> Any:
    view = app.screen.query_one(ValueStrip).view
    return view.values[view.at]


def words(app: Any, name: str) -> str:
    return str(app.screen.query_one(name, Static).render())


def described(command: DescribeCuts, edit: edits.Edit, **changes: Any) -> CutDescribed:
    told: dict[str, Any] = {
        "kept": 0.846,
        "kept_layers": {"stage3.unit1.expand_conv3": 0.72, "stage3.unit2.expand_conv3": 0.9},
        "channels": MAP,
    }
    return CutDescribed(variant=command.variant, edit=edit, **{**told, **changes})


async def test_a_stage_is_cut_to_a_width_chosen_from_the_legal_ones(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        widths = [int(value) for value in values(app)]
        assert widths == sorted(widths)
        assert all(width % 3 == 0 and width > 120 for width in widths)
        assert chosen(app).value == "240"
        assert chosen(app).is_present
        await pilot.press(*("left",) * 9, "down", "enter")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Width("stage3", 210)
        assert app.live.state.variant.label == "width:stage3=210"
        assert app.live.state.variant.network.width("stage3") == 210


async def test_a_unit_offers_its_parts_and_the_criterion_is_recorded(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage2.unit4")
        await pilot.press("c", "down", "enter")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Mid("stage2.unit4", 27, criterion="l1")
        await reshape(app, pilot, "stage2.unit3", turns=3)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Groups("stage2.unit3.expand", 1)


async def test_choosing_the_present_value_edits_nothing(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        before = len(sent(staged, ApplyEdit))
        await reshape(app, pilot, "stage3")
        assert "nothing would change" in words(app, "#losses")
        assert app.focused is None
        assert app.screen.query_one("#make", Button).disabled
        await pilot.press("left")
        assert not app.screen.query_one("#make", Button).disabled
        await pilot.press("right", "enter")
        await pilot.pause()
        assert not isinstance(app.screen, ReshapeScreen)
        assert len(sent(staged, ApplyEdit)) == before


async def test_what_values_keep_is_asked_from_the_nearest_and_shown_as_it_comes(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        first = sent(staged, DescribeCuts)[-1]
        assert [edit.value for edit in first.edits[:3]] == [237, 234, 231]
        # WHEN the cursor goes on THEN the value under it is asked for first
        await pilot.press(*("left",) * 10)
        await pilot.pause()
        asked = sent(staged, DescribeCuts)[-1]
        assert asked.edits[0] == Width("stage3", 210)
        assert "…" in words(app, "#losses")
        assert chosen(app).kept == "…"
        # WHEN it is answered THEN strip, words and map tell
        staged.engine.answer(described(asked, asked.edits[0]))
        await pilot.pause()
        assert chosen(app).kept == "84"
        assert "keeps 84.6% of the importance, least 72% in" in words(app, "#losses")
        assert "30 channels" in words(app, "#losses")
        assert "10 that change groups" in words(app, "#losses")
        drawn = shows(app.screen.query_one(ChannelMap))
        assert "90 of 120 stay, 10 in another group, 30 go" in drawn
        assert drawn.count("█") == 80 + 1  # and one in the legend
        # WHEN all are answered THEN more are asked for, and none twice
        for edit in asked.edits[1:]:
            staged.engine.answer(described(asked, edit, exact=True))
        await pilot.pause()
        more = sent(staged, DescribeCuts)[-1]
        assert not set(more.edits) & set(asked.edits)


async def test_what_is_shown_next_is_asked_for_before_the_rest_of_what_was(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press("tab")
        await pilot.pause()
        assert sent(staged, DescribeCuts)[-1].edits[0] == Mid("stage3", 57)
        await pilot.press("c")
        await pilot.pause()
        assert sent(staged, DescribeCuts)[-1].edits[0] == Mid("stage3", 57, criterion="l1")


async def test_answers_about_another_variant_are_not_shown(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press("left")
        asked = sent(staged, DescribeCuts)[-1]
        told = described(asked, Width("stage3", 237))
        staged.engine.answer(msgspec.structs.replace(told, variant=7))
        await pilot.pause()
        assert chosen(app).kept == "…"


async def test_a_refused_value_says_why(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press("left")
        asked = sent(staged, DescribeCuts)[-1]
        staged.engine.answer(
            CutDescribed(variant=asked.variant, edit=Width("stage3", 237), reason="it is broken")
        )
        await pilot.pause()
        assert chosen(app).kept == "no"
        assert "refused: it is broken" in words(app, "#losses")


async def test_previews_leave_no_trace_in_the_session(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        log = app.live.folder / "session.jsonl"
        state, written = app.live.state, log.read_bytes()
        await reshape(app, pilot, "stage3")
        await pilot.press("left", "left", "2", "1", "tab", "left", "shift+tab", "c", "left")
        for asked in sent(staged, DescribeCuts):
            staged.engine.answer(*(described(asked, edit) for edit in asked.edits))
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, ReshapeScreen)
        assert app.live.state == state
        assert log.read_bytes() == written
        assert not sent(staged, ApplyEdit)
        assert sent(staged, DescribeCuts)[-1].edits == ()  # nobody waits any more


@pytest.mark.parametrize(
    ("typed", "value", "said"),
    [
        ("210", "210", "typed 210"),
        ("205", "204", "not legal, the nearest is 204"),
        ("9", "123", "not legal, the nearest is 123"),
        ("99999999", "240", "not legal, the nearest is 240"),
    ],
)
async def test_a_value_can_be_typed_and_the_nearest_legal_one_is_named(
    opened_app: Any, typed: str, value: str, said: str
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press(*typed)
        await pilot.pause()
        assert chosen(app).value == value
        assert said in words(app, "#typed")


async def test_typed_digits_are_taken_back_and_arrows_go_on_from_there(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press("2", "1", "9", "backspace")
        await pilot.pause()
        assert "typed 21:" in words(app, "#typed")
        await pilot.press("2", "right", "enter")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Width("stage3", 216)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_by_mouse_alone_a_value_is_chosen_and_the_edit_made(
    opened_app: Any, staged: Any, size: tuple[int, int]
) -> None:
    async with opened_app(size) as (app, pilot):
        await reshape(app, pilot, "stage3")
        titles = app.screen.query_one(ChoiceLine).titles
        at = sum(len(title) + 2 for title in titles[: titles.index("groups")])
        await pilot.click(ChoiceLine, offset=(at, 0))
        await pilot.pause()
        assert values(app)[:3] == ["1", "2", "3"]
        strip = app.screen.query_one(ValueStrip)
        wanted = values(app).index("6")
        column = next(
            x for x in range(strip.size.width)
            if value_at(strip.view, 0, strip.size.width, x) == wanted
        )  # fmt: skip
        await pilot.click(ValueStrip, offset=(column, 0))
        await pilot.pause()
        assert chosen(app).value == "6"
        assert await pilot.click("#make")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Groups("stage3", 6)


async def test_where_units_differ_every_legal_value_is_an_edit(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        app.live.request_edit(Mid("stage2.unit4", 24))
        await staged.confirm()
        await reshape(app, pilot, "stage2", turns=1)
        assert "mixed now: 24, 30" in words(app, "#figures")
        assert chosen(app).value == "24"
        await pilot.press("enter")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Mid("stage2", 24)


async def test_a_criterion_that_needs_images_is_not_previewed_before_they_are_measured(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press(*("c",) * edits.CRITERIA.index("taylor"), "left")
        await pilot.pause()
        assert "by Taylor score (on images)" in words(app, "#typed")
        assert "measured on images first" in words(app, "#losses")
        assert chosen(app).kept == "?"
        asked = [edit for command in sent(staged, DescribeCuts) for edit in command.edits]
        assert not [edit for edit in asked if edit.criterion == "taylor"]
        await pilot.press("enter")
        await pilot.pause()
        assert [job.kind for job in app.live.state.jobs.values()][-1] == "measure"


async def test_ranks_show_what_they_keep_once_the_engine_tells(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        path = "stage2.unit2.expand_conv3"
        app.main.query_one(NetworkTree).action_unfold()
        await reshape(app, pilot, path, turns=1)
        asked = sent(staged, DescribeRanks)[-1]
        assert asked.layer == path
        kept = tuple((rank + 1) / 10 for rank in range(10))
        staged.engine.answer(
            RanksDescribed(variant=asked.variant, layer=path, kept=kept, auto=(4,))
        )
        await pilot.press("home")
        await pilot.pause()
        told = [value.kept for value in app.screen.query_one(ValueStrip).view.values]
        assert told == ["10", "20", "30", "40", "50", "60", "70", "80", "90", "100"]
        assert "rank 4" in words(app, "#losses")
        await pilot.press("enter")
        await pilot.pause()
        assert sent(staged, ApplyEdit)[-1].edit == Rank(path, (1,))


@pytest.mark.parametrize("path", ["stage1.unit1.avgpool", "output"])
async def test_where_nothing_can_be_reshaped_a_word_says_so(opened_app: Any, path: str) -> None:
    async with opened_app() as (app, pilot):
        app.main.query_one(NetworkTree).cursor = path
        await pilot.press("w")
        await pilot.pause()
        if path == "output":
            assert isinstance(app.screen, ReshapeScreen)  # its head has a rank
        else:
            assert not isinstance(app.screen, ReshapeScreen)
            assert any("nothing to reshape" in note.message for note in app._notifications)


async def test_a_cut_whose_channels_were_not_told_does_not_claim_that_all_stay(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        await pilot.press("left")
        await pilot.pause()
        asked = sent(staged, DescribeCuts)[-1]
        staged.engine.answer(described(asked, Width("stage3", 237), channels=()))
        await pilot.pause()
        assert "not known which channels go" in shows(app.screen.query_one(ChannelMap))
