"""The reshape dialog: legal values only, each with its cost; ranks, names, comparison, carrying."""

from typing import Any

import pytest
from textual.widgets import OptionList, Static

from sessions.commands import ApplyEdit, DescribeRanks
from sessions.edits import Groups, Mid, Rank, Width
from sessions.events import JobFinished, RanksDescribed
from widgets.network_tree import NetworkTree
from workbench.screens.reshape import ReshapeScreen
from workbench.screens.variants import CompareScreen


def prompts(app: Any) -> list[str]:
    values = app.screen.query_one(OptionList)
    return [str(values.get_option_at_index(i).prompt) for i in range(values.option_count)]


async def reshape(app: Any, pilot: Any, path: str, turns: int = 0) -> None:
    app.main.query_one(NetworkTree).cursor = path
    await pilot.press("w", *("right",) * turns)
    await pilot.pause()
    assert isinstance(app.screen, ReshapeScreen)


def sent(staged: Any, kind: type) -> list[Any]:
    return [c for c in staged.engine.commands if isinstance(c, kind)]


async def test_a_stage_is_cut_to_a_width_chosen_from_the_legal_ones(
    opened_app: Any, staged: Any
) -> None:
    async with opened_app() as (app, pilot):
        await reshape(app, pilot, "stage3")
        widths = [int(line.split()[0]) for line in prompts(app)]
        assert widths[0] == 240
        assert all(width % 3 == 0 and width > 120 for width in widths)
        assert "now" in prompts(app)[0]
        await pilot.press(*("down",) * widths.index(210), "enter")
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
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(app.screen, ReshapeScreen)
        assert len(sent(staged, ApplyEdit)) == before


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
        await pilot.pause()
        assert prompts(app)[0].endswith("100.0%")
        assert prompts(app)[-1].endswith("10.0%")
        assert "rank 4" in str(app.screen.query_one("#notes", Static).render())
        await pilot.press("end", "enter")
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


async def test_a_variant_gets_a_name_and_is_compared(
    opened_app: Any, staged: Any, shows: Any
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("space")
        staged.confirm_edits()
        await pilot.press("t", "n", *"slim", "enter")
        await pilot.pause()
        assert app.live.state.variant.name == "slim"
        assert "slim" in prompts(app)[-1]
        await pilot.press("up", "d")
        await pilot.pause()
        assert isinstance(app.screen, CompareScreen)
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "slim" in text
        assert "stage1.unit2" in text
        assert "off" in text
        assert "−91,500" in text


async def test_a_result_is_carried_over_the_edits_made_since(opened_app: Any, staged: Any) -> None:
    async with opened_app() as (app, pilot):
        # GIVEN a fine-tuning that ends after another edit
        await pilot.press("f", "space")
        staged.confirm_edits()
        live = app.live
        job = max(live.state.jobs)
        edited = live.state.current
        staged.trainer.answer(JobFinished(job=job, checkpoint="c" * 64, weights_sha256="w"))
        assert live.state.current == edited
        result = live.state.jobs[job].result
        # WHEN its weights are carried over
        await pilot.press("o")
        await pilot.pause()
        # THEN the same edit is made on the result
        command = sent(staged, ApplyEdit)[-1]
        assert command.parent == result
        assert command.lineage.checkpoint == "c" * 64
        assert command.edit == live.state.variants[edited].edit
