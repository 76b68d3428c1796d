"""Trials on a private Ray of this machine: the same figures, retries, ends and errors."""

import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from sessions import edits
from sessions.recipe import Recipe
from sessions.score import PRESETS
from sessions.searching import Space, StudyPlan, Trial
from workbench.errors import UserError
from workbench.search.backends import Done, Failed, Happened, Reported, Stopped, Supplies, Task
from workbench.search.cluster import RayBackend, packed
from workbench.search.study import run_study
from workbench.search.trial import Model, Opened, attempt, make_supplies
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training.images.data import Dataset, open_data

NEEDS_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason='Ray is not installed: pip install "workbench[cluster]"',
)
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
SHORT = Recipe(epochs=1, images_per_epoch=0, augmentation="none", recover_images=64, batch_size=128)
LONG = msgspec.structs.replace(SHORT, epochs=500)
CPU = torch.device("cpu")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def start() -> Model:
    torch.manual_seed(0)
    network = edits.apply(shufflenet.fresh(units=(2, 2, 2), classes=10), edits.InputSize(16))
    return network, dict(build(network).state_dict())


@pytest.fixture(scope="module")
def data() -> Dataset:
    return open_data("digits", 16)


@pytest.fixture(scope="module")
def supplies(start: Model, data: Dataset) -> Supplies:
    return make_supplies(start, data, SHORT, CPU, threads=1)


@pytest.fixture(scope="module")
def backend(supplies: Supplies) -> Iterator[RayBackend]:
    made = RayBackend(supplies, "local", 2)
    yield made
    made.close()


def until(backend: RayBackend, wanted: Callable[[Happened], bool]) -> Happened:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = backend.next(1.0)
        if found is not None and wanted(found):
            return found
    raise AssertionError("it never happened")


def is_end(found: Happened) -> bool:
    return not isinstance(found, Reported)


def first_report(backend: RayBackend, trial: int) -> None:
    until(backend, lambda found: isinstance(found, Reported) and found.trial == trial)


