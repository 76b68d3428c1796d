"""A live session on fake processes: what is logged is what is shown, whatever comes in between."""

import contextlib
import errno
import os
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions import log
from sessions.commands import ApplyEdit, OpenData, OpenModel, RunJob
from sessions.edits import Classes
from sessions.events import ProcessExited
from sessions.replay import Timeline
from sessions.state import SessionState
from workbench.errors import UserError
from workbench.live import LiveSession
from workbench.session import Opening, RequestError


@pytest.fixture
def begun(staged: Any) -> Callable[..., Any]:
    """Starts the session with the model, and by choice the data, open."""

    async def begun(*, has_data: bool = True) -> Any:
        await staged.live.start()
        await staged.until(lambda: staged.engine.commands)
        staged.open_model()
        if has_data:
            staged.open_data()
        return staged

    return begun


def kinds(folder: Path) -> list[str]:
    """What is in the log, requests that only announce an edit left out."""
    names = [type(record.event).__name__ for record in log.read(folder).records]
    return [name for name in names if name != "EditRequested"]


def logged(folder: Path) -> SessionState:
    """The state that a replay, or a resumed session, comes to."""
    records = log.read(folder).records
    return Timeline(records).state_at(len(records))


async def test_the_log_comes_to_the_same_state_as_the_live_session(begun: Any) -> None:
    staged = await begun()
    live = staged.live
    for unit in ("stage1.unit2", "stage1.unit3", "stage2.unit4"):
        live.toggle(unit)
        await staged.confirm()
    live.undo()
    live.undo()
    live.toggle("stage3.unit2")
    await staged.confirm()
    live.undo()
    live.redo()
    live.queue_job("recover")
    staged.start_job(1)
    staged.finish_job(1, 0.8, checkpoint="12" * 32)
    assert logged(live.folder) == live.state


@pytest.mark.parametrize("seed", range(12))
async def test_any_session_replays_to_where_it_was(seed: int, begun: Any) -> None:
    """Random requests and answers in any order: the log knows all that the state knows."""
    rng = random.Random(seed)
    staged = await begun()
    live = staged.live
    for _ in range(40):
        await _random_step(rng, staged)
        if not any(variant.is_pending for variant in live.state.variants.values()):
            again = logged(live.folder)
            assert again.current == live.state.current
            assert again.variants == live.state.variants
            assert again.jobs == live.state.jobs


async def _random_step(rng: random.Random, staged: Any) -> None:
    live = staged.live
    removable = [u.path for u in live.state.variant.network.units.values() if u.is_removable]
    jobs = [job for job in live.state.jobs.values() if job.is_active]
    step = rng.choice(("toggle", "toggle", "undo", "redo", "select", "job", "answer", "done"))
    with contextlib.suppress(RequestError):
        match step:
            case "toggle":
                live.toggle(rng.choice(removable))
            case "undo":
                live.undo()
            case "redo":
                live.redo()
            case "select":
                live.select(rng.choice(list(live.state.variants)))
            case "job":
                live.queue_job(rng.choice(("evaluate", "recover", "fine-tune")))
            case "answer":
                await staged.confirm()
            case "done" if jobs and not live.state.variants[jobs[0].variant].is_pending:
                staged.start_job(jobs[0].number)
                has_weights = jobs[0].result is not None
                staged.finish_job(jobs[0].number, 0.8, "12" * 32 if has_weights else None)


async def test_an_undo_before_the_engine_answered_is_still_undone_after_a_replay(
    begun: Any,
) -> None:
    # GIVEN an edit that is undone faster than the engine answers
    staged = await begun()
    staged.live.toggle("stage1.unit2")
    staged.live.undo()
    await staged.confirm()
    # THEN
    assert staged.live.state.current == 0
    assert logged(staged.live.folder).current == 0


async def test_quick_edits_that_branch_come_out_the_same_after_a_replay(begun: Any) -> None:
    staged = await begun()
    staged.live.toggle("stage1.unit2")
    staged.live.undo()
    staged.live.toggle("stage2.unit2")
    await staged.confirm()
    live = staged.live.state
    again = logged(staged.live.folder)
    assert again.current == live.current == 2
    assert {n: v.parent for n, v in again.variants.items()} == {0: None, 1: 0, 2: 0}


async def test_a_refused_edit_leaves_no_trace_in_the_replay(begun: Any) -> None:
    staged = await begun()
    staged.live.toggle("stage1.unit2")
    await staged.until(lambda: isinstance(staged.engine.commands[-1], ApplyEdit))
    staged.reject_edit("it differs")
    assert staged.live.state.current == 0
    assert logged(staged.live.folder) == staged.live.state


async def test_other_classes_in_the_data_give_the_model_a_new_head_that_undo_keeps(
    begun: Any,
) -> None:
    staged = await begun(has_data=False)
    staged.open_data(classes=("glass", "metal"))
    await staged.until(lambda: isinstance(staged.engine.commands[-1], ApplyEdit))
    assert staged.engine.commands[-1].edit == Classes(2, 0)
    staged.confirm_edits()
    assert staged.live.state.variant.network.classes == 2
    with pytest.raises(RequestError, match="nothing to undo"):
        staged.live.undo()


async def test_a_job_waits_for_its_edit_to_be_confirmed(begun: Any) -> None:
    staged = await begun()
    staged.live.toggle("stage1.unit2")
    staged.live.queue_job("recover")
    await staged.until(lambda: isinstance(staged.engine.commands[-1], ApplyEdit))
    assert not any(isinstance(command, RunJob) for command in staged.trainer.commands)
    staged.confirm_edits()
    await staged.until(lambda: isinstance(staged.trainer.commands[-1], RunJob))
    assert len(staged.trainer.commands[-1].lineage.edits) == 1


