"""Where trials run: what goes to a worker, what comes back, and what every place offers.

A study submits at most `capacity` trials at a time and asks for what happened; each submitted
trial ends with exactly one Done, Stopped, Failed or Lost. A backend decides nothing: which trial
comes next, which is stopped and which is tried again is the study's to say.
"""

from typing import Protocol

import msgspec

from sessions.edits import Edit
from sessions.evaluation import Evaluation
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.splits import Splits


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One trial as plain data: with the supplies it is all that a worker needs."""

    trial: int
    edits: tuple[Edit, ...] = ()
    """Made one after another on the supplies' network, weights carried."""
    network: Network | None = None
    """A new network instead, whose weights are drawn by the recipe's seed."""
    recipe: Recipe
    """Of its training; its seed is the trial's, and its teachers are the supplies'."""


class Supplies(msgspec.Struct, frozen=True, kw_only=True):
    """What all trials of a study share; it goes to a worker, or a node, once."""

    start: bytes
    """Network and weights that edits are made on, as surgery/files.to_safetensors writes them."""
    teachers: tuple[bytes, ...] = ()
    """Networks and weights in the order of the recipe's teachers."""
    data: str
    """`digits` or a folder, as training/images/data.open_data takes it."""
    splits: Splits
    device: str = "auto"
    threads: int = 0
    """Of torch in each worker; 0 shares the cores out evenly. Sums depend on it."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial came to."""

    network: Network
    weights: bytes
    """Network and weights as surgery/files.to_safetensors writes them."""
    evaluation: Evaluation
    macs: int
    seconds: float
    worker: str
    """Where it ran: the host's name and the process id."""


class Reported(msgspec.Struct, frozen=True):
    """A running trial's F1 on the validation split; after a retry the epochs begin anew."""

    trial: int
    epoch: int
    """From 1; 0 before training."""
    f1: float


class Done(msgspec.Struct, frozen=True):
    """A trial ran to its end."""

    trial: int
    result: Result


class Stopped(msgspec.Struct, frozen=True):
    """A trial ended early because it was asked to."""

    trial: int
    seconds: float = 0.0
    worker: str = ""


class Failed(msgspec.Struct, frozen=True):
    """A trial cannot be done: it would end the same way again."""

    trial: int
    reason: str
    """One line in plain words."""


class Lost(msgspec.Struct, frozen=True):
    """A trial's worker is gone; by itself the trial is as good as any."""

    trial: int
    reason: str


Happened = Reported | Done | Stopped | Failed | Lost


class Backend(Protocol):
    """Carries out tasks. Used from one thread."""

    @property
    def capacity(self) -> int:
        """Trials that run at a time; it may change while a cluster grows or shrinks."""

    def submit(self, task: Task) -> None:
        """Begin a trial, now or as soon as a worker is free; the number may be used again after
        its end.
        """

    def next(self, timeout_s: float) -> Happened | None:
        """What happened next; None where nothing did within the time.

        Raises:
            UserError: no trial can run here any more (no worker starts, no cluster answers).
        """

    def stop(self, trial: int) -> None:
        """Ask a trial to end after its batch; one that is not under way is left alone."""

    def close(self) -> None:
        """End every worker at once, whatever it does; to be called in any case, even twice."""
