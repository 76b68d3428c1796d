"""Recovery in a live session: rungs, a teacher, pause, and kills that change no weight."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions.events import (
    BATCH_NORM,
    RAW,
    REPAIR,
    SHORT,
    CheckpointWritten,
    Evaluated,
    JobFinished,
    JobPaused,
    JobStarted,
    ProcessExited,
    SamplesDrawn,
)
from sessions.recipe import Recipe
from workbench.session import Opening

KILLS = int(os.environ.get("WORKBENCH_KILLS", "4"))
RECIPE = Recipe(
    images_per_epoch=0,
    epochs=3,
    learning_rate=2e-3,
    augmentation="shift",
    recover_images=256,
    short_epochs=1,
)


def opening(folder: Path, model: Path) -> Opening:
    return Opening(folder=folder, model=model, data="digits", recipe=RECIPE)


async def test_a_cut_network_climbs_and_learns_from_the_whole_one(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any]
) -> None:
    session = watched(opening(tmp_path / "session", demo_model))
    live = session.live
    await live.start()
    try:
        await session.until(lambda: live.state.variant and live.state.variant.evaluation)
        whole = live.state.current
        live.toggle("stage1.unit2")
        await session.until(lambda: live.state.variant.recoverable)
        # WHEN an edit comes while the ladder is climbed THEN that ends, and the new one is climbed
        live.toggle("stage2.unit3")
        # THEN every rung is tried by itself, the raw F1 first, and the variant stays as it is
        await session.until(lambda: live.state.variant.recovered)
        cut, climb = live.state.variant, max(live.state.jobs.values(), key=lambda j: j.number)
        rungs = {rung.name: rung.evaluation.f1 for rung in climb.rungs}
        assert list(rungs) == [RAW, BATCH_NORM, REPAIR, SHORT]
        assert cut.evaluation.f1 == rungs[RAW]
        assert cut.recoverable.evaluation.f1 == max(rungs.values()) > cut.evaluation.f1
        assert live.state.variants[cut.parent].recovered is None
        assert live.state.jobs[climb.number].teacher == whole
        # WHEN it is to recover THEN it takes over what was climbed, at once
        live.queue_job("recover")
        assert live.state.variant.parent == cut.number
        assert live.state.variant.checkpoint == cut.recovered.checkpoint
        assert live.state.variant.evaluation.f1 == max(rungs.values())
        # WHEN it learns from the whole network, is paused and goes on
        live.distil()
        job = max(live.state.jobs)
        await session.until(lambda: any(e.job == job for e in session.all(CheckpointWritten)))
        live.pause_job()
        await session.until(lambda: session.all(JobPaused))
        assert live.state.jobs[job].status == "paused"
        live.draw_samples(RECIPE, photos=3, copies=2, edge=8)
        await session.until(lambda: session.all(SamplesDrawn))
        drawn = session.all(SamplesDrawn)[0]
        assert [len(row) for row in drawn.rows] == [3, 3, 3]
        assert all(len(image) == 8 * 8 * 3 for row in drawn.rows for image in row)
        live.resume_job()
        await session.until(lambda: any(e.job == job for e in session.all(JobFinished)))
        starts = [e.from_step for e in session.all(JobStarted) if e.job == job]
        assert starts[0] == 0 < starts[1]
        last = [e for e in session.all(Evaluated) if e.job == job][-1]
        assert last.evaluation == live.state.variant.evaluation
    finally:
        await live.close()


async def trained(session: Any, kills: int) -> JobFinished:
    """The end of a fine-tune whose trainer is killed so often, at random moments."""
    live, rng = session.live, random.Random(7)

    def finished() -> list[JobFinished]:
        return [event for event in session.all(JobFinished) if event.job == job]

    await live.start()
    try:
        await session.until(lambda: live.state.data is not None)
        live.queue_job("fine-tune")
        job = max(live.state.jobs)
        for number in range(kills):
            await session.until(lambda: live.state.running is not None or finished())
            await asyncio.sleep(rng.uniform(0, 1.5))
            if finished():
                break
            os.kill(session.worker("trainer"), signal.SIGKILL)
            await session.until(lambda n=number: len(session.all(ProcessExited)) > n)
            live.resume_job()
        await session.until(finished)
    finally:
        await live.close()
    return finished()[0]


async def test_a_trainer_killed_at_random_moments_comes_to_the_same_weights(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any]
) -> None:
    whole = await trained(watched(opening(tmp_path / "whole", demo_model)), 0)
    killed = await trained(watched(opening(tmp_path / "killed", demo_model)), KILLS)
    assert killed.weights_sha256 == whole.weights_sha256
    assert killed.evaluation == whole.evaluation
