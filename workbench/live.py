"""A live session without a screen: engine, trainer, and what a user may ask for.

The application shows it, the headless demo drives it.
"""

import asyncio
from pathlib import Path

import msgspec

from sessions import edits, history, log
from sessions.commands import (
    ApplyEdit,
    OpenModel,
    SaveModel,
)
from sessions.edits import Classes, Cut, Edit, EditError
from sessions.events import (
    AnyEvent,
    CommandFailed,
    DataOpened,
    EditRejected,
    EditRequested,
    JobFailed,
    JobFinished,
    JobPaused,
    ModelOpened,
    ProcessExited,
    RecipeChosen,
    RuleChosen,
    SessionResumed,
    Unknown,
    VariantNamed,
    VariantSelected,
)
from sessions.recipe import Recipe
from sessions.state import Variant
from sessions.steering import Steering
from workbench.autopilot import Autopilot
from workbench.job_queue import JobQueue
from workbench.processes import Child
from workbench.questions import Questions
from workbench.search_queue import SearchQueue
from workbench.session import Listener, Opening, RequestError

OTHER_DATA = "these are not the images of before: F1 cannot be compared with what was measured"


class LiveSession(JobQueue, SearchQueue, Questions):
    """Opens a model or goes on with a session; edits, history and files are here."""

    def __init__(self, opening: Opening, listener: Listener = lambda event: None) -> None:
        logs = opening.folder / log.LOGS
        engine = Child("engine", logs / "engine.log", self.receive)
        trainer = Child("trainer", logs / "trainer.log", self.receive)
        searcher = Child("searcher", logs / "searcher.log", self.receive)
        super().__init__(opening, engine, trainer, searcher, listener)
        self.autopilot = Autopilot(self)
        self.problem = ""
        """Why the session could not be opened."""

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
        children = (self._engine, self._trainer, self._searcher)
        await asyncio.gather(*(child.close() for child in children))
        for task in list(self._tasks):
            task.cancel()
        self.recorder.close()

    def dispatch(self, event: AnyEvent | Unknown) -> None:
        """As for any session; then the autopilot may act on it."""
        super().dispatch(event)
        self.autopilot.take(event)

    def start_autopilot(self, steering: Steering) -> None:
        """Let the autopilot make the next edits.

        Raises:
            RequestError: no target, no data, or a search is running.
        """
        self.autopilot.start(steering)

    def stop_autopilot(self) -> None:
        """Take over.

        Raises:
            RequestError: it does not steer.
        """
        if not self.autopilot.is_on:
            raise RequestError("the autopilot does not steer")
        self.autopilot.stop()

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
        event = self.numbered(event)
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
        if event.process != "engine":
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

    def _fit_head(self, data: DataOpened) -> None:
        variant = self.state.variant
        if variant is not None and variant.network.classes != len(data.classes):
            self.request_edit(Classes(len(data.classes), self.recorder.seed), is_preparation=True)
