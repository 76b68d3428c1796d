"""Colours: enough contrast in every theme, none at all where NO_COLOR asks for it."""

import re
from typing import Any

import pytest
from habits import every_screen, lines_of, text_of
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from sessions.events import Evaluated, Evaluation, JobFinished
from widgets.glyphs import UPPER_HALF
from widgets.network_tree import NetworkTree
from workbench.app import WorkbenchApp
from workbench.config import Config, Theme
from workbench.filters import Colourless, Legible, OnlyAscii, contrast
from workbench.themes import THEMES

CODES = re.compile(r"\x1b\[([0-9;]*)m")
NO_COLOURS = {"", "0", "1", "2", "3", "4", "7", "9", "21"}
"""Codes of bold, dim, italic, underline, reverse, strike and double underline."""


@pytest.fixture
def measured(staged: Any, until: Any, evaluation_of: Any) -> Any:
    """Starts a session with a unit off, and its F1 with confusions."""
    import contextlib

    @contextlib.asynccontextmanager
    async def measured(config: Config, size: tuple[int, int] = (120, 36)) -> Any:
        app = WorkbenchApp(staged.live, config)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: staged.engine.commands)
            staged.open_model()
            staged.open_data()
            await pilot.press("space")
            staged.confirm_edits()
            staged.live.queue_job("evaluate")
            found: Evaluation = evaluation_of(0.8)
            counts = tuple(tuple(40 if a == b else (a * b) % 4 for b in range(9)) for a in range(9))
            found = type(found)(**{**as_dict(found), "confusion": counts})
            staged.start_job(1)
            staged.trainer.answer(
                Evaluated(job=1, evaluation=found), JobFinished(job=1, evaluation=found)
            )
            await pilot.pause()
            yield app, pilot

    return measured


