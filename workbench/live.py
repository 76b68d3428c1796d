"""A live session without a screen: engine, trainer, and what a user may ask for.

The application shows it, the headless demo drives it. Every event goes one way: log, reduce, tell.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec

from sessions import edits, history, log
from sessions.commands import (
    AnyCommand,
    ApplyEdit,
    DescribeChannels,
    DescribeCuts,
    DescribeRanks,
    DrawConfused,
    DrawSamples,
    EvaluateNow,
    Lineage,
    MeasureActivations,
    OpenData,
    OpenModel,
    RunJob,
    SaveModel,
    StopJob,
)
from sessions.edits import Classes, Cut, Edit, EditError
from sessions.events import (
    CHANGING,
    AnyEvent,
    CommandFailed,
    DataOpened,
    DataRequested,
    EditRejected,
    EditRequested,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobKind,
    JobPaused,
    JobQueued,
    ModelOpened,
    ProcessExited,
    RecipeChosen,
    RuleChosen,
    SessionResumed,
    Unknown,
    VariantNamed,
    VariantSelected,
)
from sessions.recipe import BEFORE_CUT, Recipe
from sessions.score import Rule
from sessions.splits import Splits
from sessions.state import Recovered, SessionState, Variant
from workbench.processes import Child
from workbench.recorder import Recorder

OTHER_DATA = "these are not the images of before: F1 cannot be compared with what was measured"
SETTLE_S = 0.3
"""Seconds after the last edit until F1 is measured by itself."""

Question = DescribeChannels | MeasureActivations | DrawConfused
"""What is asked for the eyes alone."""
Listener = Callable[[AnyEvent | Unknown], None]


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is opened with."""

    folder: Path
    """The session folder; a new one where it holds no session."""
    model: Path | None = None
    """None where the folder's session goes on."""
    data: str | None = None
    input_size: int | None = None
    device: str = "auto"
    recipe: Recipe | None = None
    """None keeps the session's own, or the default."""
    rule: Rule | None = None
    splits: Splits = Splits()
    """A session that goes on keeps its own."""


class RequestError(Exception):
    """A request that is not possible now; the message says what to do."""


