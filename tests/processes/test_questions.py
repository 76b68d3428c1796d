"""Engine and trainer answer what is only looked at, live and about a recording."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sessions.events import (
    ActivationsMeasured,
    ChannelsDescribed,
    ConfusedDrawn,
    Evaluated,
    JobFinished,
)
from workbench import asking
from workbench.asking import ReplayProcesses
from workbench.player import Player
from workbench.screens import panel_views
from workbench.session import Opening

LIMIT_S = 120.0


def questions(state: Any, folder: Path, splits: Any) -> list[Any]:
    """About the bottleneck of a unit, the channels, and the most frequent confusion."""
    target = panel_views.channel_targets(state.variant.network, "stage2.unit2")[0]
    cut = panel_views.next_cut(target, "l2", "")
    matrix = state.variant.evaluation.confusion
    cell = max(
        ((line, column) for line in range(len(matrix)) for column in range(len(matrix))),
        key=lambda cell: (cell[0] != cell[1], matrix[cell[0]][cell[1]]),
    )
    return [
        asking.describe_channels(state, folder, target.axis, "l2", "", cut),
        asking.measure_activations(state, folder, splits, 16),
        asking.draw_confused(state, folder, splits, cell, 4, 16),
    ]


def check(answers: list[Any], state: Any) -> None:
    """Every answer is there, and says what the session itself knows."""
    described = next(x for x in answers if isinstance(x, ChannelsDescribed))
    assert not described.reason
    width = state.variant.network.axes[described.axis].width
    assert len(described.importance) == width
    assert 0 < len(described.taken) < width
    measured = next(x for x in answers if isinstance(x, ActivationsMeasured))
    assert (measured.reason, measured.images) == ("", 16)
    assert len(measured.stds[described.axis]) == width
    drawn = next(x for x in answers if isinstance(x, ConfusedDrawn))
    assert not drawn.reason
    matrix = state.variant.evaluation.confusion
    assert drawn.total == matrix[drawn.true][drawn.predicted]
    assert len(drawn.images) == min(drawn.total, 4)


@pytest.fixture
def opening(tmp_path: Path, demo_model: Path) -> Opening:
    return Opening(folder=tmp_path / "session", model=demo_model, data="digits", input_size=32)


async def test_live_processes_answer_and_a_replay_starts_some_for_it(
    watched: Any, opening: Opening, workers: Any
) -> None:
    # GIVEN a measured session
    session = watched(opening)
    live = session.live
    await live.start()
    try:
        await session.until(lambda: session.all(JobFinished) and live.state.variant.evaluation)
        # WHEN
        asked = questions(live.state, live.folder, live.splits)
        lines = (live.folder / "session.jsonl").read_bytes()
        for question in asked:
            live.ask(question)
        await session.until(lambda: session.all(ChannelsDescribed))
        await session.until(lambda: session.all(ActivationsMeasured) and session.all(ConfusedDrawn))
        # THEN they are answered, and nothing of it is recorded
        check(session.events, live.state)
        assert (live.folder / "session.jsonl").read_bytes() == lines
        assert session.all(Evaluated)
    finally:
        await live.close()
    # WHEN the same is asked about the recording
    player = Player(live.folder, is_paused=True)
    player.seek_share(1.0)
    before = {path: path.stat().st_mtime_ns for path in live.folder.rglob("*")}
    told: asyncio.Queue[Any] = asyncio.Queue()
    processes = ReplayProcesses(told.put_nowait)
    try:
        for question in questions(player.state, player.folder, live.splits):
            processes.ask(question)
        async with asyncio.timeout(LIMIT_S):
            answers = [await told.get() for _ in range(3)]
    finally:
        await processes.close()
    # THEN the answers are the same, and the folder is as it was
    check(answers, player.state)
    drawn, again = (
        next(x for x in found if isinstance(x, ConfusedDrawn))
        for found in (session.events, answers)
    )
    assert drawn == again
    assert {path: path.stat().st_mtime_ns for path in live.folder.rglob("*")} == before