def as_dict(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def too_faint(line: list[Segment], least: float, *, has_marks: bool) -> list[tuple[str, float]]:
    """Text, and where asked for every sign, that is too near to its background."""
    found = []
    for text, style, _ in line:
        concerned = not text.isspace() if has_marks else any(x.isalnum() for x in text)
        if not concerned or text.strip(UPPER_HALF) == "" or style is None:
            continue
        if style.color is None or style.bgcolor is None:
            continue
        front, behind = (Color.from_rich_color(c) for c in (style.color, style.bgcolor))
        if contrast(front, behind) < least - 0.01:
            found.append((text, contrast(front, behind)))
    return found


@pytest.mark.parametrize(
    ("theme", "least", "has_marks"),
    [("high-contrast", 7.0, True), ("workbench-dark", 4.5, False), ("workbench-light", 4.5, False)],
)
async def test_everything_on_every_screen_has_enough_contrast(
    theme: Theme, least: float, has_marks: bool, measured: Any
) -> None:
    async with measured(Config(theme=theme)) as (app, pilot):
        words = 0
        async for name in every_screen(app, pilot):
            for line in lines_of(app):
                assert too_faint(line, least, has_marks=has_marks) == [], name
                words += len(line)
        assert words > 1000


def test_contrast_is_that_of_the_standard() -> None:
    white, black = Color(255, 255, 255), Color(0, 0, 0)
    assert contrast(white, black) == pytest.approx(21.0)
    assert contrast(black, white) == pytest.approx(21.0)
    assert contrast(Color.parse("#767676"), white) == pytest.approx(4.54, abs=0.01)


def test_text_on_a_background_that_allows_no_contrast_moves_the_background() -> None:
    grey = Style(color=RichColor.parse("#ffffff"), bgcolor=RichColor.parse("#777777"))
    (moved,) = Legible(7.0, has_marks=True).apply([Segment("48", grey)], Color(0, 0, 0))
    assert moved.style is not None
    front, behind = moved.style.color, moved.style.bgcolor
    assert front is not None
    assert behind is not None
    assert contrast(Color.from_rich_color(front), Color.from_rich_color(behind)) >= 7.0


@pytest.mark.parametrize("sign", ["○", "◆", "★"])
def test_a_sign_by_itself_is_told_from_its_background(sign: str) -> None:
    faint = Style(color=RichColor.parse("#cb9000"), bgcolor=RichColor.parse("#dde6ee"))
    (moved,) = Legible(4.5, has_marks=False).apply([Segment(sign, faint)], Color(255, 255, 255))
    assert moved.style is not None
    assert moved.style.color is not None
    front, behind = Color.from_rich_color(moved.style.color), Color.parse("#dde6ee")
    assert contrast(front, behind) >= 4.5


async def test_without_colour_what_lies_below_a_dialog_is_dim(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with measured(Config(), (120, 40)) as (app, pilot):

        def is_dim() -> list[bool]:
            found = [segment for segment in lines_of(app)[-1] if "Help" in segment.text]
            return [bool(style and style.dim and not style.bold) for _, style, _ in found]

        assert is_dim() == [False]
        await pilot.press("s")
        await pilot.pause()
        assert is_dim() == [True]


async def test_without_colour_there_is_no_colour_code_on_any_screen(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with measured(Config()) as (app, pilot):
        async for name in every_screen(app, pilot):
            for line in lines_of(app):
                for segment in line:
                    style = segment.style
                    assert style is None or (style.color, style.bgcolor) == (None, None), name
                sent = Strip(line).render(app.console)
                used = {code for codes in CODES.findall(sent) for code in codes.split(";")}
                assert used <= NO_COLOURS, (name, used)


async def test_without_colour_what_is_selected_off_and_changed_still_shows(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with measured(Config()) as (app, pilot):
        tree = app.main.query_one(NetworkTree)
        rows = [line for line in lines_of(app) if any("unit" in text for text, _, _ in line)]
        reversed_rows = [
            "".join(text for text, _, _ in line)
            for line in rows
            if any(style and style.reverse and "unit2" in text for text, style, _ in line)
        ]
        assert tree.cursor == "stage1.unit2"
        assert len(reversed_rows) == 1
        assert "○ unit2" in reversed_rows[0]
        assert " off " in reversed_rows[0]
        # the heat map has its figures
        await pilot.press("m")
        await pilot.pause()
        assert sum(" 40 " in line for line in text_of(app)) == 9


def test_without_colour_photos_are_shades_and_marks_are_reversed() -> None:
    white, black = RichColor.parse("#ffffff"), RichColor.parse("#000000")
    photo = [Segment(UPPER_HALF, Style(color=colour, bgcolor=colour)) for colour in (white, black)]
    mark = Segment("kept", Style(color=white, bgcolor=RichColor.parse("#00aa00")))
    shown = Colourless().apply([*photo, mark], Color(0, 0, 0))
    assert not any(cell.style and cell.style.reverse for cell in shown[: len(photo)])
    assert "".join(segment.text for segment in shown) == "@ kept"
    assert shown[2].style is not None
    assert shown[2].style.reverse


def test_in_ascii_a_photo_is_drawn_in_mean_colours() -> None:
    style = Style(color=RichColor.parse("#ffffff"), bgcolor=RichColor.parse("#000000"))
    (cell,) = OnlyAscii().apply([Segment(UPPER_HALF, style)], Color(0, 0, 0))
    assert cell.text == " "
    assert cell.style is not None
    assert cell.style.bgcolor is not None
    assert cell.style.bgcolor.triplet is not None
    assert 120 <= cell.style.bgcolor.triplet.red <= 135


async def test_there_are_three_themes_and_another_one_can_be_chosen_by_name(
    measured: Any,
) -> None:
    async with measured(Config(theme="workbench-light")) as (app, pilot):
        assert set(app.available_themes) == {theme.name for theme in THEMES}
        assert app.theme == "workbench-light"
        before = lines_of(app)[0][0].style
        await app.run_action("show_theme('high-contrast')")
        await pilot.pause()
        assert app.theme == "high-contrast"
        assert lines_of(app)[0][0].style != before
