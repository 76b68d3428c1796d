"""Trials in real processes: the same figures as here, nothing lost, nobody left behind."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import small_study
import torch

from sessions import edits
from workbench.errors import UserError
from workbench.search.backends import Done, Failed, Lost, Reported, Stopped, Task
from workbench.search.processes import ProcessBackend
from workbench.search.trial import Opened, make_supplies, run_trial

LONG_S = 120.0
"""For a worker to start on a busy machine."""
CUT = (edits.parse("off:stage1.unit2"), edits.parse("groups:stage2=1"))


@pytest.fixture(scope="module")
def supplies():
    return make_supplies(
        small_study.start(), small_study.digits(), small_study.RECIPE, torch.device("cpu"), 1
    )


@pytest.fixture
def backend(supplies):
    made = ProcessBackend(supplies, 1)
    yield made
    made.close()


def ended(backend):
    """Everything that happens until a trial's end."""
    found = [backend.next(LONG_S)]
    while isinstance(found[-1], Reported):
        found.append(backend.next(LONG_S))
    return found


def test_a_worker_does_what_is_done_here_and_survives_a_trial_that_cannot_be(supplies, backend):
    task = Task(trial=7, edits=CUT, recipe=small_study.RECIPE)
    reports = []
    here = run_trial(task, Opened(supplies), lambda *said: reports.append(said), lambda: False)

    backend.submit(msgspec.structs.replace(task, trial=6, edits=(edits.parse("off:stage9.unit1"),)))
    refused = ended(backend)
    backend.submit(task)
    *told, done = ended(backend)

    assert isinstance(refused[-1], Failed)
    assert "stage9" in refused[-1].reason
    assert isinstance(done, Done)
    assert done.trial == 7
    assert done.result.weights == here.weights
    assert done.result.evaluation == here.evaluation
    assert [(r.epoch, r.f1) for r in told] == reports
    assert [epoch for epoch, _ in reports] == [0, 1]
    assert here.evaluation.split == "validation"
    assert backend.next(0) is None


def test_a_killed_worker_loses_its_trial_which_can_be_tried_again(backend):
    endless = msgspec.structs.replace(small_study.RECIPE, epochs=10_000)
    backend.submit(Task(trial=0, recipe=endless))
    assert isinstance(backend.next(LONG_S), Reported)  # it is at it

    os.kill(backend._places[0].process.pid, signal.SIGKILL)
    *_, lost = ended(backend)
    backend.submit(Task(trial=0, recipe=endless))
    assert isinstance(backend.next(LONG_S), Reported)
    backend.stop(1)  # not under way
    backend.stop(0)
    *_, stopped = ended(backend)

    assert isinstance(lost, Lost)
    assert lost.trial == 0
    assert "SIGKILL" in lost.reason
    assert isinstance(stopped, Stopped)
    assert stopped.seconds > 0
    backend.submit(Task(trial=0, recipe=endless))
    with pytest.raises(RuntimeError, match="all 1 workers are busy"):
        backend.submit(Task(trial=1, recipe=endless))


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
import small_study, torch
from workbench.search.backends import Task
from workbench.search.processes import ProcessBackend
from workbench.search.trial import make_supplies
from sessions import recipe as recipes
if __name__ == "__main__":
    supplies = make_supplies(
        small_study.start(), small_study.digits(), small_study.RECIPE, torch.device("cpu")
    )
    backend = ProcessBackend(supplies, 1)
    backend.submit(Task(trial=0, recipe=recipes.changed(small_study.RECIPE, epochs=10_000)))
    backend.next(120)
    print(backend._places[0].process.pid, flush=True)
    backend.next(1e6)
    while True:
        backend.next(1e6)
"""


def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    # The worker inherits the other end of this pipe: it is closed when both are gone.
    reading, writing = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent)],
        stdout=subprocess.PIPE, stderr=writing,
    )  # fmt: skip
    os.close(writing)
    worker = int(parent.stdout.readline())
    assert worker != parent.pid

    parent.kill()
    parent.wait()

    said = b"the worker is there"
    while said:
        assert select.select([reading], [], [], LONG_S)[0], "the worker outlived its parent"
        said = os.read(reading, 1024)
    os.close(reading)


def test_supplies_that_cannot_be_used_are_one_line(supplies):
    broken = msgspec.structs.replace(supplies, device="nonsense")
    backend = ProcessBackend(broken, 1)
    try:
        backend.submit(Task(trial=0, recipe=small_study.RECIPE))
        with pytest.raises(UserError, match="no device 'nonsense' here"):
            backend.next(LONG_S)
    finally:
        backend.close()
