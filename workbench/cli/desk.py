"""A job's reports in a terminal."""

import signal
from typing import TYPE_CHECKING, Any, Self

from sessions.events import Evaluation

if TYPE_CHECKING:
    from workbench.training.progress import Progress


class TerminalDesk:
    """A job's reports as rich progress bars on stderr; ctrl+c asks the job to stop."""

    def __init__(self, *, is_silent: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True, highlight=False, markup=False)
        is_shown = self._console.is_terminal and not is_silent
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not is_shown,
            transient=True,
        )
        self._says = not is_silent
        self._tasks: dict[str, Any] = {}
        self._stop = False
        self._steps = 0
        self._detail = ""
        self.epoch = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self._bars.stop()

    def say(self, line: str) -> None:
        """A line for people."""
        if self._says:
            self._console.print(line, soft_wrap=True)

    def advance(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Move a bar."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, detail=detail)
        self._bars.update(self._tasks[name], completed=done, total=total, detail=detail)

    def started(self, steps: int, from_step: int) -> None:
        """The job begins."""
        self._steps = steps
        if from_step:
            self.say(f"going on from step {from_step} of {steps}")

    def progressed(self, phase: str, progress: "Progress") -> None:
        """Move the job's bar."""
        self.epoch = progress.epoch
        loss = "" if progress.loss is None else f"loss {progress.loss:.3f}"
        detail = f"{loss}  {progress.images_per_s:.0f} images/s  {self._detail}"
        self.advance(phase, progress.step, progress.steps, detail)

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        """Show the latest F1."""
        self._detail = f"F1 {evaluation.f1:.4f}"
        where = rung or (f"epoch {epoch:g}" if epoch else "")
        if where:
            self.say(f"{where}: macro F1 {evaluation.f1:.4f} on {evaluation.split}")

    def stored(self, step: int, epoch: float) -> None:
        """Nothing to show: the resume file lies beside the output."""

    def should_stop(self) -> bool:
        """Whether ctrl+c was pressed."""
        return self._stop

    def wants_evaluation(self) -> bool:
        """Early evaluations are asked for on the screen only."""
        return False

    def _interrupt(self, signal_number: int, frame: object) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True
        self.say("stopping after this batch; ctrl+c again to stop at once")
