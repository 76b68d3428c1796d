"""kill -9 at any moment: of the screen, of the engine, of the trainer. Nothing shown is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sessions import codec, log
from sessions.codec import Record
from sessions.events import (
    CheckpointWritten,
    Edited,
    EditRejected,
    JobFinished,
    JobStarted,
    ModelSaved,
    ProcessExited,
    SessionResumed,
)
from sessions.recipe import Recipe
from sessions.replay import Timeline
from workbench.live import LiveSession
from workbench.session import Opening

KILLS = int(os.environ.get("WORKBENCH_KILLS", "4"))
START_S = 120.0
"""Seconds in which even a busy machine opens the data and trains an epoch."""
GONE_S = 10.0
"""Seconds after which no process of a killed session may be left."""
RECIPE = Recipe(images_per_epoch=0, epochs=2, learning_rate=2e-3, augmentation="none")
USER = '''
"""A user in a hurry: the real application without a terminal. Writes down what was shown."""
import asyncio, json, random, sys
from pathlib import Path
from sessions import codec
from sessions.recipe import Recipe
from workbench.app import WorkbenchApp
from workbench.live import LiveSession
from workbench.session import Opening

folder, model, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[4])
shown = open(sys.argv[3], "ab", buffering=0)


class Watched(WorkbenchApp):
    def take(self, event):
        super().take(event)
        if getattr(event, "is_durable", True) and getattr(event, "is_logged", True):
            state = self.live.state
            is_pending = any(variant.is_pending for variant in state.variants.values())
            line = {"event": codec.encode(event).decode(), "current": state.current,
                    "is_pending": is_pending}
            shown.write(json.dumps(line).encode() + b"\\n")


async def main():
    rng = random.Random(seed)
    recipe = Recipe(
        images_per_epoch=0, epochs=3, batch_size=64, augmentation="none", recover_images=256
    )
    live = LiveSession(Opening(folder=folder, model=model, data="digits", recipe=recipe))
    live.claim()
    async with Watched(live).run_test(size=(100, 30)) as pilot:
        while live.state.data is None:
            await pilot.pause(0.02)
        await pilot.press("f")
        while True:
            key = rng.choice(("space", "space", "down", "up", "u", "ctrl+r", "job"))
            if key == "job":
                if any(job.is_active for job in live.state.jobs.values()):
                    continue
                key = rng.choice("rfffe")
            if key in ("u", "ctrl+r"):  # a user who looks before going back
                while live.state.variant.is_pending:
                    await pilot.pause(0.02)
            await pilot.press(key)
            await pilot.pause(rng.random() / 4)


asyncio.run(main())
'''


class Killed(NamedTuple):
    """What was left of a session whose screen was killed."""

    folder: Path
    shown: list[dict[str, Any]]
    """Durable events in the order in which they were shown, with what was current then."""
    workers: set[int]
    """Processes that ran at that moment."""


def kill_a_user(
    number: int,
    folder: Path,
    model: Path,
    workers: Callable[[int], dict[int, str]],
    after: str | None,
) -> Killed:
    """Let the user work and kill the screen at a random moment after something was shown."""
    side = folder.with_name("shown.jsonl")
    side.touch()
    errors = folder.with_name("user.err")
    rng = random.Random(f"kill {number}")
    with open(errors, "wb") as stderr:
        user = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder), str(model), str(side), str(number)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        deadline = time.monotonic() + START_S
        while after is not None and f'"kind\\":\\"{after}' not in side.read_text():
            assert user.poll() is None, errors.read_text()
            assert time.monotonic() < deadline, side.read_text()[-2000:]
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.8 if after == "checkpoint-written" else 2))
        assert user.poll() is None, errors.read_text()
        os.kill(user.pid, signal.SIGSTOP)  # so that no child is started while they are counted
        started = set(workers(user.pid))
    finally:
        user.kill()
        user.wait()
    whole, _, _ = side.read_bytes().rpartition(b"\n")
    return Killed(folder, [json.loads(line) for line in whole.splitlines()], started)


@pytest.mark.parametrize("number", range(KILLS))
async def test_a_killed_screen_loses_nothing_that_was_shown(
    number: int,
    tmp_path: Path,
    demo_model: Path,
    workers: Callable[[int], dict[int, str]],
    running: Callable[[set[int]], set[int]],
    watched: Callable[..., Any],
) -> None:
    # GIVEN a user who is killed: while training, any time, any time, or just after starting
    after = ("checkpoint-written", "data-opened", "data-opened", None)[number % 4]
    killed = kill_a_user(number, tmp_path / "session", demo_model, workers, after)
    # THEN its processes save and leave
    deadline = time.monotonic() + GONE_S
    while running(killed.workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(killed.workers) == set()
    # THEN what was shown is on disk
    if not log.is_session(killed.folder):
        assert killed.shown == []
        return
    recording = log.read(killed.folder)
    _check_shown_is_logged(recording, killed.shown)
    # THEN the session goes on where it was, with the job that was cut off
    records = recording.records
    state = Timeline(records).state_at(len(records))
    resumed = Timeline([*records, Record(recording.seconds, SessionResumed())])
    again = LiveSession(Opening(folder=killed.folder))
    again.claim()
    assert again.state.current == state.current
    assert again.state.variants == state.variants
    again.recorder.close()
    if state.running is not None and state.running.kind != "evaluate":
        cut_off = resumed.state_at(len(records) + 1).resumable
        assert cut_off is not None
        assert cut_off.number == state.running.number
    if number == 0:
        assert resumed.state_at(len(records) + 1).resumable is not None
        await _check_it_goes_on(watched(Opening(folder=killed.folder)))


def _check_shown_is_logged(recording: log.Recording, shown: list[dict[str, Any]]) -> None:
    durable = [
        (index, codec.encode(record.event).decode())
        for index, record in enumerate(recording.records)
        if getattr(record.event, "is_durable", True)
    ]
    assert [line["event"] for line in shown] == [event for _, event in durable[: len(shown)]]
    assert len(durable) - len(shown) <= 1  # at most the one that was about to be shown
    if shown and not shown[-1]["is_pending"]:
        state = Timeline(recording.records).state_at(durable[len(shown) - 1][0] + 1)
        assert state.current == shown[-1]["current"]


async def _check_it_goes_on(session: Any) -> None:
    live = session.live
    before = live.state
    await live.start()
    try:
        assert live.state.current == before.current
        await session.until(lambda: live.state.data_source == "")
        job = live.state.resumable
        live.resume_job()
        await session.until(lambda: session.all(JobFinished))
        assert session.all(JobStarted)[0].from_step >= job.stored_step > 0
        assert live.state.jobs[job.number].status == "finished"
        assert job.result in live.state.variants
        unit = next(u.path for u in live.state.variant.network.units.values() if u.is_removable)
        live.toggle(unit)
        await session.until(lambda: not live.state.variant.is_pending)
        assert session.all(Edited)
    finally:
        await live.close()


async def test_a_killed_engine_costs_the_edit_in_its_hand_and_is_started_by_the_next(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any], running: Callable[..., Any]
) -> None:
    session = watched(Opening(folder=tmp_path / "session", model=demo_model))
    live = session.live
    await live.start()
    try:
        await session.until(lambda: live.state.current is not None)
        # WHEN it is killed while idle
        first = session.worker("engine")
        os.kill(first, signal.SIGKILL)
        await session.until(lambda: session.all(ProcessExited))
        exited = session.all(ProcessExited)[0]
        assert (exited.process, exited.code) == ("engine", -9)
        # THEN the next edit has a new one
        live.toggle("stage1.unit2")
        await session.until(lambda: session.all(Edited))
        second = session.worker("engine")
        assert second != first
        # WHEN it is killed with an edit in hand
        os.kill(second, signal.SIGSTOP)
        live.toggle("stage1.unit3")
        assert live.state.current == 2
        os.kill(second, signal.SIGKILL)
        await session.until(lambda: len(session.all(ProcessExited)) == 2)
        # THEN the edit is taken back, and works when it is made again
        assert [event.variant for event in session.all(EditRejected)] == [2]
        assert live.state.current == 1
        live.toggle("stage1.unit3")
        await session.until(lambda: len(session.all(Edited)) == 2)
        assert live.state.variant.network.units_per_stage == (2, 8, 4)
        third = session.worker("engine")
    finally:
        await live.close()
    assert running({first, second, third}) == set()


async def test_a_model_is_saved_whole_or_not_at_all_when_the_engine_is_killed(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any]
) -> None:
    session = watched(Opening(folder=tmp_path / "session", model=demo_model))
    live = session.live
    out = tmp_path / "saved" / "model.pt"
    out.parent.mkdir()
    await live.start()
    try:
        await session.until(lambda: live.state.current is not None)
        # WHEN it is killed with the request in hand
        engine = session.worker("engine")
        os.kill(engine, signal.SIGSTOP)
        live.save_model(out)
        os.kill(engine, signal.SIGKILL)
        await session.until(lambda: session.all(ProcessExited))
        # THEN nothing is there, and the next request writes it
        assert list(out.parent.iterdir()) == []
        live.save_model(out)
        await session.until(lambda: session.all(ModelSaved))
        assert list(out.parent.iterdir()) == [out]
        assert out.stat().st_size == session.all(ModelSaved)[0].bytes
    finally:
        await live.close()


async def test_a_killed_trainer_costs_no_more_than_the_epoch_and_the_job_goes_on(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any], running: Callable[..., Any]
) -> None:
    opening = Opening(folder=tmp_path / "session", model=demo_model, data="digits", recipe=RECIPE)
    session = watched(opening)
    live = session.live
    await live.start()
    try:
        await session.until(lambda: live.state.data is not None)
        engine = session.worker("engine")
        # WHEN it is killed while idle
        first = session.worker("trainer")
        os.kill(first, signal.SIGKILL)
        await session.until(lambda: session.all(ProcessExited))
        # THEN the next job has a new one
        live.queue_job("fine-tune")
        await session.until(lambda: session.all(CheckpointWritten))
        job = live.state.running
        second = session.worker("trainer")
        assert second != first
        # WHEN it is killed in the middle of the job
        os.kill(second, signal.SIGKILL)
        await session.until(lambda: len(session.all(ProcessExited)) == 2)
        # THEN the job can go on, and the rest of the session never stopped
        assert live.state.resumable.number == job.number
        stored = live.state.resumable.stored_step
        assert stored > 0
        live.toggle("stage1.unit2")
        await session.until(lambda: session.all(Edited))
        assert session.worker("engine") == engine
        # WHEN it goes on THEN it does so from its stored step, to its end
        live.resume_job()
        await session.until(
            lambda: any(event.job == job.number for event in session.all(JobFinished))
        )
        starts = [event for event in session.all(JobStarted) if event.job == job.number]
        assert [event.from_step for event in starts] == [0, stored]
        assert live.state.jobs[job.number].status == "finished"
        assert live.state.variants[job.result].label == "fine-tune, 2 epochs"
        assert live.state.variants[job.result].evaluation.f1 > 0.5
        third = session.worker("trainer")
    finally:
        await live.close()
    assert running({first, second, third, engine}) == set()


async def test_a_trainer_killed_while_it_opens_the_data_opens_it_when_asked_again(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any]
) -> None:
    from workbench.session import RequestError

    session = watched(Opening(folder=tmp_path / "session", model=demo_model, data="digits"))
    live = session.live
    await live.start()
    try:
        await session.until(lambda: live.state.data_source)
        os.kill(session.worker("trainer"), signal.SIGKILL)
        await session.until(lambda: session.all(ProcessExited))
        assert live.state.data is None
        with pytest.raises(RequestError):
            live.queue_job("recover")
        await session.until(lambda: live.state.data is not None)
    finally:
        await live.close()
