"""A live session whose child processes are fakes, so that every screen is reached without torch."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from sessions import edits, macs
from sessions.codec import Header, Record
from sessions.commands import AnyCommand, ApplyEdit
from sessions.events import (
    AnyEvent,
    ClassScore,
    DataOpened,
    Edited,
    EditRejected,
    Evaluated,
    Evaluation,
    JobFinished,
    JobProgressed,
    JobQueued,
    JobStarted,
    LayerStats,
    ModelOpened,
    RuleChosen,
    Unknown,
    VariantSelected,
)
from sessions.log import SessionLog
from sessions.network import WEIGHTED, Network
from sessions.recipe import Recipe
from sessions.score import CONTEST
from workbench import job_queue
from workbench import live as live_module
from workbench.app import WorkbenchApp
from workbench.live import LiveSession
from workbench.session import Opening
from workbench.surgery.families import shufflenet

CLASSES = tuple(f"class{number}" for number in range(9))


class FakeChild:
    """Keeps the commands it gets; answers when the test says so, as if from a process."""

    def __init__(
        self, name: str, log_file: Path, on_event: Callable[[AnyEvent | Unknown], None]
    ) -> None:
        self.name = name
        self.commands: list[AnyCommand] = []
        self.is_terminated = False
        self.is_closed = False
        self._on_event = on_event
        self._context = contextvars.copy_context()

    async def send(self, command: AnyCommand) -> None:
        self._context = contextvars.copy_context()
        self.commands.append(command)

    def terminate(self) -> None:
        self.is_terminated = True

    async def close(self) -> None:
        self.is_closed = True

    def answer(self, *answers: AnyEvent) -> None:
        for event in answers:
            self._context.copy().run(self._on_event, event)


class Staged:
    """A LiveSession on fakes, with the answers that an engine and a trainer would give."""

    def __init__(self, live: LiveSession, children: dict[str, FakeChild], network: Network) -> None:
        self.live = live
        self.engine = children["engine"]
        self.trainer = children["trainer"]
        self.network = network

    def open_model(self) -> None:
        self.engine.answer(model_opened(self.network))

    def open_data(self, **changes: Any) -> None:
        self.trainer.answer(data_opened(**changes))

    def confirm_edits(self) -> None:
        """Answer every edit that is pending."""
        for command in self.engine.commands:
            if isinstance(command, ApplyEdit):
                variant = self.live.state.variants.get(command.variant)
                if variant is not None and variant.is_pending:
                    self.engine.answer(edited(command, variant.macs))

    def reject_edit(self, reason: str) -> None:
        """Refuse the latest edit."""
        last = [command for command in self.engine.commands if isinstance(command, ApplyEdit)][-1]
        self.engine.answer(
            EditRejected(variant=last.variant, parent=last.parent, edit=last.edit, reason=reason)
        )

    def start_job(self, number: int, steps: int = 40, step: int = 10) -> None:
        """Let a queued job run to some step."""
        self.trainer.answer(
            JobStarted(job=number, device="cpu", steps=steps),
            JobProgressed(
                job=number, phase="training", step=step, steps=steps, epoch=step / 10,
                loss=0.5, images_per_s=812.0, left_s=42.0,
            ),
        )  # fmt: skip

    def finish_job(self, number: int, f1: float, checkpoint: str | None = None) -> None:
        """Let a job end with an F1."""
        found = evaluation(f1)
        self.trainer.answer(
            Evaluated(job=number, evaluation=found),
            JobFinished(job=number, checkpoint=checkpoint, evaluation=found),
        )

    async def confirm(self) -> None:
        """Let every request reach its process, then answer the edits."""
        for _ in range(20):
            await asyncio.sleep(0)
        self.confirm_edits()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let the loop run until something is so."""
        for _ in range(200):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came true")


def layer_stats(network: Network) -> dict[str, LayerStats]:
    """Statistics that differ from layer to layer, for every layer with weights."""
    found = {}
    for number, (_, layer) in enumerate(network.layers(include_off=True)):
        if layer.kind in WEIGHTED:
            found[layer.path] = LayerStats(
                count=network.parameters(layer), mean=0.001, std=0.05 + number / 500,
                near_zero=0.02, low=-0.5, high=0.5, histogram=(1, 4, 9, 16, 25, 25, 16, 9, 4, 1),
            )  # fmt: skip
    return found


def evaluation(f1: float, classes: tuple[str, ...] = CLASSES) -> Evaluation:
    """An evaluation whose classes lie around its F1."""
    middle = (len(classes) - 1) / 2
    return Evaluation(
        split="validation",
        images=505,
        f1=f1,
        accuracy=f1,
        classes=tuple(
            ClassScore(name, f1 + (number - middle) / 100, f1, f1, 50 + number)
            for number, name in enumerate(classes)
        ),
    )


def model_opened(network: Network, **changes: Any) -> ModelOpened:
    values: dict[str, Any] = {
        "source": "/models/published.pth",
        "sha256": "ab" * 32,
        "checkpoint": "cd" * 32,
        "network": network,
        "weights_sha256": "ef" * 32,
        "stats": layer_stats(network),
        "macs": macs.count(network),
        "ptflops_macs": macs.count(network),
    }
    return ModelOpened(**{**values, **changes})


def data_opened(**changes: Any) -> DataOpened:
    values: dict[str, Any] = {
        "source": "/data/trashnet",
        "fingerprint": "12" * 32,
        "classes": CLASSES,
        "train_images": 2022,
        "val_images": 505,
        "size": 80,
    }
    return DataOpened(**{**values, **changes})


def edited(command: ApplyEdit, count: int) -> Edited:
    return Edited(
        variant=command.variant,
        parent=command.parent,
        edit=command.edit,
        macs=count,
        weights_sha256="34" * 32,
        exact=True,
        is_preparation=command.is_preparation,
    )


