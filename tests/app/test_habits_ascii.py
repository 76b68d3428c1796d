"""Screens in ASCII alone: every sign is replaced, nothing moves, the user's own names stay."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from habits import HANGUL, every_screen, text_of
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from sessions.events import Evaluated, JobFinished
from widgets.glyphs import OURS, TABLE, ascii_text
from workbench import themes
from workbench.app import WorkbenchApp
from workbench.config import Config
from workbench.filters import OnlyAscii
from workbench.player import Player

NAMES = frozenset("".join(HANGUL))


def foreign(lines: list[str], allowed: frozenset[str]) -> set[str]:
    """What is neither ASCII nor in the user's names."""
    return {letter for line in lines for letter in line if not letter.isascii()} - allowed


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_every_live_screen_is_ascii_but_for_the_names(
    size: tuple[int, int], staged: Any, until: Any, evaluation_of: Any
) -> None:
    app = WorkbenchApp(staged.live, Config(ascii="always"))
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: staged.engine.commands)
        staged.open_model()
        staged.open_data(classes=HANGUL)
        await pilot.press("space")
        staged.confirm_edits()
        staged.live.queue_job("evaluate")
        found = evaluation_of(0.8, HANGUL)
        staged.start_job(1)
        staged.trainer.answer(
            Evaluated(job=1, evaluation=found), JobFinished(job=1, evaluation=found)
        )
        await pilot.pause()
        seen = set()
        async for name in every_screen(app, pilot):
            lines = text_of(app)
            assert foreign(lines, NAMES) == set(), name
            assert {cell_len(line) for line in lines} == {size[0]}, name
            seen.add(type(app.screen).__name__)
        assert len(seen) >= 8, seen


@pytest.mark.parametrize("size", [(120, 36)])
async def test_every_replay_screen_is_ascii(size: tuple[int, int], recorded: Path) -> None:
    app = WorkbenchApp(Player(recorded, is_paused=True), Config(ascii="always"))
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("9")
        await pilot.pause()
        async for name in every_screen(app, pilot):
            assert foreign(text_of(app), frozenset()) == set(), name


@given(st.text(st.sampled_from("".join(TABLE) + "abc 한국é─╭⠿⣀🎉²½\u200b①")))
def test_every_sign_becomes_ascii_of_its_width_and_letters_stay(text: str) -> None:
    plain, strict = ascii_text(text), ascii_text(text, is_strict=True)
    assert cell_len(plain) == cell_len(text) == cell_len(strict)
    assert strict.isascii()
    assert [x for x in plain if not x.isascii()] == [x for x in text if x in "한국é🎉"]


def test_no_letter_of_any_script_counts_as_a_sign() -> None:
    for first, last in OURS:
        for code in range(first, min(last, 0x2FFF) + 1):
            name = unicodedata.name(chr(code), "")
            assert "LETTER" not in name or "MODIFIER" in name or "SUBSCRIPT" in name or (
                "SUPERSCRIPT" in name or "CIRCLED" in name or "PARENTHESIZED" in name
            ), name  # fmt: skip


def test_bars_still_differ_by_length_and_curves_by_height() -> None:
    assert ascii_text("███▌ ") == "###| "
    assert ascii_text("⠁⠒⣀⡇⠀") == "'-_| "
    assert ascii_text("▁▂▃▄▅▆▇█") == "_.:-=+*#"


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, True),
        ({"LANG": "C"}, True),
        ({"LANG": "ko_KR.UTF-8"}, True),
        ({"LANG": "en_US.utf8"}, True),
        ({"LANG": "ko_KR.eucKR"}, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "en_US.ISO-8859-1"}, False),
        ({"LANG": "ko_KR.eucKR", "LC_CTYPE": "C.UTF-8"}, True),
    ],
)
def test_the_locale_says_whether_the_terminal_can_show_more(
    environment: dict[str, str], shown: bool
) -> None:
    assert themes.can_show_unicode(environment) is shown


def test_a_terminal_of_another_encoding_gets_nothing_but_ascii(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    automatic = themes.filters_of("workbench-dark", is_colourless=False, ascii_mode="auto")
    assert [type(one) for one in automatic[1:]] == [OnlyAscii]
    shown = automatic[1].apply([Segment("유리 █")], Color(0, 0, 0))
    assert shown[0].text == "???? #"
    never = themes.filters_of("workbench-dark", is_colourless=False, ascii_mode="never")
    assert not [one for one in never if isinstance(one, OnlyAscii)]
