"""From a cell of the confusion matrix to the photos in it."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from textual.widgets import Static

from sessions.commands import DrawConfused
from sessions.events import ConfusedDrawn, Evaluated, JobFinished
from widgets.confusion import ConfusionMap
from widgets.photo_grid import PhotoGrid
from workbench.screens.confused import ConfusedScreen
from workbench.screens.confusion import ConfusionScreen


def words(screen: Any, selector: str) -> str:
    return str(screen.query_one(selector, Static).render())


@pytest.fixture
def with_confusion(staged: Any, evaluation_of: Any) -> Callable[[], None]:
    """Measures the opened model; the matrix has one confusion."""
    return lambda: _measure_with_confusion(staged, evaluation_of)


def _measure_with_confusion(staged: Any, evaluation_of: Any) -> None:
    size = len(staged.live.state.data.classes)
    matrix = tuple(
        tuple(40 if column == line else 6 if (line, column) == (2, 5) else 0
              for column in range(size)) for line in range(size)
    )  # fmt: skip
    staged.live.queue_job("evaluate")
    number = max(staged.live.state.jobs)
    found = msgspec.structs.replace(evaluation_of(0.5), confusion=matrix)
    staged.trainer.answer(
        Evaluated(job=number, evaluation=found), JobFinished(job=number, evaluation=found)
    )


async def test_a_cell_of_the_confusions_opens_its_photos(
    opened_app: Any, staged: Any, until: Any, shows: Any, with_confusion: Callable[[], None]
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        with_confusion()
        await pilot.press("m")
        await pilot.pause()
        assert isinstance(app.screen, ConfusionScreen)
        # WHEN the cursor stays at the most frequent confusion
        assert app.screen.query_one(ConfusionMap).cursor == (2, 5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(staged.trainer.commands[-1], DrawConfused))
        asked = staged.trainer.commands[-1]
        assert (asked.true, asked.predicted) == (2, 5)
        assert isinstance(app.screen, ConfusedScreen)
        photo = bytes(range(256)) * (asked.edge * asked.edge * 3 // 256 + 1)
        staged.trainer.answer(
            ConfusedDrawn(
                variant=0, true=2, predicted=5, split="validation", total=6, edge=asked.edge,
                images=(photo[: asked.edge * asked.edge * 3],), names=("class2/유리 7.jpg",),
                confidences=(0.873,),
            )
        )  # fmt: skip
        await pilot.pause()
        # THEN
        drawn = shows(app.screen.query_one(PhotoGrid))
        assert "class2/유리 7.jpg" in drawn
        assert "seen as class5, 87%" in drawn
        assert "of 6 validation images, by v0" in words(app.screen, "#said")
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, ConfusionScreen)


async def test_a_click_on_a_cell_opens_it_and_an_empty_cell_opens_nothing(
    opened_app: Any, with_confusion: Callable[[], None]
) -> None:
    async with opened_app((120, 36)) as (app, pilot):
        with_confusion()
        await pilot.press("m")
        await pilot.pause()
        shown = app.screen.query_one(ConfusionMap)
        lines = [shown.render_line(y).text for y in range(shown.size.height)]
        await pilot.click(ConfusionMap, offset=(lines[1].index("·"), 1))
        await pilot.pause()
        assert isinstance(app.screen, ConfusionScreen)
        assert shown.cursor[0] == 0
        found = re.search(r"[ \[]6[ \]]", lines[3])  # in brackets where the cursor is
        assert found is not None
        await pilot.click(ConfusionMap, offset=(found.start() + 1, 3))
        await pilot.pause()
        assert isinstance(app.screen, ConfusedScreen)


async def test_why_there_are_no_photos_is_told(
    opened_app: Any, staged: Any, with_confusion: Callable[[], None]
) -> None:
    async with opened_app() as (app, pilot):
        with_confusion()
        await pilot.press("m", "enter")
        await pilot.pause()
        staged.trainer.answer(
            ConfusedDrawn(variant=0, true=2, predicted=5, reason="all images are trained on")
        )
        await pilot.pause()
        assert "all images are trained on" in words(app.screen, "#said")
