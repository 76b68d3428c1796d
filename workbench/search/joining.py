"""Which Ray a study runs on: a private one of this machine, or a cluster that is joined.

A private Ray listens on the loopback address alone, asks for a token that no file holds, keeps its
files in a folder of its own and ends with the study. Ray is an extra: it is imported here alone.
"""

import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import msgspec

from workbench.errors import UserError

LOCAL, AUTO = "local", "auto"
SILENT_S = 20.0
"""Seconds that a cluster may be away; after 60 Ray ends the whole process without a word."""
REACHED_S = 5.0
"""Seconds in which the cluster's port has to answer: Ray itself would try for minutes."""
QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Ray prints what befell workers on stdout, which is ours
    "RAY_NUM_REDIS_GET_RETRIES": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Read by Ray when it is imported; what the user has set stays."""
MOST_PER_GPU = 8
"""Trials that share a GPU at most."""
SOCKET_ROOM = 12
"""Letters of a folder for temporary files that leave room for the names of Ray's sockets."""
PREFIX, LOCK = "wb-ray-", "in-use"
"""Of the folder of a private Ray, and the file in it that says that it is in use."""
_token = secrets.token_hex(32)


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one trial gets of a cluster, as Ray counts it."""

    cpus: int
    gpus: float
    """0, or a part of one."""
    places: int
    """Trials that fit at a time, at most as many as wanted."""


def shared_out(
    nodes: Sequence[tuple[float, float]], workers: int, *, wants_gpu: bool = True
) -> Share:
    """The most that each of `workers` trials can have, so that as many as can run at a time.

    Args:
        nodes: CPUs and GPUs of each. Where any has a GPU, trials go to these.
    """
    on_board = sum(int(gpus) for _, gpus in nodes) if wants_gpu else 0
    gpus = 0.0
    if on_board:
        per_gpu = min(math.ceil(workers / on_board), MOST_PER_GPU)
        gpus = math.floor(10_000 / per_gpu) / 10_000  # as finely as Ray counts
    most = max((int(cpus) for cpus, _ in nodes), default=1)
    shares = [Share(cpus=cpus, gpus=gpus, places=0) for cpus in range(1, max(most, 1) + 1)]
    wanted = places(nodes, shares[0], workers)
    share = max(
        (share for share in shares if places(nodes, share, workers) >= wanted),
        key=lambda share: share.cpus,
    )
    return msgspec.structs.replace(share, places=wanted)


def places(nodes: Sequence[tuple[float, float]], share: Share, workers: int) -> int:
    """Trials of this share that the nodes take at a time, at most the workers."""
    fits = 0
    for cpus, gpus in nodes:
        on_gpus = int(gpus) * int(1 / share.gpus) if share.gpus else workers
        fits += min(int(cpus // share.cpus), on_gpus)
    return min(workers, fits)


class Link:
    """A connection to Ray; closed, it leaves a cluster, and ends a private Ray with its workers."""

    def __init__(self, ray: ModuleType, folder: Path | None = None) -> None:
        """Take a folder of a private Ray into use, until it is closed."""
        self.ray: Any = ray
        self._address = ""
        self._silent_since: float | None = None
        self.folder = folder
        self._lock = None if folder is None else filelock.FileLock(folder / LOCK)
        if self._lock is not None:
            self._lock.acquire()

    @property
    def is_private(self) -> bool:
        """Whether it ends with the study."""
        return self.folder is not None

    def is_answering(self) -> bool:
        """Whether the cluster's head is there now.

        Raises:
            UserError: it has been away for too long.
        """
        self._address = self._address or self.ray.get_runtime_context().gcs_address
        try:
            _touch(self._address)
        except OSError:
            now = time.monotonic()
            self._silent_since = self._silent_since or now
            if now - self._silent_since < SILENT_S:
                return False
            raise UserError(
                f"the Ray cluster at {self._address} answers no more: run the same again when it "
                "does, which goes on with the study"
            ) from None
        self._silent_since = None
        return True

    @property
    def is_open(self) -> bool:
        """Whether Ray is connected, and would not wait for what does not answer."""
        return self._silent_since is None and bool(self.ray.is_initialized())

    def nodes(self) -> list[tuple[float, float]]:
        """CPUs and GPUs of each node that is alive."""
        alive = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return [(have.get("CPU", 0.0), have.get("GPU", 0.0)) for have in alive]

    def close(self) -> None:
        """Disconnect; also twice."""
        if self.is_open:
            self.ray.shutdown()
        if self.folder is not None and self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.release()


def connect(address: str, workers: int) -> Link:
    """Join the cluster at an address, or start a private Ray for `workers` trials at a time.

    Args:
        address: `local`, `auto` for the cluster that this machine belongs to, or `host:port`.

    Raises:
        UserError: Ray is not installed, does not start, or no cluster answers there.
    """
    ray = _imported()
    if ray.is_initialized():
        raise UserError("a Ray cluster is in use by this process already: end that study first")
    return _start(ray, workers) if address == LOCAL else _join(ray, address)


def _imported() -> ModuleType:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError('Ray is not installed: pip install "workbench[cluster]"') from None
    module: ModuleType = ray
    return module


def _start(ray: Any, workers: int) -> Link:
    from ray._private import ray_constants

    link = Link(ray, _folder())
    # Not told a mode, Ray turns tokens on by itself, also where it was imported before.
    security = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN": _token}
    is_cluster, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        with _environment(security), _sigterm_kept():
            ray.init(
                address=LOCAL,
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                _node_ip_address="127.0.0.1",  # reachable, because it is made no cluster above
                _temp_dir=str(link.folder),
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        link.close()
        raise UserError(f"a private Ray does not start here: {_line(error)}") from error
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = is_cluster
    return link


def _folder() -> Path:
    """A folder for a private Ray; those of processes that were killed are removed.

    A process locks its own as long as it lives.
    """
    root = tempfile.gettempdir()
    root = root if len(root) <= SOCKET_ROOM else "/tmp"
    for old in Path(root).glob(f"{PREFIX}*"):
        try:
            with filelock.FileLock(old / LOCK, timeout=0):
                shutil.rmtree(old, ignore_errors=True)
        except (filelock.Timeout, OSError):
            continue  # in use, or somebody else's
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))


def _join(ray: Any, address: str) -> Link:
    _reach(_found(address) if address == AUTO else address)
    try:
        with _sigterm_kept():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(
            f"cannot join the Ray cluster at {address} ({_line(error)}): check that Ray listens "
            "there, in the version of this machine"
        ) from error
    return Link(ray)


def _found(address: str) -> str:
    from ray._private import services

    try:
        return services.canonicalize_bootstrap_address(address) or ""
    except (OSError, ValueError):
        raise UserError(
            "no Ray cluster runs on this machine: start one (ray start --head), give its "
            "host:port, or use --ray local"
        ) from None


def _reach(address: str) -> None:
    if "://" in address:
        raise UserError(
            f"{address}: Ray's client cannot stream reports; give host:port on a machine of the "
            "cluster, or send the whole command there with `ray job submit`"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"{address!r} is no Ray address: use local, auto or host:port")
    try:
        _touch(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"no Ray cluster answers at {address} ({reason}): check host, port and firewall, or "
            "use --ray local"
        ) from None


def _touch(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), REACHED_S).close()


@contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """These variables set, None meaning unset, for the processes that Ray starts."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray puts a handler of its own in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
