"""A study that is stopped, killed or run by more at a time: nothing is lost, and it stays one."""

import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import small_study
from small_study import loaded, read


def test_a_study_that_is_whole_has_nothing_left_to_do(scripted, tmp_path):
    scripted()
    small_study.run(tmp_path, small_study.plan())
    again = scripted()

    assert small_study.run(tmp_path, small_study.plan()) == []
    assert again.submitted == []
    assert len(small_study.run(tmp_path, small_study.plan(trials=6))) == 2


def test_trials_left_running_begin_anew_under_their_numbers(scripted, tmp_path):
    scripted(capacity=2)
    asked = iter([False] * 6)
    small_study.run(tmp_path, small_study.plan(), should_stop=lambda: next(asked, True))
    left = [t for t in loaded(tmp_path).trials if t.state == optuna.trial.TrialState.RUNNING]
    backend = scripted(capacity=2)

    small_study.run(tmp_path, small_study.plan())

    assert left
    assert {trial.number for trial in left} <= set(backend.submitted)
    again = {trial.number: trial for trial in loaded(tmp_path).trials}
    assert all(again[trial.number].params == trial.params for trial in left)
    assert len(read(tmp_path)) == 4


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch, small_study
from workbench.search import study
from workbench.search.trial import Opened
study.open_backend = lambda plan, supplies, data: small_study.Scripted(Opened(supplies), capacity=2)
study._costs = lambda units, *rest: dict.fromkeys(units, 0.0)
small_study.run(
    Path(sys.argv[2]), small_study.plan(trials=24),
    on_progress=lambda done, total, doing, left: print(done, flush=True),
)
"""


@pytest.mark.parametrize("lines", [3, 11, 22])
def test_a_study_killed_at_any_moment_keeps_its_finished_trials(scripted, tmp_path, lines):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    done = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest = process.communicate()[0].split()
    assert process.returncode == -signal.SIGKILL
    finished = max(int(line) for line in [*done, *rest])
    before = read(tmp_path)
    assert len(before) >= finished  # the storage knows no less than anybody was told
    assert len(before) < 24

    scripted(capacity=2)
    small_study.run(tmp_path, small_study.plan(trials=24))

    after = read(tmp_path)
    assert len(after) == 24
    assert {t.number: t for t in after}.items() >= {t.number: t for t in before}.items()
    assert all(t.state == "finished" for t in after)
    assert not [t for t in loaded(tmp_path).trials if not t.state.is_finished()]


def test_a_study_gives_the_same_trials_however_many_run_at_a_time(scripted, tmp_path):
    found = []
    for capacity in (1, 2):
        scripted(capacity=capacity)
        folder = tmp_path / str(capacity)
        small_study.run(folder, small_study.plan(trials=16, is_reproducible=True, seed=3))
        found.append(read(folder))

    assert found[0] == found[1]
    assert len({trial.score for trial in found[0]}) > 8
    scripted()
    small_study.run(tmp_path / "x", small_study.plan(trials=16, is_reproducible=True, seed=4))
    assert read(tmp_path / "x") != found[0]


def test_a_reproducible_study_comes_out_the_same_after_an_interruption(scripted, tmp_path):
    scripted()
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    planned = small_study.plan(trials=12, is_reproducible=True)
    small_study.run(whole, planned)
    for stop_after in (9, 17, 25):
        asked = []

        def should_stop(asked=asked, stop_after=stop_after) -> bool:
            asked.append(1)
            return len(asked) > stop_after

        scripted(capacity=2)
        small_study.run(cut, planned, should_stop=should_stop)
    small_study.run(cut, planned)

    assert read(cut) == read(whole)
