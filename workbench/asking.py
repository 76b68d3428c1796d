"""Questions for the eyes: what engine and trainer are asked, and no session records.

A live session asks its own processes; a replay starts some for the first question.
"""

import shutil
import tempfile
from asyncio import Task, create_task, gather
from collections.abc import Callable
from pathlib import Path

from sessions import history
from sessions.commands import DescribeChannels, DrawConfused, MeasureActivations
from sessions.edits import Edit
from sessions.events import AnyEvent, Unknown
from sessions.splits import Splits
from sessions.state import SessionState, Variant
from workbench.processes import Child
from workbench.session import Question, RequestError


def describe_channels(
    state: SessionState, folder: Path, axis: str, criterion: str, scores: str, edit: Edit | None
) -> Question:
    """What a criterion makes of an axis of the current variant, and what a cut would take.

    Raises:
        RequestError: the model is still opening.
    """
    variant = _current(state)
    return DescribeChannels(
        folder=str(folder),
        variant=variant.number,
        lineage=history.lineage(state, variant.number),
        axis=axis,
        criterion=criterion,
        scores=scores,
        edit=edit,
    )


def measure_activations(state: SessionState, folder: Path, splits: Splits, images: int) -> Question:
    """How far the channels of the current variant spread on training images.

    Raises:
        RequestError: no data is open.
    """
    variant = _current(state)
    return MeasureActivations(
        folder=str(folder),
        variant=variant.number,
        lineage=history.lineage(state, variant.number),
        data=_data(state),
        splits=splits,
        images=images,
    )


def draw_confused(
    state: SessionState,
    folder: Path,
    splits: Splits,
    cell: tuple[int, int],
    photos: int,
    edge: int,
) -> Question:
    """The validation images in a cell (true class, predicted class) of the confusion matrix.

    Raises:
        RequestError: no data is open.
    """
    variant = _current(state)
    return DrawConfused(
        folder=str(folder),
        variant=variant.number,
        lineage=history.lineage(state, variant.number),
        data=_data(state),
        splits=splits,
        true=cell[0],
        predicted=cell[1],
        photos=photos,
        edge=edge,
    )


def _current(state: SessionState) -> Variant:
    if state.variant is None:
        raise RequestError("the model is still opening")
    return state.variant


def _data(state: SessionState) -> str:
    if state.data is None:
        raise RequestError("no data is open: open with --data FOLDER, or --data digits")
    return state.data.source


class ReplayProcesses:
    """An engine and a trainer that answer questions about a recording, and write nothing to it."""

    def __init__(self, listener: Callable[[AnyEvent | Unknown], None]) -> None:
        self._listener = listener
        self._children: dict[str, Child] = {}
        self._logs: Path | None = None
        self._tasks: set[Task[None]] = set()

    def ask(self, question: Question) -> None:
        """Send a question to the process that knows."""
        name = "engine" if isinstance(question, DescribeChannels) else "trainer"
        if self._logs is None:
            self._logs = Path(tempfile.mkdtemp(prefix="workbench-replay-"))
        if name not in self._children:
            self._children[name] = Child(name, self._logs / f"{name}.log", self._listener)
        task = create_task(self._children[name].send(question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End them."""
        self._listener = lambda event: None
        await gather(*(child.close() for child in self._children.values()))
        for task in list(self._tasks):
            task.cancel()
        if self._logs is not None:
            shutil.rmtree(self._logs, ignore_errors=True)
