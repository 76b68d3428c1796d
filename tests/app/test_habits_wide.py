"""Names in double-width scripts: lines are as wide as they should be, columns stay straight."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from habits import HANGUL, every_screen, text_of
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sessions.events import Evaluated, JobFinished
from widgets import numbers
from widgets.class_panel import ClassRow, class_table
from widgets.confusion import ConfusionView, confusion_text
from widgets.job_line import JobView, job_text
from widgets.score_panel import Figures, ScoreView, score_text
from widgets.title_line import title_text
from workbench.app import WorkbenchApp
from workbench.config import Config

NAMES = st.text(st.sampled_from("abcdef 12-_가나다라마바사漢字かなＡＢ🎉é\n\t"), max_size=40)
WIDTHS = st.integers(1, 200)


@given(NAMES, WIDTHS)
def test_a_shortened_name_fits_and_has_an_ellipsis_only_where_it_had_to(
    name: str, width: int
) -> None:
    short = numbers.shortened(name, width)
    assert cell_len(short) <= width
    assert short.isprintable()
    assert ("…" in short) == (cell_len(numbers.shortened(name, 1000)) > width)
    assert cell_len(numbers.fitted(name, width)) == width


@given(NAMES, NAMES, WIDTHS)
def test_the_title_is_as_wide_as_its_place(name: str, facts: str, width: int) -> None:
    assert title_text(name, facts, width).cell_len == width


@given(NAMES, NAMES, st.integers(10, 200), st.booleans())
def test_the_job_line_never_runs_over(name: str, detail: str, width: int, is_busy: bool) -> None:
    view = JobView(
        name=name.strip() or "evaluate", detail=detail, share=0.4, queue=detail,
        images_per_s=812.0 if is_busy else 0.0, left_s=42.0 if is_busy else None,
    )  # fmt: skip
    assert job_text(view, width).cell_len <= width
    assert job_text(JobView(message=detail), width).cell_len <= width


@given(NAMES, st.integers(30, 200), st.booleans())
def test_lines_of_the_score_never_run_over(note: str, width: int, is_low: bool) -> None:
    known = Figures(1_688_940, 0.8351, 0.1237)
    view = ScoreView(
        now=known, opened=known, before=known, rule=note, f1_notes=(note,), interval=(0.7, 0.9)
    )
    for line in score_text(view, width, is_low=is_low).split("\n"):
        assert line.cell_len <= width


def drawn(table: Any, width: int) -> list[str]:
    console = Console(width=width, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def column(line: str, sign: str) -> int:
    """The cell at which a sign stands."""
    return cell_len(line[: line.index(sign)])


@given(st.lists(NAMES.map(str.strip), min_size=2, max_size=6), st.integers(38, 120))
def test_figures_of_classes_stand_under_each_other(names: list[str], width: int) -> None:
    rows = tuple(ClassRow(name, 0.5, -0.125, 50) for name in names)
    title, *lines = drawn(class_table(rows, width, 9), width)
    assert len(lines) == len(names)
    assert all(cell_len(line) <= width for line in (title, *lines))
    for sign in ("█", ".500", "−0.125"):
        assert len({column(line, sign) for line in lines}) == 1, sign
    assert {cell_len(line.rstrip()) for line in lines} == {cell_len(title.rstrip())}
    assert all(line.rstrip().endswith(" 50") for line in lines)


@given(st.lists(NAMES.map(str.strip), min_size=2, max_size=6, unique=True), st.integers(60, 120))
def test_cells_of_the_confusions_stand_under_each_other(names: list[str], width: int) -> None:
    counts = tuple(tuple(7 if a == b else 1 for b in range(len(names))) for a in range(len(names)))
    view = ConfusionView(classes=tuple(names), counts=counts, split="validation", images=9, f1=0.5)
    lines = confusion_text(view, width).plain.splitlines()
    if not lines[0].startswith("true"):
        return  # in words
    assert len({cell_len(line.rstrip()) for line in lines}) == 1
    assert all(cell_len(line) <= width for line in lines)


@contextlib.asynccontextmanager
async def hangul(staged: Any, until: Any, evaluation_of: Any, size: tuple[int, int]) -> Any:
    """A session on a model, data and classes with wide names."""
    app = WorkbenchApp(staged.live, Config())
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: staged.engine.commands)
        staged.open_model()
        staged.open_data(source="/자료/쓰레기 사진", classes=HANGUL)
        await pilot.press("space")
        staged.confirm_edits()
        staged.live.queue_job("evaluate")
        found = evaluation_of(0.8, HANGUL)
        staged.start_job(1)
        staged.trainer.answer(
            Evaluated(job=1, evaluation=found), JobFinished(job=1, evaluation=found)
        )
        staged.live.name_variant(1, "단계 1을 얇게")
        await pilot.pause()
        yield app, pilot


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_every_screen_with_wide_names_is_as_wide_as_the_terminal(
    size: tuple[int, int], staged: Any, until: Any, evaluation_of: Any
) -> None:
    async with hangul(staged, until, evaluation_of, size) as (app, pilot):
        assert "단계 1을 얇게" in text_of(app)[0]
        assert "쓰레기 사진" in text_of(app)[0]
        async for name in every_screen(app, pilot):
            assert {cell_len(line) for line in text_of(app)} == {size[0]}, name


async def test_borders_of_dialogs_stay_straight_beside_wide_names(
    staged: Any, until: Any, evaluation_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "모델 모음"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with hangul(staged, until, evaluation_of, (100, 30)) as (app, pilot):
        for key, word in (("s", "모델"), ("t", "단계")):
            await pilot.press(key)
            await pilot.pause()
            lines = text_of(app)
            top = next(y for y, line in enumerate(lines) if "╭" in line and "╮" in line)
            bottom = next(y for y, line in enumerate(lines) if y > top and "╰" in line)
            right = column(lines[top], "╮")
            inside = lines[top + 1 : bottom]
            assert any(word in line for line in inside), inside
            for line in inside:
                signs = {cell_len(line[:at]): sign for at, sign in enumerate(line)}
                assert signs[column(lines[top], "╭")] == signs[right] == "│", line
            await pilot.press("escape")
            await pilot.pause()