@pytest.fixture(scope="session")
def network() -> Network:
    """The published network: 4-8-4 with a conv head, 80 pixels, 9 classes, 1,688,940 MACs."""
    made = edits.apply(shufflenet.fresh(units=(4, 8, 4), classes=9), edits.InputSize(80))
    return edits.apply(made, edits.Head("conv"))


@pytest.fixture
def stage(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Opening], Staged]]:
    """Claims a session on fake processes; F1 is never measured by itself."""
    children: dict[str, FakeChild] = {}
    begun: list[LiveSession] = []

    def child(name: str, log_file: Path, on_event: Callable[..., None]) -> FakeChild:
        children[name] = FakeChild(name, log_file, on_event)
        return children[name]

    def stage(opening: Opening) -> Staged:
        live = LiveSession(opening)
        begun.append(live)
        live.claim()
        return Staged(live, children, network)

    monkeypatch.setattr(live_module, "Child", child)
    monkeypatch.setattr(job_queue, "SETTLE_S", 3600.0)
    yield stage
    for live in begun:
        with contextlib.suppress(ValueError):  # the app may have closed it already
            live.recorder.close()


@pytest.fixture
def staged(stage: Callable[[Opening], Staged], tmp_path: Path) -> Staged:
    """A new session on a model and data that only the fakes know."""
    return stage(
        Opening(
            folder=tmp_path / "session", model=tmp_path / "published.pth", data="/data/trashnet"
        )
    )


def recorded_events(network: Network) -> list[tuple[float, AnyEvent]]:
    """A short session: two units off, one step back, a fine-tuning with progress."""
    first, second = edits.UnitOff("stage1.unit3"), edits.UnitOff("stage2.unit4")
    after_first = edits.apply(network, first)
    after_second = edits.apply(after_first, second)
    before, after = evaluation(0.835), evaluation(0.812)
    training = [
        (
            6.0 + step / 10,
            JobProgressed(
                job=2, phase="training", step=step, steps=20, epoch=step / 10,
                loss=1.0 - step / 40, images_per_s=640.0, left_s=2.0 - step / 10,
            ),
        )
        for step in range(1, 21)
    ]  # fmt: skip

    def edited_to(variant: int, parent: int, edit: edits.Edit, result: Network) -> Edited:
        return Edited(
            variant=variant, parent=parent, edit=edit, macs=macs.count(result),
            weights_sha256="56" * 32, exact=True,
        )  # fmt: skip

    return [
        (0.5, model_opened(network)),
        (0.5, RuleChosen(rule=CONTEST)),
        (1.0, data_opened()),
        (1.5, JobQueued(job=1, job_kind="evaluate", variant=0, is_automatic=True)),
        (1.6, JobStarted(job=1, device="cpu", steps=1)),
        (2.0, Evaluated(job=1, evaluation=before)),
        (2.0, JobFinished(job=1, evaluation=before)),
        (3.0, edited_to(1, 0, first, after_first)),
        (4.0, edited_to(2, 1, second, after_second)),
        (4.5, VariantSelected(variant=1)),
        (5.0, VariantSelected(variant=2)),
        (6.0, JobQueued(job=2, job_kind="fine-tune", variant=2, result=3, recipe=Recipe(epochs=2))),
        (6.0, JobStarted(job=2, device="cpu", steps=20)),
        *training,
        (8.1, Evaluated(job=2, evaluation=after, epoch=2.0)),
        (
            8.2,
            JobFinished(job=2, checkpoint="78" * 32, weights_sha256="9a" * 32, evaluation=after),
        ),
    ]


def write_session(folder: Path, events: list[tuple[float, AnyEvent]]) -> Path:
    """A session folder with these events."""
    folder.mkdir()
    header = Header(created="2026-01-01T00:00:00+00:00", model_sha256="ab" * 32, seed=0)
    log = SessionLog.create(folder, header)
    for seconds, event in events:
        log.append(Record(seconds, event))
    log.close()
    return folder


@pytest.fixture(scope="session")
def events() -> dict[str, Callable[..., AnyEvent]]:
    """What an engine and a trainer would say on opening."""
    return {"model": model_opened, "data": data_opened}


@pytest.fixture(scope="session")
def evaluation_of() -> Callable[[float], Evaluation]:
    """See `evaluation`."""
    return evaluation


@pytest.fixture
def recorded(network: Network, tmp_path: Path) -> Path:
    """The folder of the session of `recorded_events`."""
    return write_session(tmp_path / "recorded", recorded_events(network))


@pytest.fixture
def cut_off(network: Network, tmp_path: Path) -> Path:
    """The same session, cut off in the middle of its fine-tuning."""
    return write_session(tmp_path / "cut-off", recorded_events(network)[:-10])


def text_of(widget: Widget) -> str:
    """What a widget shows, line by line."""
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


async def wait_until(pilot: Pilot[Any], condition: Callable[[], Any]) -> None:
    """Let the app run until something is so."""
    for _ in range(500):
        if condition():
            return
        await pilot.pause()
    raise AssertionError("it never came true")


@pytest.fixture(scope="session")
def shows() -> Callable[[Widget], str]:
    """See `text_of`."""
    return text_of


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """See `wait_until`."""
    return wait_until


@pytest.fixture
def opened_app(staged: Staged, until: Callable[..., Any]) -> Any:
    """Starts the app with model and data open; gives the app and its pilot."""

    @contextlib.asynccontextmanager
    async def opened(size: tuple[int, int] = (80, 24)) -> Any:
        app = WorkbenchApp(staged.live)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: staged.engine.commands)
            staged.open_model()
            staged.open_data()
            await pilot.pause()
            yield app, pilot

    return opened
