"""`screenshot`: the screen at any moment, in any size and theme, or one line that says why not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def words(svg: str) -> str:
    """The text of the picture."""
    found = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return " ".join(found).replace("&#160;", " ")


@pytest.fixture
def drawn(
    run: Callable[..., Any], demo_run: tuple[Path, Any], tmp_path: Path
) -> Callable[..., str]:
    """Draws the demo's session; gives the picture."""

    def drawn(*options: object) -> str:
        out = tmp_path / "x.svg"
        ended = run("screenshot", demo_run[0], "-o", out, *options)
        assert (ended.code, ended.err) == (0, "")
        assert list(tmp_path.iterdir()) == [out]
        return out.read_text(encoding="utf-8")

    return drawn


def test_at_picks_the_moment(drawn: Callable[..., str]) -> None:
    start, end = words(drawn("--at", 0)), words(drawn())
    assert "no model is open yet" in start
    assert "event 0/" in start
    assert "stage3" in end
    assert "digits.safetensors" in end


def test_the_bar_and_the_theme_can_be_chosen(drawn: Callable[..., str]) -> None:
    assert "Play/pause" in words(drawn("--size", "100x30"))
    assert "Play/pause" not in words(drawn("--size", "100x30", "--no-bar"))
    dark, light = drawn("--theme", "workbench-dark"), drawn("--theme", "workbench-light")
    assert words(dark) == words(light)
    assert dark != light


@pytest.mark.parametrize("size", ["40x12", "80x24", "200x60"])
def test_any_size_is_drawn(size: str, drawn: Callable[..., str]) -> None:
    columns, rows = map(int, size.split("x"))
    lines = {int(n) for n in re.findall(r"-line-(\d+)\"", drawn("--size", size))}
    assert max(lines) in (rows - 1, rows - 2), (columns, rows)


REFUSED = {
    "--at 1e6": "is after the end: the replay of",
    "--size 10x3": "--size 10x3 is not possible: from 20x6 to 500x300",
    "--size wide": "--size takes columns x rows like 120x36, not 'wide'",
    "--select stage9": "no row 'stage9' in this session",
    "--theme pink": "pink",
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_cannot_be_drawn_is_one_line_and_no_file(
    options: str, run: Callable[..., Any], demo_run: tuple[Path, Any], tmp_path: Path
) -> None:
    ended = run("screenshot", demo_run[0], "-o", tmp_path / "x.svg", *options.split())
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert REFUSED[options] in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(
    run: Callable[..., Any], demo_run: tuple[Path, Any], tmp_path: Path
) -> None:
    ended = run("screenshot", demo_run[0], "-o", tmp_path / "none" / "x.svg")
    assert (ended.code, ended.out) == (1, "")
    assert "folder does not exist" in ended.err
