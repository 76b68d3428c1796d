"""The jobs of a live session: what waits, what runs, and what is measured by itself.

One job runs at a time. After an edit the new variant is measured, and its recovery tried, once the
user pauses; whatever the user asks for ends that.
"""

import asyncio

import msgspec

from sessions import history
from sessions.commands import EvaluateNow, Lineage, OpenData, RunJob, StopJob
from sessions.edits import Edit
from sessions.events import CHANGING, DataRequested, JobCancelled, JobFinished, JobKind, JobQueued
from sessions.recipe import BEFORE_CUT, Recipe
from sessions.state import Recovered
from workbench.processes import Child
from workbench.session import Listener, Opening, RequestError, Session

SETTLE_S = 0.3
"""Seconds after the last edit until F1 is measured by itself."""


class JobQueue(Session):
    """Queues jobs and sends them to the trainer, one by one."""

    def __init__(
        self, opening: Opening, engine: Child, trainer: Child, searcher: Child, listener: Listener
    ) -> None:
        super().__init__(opening, engine, trainer, searcher, listener)
        self._sent_job: int | None = None
        self._settle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting_edits: dict[int, Edit] = {}
        """Edits that wait for a job to measure channels, by its number."""
        self._given_up: set[int] = set()
        """Variants whose automatic evaluation failed."""

    def queue_job(self, kind: JobKind, recipe: Recipe | None = None) -> None:
        """Recover, fine-tune or evaluate the current variant, after the jobs before it.

        Raises:
            RequestError: no data, or its classes are not the network's.
        """
        variant = self.state.variant
        if variant is None:
            raise RequestError("the model is still opening")
        if self.state.data is None:
            if self.opening.data is not None and not self.state.data_source:
                self._open_data()
                raise RequestError("opening the data again: ask once more when it is there")
            reason = self.state.data_error or "no data is open"
            raise RequestError(f"{reason}: open with --data FOLDER, or --data digits")
        classes = len(self.state.data.classes)
        if variant.network.classes != classes:
            raise RequestError(
                f"this variant has {variant.network.classes} classes, the data has {classes}"
            )
        if kind != "recover":  # which takes over what was climbed so far
            self._make_room()
        self._queue(kind, variant.number, recipe or self.state.recipe, is_automatic=False)

    @property
    def can_distil(self) -> bool:
        """Whether there is a measured network before a cut to learn from."""
        current = self.state.current
        return current is not None and history.teacher(self.state, current) is not None

    def distil(self) -> None:
        """Fine-tune the current variant with the network before the cut as its teacher.

        Raises:
            RequestError: see `queue_job`; or there is no such network.
        """
        if not self.can_distil:
            raise RequestError("nothing was cut since F1 was measured: there is no teacher yet")
        recipe = msgspec.structs.replace(self.state.recipe, teachers=(BEFORE_CUT,))
        self.queue_job("fine-tune", recipe)

    def evaluate_now(self) -> None:
        """Evaluate the weights of the running job after this batch, or the current variant.

        Raises:
            RequestError: see `queue_job`.
        """
        running = self.state.running
        is_shown = running is not None and running.variant == self.state.current
        if running is not None and is_shown and running.kind == "fine-tune":
            self._send(self._trainer, EvaluateNow())
        else:
            self.queue_job("evaluate")

    def stop_job(self, *, by_force: bool = False) -> None:
        """End the running job after this batch, or by force; the waiting ones are dropped.

        Raises:
            RequestError: nothing runs.
        """
        queued = [job for job in self.state.queued if job.number != self._sent_job]
        for job in queued:
            self.dispatch(JobCancelled(job=job.number))
        if self._sent_job is None:
            if not queued:
                raise RequestError("no job is running")
        elif by_force:
            self._trainer.terminate()
        else:
            self._send(self._trainer, StopJob(job=self._sent_job))

    def cancel_job(self, job: int) -> None:
        """Take a waiting job out of the queue.

        Raises:
            RequestError: it does not wait any more.
        """
        waiting = [queued.number for queued in self.state.queued]
        if job not in waiting or job == self._sent_job:
            raise RequestError("this job does not wait any more")
        self._waiting_edits.pop(job, None)
        self.dispatch(JobCancelled(job=job))
        self._evaluate_when_settled()

    def pause_job(self) -> None:
        """Put the running job aside after this batch; what waits behind it starts.

        Raises:
            RequestError: nothing runs.
        """
        running = self.state.running
        if running is None or running.number != self._sent_job:
            raise RequestError("no job is running")
        self._send(self._trainer, StopJob(job=running.number, is_pause=running.kind in CHANGING))

    def resume_job(self) -> None:
        """Go on with the job that was put aside or cut off last.

        Raises:
            RequestError: there is none, or the data is not open.
        """
        job = self.state.resumable
        if job is None:
            raise RequestError("no job was put aside or cut off")
        if self.state.data is None:
            raise RequestError("the data is not open: open it with --data")
        self.dispatch(
            JobQueued(
                job=job.number,
                job_kind=job.kind,
                variant=job.variant,
                result=job.result,
                recipe=job.recipe,
                teacher=job.teacher,
            )
        )
        self._start_next_job()

    def _queue(self, kind: JobKind, variant: int, recipe: Recipe, *, is_automatic: bool) -> None:
        has_teacher = kind in CHANGING or is_automatic
        teacher = history.teacher(self.state, variant) if has_teacher else None
        self.dispatch(
            JobQueued(
                job=self.state.next_job,
                job_kind=kind,
                variant=variant,
                result=self.state.next_variant if kind in CHANGING else None,
                recipe=recipe,
                teacher=None if teacher is None else teacher.number,
                is_automatic=is_automatic,
            )
        )
        self._start_next_job()

    def _start_next_job(self) -> None:
        waiting = self.state.queued
        if self._sent_job is not None or not waiting or self.state.data is None:
            return
        job = waiting[0]
        variant = self.state.variants[job.variant]
        if variant.is_pending:
            return
        climbed = variant.recovered
        if job.kind == "recover" and climbed is not None and climbed.recipe == job.recipe:
            self._take_over(job.number, climbed)
            return
        self._sent_job = job.number
        self._send(
            self._trainer,
            RunJob(
                folder=str(self.folder),
                job=job.number,
                job_kind=job.kind,
                lineage=history.lineage(self.state, job.variant),
                recipe=job.recipe,
                data=self.state.data.source,
                splits=self.splits,
                device=self.opening.device,
                teacher=self._teacher(job.teacher),
                is_climb=job.is_automatic and not variant.is_preparation,
            ),
        )

    def _take_over(self, job: int, climbed: Recovered) -> None:
        """A recovery whose ladder was climbed by itself already."""
        self.dispatch(
            JobFinished(
                job=job,
                checkpoint=climbed.checkpoint,
                weights_sha256=climbed.weights_sha256,
                stats=dict(climbed.stats),
                evaluation=climbed.evaluation,
            )
        )
        self._start_next_job()

    def _teacher(self, variant: int | None) -> Lineage | None:
        return None if variant is None else history.lineage(self.state, variant)

    def _make_room(self) -> None:
        """End what runs by itself: what the user asked for since comes first."""
        running = self.state.running
        if running is not None and running.is_automatic:
            self._send(self._trainer, StopJob(job=running.number))

    def _evaluate_when_settled(self) -> None:
        """Measure F1 of a variant that has none, once the user pauses and nothing runs."""
        if self._settle is not None:
            self._settle.cancel()
            self._settle = None
        if self._loop is not None and self._wants_evaluation():
            self._settle = self._loop.call_later(SETTLE_S, self._evaluate_settled)

    def _evaluate_settled(self) -> None:
        if self._wants_evaluation():
            assert self.state.current is not None
            self._queue("evaluate", self.state.current, self.state.recipe, is_automatic=True)

    def _wants_evaluation(self) -> bool:
        variant, data = self.state.variant, self.state.data
        return (
            variant is not None
            and data is not None
            and not variant.is_pending
            and variant.evaluation is None
            and variant.number not in self._given_up
            and variant.network.classes == len(data.classes)
            and not any(job.is_active for job in self.state.jobs.values())
        )

    def _open_data(self) -> None:
        recorded = self.state.data.source if self.state.data is not None else None
        source = self.opening.data or recorded
        variant = self.state.variant
        if source is None or variant is None:
            return
        self.dispatch(DataRequested(source=source))
        self._send(
            self._trainer,
            OpenData(
                source=source,
                size=variant.network.input_size,
                channels=variant.network.input_channels,
                splits=self.splits,
            ),
        )
