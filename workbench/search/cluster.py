"""Trials as tasks of Ray, on a private Ray of this machine or on a cluster.

Ray places tasks, tries those of a lost worker again, and keeps data and networks once on each
node; nothing of that is done here. Everything comes back as plain data: what is kept is stored by
the process that runs the study.
"""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sessions.edits import InputSize
from sessions.network import Network
from workbench.child import keep_freed_memory
from workbench.errors import UserError
from workbench.search.backends import (
    Done,
    Failed,
    Happened,
    Lost,
    Reported,
    Stopped,
    Supplies,
    Task,
)
from workbench.search.joining import Share, connect, places, shared_out
from workbench.search.processes import cores
from workbench.surgery.files import stored_network
from workbench.training.images.data import Dataset, Split, open_data

RETRIES = 2
"""Times that Ray tries a trial again whose worker, or node, is gone."""
GRACE_S = 15.0
"""Seconds after which a trial that was asked to end is ended by force."""
LOOK_S = 5.0
"""Seconds between looks at how large the cluster is."""
POLL_S = 0.2
"""Seconds in which a worker notices that its trial is to end."""
WORKER_GONE = {
    "WorkerCrashedError": "killed, or crashed",
    "OutOfMemoryError": "not enough memory",
    "NodeDiedError": "its node is gone",
}
"""Ray's errors for a worker that is no more."""
Key = tuple[int, int]
"""Input size and channels."""


class _Running:
    """A trial that Ray has."""

    def __init__(self, reports: Any) -> None:
        self.reports = reports
        """Ray's generator of references to what the trial tells."""
        self.started = time.monotonic()
        self.stopped_at: float | None = None
        self.is_forced = False

    @property
    def seconds(self) -> float:
        """Since it was handed over."""
        return time.monotonic() - self.started