@pytest.mark.parametrize("end", ["refused", "killed"])
async def test_a_job_whose_edit_came_to_nothing_is_given_up_and_the_session_goes_on(
    end: str, begun: Any
) -> None:
    # GIVEN a recovery that waits for an edit
    staged = await begun()
    staged.live.toggle("stage1.unit2")
    staged.live.queue_job("recover")
    await staged.until(lambda: isinstance(staged.engine.commands[-1], ApplyEdit))
    # WHEN
    if end == "refused":
        staged.reject_edit("it differs")
    else:
        staged.engine.answer(ProcessExited(process="engine", code=-9, reason="killed"))
    # THEN
    assert staged.live.state.current == 0
    assert not any(job.is_active for job in staged.live.state.jobs.values())
    staged.live.queue_job("recover")
    await staged.until(lambda: isinstance(staged.trainer.commands[-1], RunJob))
    assert staged.trainer.commands[-1].job == 2


async def test_a_job_on_an_edit_that_was_never_logged_is_no_trap_for_the_next_session(
    begun: Any,
) -> None:
    # GIVEN a session that was killed between the request of a job and the answer to its edit
    staged = await begun()
    staged.live.toggle("stage1.unit2")
    staged.live.queue_job("recover")
    staged.live.recorder.close()
    # WHEN it goes on
    again = LiveSession(Opening(folder=staged.live.folder))
    again.claim()
    await again.start()
    again.receive(staged.live.state.data)
    # THEN
    assert again.state.current == 0
    if again.state.resumable is not None:
        with contextlib.suppress(RequestError):
            again.resume_job()
    again.toggle("stage1.unit3")
    assert again.state.variant.label == "off:stage1.unit3"
    again.recorder.close()


async def test_data_whose_process_ended_while_opening_it_is_opened_again_by_the_next_job(
    begun: Any,
) -> None:
    staged = await begun(has_data=False)
    await staged.until(lambda: staged.trainer.commands)
    assert [type(command) for command in staged.trainer.commands] == [OpenData]
    staged.trainer.answer(ProcessExited(process="trainer", code=-9, reason="killed by signal 9"))
    assert staged.live.state.data_error
    with pytest.raises(RequestError):
        staged.live.queue_job("recover")
    await staged.until(lambda: len(staged.trainer.commands) == 2)
    assert isinstance(staged.trainer.commands[-1], OpenData)
    staged.open_data()
    staged.live.queue_job("recover")
    await staged.until(lambda: isinstance(staged.trainer.commands[-1], RunJob))


async def test_a_resumed_session_opens_its_data_and_continues_its_clock(
    begun: Any, staged: Any
) -> None:
    await begun()
    staged.live.toggle("stage1.unit2")
    await staged.confirm()
    before = staged.live.state
    staged.live.recorder.close()
    # WHEN
    again = LiveSession(Opening(folder=staged.live.folder))
    again.claim()
    await again.start()
    # THEN
    assert again.state.current == before.current == 1
    assert again.state.variants == before.variants
    assert again.state.data == before.data
    await staged.until(lambda: again._trainer.commands)
    assert again._trainer.commands[0].source == "/data/trashnet"
    assert not any(isinstance(command, OpenModel) for command in again._engine.commands)
    again.recorder.close()
    times = [record.t for record in log.read(staged.live.folder).records]
    assert times == sorted(times)


async def test_a_session_is_open_only_once(begun: Any) -> None:
    staged = await begun()
    with pytest.raises(UserError, match="open in another workbench"):
        LiveSession(Opening(folder=staged.live.folder)).claim()


@contextlib.contextmanager
def _file_limit(folder: Path, room: int) -> Iterator[None]:
    """No file may grow beyond the log's present size and some room: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (folder / log.LOG_NAME).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def _no_sync(folder: Path, room: int) -> Iterator[None]:
    """Lines go out and the disk turns out to be full only when they are to be durable."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


@pytest.mark.parametrize("full_disk", [_file_limit, _no_sync], ids=["write", "fsync"])
async def test_a_full_disk_is_told_the_session_goes_on_and_nothing_is_lost_later(
    full_disk: Any, begun: Any
) -> None:
    staged = await begun()
    live = staged.live
    before = (live.folder / log.LOG_NAME).read_bytes()
    # WHEN the disk is full in the middle of a line
    with full_disk(live.folder, 40):
        live.select(0)
        live.select(0)
        told = live.log_error
    # THEN no half line is left, and the session knows
    assert told
    assert (live.folder / log.LOG_NAME).read_bytes() == before
    # WHEN there is room again
    live.toggle("stage1.unit2")
    await staged.confirm()
    # THEN everything is in the file, in order
    assert live.log_error == ""
    assert kinds(live.folder)[-3:] == ["VariantSelected", "VariantSelected", "Edited"]


async def test_what_could_not_be_written_is_written_when_the_session_is_closed(
    begun: Any,
) -> None:
    staged = await begun()
    live = staged.live
    with _file_limit(live.folder, 40):
        live.select(0)
        assert live.log_error
    # WHEN there is room again and the user quits without another step
    await live.close()
    # THEN
    assert kinds(live.folder)[-1] == "VariantSelected"
    assert live.log_error == ""
