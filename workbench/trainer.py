"""The trainer: opens data and runs jobs, one at a time; it stays warm for the next one.

A job killed at any moment goes on from its last stored step in a new process.
"""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sessions import log
from sessions.commands import (
    AnyCommand,
    DrawConfused,
    DrawSamples,
    EvaluateNow,
    MeasureActivations,
    OpenData,
    RunJob,
    StopJob,
)
from sessions.events import (
    CheckpointWritten,
    DataFailed,
    DataOpened,
    DataProgressed,
    Evaluated,
    Evaluation,
    JobFailed,
    JobFinished,
    JobPaused,
    JobProgressed,
    JobStarted,
)
from sessions.recipe import BEFORE_CUT
from sessions.splits import Splits
from workbench.child import TRAINER_NICE, Channel, lower_priority
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.training.images.data import Dataset
    from workbench.training.jobs import Outcome
    from workbench.training.looks import Look
    from workbench.training.objective import Teacher
    from workbench.training.progress import Progress

WARM_UP_S = 0.5
"""Idle seconds after which libraries that only training needs are loaded."""


class Trainer:
    """Carries out commands one by one."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._data: dict[tuple[str, int, int, Splits], Dataset] = {}

    def handle(self, command: AnyCommand) -> None:
        """Carry out a command and send what came of it."""
        match command:
            case OpenData():
                self.open_data(command)
            case RunJob():
                self.run_job(command)
            case DrawSamples() | MeasureActivations() | DrawConfused():
                self.look(command)

    def look(self, command: "Look") -> None:
        """Answer what is only looked at, also between the batches of a job."""
        from workbench.training.looks import answer

        self.channel.send(answer(command, self._open))

    def open_data(self, command: OpenData) -> None:
        """List, decode and cache the data, with progress."""
        started = time.perf_counter()
        try:
            data = self._open(command.source, command.size, command.channels, command.splits)
        except UserError as error:
            self.channel.send(DataFailed(source=command.source, reason=str(error)))
            return
        self.channel.send(
            DataOpened(
                source=command.source,
                fingerprint=data.fingerprint,
                classes=data.classes,
                train_images=len(data.train),
                val_images=len(data.val),
                hold_out_images=len(data.hold_out) if data.hold_out is not None else 0,
                splits=data.splits,
                size=command.size,
                skipped=data.skipped,
                skipped_count=data.skipped_count,
                seconds=time.perf_counter() - started,
            )
        )

    def run_job(self, command: RunJob) -> None:
        """Run a job; whatever ends it, exactly one event says so."""
        started = time.perf_counter()
        try:
            finished = self._finished(command, started)
        except UserError as error:
            self.channel.send(JobFailed(job=command.job, reason=str(error)))
        else:
            if finished is not None:
                self.channel.send(finished)

    def _finished(self, command: RunJob, started: float) -> JobFinished | JobPaused | None:
        """The event of a job that ended or was put aside; None where the parent is gone."""
        from workbench.surgery import stats, store
        from workbench.training import jobs, ladder
        from workbench.training.loop import pick_device

        folder = Path(command.folder)
        since = store.derive_since(folder, command.lineage)
        network, state = since.edited
        device = pick_device(command.device)
        data = self._open(command.data, network.input_size, network.input_channels, command.splits)
        desk = PipeDesk(self.channel, command.job, str(device), self.look)
        resume_folder = folder / log.JOBS / str(command.job)
        outcome: Outcome
        match command.job_kind:
            case "evaluate" if command.is_climb and since.is_edited:
                teachers = self._natural_teacher(command)
                outcome = ladder.run_climb(since, data, command.recipe, device, desk, teachers)
            case "evaluate" if since.is_edited:
                outcome = ladder.run_evaluate_cut(since, data, command.recipe, device, desk)
            case "evaluate":
                outcome = jobs.run_evaluate(network, state, data, device, desk)
            case "recover":
                teachers = self._natural_teacher(command)
                outcome = ladder.run_recover(since, data, command.recipe, device, desk, teachers)
            case "measure":
                outcome = jobs.run_measure(network, state, data, command.recipe, desk)
            case "fine-tune":
                if command.recipe.residual_of:
                    raise UserError(
                        "residual_of is for `workbench train`: a session has one network"
                    )
                outcome = jobs.run_fine_tune(
                    network, state, data, command.recipe, device, desk,
                    resume_folder / "resume.pt", self._teachers(command),
                )  # fmt: skip
        if self.channel.is_parent_gone and outcome.is_stopped:
            return None
        if desk.is_paused and outcome.is_stopped:
            return JobPaused(job=command.job)
        finished = JobFinished(
            job=command.job,
            is_stopped=outcome.is_stopped,
            evaluation=outcome.evaluation,
            checkpoint=None if outcome.state is None else store.put(folder, network, outcome.state),
            weights_sha256=(
                "" if outcome.state is None else store.weights_sha256(network, outcome.state)
            ),
            stats={} if outcome.state is None else stats.layer_stats(network, outcome.state),
            scores="" if outcome.scores is None else store.put_scores(folder, outcome.scores),
            reason=outcome.reason,
            seconds=time.perf_counter() - started,
        )
        if not self.channel.is_parent_gone:
            shutil.rmtree(resume_folder, ignore_errors=True)
        return finished

    def _teachers(self, command: RunJob) -> list["Teacher"]:
        """The networks and weights that the recipe names.

        Raises:
            UserError: a file cannot be read, or there is no network before the cut.
        """
        from workbench.surgery import files

        found: list[Teacher] = []
        for name in command.recipe.teachers:
            if name == BEFORE_CUT:
                found += self._natural_teacher(command)
                if command.teacher is None:
                    raise UserError("there is no measured network before a cut to learn from")
            else:
                model = files.read_model(Path(name).expanduser())
                found.append((model.network, model.state))
        return found

    def _natural_teacher(self, command: RunJob) -> list["Teacher"]:
        """The network before the cut, where there is one."""
        from workbench.surgery.store import Deriver

        if command.teacher is None:
            return []
        return [Deriver()(Path(command.folder), command.teacher)]

    def _open(self, source: str, size: int, channels: int, splits: Splits) -> "Dataset":
        from workbench.training.images.data import open_data

        key = (source, size, channels, splits)
        if key not in self._data:
            reported = time.perf_counter()

            def progress(done: int, total: int) -> None:
                nonlocal reported
                if self.channel.is_parent_gone:
                    os._exit(0)  # a half-built cache is never seen
                if time.perf_counter() - reported >= 0.25:
                    reported = time.perf_counter()
                    self.channel.send(DataProgressed(done=done, total=total))

            self._data = {key: open_data(source, size, channels, splits, progress)}
        return self._data[key]


class PipeDesk:
    """Sends a job's reports through the pipe and listens for requests between batches."""

    def __init__(
        self, channel: Channel, job: int, device: str, look: Callable[["Look"], None]
    ) -> None:
        self.channel = channel
        self.look = look
        self.job = job
        self.device = device
        self.is_paused = False
        """Whether the job is to go on later."""
        self._stop = False
        self._evaluate = False

    def started(self, steps: int, from_step: int) -> None:
        """Tell that the job begins."""
        self.channel.send(
            JobStarted(job=self.job, device=self.device, steps=steps, from_step=from_step)
        )

    def progressed(self, phase: str, progress: "Progress") -> None:
        """Tell where the job is."""
        self.channel.send(
            JobProgressed(
                job=self.job,
                phase=phase,
                step=progress.step,
                steps=progress.steps,
                epoch=progress.epoch,
                loss=progress.loss,
                images_per_s=progress.images_per_s,
                left_s=progress.left_s,
            )
        )

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        """Tell an F1."""
        self.channel.send(Evaluated(job=self.job, evaluation=evaluation, epoch=epoch, rung=rung))

    def stored(self, step: int, epoch: float) -> None:
        """Tell that the job can go on from here."""
        self.channel.send(CheckpointWritten(job=self.job, step=step, epoch=epoch))

    def should_stop(self) -> bool:
        """Whether the user, or the end of the parent, wants the job to end."""
        self._listen()
        return self._stop or self.channel.is_parent_gone

    def wants_evaluation(self) -> bool:
        """Whether an early evaluation was asked for since the last batch."""
        self._listen()
        wanted, self._evaluate = self._evaluate, False
        return wanted

    def _listen(self) -> None:
        while (command := self.channel.poll()) is not None:
            match command:
                case StopJob(job=job, is_pause=is_pause) if job in (None, self.job):
                    self._stop, self.is_paused = True, is_pause
                case EvaluateNow():
                    self._evaluate = True
                case DrawSamples() | MeasureActivations() | DrawConfused():
                    self.look(command)


def main() -> None:
    """Serve commands until the parent is gone."""
    lower_priority(TRAINER_NICE)
    channel = Channel()
    trainer = Trainer(channel)
    is_warm = False
    while not channel.is_parent_gone:
        command = channel.next(None if is_warm else WARM_UP_S)
        if command is not None:
            trainer.handle(command)
        elif not is_warm and not channel.is_parent_gone:
            import workbench.training.ladder  # noqa: F401

            is_warm = True


if __name__ == "__main__":
    main()
