"""Every state of the screen, in the order of a session. A new one is a line of `STATES`.

A state is a chapter of the story that comes before it, and the keys that lead to it from there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import fixed
import msgspec
import searches
from staging import Stage, staged

from sessions import log
from sessions.events import (
    BATCH_NORM,
    RAW,
    REPAIR,
    AnyEvent,
    CheckpointWritten,
    DataFailed,
    DataProgressed,
    EditRejected,
    Evaluated,
    JobFailed,
    JobFinished,
    JobPaused,
    JobProgressed,
    JobStarted,
)
from workbench.player import Player
from workbench.session import Opening

LAST = "fine-tuned"
"""The chapter whose session is what replays show."""


class State(msgspec.Struct, frozen=True):
    """A state of the screen."""

    name: str
    after: str
    """The chapter before it, `LAST` where it is a replay."""
    keys: str = ""
    """Pressed there, with blanks between."""
    then: Callable[[Stage], Awaitable[None]] | None = None
    """What happens beside keys."""
    replay_at: float | None = None
    """Of a replay: the share of the whole, 0..1."""
    has_data: bool = True


async def _model(stage: Stage) -> None:
    await stage.engine(fixed.model_opened(stage.network))


async def _data(stage: Stage) -> None:
    await stage.trainer(fixed.data_opened())


async def _measured(stage: Stage) -> None:
    await stage.press("e")
    await _finish(stage, 0.8351)


async def _cut(stage: Stage) -> None:
    await stage.press("j", "space")
    await stage.confirm_edits()


async def _cut_measured(stage: Stage) -> None:
    await stage.press("e")
    await stage.trainer(
        JobStarted(job=stage.job, device="cpu", steps=2),
        _rung(stage, RAW, 0.6123),
        _rung(stage, BATCH_NORM, 0.7719),
    )
    await stage.trainer(JobFinished(job=stage.job, evaluation=fixed.evaluation(0.6123)))


async def _recovering(stage: Stage) -> None:
    await stage.press("r")
    await stage.trainer(
        JobStarted(job=stage.job, device="cpu", steps=40),
        _rung(stage, RAW, 0.6123),
        _rung(stage, BATCH_NORM, 0.7719),
        _rung(stage, REPAIR, 0.8102),
        _progress(stage, 14, 40, 0.35),
    )


async def _recovered(stage: Stage) -> None:
    await _finish(stage, 0.8207, "56" * 32, epochs=1.0)


async def _fine_tuning(stage: Stage) -> None:
    await stage.press("f")
    await stage.trainer(JobStarted(job=stage.job, device="cpu", steps=250))
    for step in range(10, 121, 10):
        await stage.trainer(_progress(stage, step, 250, step / 10))
        if step % 40 == 0:
            found = fixed.evaluation(0.80 + step / 4000)
            await stage.trainer(Evaluated(job=stage.job, evaluation=found, epoch=step / 10))


async def _fine_tuned(stage: Stage) -> None:
    await _finish(stage, 0.8412, "78" * 32, epochs=25.0)


CHAPTERS: dict[str, Callable[[Stage], Awaitable[None]] | None] = {
    "started": None,
    "model": _model,
    "data": _data,
    "measured": _measured,
    "cut": _cut,
    "cut-measured": _cut_measured,
    "recovering": _recovering,
    "recovered": _recovered,
    "fine-tuning": _fine_tuning,
    LAST: _fine_tuned,
}


def _rung(stage: Stage, name: str, f1: float) -> AnyEvent:
    """Raw weights are the variant's own; those of the other rungs are the job's."""
    epoch = None if name == RAW else 0.0
    return Evaluated(job=stage.job, evaluation=fixed.evaluation(f1), epoch=epoch, rung=name)


def _progress(stage: Stage, step: int, steps: int, epoch: float) -> AnyEvent:
    return JobProgressed(
        job=stage.job, phase="training", step=step, steps=steps, epoch=epoch,
        loss=0.9 - step / 500 + (step % 3) / 50, images_per_s=812.0, left_s=(steps - step) / 4,
    )  # fmt: skip


async def _finish(
    stage: Stage, f1: float, checkpoint: str | None = None, epochs: float | None = None
) -> None:
    found = fixed.evaluation(f1)
    await stage.trainer(
        Evaluated(job=stage.job, evaluation=found, epoch=epochs),
        JobFinished(
            job=stage.job, evaluation=found, checkpoint=checkpoint, weights_sha256="9a" * 32
        ),
    )


async def _decoding(stage: Stage) -> None:
    await stage.trainer(DataProgressed(done=1210, total=2527))


async def _data_failed(stage: Stage) -> None:
    reason = "no class folders in /data/trashnet: it needs one folder a class"
    await stage.trainer(DataFailed(source="/data/trashnet", reason=reason))


async def _rejected(stage: Stage) -> None:
    variant = stage.live.state.variant
    assert variant is not None
    assert variant.edit is not None
    assert variant.parent is not None
    await stage.engine(
        EditRejected(
            variant=variant.number, parent=variant.parent, edit=variant.edit,
            reason="not made, for its check failed: outputs differ by 0.31 from those before",
        )
    )  # fmt: skip


async def _paused(stage: Stage) -> None:
    await stage.trainer(
        CheckpointWritten(job=stage.job, step=120, epoch=12.0), JobPaused(job=stage.job)
    )


async def _failed(stage: Stage) -> None:
    await stage.trainer(JobFailed(job=stage.job, reason="the disk is full: no space left"))


async def _not_saved(stage: Stage) -> None:
    stage.live.recorder.log_error = "No space left on device"
    stage.app._show()
    await stage.settle()


STATES = (
    State("opening", "started"),
    State("opened-no-data", "model", has_data=False),
    State("opening-data", "model", then=_decoding),
    State("data-error", "model", then=_data_failed),
    State("data-opened", "data"),
    State("opened", "measured"),
    State("layer-unfolded", "measured", "j l j"),
    State("edit-pending", "measured", "j space"),
    State("edit-rejected", "measured", "j space", _rejected),
    State("edit-not-legal", "measured", "k space"),
    State("cut", "cut"),
    State("cut-measured", "cut-measured"),
    State("reshape", "measured", "k k w"),
    State("reshape-unit", "measured", "j w"),
    State("reshape-moved", "measured", "k k w left left left"),
    State("recovering", "recovering"),
    State("recovered", "recovered"),
    State("fine-tuning", "fine-tuning"),
    State("fine-tuning-curves", "fine-tuning", "2"),
    State("fine-tuning-classes", "fine-tuning", "3"),
    State("paused", "fine-tuning", then=_paused),
    State("job-failed", "fine-tuning", then=_failed),
    State("not-saved", "fine-tuning", then=_not_saved),
    State("fine-tuned", LAST),
    State("undone", LAST, "u"),
    State("variants", LAST, "t"),
    State("compare", LAST, "t up up d"),
    State("confusion", LAST, "m"),
    State("score-plane", LAST, "P"),
    State("channels", "measured", "k k b"),
    State("activity", LAST, "L"),
    State("search-empty", "measured", "S"),
    State("search-form", "measured", "S n"),
    State("search-form-study", "measured", "S n right"),
    State("search-form-autopilot", "measured", "S n right right"),
    State("scan-running", "measured", then=searches.scan_running),
    State("scan-running-main", "measured", then=searches.scan_behind),
    State("scan-done", "measured", then=searches.scan_done),
    State("scan-tree", "measured", then=searches.scan_in_tree),
    State("study-running", "measured", then=searches.study_running),
    State("study-done", "measured", then=searches.study_done),
    State("study-front", "measured", then=searches.study_front),
    State("study-parameters", "measured", then=searches.study_parameters),
    State("autopilot-steering", "measured", then=searches.steering),
    State("columns", "measured", "C"),
    State("filter", "measured", "slash"),
    State("filtered", "measured", "slash u n i t 3 enter"),
    State("recipe", "measured", "F"),
    State("samples", "measured", "i"),
    State("help", "measured", "question_mark"),
    State("palette", "measured", "ctrl+p"),
    State("save", LAST, "s"),
    State("replay-start", LAST, replay_at=0.0),
    State("replay-middle", LAST, replay_at=0.55),
    State("replay-end", LAST, replay_at=1.0),
    State("replay-moments", LAST, "a 9 a", replay_at=0.2),
    State("replay-help", LAST, "question_mark", replay_at=0.5),
)


def by_name(name: str) -> State:
    """A state by its name."""
    return next(state for state in STATES if state.name == name)


async def record(folder: Path) -> Path:
    """The whole story as a session, for replays."""
    opening = Opening(folder=folder, model=folder / "published.pth", data="/data/trashnet")
    async with staged(opening, (120, 36)) as stage:
        await _tell(stage, LAST)
    assert log.is_session(folder)
    return folder


@asynccontextmanager
async def shown(
    state: State, size: tuple[int, int], look: str, folder: Path, recorded: Path
) -> AsyncIterator[Stage]:
    """The application in a state.

    Args:
        state: to show.
        size: columns and rows.
        look: dark, light or none.
        folder: for a session of its own.
        recorded: the session of `record`.
    """
    if state.replay_at is not None:
        player = Player(recorded, is_paused=True)
        player.seek_share(state.replay_at)
        source: Opening | Player = player
    else:
        data = "/data/trashnet" if state.has_data else None
        source = Opening(folder=folder, model=folder / "published.pth", data=data)
    async with staged(source, size, look) as stage:
        if state.replay_at is None:
            await _tell(stage, state.after)
        await stage.press(*state.keys.split())
        if state.then is not None:
            await state.then(stage)
        yield stage


async def _tell(stage: Stage, last: str) -> None:
    for name, chapter in CHAPTERS.items():
        if chapter is not None:
            await chapter(stage)
            stage.app.clear_notifications()
        if name == last:
            return
    raise KeyError(last)
