"""A study against a scripted backend: what is tried, told, kept, resumed and given up."""

import json
import os
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import msgspec
import optuna_dashboard
import pytest
import small_study
from small_study import NAME, loaded, read

from sessions import fronts, macs
from sessions.searching import Space, Trial
from workbench.errors import UserError
from workbench.search import storages
from workbench.search.backends import Failed, Lost
from workbench.surgery import store


def test_the_trials_that_are_told_are_those_that_are_read_back(scripted, tmp_path):
    backend = scripted()

    told = small_study.run(tmp_path, small_study.plan(trials=5))

    assert tuple(told) == read(tmp_path)
    assert [trial.number for trial in told] == [0, 1, 2, 3, 4]
    assert told[0].edits == ()  # the variant as it is
    assert told[1].macs < told[0].macs
    assert told[2].macs < told[1].macs
    assert all(t.score == small_study.CONTEST.score(t.macs, t.f1) for t in told)
    assert backend.is_closed


def test_every_trial_keeps_the_network_that_its_edits_make(scripted, opened, tmp_path):
    scripted()

    told = small_study.run(tmp_path, small_study.plan())

    for trial in told:
        network, _ = store.get(tmp_path, trial.checkpoint)
        assert network == small_study.edited(opened.start[0], trial)
        assert macs.count(network) == trial.macs


def test_the_front_is_that_of_optuna(scripted, tmp_path):
    scripted()
    planned = small_study.plan(trials=20, is_front=True)

    small_study.run(tmp_path, planned)

    ours = {trial.number for trial in fronts.front(read(tmp_path))}
    assert ours == {trial.number for trial in loaded(tmp_path).best_trials}
    assert 1 < len(ours) < 20


def test_hopeless_trials_are_ended(scripted, tmp_path):
    backend = scripted()

    told = small_study.run(tmp_path, small_study.plan(trials=20), 4)

    pruned = [trial for trial in told if trial.state == "pruned"]
    assert pruned
    assert {trial.number for trial in pruned} == backend.stopped
    assert all("behind the median after epoch" in trial.reason for trial in pruned)
    assert all(trial.evaluation is None and trial.number >= 5 for trial in pruned)
    assert len(told) == 20


def test_nothing_is_ended_where_that_is_not_wanted(scripted, tmp_path):
    backend = scripted()

    told = small_study.run(tmp_path, small_study.plan(trials=12, is_pruned=False), 4)

    assert not backend.stopped
    assert {trial.state for trial in told} == {"finished"}


def test_a_lost_trial_is_tried_again_and_given_up_at_the_third_loss(scripted, tmp_path):
    backend = scripted()
    backend.ends = [lambda task: Lost(task.trial, "its worker was killed by SIGKILL")] * 4

    told = small_study.run(tmp_path, small_study.plan())

    assert backend.submitted[:5] == [0, 0, 0, 1, 1]
    assert told[0].state == "failed"
    assert told[0].reason == (
        "given up after 3 workers were lost: its worker was killed by SIGKILL"
    )
    assert [trial.state for trial in told[1:]] == ["finished"] * 4  # a failed one does not count


def test_a_study_whose_trials_all_fail_ends_with_the_reason(scripted, tmp_path):
    backend = scripted()
    backend.ends = [lambda task: Failed(task.trial, "no such images")] * 100

    with pytest.raises(UserError, match="8 trials in a row failed, the last one: no such images"):
        small_study.run(tmp_path, small_study.plan(trials=24))
    assert backend.is_closed


def test_structures_above_the_limit_are_not_trained(scripted, opened, tmp_path):
    scripted()
    limit = macs.count(opened.start[0]) * 2 // 3

    told = small_study.run(tmp_path, small_study.plan(trials=6, max_macs=limit))

    assert len(told) == 6
    assert all(trial.macs <= limit for trial in told)
    assert len(loaded(tmp_path).trials) > 6  # the variant as it is was above it
    assert loaded(tmp_path).best_trial.number in {trial.number for trial in told}


def test_a_limit_below_every_structure_is_said(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.search.running.DRAWS", 12)
    scripted()

    with pytest.raises(UserError, match="none of 12 structures is within 1,000 MACs"):
        small_study.run(tmp_path, small_study.plan(max_macs=1000))


def test_a_design_is_trained_once(scripted, tmp_path):
    backend = scripted()
    only_units = Space(widths=False, groups=False)
    planned = small_study.plan(trials=14, space=only_units, seed=1)

    told = small_study.run(tmp_path, planned)

    repeated = [trial for trial in told if trial.reason.startswith("the same as trial")]
    assert len(told) == 14
    assert len(backend.submitted) == 14 - len(repeated)
    by_number = {trial.number: trial for trial in told}
    for trial in repeated:
        assert by_number[int(trial.reason.split()[-1])].edits == trial.edits


def test_no_trial_begins_after_the_time_is_up(scripted, tmp_path):
    scripted()

    assert small_study.run(tmp_path, small_study.plan(minutes=1e-9)) == []


def test_a_study_of_something_else_is_refused(scripted, tmp_path):
    scripted()
    small_study.run(tmp_path, small_study.plan())

    with pytest.raises(UserError, match="made with another space: give the same again"):
        small_study.run(tmp_path, small_study.plan(space=Space()))
    nothing = Space(units=False, widths=False, groups=False)
    with pytest.raises(UserError, match="nothing to vary"):
        small_study.run(tmp_path / "new", small_study.plan(space=nothing))


def test_one_process_at_a_time_runs_a_study(scripted, tmp_path):
    scripted()

    def again(*_: object) -> bool:
        with pytest.raises(UserError, match="another process runs the study"):
            small_study.run(tmp_path, small_study.plan())
        return True

    small_study.run(tmp_path, small_study.plan(), should_stop=again)


@pytest.mark.parametrize(
    ("url", "said"),
    [("nonsense", "cannot open the storage nonsense"), ("x://y", "cannot open the storage x://y")],
)
def test_a_storage_that_does_not_open_is_one_line(scripted, tmp_path, url, said):
    scripted()

    with pytest.raises(UserError, match=said) as raised:
        small_study.run(tmp_path, small_study.plan(storage=url))
    assert "\n" not in str(raised.value)


def test_the_dashboard_opens_the_storage(scripted, tmp_path):
    scripted()
    small_study.run(tmp_path, small_study.plan())
    app = optuna_dashboard.wsgi(storages.default_url(tmp_path, 1))

    def get(path: str) -> dict:
        environment = {"PATH_INFO": path, "wsgi.input": BytesIO(b"")}
        setup_testing_defaults(environment)
        status = []
        body = b"".join(app(environment, lambda line, headers, _=None: status.append(line)))
        assert status == ["200 OK"]
        return json.loads(body)

    studies = get("/api/studies")["study_summaries"]
    assert [found["study_name"] for found in studies] == [NAME]
    trials = get(f"/api/studies/{studies[0]['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete"] * 4
    shown = {each["key"]: each["value"] for each in trials[0]["user_attrs"]}
    assert json.loads(shown["MACs"]) == read(tmp_path)[0].macs


def test_what_a_trial_came_to_survives_json(scripted, tmp_path):
    scripted()
    told = small_study.run(tmp_path, small_study.plan())

    packed = msgspec.json.encode(told)

    assert msgspec.json.decode(packed, type=list[Trial]) == told
    assert os.listdir(tmp_path / "checkpoints")