class LiveSession:
    """Owns the recorder and the child processes."""

    def __init__(self, opening: Opening, listener: Listener = lambda event: None) -> None:
        self.opening = opening
        self.recorder = Recorder(opening.folder, opening.splits.seed)
        self.listener = listener
        self.problem = ""
        """Why the session could not be opened."""
        self._engine = Child("engine", self.folder / log.LOGS / "engine.log", self.receive)
        self._trainer = Child("trainer", self.folder / log.LOGS / "trainer.log", self.receive)
        self._sent_job: int | None = None
        self._settle: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting_edits: dict[int, Edit] = {}
        """Edits that wait for a job to measure channels, by its number."""
        self._given_up: set[int] = set()
        """Variants whose automatic evaluation failed."""

    @property
    def folder(self) -> Path:
        """The session folder."""
        return self.recorder.folder

    @property
    def state(self) -> SessionState:
        """Everything that happened, reduced."""
        return self.recorder.state

    @property
    def splits(self) -> Splits:
        """How the images are divided: as recorded, where something is."""
        if self.opening.model is not None:
            return self.opening.splits
        recorded = self.state.data.splits if self.state.data is not None else None
        return recorded or Splits(seed=self.recorder.seed)

    @property
    def log_error(self) -> str:
        """Why the session is not being saved; empty while it is."""
        return self.recorder.log_error

    def claim(self) -> None:
        """Take the folder and read its session, where it has one; no process is started.

        Raises:
            UserError: the folder cannot be used, is open elsewhere, or its session is broken.
        """
        self.recorder.claim(is_new=self.opening.model is not None)

    async def start(self) -> None:
        """Start the processes; `claim` came before."""
        self._loop = asyncio.get_running_loop()
        self.recorder.start_clock()
        if self.opening.model is not None:
            self._send(
                self._engine,
                OpenModel(
                    path=str(self.opening.model),
                    folder=str(self.folder),
                    input_size=self.opening.input_size,
                ),
            )
            return
        self.dispatch(SessionResumed())
        self._choose_given()
        self._open_data()

    async def close(self) -> None:
        """Let the processes save and exit; the log is whole when this returns."""
        if self._settle is not None:
            self._settle.cancel()
        await asyncio.gather(self._engine.close(), self._trainer.close())
        for task in list(self._tasks):
            task.cancel()
        self.recorder.close()

    def receive(self, event: AnyEvent | Unknown) -> None:
        """Take an event from a child process."""
        if isinstance(event, CommandFailed) and self.state.current is None:
            self.problem = event.reason
        if isinstance(event, ProcessExited) and self.state.current is None:
            self.problem = f"the engine {event.reason}"
        if isinstance(event, JobFailed) and self.state.jobs[event.job].is_automatic:
            self._given_up.add(self.state.jobs[event.job].variant)
        if isinstance(event, ProcessExited):
            self._after_exit(event)
        before = self.state.data
        self.dispatch(event)
        if isinstance(event, DataOpened) and before and before.fingerprint != event.fingerprint:
            self.dispatch(CommandFailed(command="open-data", reason=OTHER_DATA))
        match event:
            case ModelOpened():
                self._choose_given()
                self._open_data()
            case DataOpened() if self.state.current == 0:
                self._fit_head(event)
            case JobFinished(job=job):
                self._sent_job = None
                if event.scores:
                    self._make_waiting_edit(job)
            case JobFailed() | JobPaused():
                self._sent_job = None
        self._start_next_job()
        self._evaluate_when_settled()

    def _after_exit(self, event: ProcessExited) -> None:
        """Give up what the ended process had in hand; it starts again with the next command."""
        if event.process == "trainer":
            job = self.state.jobs.get(self._sent_job or 0)
            if job is not None and job.is_automatic:
                self._given_up.add(job.variant)
            self._sent_job = None
            return
        for variant in reversed(self.state.variants.values()):
            if variant.is_pending and variant.edit is not None and variant.parent is not None:
                self.dispatch(
                    EditRejected(
                        variant=variant.number,
                        parent=variant.parent,
                        edit=variant.edit,
                        reason="the engine ended before it was done; try again",
                    )
                )

    def dispatch(self, event: AnyEvent | Unknown) -> None:
        """Log an event, reduce it, tell the listener: in this order, so that shown is saved."""
        self.recorder.record(event)
        self.listener(event)

    def request_edit(self, edit: Edit, *, is_preparation: bool = False) -> None:
        """Make an edit on the current variant: the state shows it at once, the engine confirms.

        Raises:
            RequestError: not legal here; the message gives the reason.
        """
        variant = self.state.variant
        if variant is None:
            raise RequestError("the model is still opening")
        if isinstance(edit, Cut) and edit.criterion in edits.DATA_CRITERIA and not edit.scores:
            if not variant.scores:
                self._measure_first(variant, edit)
                return
            edit = msgspec.structs.replace(edit, scores=variant.scores)
        requested = EditRequested(variant=self.state.next_variant, parent=variant.number, edit=edit)
        try:
            edits.apply(variant.network, edit)  # before it is logged
        except EditError as error:
            raise RequestError(str(error)) from error
        self.dispatch(requested)
        self._make_room()
        self._send(
            self._engine,
            ApplyEdit(
                folder=str(self.folder),
                variant=requested.variant,
                parent=requested.parent,
                lineage=history.lineage(self.state, requested.parent),
                edit=edit,
                is_preparation=is_preparation,
            ),
        )

    def _make_room(self) -> None:
        """End what runs by itself: what the user asked for since comes first."""
        running = self.state.running
        if running is not None and running.is_automatic:
            self._send(self._trainer, StopJob(job=running.number))

    def _measure_first(self, variant: Variant, edit: Edit) -> None:
        """Make the edit once its criterion's scores are known."""
        try:
            edits.apply(variant.network, edit)
        except EditError as error:
            raise RequestError(str(error)) from error
        self.queue_job("measure")
        self._waiting_edits[max(self.state.jobs)] = edit

    def _make_waiting_edit(self, job: int) -> None:
        edit = self._waiting_edits.pop(job, None)
        if edit is None:
            return
        if self.state.current == self.state.jobs[job].variant:
            self.request_edit(edit)

    def carry_over(self) -> None:
        """Give a finished job's weights to the edits made since it began.

        Raises:
            RequestError: there is no such result.
        """
        found = history.carriable(self.state)
        if found is None:
            raise RequestError("no result of a job waits to be carried over later edits")
        result, steps = found
        self.dispatch(VariantSelected(variant=result))
        for edit in steps:
            self.request_edit(edit)

    def name_variant(self, variant: int, name: str) -> None:
        """Give a variant a name; an empty one takes it away.

        Raises:
            RequestError: no such variant.
        """
        if variant not in self.state.variants:
            raise RequestError(f"there is no variant {variant}")
        self.dispatch(VariantNamed(variant=variant, name=name))

    def describe_ranks(self, layer: str) -> None:
        """Ask what every rank of a layer of the current variant would keep.

        Raises:
            RequestError: the model is still opening.
        """
        variant = self.state.variant
        if variant is None:
            raise RequestError("the model is still opening")
        self._send(
            self._engine,
            DescribeRanks(
                folder=str(self.folder),
                variant=variant.number,
                lineage=history.lineage(self.state, variant.number),
                layer=layer,
            ),
        )

    def describe_cuts(self, variant: int, edits: tuple[Edit, ...]) -> None:
        """Ask what each of some edits of a variant would keep; none ends what was asked before."""
        if variant in self.state.variants:
            self._send(
                self._engine,
                DescribeCuts(
                    folder=str(self.folder),
                    variant=variant,
                    lineage=history.lineage(self.state, variant),
                    edits=edits,
                ),
            )

    def draw_samples(self, recipe: Recipe, photos: int, copies: int, edge: int) -> None:
        """Ask for training images as a recipe changes them.

        Raises:
            RequestError: no data is open.
        """
        variant, data = self.state.variant, self.state.data
        if variant is None or data is None:
            raise RequestError("no data is open: open with --data FOLDER, or --data digits")
        self._send(
            self._trainer,
            DrawSamples(
                folder=str(self.folder),
                lineage=history.lineage(self.state, variant.number),
                recipe=recipe,
                data=data.source,
                splits=self.splits,
                photos=photos,
                copies=copies,
                edge=edge,
            ),
        )

    def ask(self, question: Question) -> None:
        """Ask engine or trainer something that is not recorded."""
        child = self._engine if isinstance(question, DescribeChannels) else self._trainer
        self._send(child, question)

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

    def toggle(self, unit: str) -> None:
        """Switch a unit off, or on again.

        Raises:
            RequestError: the unit has to stay; the message says why.
        """
        if self.state.variant is None:
            raise RequestError("the model is still opening")
        self.request_edit(edits.toggle(self.state.variant.network, unit))

    def undo(self) -> None:
        """Go back to the variant before.

        Raises:
            RequestError: there is none.
        """
        self._select(history.undo_target(self.state), "nothing to undo")

    def redo(self) -> None:
        """Go forward again.

        Raises:
            RequestError: there is nothing ahead.
        """
        self._select(history.redo_target(self.state), "nothing to redo")

    def select(self, variant: int) -> None:
        """Make any variant the current one.

        Raises:
            RequestError: no such variant.
        """
        known = variant in self.state.variants
        self._select(variant if known else None, f"there is no variant {variant}")

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

    def save_model(self, path: Path, variant: int | None = None) -> None:
        """Write a variant (the current one) to a file.

        Raises:
            RequestError: the model is still opening.
        """
        number = self.state.current if variant is None else variant
        if number is None:
            raise RequestError("the model is still opening")
        self._send(
            self._engine,
            SaveModel(
                folder=str(self.folder),
                variant=number,
                lineage=history.lineage(self.state, number),
                path=str(path),
            ),
        )

    def choose_recipe(self, recipe: Recipe) -> None:
        """Use another recipe from now on."""
        self.dispatch(RecipeChosen(recipe=recipe))

    def _choose_given(self) -> None:
        if self.opening.rule is not None:
            self.dispatch(RuleChosen(rule=self.opening.rule))
        if self.opening.recipe is not None:
            self.dispatch(RecipeChosen(recipe=self.opening.recipe))

    def _select(self, variant: int | None, otherwise: str) -> None:
        if variant is None:
            raise RequestError(otherwise)
        self.dispatch(VariantSelected(variant=variant))
        self._make_room()
        self._evaluate_when_settled()

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

    def _fit_head(self, data: DataOpened) -> None:
        variant = self.state.variant
        if variant is not None and variant.network.classes != len(data.classes):
            self.request_edit(Classes(len(data.classes), self.recorder.seed), is_preparation=True)

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

    def _send(self, child: Child, command: AnyCommand) -> None:
        self._spawn(child.send(command))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
