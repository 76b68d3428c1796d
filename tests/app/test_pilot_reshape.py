"""Variants: names, comparison, and results carried over the edits made since."""

from typing import Any

from textual.widgets import OptionList

from sessions.commands import ApplyEdit
from sessions.events import JobFinished
from workbench.screens.variants import CompareScreen


def prompts(app: Any) -> list[str]:
    values = app.screen.query_one(OptionList)
    return [str(values.get_option_at_index(i).prompt) for i in range(values.option_count)]


def sent(staged: Any, kind: type) -> list[Any]:
    return [c for c in staged.engine.commands if isinstance(c, kind)]


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
