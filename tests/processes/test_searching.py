"""Searches in a live session: a scan and a study, killed and gone on with, beside edits."""

import os
import signal
from typing import Any

import pytest

from sessions import fronts
from sessions.commands import Lineage, RunSearch
from sessions.events import Edited, ProcessExited
from sessions.score import CONTEST
from sessions.search_events import CandidateMeasured, SearchFinished, TrialFinished, TrialOpened
from sessions.searching import Space, StudyPlan
from workbench.search import storages
from workbench.searcher import Searcher
from workbench.session import RequestError
from workbench.training.verify import verify


async def test_a_scan_streams_survives_a_kill_and_lets_edits_go_on(opened: Any) -> None:
    live = await opened.ready()
    try:
        number = live.start_scan(is_units_only=True)
        with pytest.raises(RequestError, match="a search is running"):
            live.start_scan()
        # WHEN an edit is made meanwhile THEN it is made, and the scan is of what it began with
        await opened.until(lambda: len(opened.all(CandidateMeasured)) >= 2)
        live.toggle("stage1.unit2")
        await opened.until(lambda: opened.all(Edited))
        assert live.state.searches[number].variant == 0
        # WHEN the searcher is killed THEN what was measured stays, and the scan can go on
        os.kill(opened.worker("searcher"), signal.SIGKILL)
        await opened.until(lambda: opened.all(ProcessExited))
        search = live.state.searches[number]
        assert search.status == "interrupted"
        before = search.measured
        live.resume_search(number)
        await opened.until(lambda: opened.all(SearchFinished))
        search = live.state.searches[number]
        assert search.status == "finished"
        assert search.measured[: len(before)] == before
        units = [u for u in live.state.variants[0].network.units.values() if u.is_removable]
        assert len(search.measured) == len(search.plan.candidates) + 1 == len(units) + 1
        assert len(opened.all(CandidateMeasured)) == len(search.measured)
        assert {trust.criterion for trust in search.trust} >= {"std", "l2", "bn", "taylor"}
        with pytest.raises(RequestError, match="has ended"):
            live.resume_search(number)
    finally:
        await live.close()


async def test_a_study_killed_at_work_loses_nothing_and_its_trials_open(opened: Any) -> None:
    live = await opened.ready()
    plan = StudyPlan(rule=CONTEST, trials=4, space=Space(widths=False, groups=False), seed=3)
    try:
        number = live.start_study(plan)
        await opened.until(lambda: len(opened.all(TrialFinished)) >= 2)
        os.kill(opened.worker("searcher"), signal.SIGKILL)
        await opened.until(lambda: opened.all(ProcessExited))
        before = live.state.searches[number].trials
        live.resume_search(number)
        await opened.until(lambda: opened.all(SearchFinished))
        search = live.state.searches[number]
        assert search.status == "finished", search.reason
        assert search.trials[: len(before)] == before
        assert [trial.number for trial in search.trials] == list(range(4))
        # THEN the session shows what the storage holds, and the same front
        url = storages.default_url(live.folder, number)
        stored = storages.study_trials(url, storages.study_name(number))
        assert sorted(search.trials, key=lambda trial: trial.number) == list(stored)
        assert fronts.front(search.trials) == fronts.front(stored) != ()
        # WHEN trials ended of which the session was not told any more THEN it is told now
        told = Told()
        command = RunSearch(
            folder=str(live.folder), search=number, lineage=Lineage(""), plan=plan,
            recipe=search.recipe, data="digits", splits=live.splits,
        )  # fmt: skip
        Searcher(told).catch_up(command, plan, (0, 2))
        assert told.events == [TrialFinished(search=0, trial=stored[at]) for at in (1, 3)]
        # WHEN a trial is opened THEN it is a variant like any other, with its own weights
        best = min((t for t in search.trials if t.score is not None), key=lambda t: t.score)
        live.open_trial(number, best.number)
        await opened.until(lambda: opened.all(TrialOpened))
        variant = live.state.variant
        assert variant.macs == best.macs
        assert variant.evaluation == best.evaluation
        assert variant.parent == 0
        live.toggle(first_on(variant.network))
        await opened.until(lambda: opened.all(Edited))
        with pytest.raises(RequestError, match="has no trial 99"):
            live.open_trial(number, 99)
    finally:
        await live.close()
    assert verify(live.folder, "digits").is_verified


class Told:
    """A channel that keeps what is sent."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def send(self, event: Any) -> None:
        self.events.append(event)


def first_on(network: Any) -> str:
    return next(u.path for u in network.units.values() if u.is_removable and u.is_on)
