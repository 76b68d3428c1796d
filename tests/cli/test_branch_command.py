"""`workbench branch`: a part of a recorded session as a session that verifies and goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessions import log
from sessions.replay import Timeline


def moments(folder: Path) -> dict[str, float]:
    """Times on the replay's clock: after the first edit, in the fine-tuning, at the end."""
    timeline = Timeline(log.Scan(folder))
    marks, clock = timeline.marks, timeline.clock
    tuning = next(span for span in marks.spans if span.kind == "fine-tune")
    stored = next(moment for moment in marks.epochs if moment > tuning.start)
    return {
        "opened": clock.time_of(1),
        "cut": clock.time_of(marks.edits[0]),
        "training": clock.time_of(stored),
        "end": clock.seconds,
    }


@pytest.mark.parametrize("at", ["opened", "cut", "training", "end"])
def test_a_branch_from_any_moment_verifies_and_its_source_stays(
    at: str, demo_run: tuple[Path, Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    source, _ = demo_run
    before = (source / "session.jsonl").read_bytes()
    out = tmp_path / "branch"
    made = run("branch", source, out, "--at", moments(source)[at], "--json")
    assert (made.code, made.err) == (0, "")
    assert made.json["session"] == str(out)
    assert bool(made.json["cut_off"]) == (at == "training")
    verified = run("replay", out, "--verify", "--json")
    assert (verified.code, verified.err) == (0, "")
    assert verified.json["is_verified"]
    assert verified.json["variants"] == made.json["variants"]
    assert (source / "session.jsonl").read_bytes() == before


def test_it_says_how_to_go_on(
    demo_run: tuple[Path, Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    source, _ = demo_run
    ended = run("branch", source, tmp_path / "b", "--at", moments(source)["training"])
    assert (ended.code, ended.err) == (0, "")
    assert "cut off: job" in ended.out
    assert ended.out.splitlines()[-1] == f"go on with: workbench open {tmp_path / 'b'}"


def test_without_a_time_it_is_the_whole_session(
    demo_run: tuple[Path, Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    source, _ = demo_run
    ended = run("branch", source, tmp_path / "b", "--json")
    assert ended.json["records"] == len(log.read(source).records)


def test_a_broken_session_says_what_to_do_and_that_works(
    demo_run: tuple[Path, Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    source, _ = demo_run
    broken, out = tmp_path / "broken", tmp_path / "out"
    run("branch", source, broken)
    lines = (broken / "session.jsonl").read_bytes().split(b"\n")
    lines[20] = lines[20][:-2]
    (broken / "session.jsonl").write_bytes(b"\n".join(lines))
    for command in (("replay", broken, "--verify"), ("branch", broken, out)):
        ended = run(*command)
        assert ended.code == 1
        assert "line 21" in ended.err
        assert f"workbench branch {broken} OUT --salvage" in ended.err
    salvaged = run("branch", broken, out, "--salvage")
    assert (salvaged.code, salvaged.err) == (0, "")
    assert "line 21" in salvaged.out
    assert run("replay", out, "--verify", "--json").json["is_verified"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "out"), "is not a session"),
        (("{source}", "{source}"), "exists already"),
        (("{source}", "out", "--at", "-1"), "Invalid value"),
    ],
)
def test_mistakes_end_with_one_line(
    arguments: tuple[str, ...],
    words: str,
    demo_run: tuple[Path, Any],
    run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("branch", *(text.format(source=demo_run[0]) for text in arguments))
    assert ended.code != 0
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_the_header_of_a_branch_names_its_source(
    demo_run: tuple[Path, Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    source, _ = demo_run
    run("branch", source, tmp_path / "b", "--at", moments(source)["cut"])
    with open(tmp_path / "b" / "session.jsonl") as file:
        header = json.loads(file.readline())
    assert header["origin"]["session"] == str(source)
    assert header["origin"]["records"] == len(log.read(tmp_path / "b").records)
