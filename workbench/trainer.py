"""The trainer: opens data and runs jobs, one at a time; it stays warm for the next one.

A job killed at any moment goes on from its last stored step in a new process.
"""

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sessions import log
from sessions.commands import AnyCommand, EvaluateNow, OpenData, RunJob, StopJob
from sessions.events import (
    CheckpointWritten,
    DataFailed,
    DataOpened,
    DataProgressed,
    Evaluated,
    Evaluation,
    JobFailed,
    JobFinished,
    JobProgressed,
    JobStarted,
)
from workbench.child import TRAINER_NICE, Channel, lower_priority
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.training.data import Dataset
    from workbench.training.jobs import Outcome
    from workbench.training.loop import Progress

WARM_UP_S = 0.5
"""Idle seconds after which libraries that only training needs are loaded."""


class Trainer:
    """Carries out commands one by one."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._data: dict[tuple[str, int, int, int], Dataset] = {}

    def handle(self, command: AnyCommand) -> None:
        """Carry out a command and send what came of it."""
        match command:
            case OpenData():
                self.open_data(command)
            case RunJob():
                self.run_job(command)

    def open_data(self, command: OpenData) -> None:
        """List, decode and cache the data, with progress."""
        started = time.perf_counter()
        try:
            data = self._open(command.source, command.size, command.channels, command.seed)
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

    def _finished(self, command: RunJob, started: float) -> JobFinished | None:
        """The event of a finished job; None where the parent is gone and the job is to go on."""
        from workbench.surgery import stats, store
        from workbench.training import jobs
        from workbench.training.loop import pick_device

        folder = Path(command.folder)
        since = store.derive_since(folder, command.lineage)
        network, state = since.edited
        device = pick_device(command.device)
        data = self._open(command.data, network.input_size, network.input_channels, command.seed)
        desk = PipeDesk(self.channel, command.job, str(device))
        resume_folder = folder / log.JOBS / str(command.job)
        outcome: Outcome
        match command.job_kind:
            case "evaluate":
                outcome = jobs.run_evaluate(network, state, data, device, desk)
            case "recover":
                outcome = jobs.run_recover(since, data, command.recipe, device, desk)
            case "measure":
                outcome = jobs.run_measure(network, state, data, command.recipe, desk)
            case "fine-tune":
                outcome = jobs.run_fine_tune(
                    network, state, data, command.recipe, device, desk, resume_folder / "resume.pt"
                )
        if self.channel.is_parent_gone and outcome.is_stopped:
            return None
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
            seconds=time.perf_counter() - started,
        )
        if not self.channel.is_parent_gone:
            shutil.rmtree(resume_folder, ignore_errors=True)
        return finished

    def _open(self, source: str, size: int, channels: int, seed: int) -> "Dataset":
        from workbench.training.data import open_data

        key = (source, size, channels, seed)
        if key not in self._data:
            reported = time.perf_counter()

            def progress(done: int, total: int) -> None:
                nonlocal reported
                if self.channel.is_parent_gone:
                    os._exit(0)  # a half-built cache is never seen
                if time.perf_counter() - reported >= 0.25:
                    reported = time.perf_counter()
                    self.channel.send(DataProgressed(done=done, total=total))

            self._data = {key: open_data(source, size, channels, seed, progress)}
        return self._data[key]


class PipeDesk:
    """Sends a job's reports through the pipe and listens for requests between batches."""

    def __init__(self, channel: Channel, job: int, device: str) -> None:
        self.channel = channel
        self.job = job
        self.device = device
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

    def evaluated(self, evaluation: Evaluation, epoch: float | None) -> None:
        """Tell an F1."""
        self.channel.send(Evaluated(job=self.job, evaluation=evaluation, epoch=epoch))

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
                case StopJob(job=job) if job in (None, self.job):
                    self._stop = True
                case EvaluateNow():
                    self._evaluate = True


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
            from workbench.training.augment import pipeline

            pipeline("none")  # imports albumentations, which takes seconds
            is_warm = True


if __name__ == "__main__":
    main()