def children_of(parent: int) -> list[int]:
    """Every process below one, as Linux tells."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found = [parent]
    for pid in found:
        found += [child for child, of in parents.items() if of == pid]
    return found[1:]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


@NEEDS_RAY
def test_a_task_gives_the_weights_that_it_gives_here(
    backend: RayBackend, supplies: Supplies
) -> None:
    task = Task(trial=1, edits=(edits.UnitOff("stage1.unit2"), edits.InputSize(24)), recipe=SHORT)
    torch.set_num_threads(1)
    here = attempt(task, Opened(supplies), lambda report: None, lambda: False)
    backend.submit(task)
    there = until(backend, is_end)
    assert isinstance(here, Done)
    assert isinstance(there, Done)
    assert there.result.weights == here.result.weights
    assert there.result.evaluation == here.result.evaluation
    assert not there.result.worker.endswith(f":{os.getpid()}")


@NEEDS_RAY
@NEEDS_PROC
def test_a_killed_worker_s_trial_is_tried_again(backend: RayBackend, supplies: Supplies) -> None:
    task = Task(trial=2, recipe=msgspec.structs.replace(SHORT, epochs=4))
    backend.submit(task)
    first_report(backend, 2)
    (worker,) = [pid for pid in children_of(os.getpid()) if name_of(pid) == "ray::work"]
    os.kill(worker, signal.SIGKILL)
    ended = until(backend, is_end)
    assert isinstance(ended, Done)
    assert not ended.result.worker.endswith(f":{worker}")
    torch.set_num_threads(1)
    here = attempt(task, Opened(supplies), lambda report: None, lambda: False)
    assert isinstance(here, Done)
    assert ended.result.weights == here.result.weights


@NEEDS_RAY
def test_stop_ends_a_running_trial_and_one_that_waits(backend: RayBackend) -> None:
    for trial in (3, 4, 5):  # two workers: one of them waits
        backend.submit(Task(trial=trial, recipe=LONG))
    first_report(backend, 3)
    for trial in (3, 4, 5):
        backend.stop(trial)
    ended = [until(backend, is_end) for _ in range(3)]
    assert {(type(end), end.trial) for end in ended} == {(Stopped, n) for n in (3, 4, 5)}
    assert backend.next(0.0) is None
    backend.submit(Task(trial=6, recipe=SHORT))
    assert isinstance(until(backend, is_end), Done), "a worker that stopped a trial takes the next"


@NEEDS_RAY
def test_a_trial_that_cannot_be_done_says_why(backend: RayBackend) -> None:
    backend.submit(Task(trial=7, edits=(edits.UnitOff("stage9.unit9"),), recipe=SHORT))
    ended = until(backend, is_end)
    assert isinstance(ended, Failed)
    assert "stage9.unit9" in ended.reason


@NEEDS_RAY
def test_a_private_ray_listens_on_the_loopback_address_alone(backend: RayBackend) -> None:
    import ray

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks which address would be used
        except OSError:
            pytest.skip("this machine has no address but the loopback one")
        outer = probe.getsockname()[0]
    (node,) = ray.nodes()
    store = int(ray.get_runtime_context().gcs_address.rpartition(":")[2])
    for port in (store, node["NodeManagerPort"], node["ObjectManagerPort"]):
        socket.create_connection(("127.0.0.1", port), 2).close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((outer, port), 2)


@NEEDS_RAY
def test_a_second_connection_of_a_process_is_refused(
    backend: RayBackend, supplies: Supplies
) -> None:
    with pytest.raises(UserError, match="in use by this process"):
        RayBackend(supplies, "local", 1)
    assert backend.capacity == 2, "the first one goes on"


@NEEDS_RAY
def test_a_study_has_the_same_trials_on_ray_as_in_processes(
    backend: RayBackend, start: Model, data: Dataset, tmp_path: Path
) -> None:
    backend.close()  # a process has one Ray at a time
    found = {}
    for place in ("", "local"):
        plan = StudyPlan(
            rule=PRESETS["contest"], trials=3, workers=2, seed=3, is_reproducible=True, ray=place,
            space=Space(units=False, widths=False, groups=False, recipe=("learning_rate",)),
        )  # fmt: skip
        trials: list[Trial] = []
        run_study(
            tmp_path / (place or "processes"), 1, plan, start, data, SHORT, CPU,
            on_trial=trials.append,
        )  # fmt: skip
        found[place] = trials
    assert len(found["local"]) == 3
    for here, there in zip(found[""], found["local"], strict=True):
        assert there.state == "finished"
        assert (there.number, there.parameters, there.edits) == (
            here.number, here.parameters, here.edits,
        )  # fmt: skip
        assert (there.evaluation, there.score) == (here.evaluation, here.score)
        assert there.checkpoint == here.checkpoint, "named by the hash of its weights"


DRIVER = """
import sys, msgspec
from workbench.search.backends import Supplies, Task
from workbench.search.cluster import RayBackend
from sessions.recipe import Recipe

content = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Supplies, Recipe])
backend = RayBackend(content[0], "local", 1)
backend.submit(Task(trial=0, recipe=content[1]))
while backend.next(1.0) is None:
    pass
print("running", flush=True)
while True:
    backend.next(60.0)
"""


@NEEDS_RAY
@NEEDS_PROC
def test_a_killed_driver_leaves_no_worker_of_a_private_ray_and_no_file_at_home(
    supplies: Supplies, tmp_path: Path
) -> None:
    said = tmp_path / "stderr"
    with said.open("wb") as stderr:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    assert driver.stdin is not None
    assert driver.stdout is not None
    with driver.stdin:
        driver.stdin.write(msgspec.json.encode((supplies, LONG)))
    with driver.stdout:
        assert driver.stdout.readline() == b"running\n"
    below = [(name_of(pid), os.pidfd_open(pid)) for pid in children_of(driver.pid)]
    assert any(name.startswith("ray::work") for name, _ in below)
    assert not (tmp_path / ".ray").exists(), "the token of a private Ray is in no file"
    assert said.read_bytes() == b"", "Ray is quiet"
    driver.kill()
    driver.wait()
    for name, fd in below:
        if not name.endswith("Agent"):  # Ray's own, which look for their parent now and then
            assert select.select([fd], [], [], PATIENCE_S)[0], f"{name} is still there"
        os.close(fd)


def test_nothing_held_out_is_shipped_and_shared_images_once(data: Dataset) -> None:
    shipped = packed(msgspec.structs.replace(data, hold_out=data.val))
    assert shipped.hold_out is None
    assert shipped.train.source is shipped.val.source
    assert (shipped.train.take(slice(9)) == data.train.take(slice(9))).all()
