"""A session that branches off in the middle of a fine-tuning goes on with real processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions import log
from sessions.branching import branch
from sessions.events import CheckpointWritten, Edited, JobFinished, JobStarted
from sessions.recipe import Recipe
from sessions.replay import Timeline
from workbench.session import Opening

RECIPE = Recipe(images_per_epoch=0, epochs=2, learning_rate=2e-3, augmentation="none")


async def test_a_branch_goes_on_from_its_moment_to_the_same_weights(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any]
) -> None:
    source = tmp_path / "source"
    session = watched(Opening(folder=source, model=demo_model, data="digits", recipe=RECIPE))
    live = session.live
    await live.start()
    try:
        await session.until(lambda: live.state.data is not None)
        live.queue_job("fine-tune")
        await session.until(lambda: session.all(JobFinished))
        job = max(n for n, job in live.state.jobs.items() if job.kind == "fine-tune")
        await session.until(lambda: live.state.jobs[job].status == "finished")
        tuned = live.state.variants[live.state.jobs[job].result]
    finally:
        await live.close()
    # GIVEN a branch from the middle of the fine-tuning
    records = log.read(source).records
    moment = 1 + next(n for n, r in enumerate(records) if isinstance(r.event, CheckpointWritten))
    assert branch(source, tmp_path / "out", moment).cut_off == (job,)
    again = watched(Opening(folder=tmp_path / "out"))
    live = again.live
    assert live.state.variants.keys() == Timeline(records).state_at(moment).variants.keys()
    await live.start()
    try:
        # WHEN the job goes on THEN it does so from its start, and comes to the same weights
        await again.until(lambda: not live.state.data_source)
        assert live.state.resumable.stored_step == 0
        live.resume_job()
        await again.until(lambda: live.state.jobs[job].status == "finished")
        assert [event.from_step for event in again.all(JobStarted) if event.job == job] == [0]
        found = live.state.variants[live.state.jobs[job].result]
        assert found.weights_sha256 == tuned.weights_sha256
        # WHEN something else is done THEN that is of the branch alone
        live.toggle("stage1.unit2")
        await again.until(lambda: again.all(Edited))
    finally:
        await live.close()
    assert len(log.read(source).records) == len(records)