class RayBackend:
    """A Backend of Ray tasks."""

    def __init__(self, supplies: Supplies, address: str, workers: int) -> None:
        """Connect, and hand networks over; data follows with the first trial that needs it.

        Args:
            supplies: a device of theirs is of this machine: a cluster's GPUs are used where it
                has any, but not where a machine with one is told to do without.
            address: see `connect`.

        Raises:
            UserError: Ray is not installed or does not start, no cluster answers, or it has no
                such device.
        """
        self._workers = max(workers, 1)
        self._link = connect(address, self._workers)
        self._ray = self._link.ray
        self._running: dict[int, _Running] = {}
        self._data: dict[Key, Any] = {}
        try:
            self._share = self._shared(supplies.device)
            self._looked, self._places = time.monotonic(), self._share.places
            self._supplies = self._adapted(supplies)
            self._start: Network = stored_network(Path("supplies"), supplies.start)
            self._shipped = self._ray.put(self._supplies)
        except BaseException:
            self.close()
            raise
        self._remote = self._ray.remote(
            num_cpus=self._share.cpus, num_gpus=self._share.gpus, max_retries=RETRIES
        )(work)

    @property
    def capacity(self) -> int:
        """Trials that the nodes take at a time, at most the workers that were asked for."""
        self._look()
        return max(self._places, 1)

    def submit(self, task: Task) -> None:
        """Hand a trial to Ray, which begins it as soon as there is room.

        Raises:
            UserError: its images cannot be opened.
        """
        sizes = [edit.size for edit in task.edits if isinstance(edit, InputSize)]
        network = task.network or self._start
        key = (sizes or [network.input_size])[-1], network.input_channels
        if key not in self._data:
            data = open_data(self._supplies.data, *key, self._supplies.splits)
            self._data[key] = self._ray.put(packed(data))
        self._running[task.trial] = _Running(
            self._remote.remote(task, self._shipped, key, self._data[key])
        )

    def next(self, timeout_s: float) -> Happened | None:
        """What happened next; see Backend.

        Raises:
            UserError: the cluster is gone, or its nodes do not have this package.
        """
        until = time.monotonic() + timeout_s
        while self._running:
            trials = {running.reports: trial for trial, running in self._running.items()}
            wait_s = min(max(until - time.monotonic(), 0), 1.0)
            ready, _ = self._ray.wait(list(trials), num_returns=1, timeout=wait_s)
            if ready:
                return self._heard(trials[ready[0]])
            self._look()
            self._force()
            if time.monotonic() >= until:
                return None
        return None

    def stop(self, trial: int) -> None:
        """Ask a trial to end after its batch, or not to begin."""
        running = self._running.get(trial)
        if running is not None and running.stopped_at is None:
            running.stopped_at = time.monotonic()
            self._ray.cancel(running.reports, force=False)

    def close(self) -> None:
        """End what runs, and leave the cluster or end the private Ray."""
        if self._link.is_open:
            for running in self._running.values():
                self._ray.cancel(running.reports, force=True)
        self._running.clear()
        self._data.clear()
        self._link.close()

    def _shared(self, device: str) -> Share:
        import torch

        wants_gpu = device != "cpu" or not (self._link.is_private or torch.cuda.is_available())
        share = shared_out(self._link.nodes(), self._workers, wants_gpu=wants_gpu)
        if device.startswith("cuda") and not share.gpus:
            raise UserError("this Ray has no GPU: use --device cpu")
        return share

    def _adapted(self, supplies: Supplies) -> Supplies:
        """Supplies with the device and the threads that a task gets."""
        cpus = self._share.cpus
        threads = max(cores() // self._workers, 1) if self._link.is_private else cpus
        return msgspec.structs.replace(
            supplies,
            threads=supplies.threads or threads,
            device="cuda" if self._share.gpus else "cpu",  # Ray shows a task its own GPU alone
        )

    def _look(self) -> None:
        """How large the cluster is now, every few seconds."""
        if time.monotonic() - self._looked >= LOOK_S and self._link.is_answering():
            self._places = places(self._link.nodes(), self._share, self._workers)
            self._looked = time.monotonic()

    def _heard(self, trial: int) -> Happened:
        running = self._running.pop(trial)
        try:
            message: Happened = self._ray.get(next(running.reports))
        except StopIteration:
            if running.stopped_at is not None:
                return Stopped(trial, running.seconds)
            return Lost(trial, "it ended early when it was tried again")
        except self._ray.exceptions.RayError as error:
            if "No module named 'workbench" in str(error):
                raise UserError(
                    "the cluster's nodes do not have this package: pip install "
                    '"workbench[cluster]" on each of them'
                ) from None
            if running.stopped_at is not None:
                return Stopped(trial, running.seconds)
            return _end(trial, error)
        if isinstance(message, Reported):
            self._running[trial] = running  # at the end: the others are heard first
        return message

    def _force(self) -> None:
        """End what was asked to long ago, and does not."""
        for running in self._running.values():
            asked = running.stopped_at
            if asked is not None and not running.is_forced and time.monotonic() - asked > GRACE_S:
                running.is_forced = True
                self._ray.cancel(running.reports, force=True)


def packed(data: Dataset) -> Dataset:
    """Data as it is shipped: arrays that Ray shares within a node, without what is held out."""
    plain: dict[int, Any] = {}

    def split(part: Split) -> Split:
        # A memory-mapped array would be copied into each worker; one that two splits share, twice.
        source = plain.setdefault(id(part.source), np.asarray(part.source).view(np.ndarray))
        return Split(source, part.rows, part.labels)

    return msgspec.structs.replace(
        data, train=split(data.train), val=split(data.val), hold_out=None, skipped=()
    )


def work(
    task: Task, supplies: Supplies, key: Key, data: Dataset
) -> Iterator[Reported | Done | Stopped | Failed]:
    """A trial in a worker of Ray: what it reports, then its end.

    The trial runs in a thread, since Ray cancels by an exception in the main one: so it ends
    after its batch, and not in the middle of a step.
    """
    told: queue.SimpleQueue[Reported | Done | Stopped | Failed] = queue.SimpleQueue()
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        trial = pool.submit(_carry_out, task, supplies, {key: data}, told, stop)
        try:
            while True:
                try:
                    message = told.get(timeout=POLL_S)
                except queue.Empty:
                    if trial.done():
                        trial.result()  # which raises what ended it
                    continue
                yield message
                if not isinstance(message, Reported):
                    return
        finally:
            stop.set()


def _carry_out(
    task: Task,
    supplies: Supplies,
    datasets: Mapping[Key, Dataset],
    told: "queue.SimpleQueue[Any]",
    stop: threading.Event,
) -> None:
    import torch

    from workbench.search.trial import Opened, attempt

    keep_freed_memory()  # as opening data does: here it comes opened
    torch.set_num_threads(supplies.threads)
    told.put(attempt(task, Opened(supplies, datasets), told.put, stop.is_set))


def _end(trial: int, error: Exception) -> Failed | Lost:
    """What Ray's error means; it comes after Ray has tried the trial again."""
    cause = getattr(error, "cause", None) or error
    name = type(cause).__name__
    if name in WORKER_GONE:
        return Failed(trial, f"its worker ended {RETRIES + 1} times: {WORKER_GONE[name]}")
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return Lost(trial, f"{name}: {lines[-1]}" if lines else name)
