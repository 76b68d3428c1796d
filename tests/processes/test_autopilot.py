"""The autopilot in a live session: ordinary edits, a target, and the user who takes over."""

import asyncio
from typing import Any

import pytest

from sessions import edits
from sessions.edits import UnitOff
from sessions.events import Edited
from sessions.network import WEIGHTED
from sessions.search_events import AutopilotEnded, CandidateMeasured
from sessions.steering import Steering
from workbench.session import RequestError
from workbench.training.verify import verify

TARGET = 235_000
"""Two units of the demo's network less."""


@pytest.mark.parametrize("by", ["std", "importance", "sensitivity"])
async def test_it_comes_down_to_the_target_by_ordinary_edits(opened: Any, by: Any) -> None:
    live = await opened.ready()
    try:
        live.start_autopilot(
            Steering(
                by=by, max_macs=TARGET, is_units_only=by != "importance", look_ahead=1,
                recovery="recover", finish="none",
            )
        )  # fmt: skip
        await opened.until(lambda: opened.all(AutopilotEnded))
        # THEN the target is reached, by edits that are recorded like anybody's
        assert opened.all(AutopilotEnded)[0].is_reached
        assert live.state.variant.macs <= TARGET
        made = [event.edit for event in opened.all(Edited)]
        assert len(made) >= (1 if by == "importance" else 2)
        if by == "std":
            stds = live.state.variants[0].stats
            assert made[0] == lowest(live.state.variants[0].network, stds)
        if by == "sensitivity":
            tried = {m.edits for m in live.state.searches[1].measured}
            assert tried == {(), *live.state.searches[1].plan.candidates}
            pairs = live.state.searches[2].plan.candidates
            assert {len(pair) for pair in pairs} == {2}
            assert len(opened.all(CandidateMeasured)) >= len(tried) + len(pairs)
        assert all(v.evaluation for v in live.state.variants.values() if v.edit is None)
    finally:
        await live.close()
    assert verify(live.folder, "digits").is_verified


async def test_the_user_takes_over_at_any_step(opened: Any) -> None:
    live = await opened.ready()
    try:
        steering = Steering(by="std", max_macs=100_000, is_units_only=True)
        live.start_autopilot(steering)
        with pytest.raises(RequestError, match="steers already"):
            live.start_autopilot(steering)
        await opened.until(lambda: len(opened.all(Edited)) == 1)
        # WHEN the user undoes what it did THEN it ends, and nothing more is changed
        live.undo()
        assert [event.is_reached for event in opened.all(AutopilotEnded)] == [False]
        assert live.state.current == 0
        count = len(live.state.variants)
        await asyncio.sleep(0)
        await opened.until(lambda: live.state.running is None)
        edited = [v for v in live.state.variants.values() if v.edit is not None]
        assert len(edited) == 1
        assert len(live.state.variants) <= count + 1  # the recovery it had asked for
        # WHEN it is told to stop where it stands THEN so it does
        live.start_autopilot(steering)
        live.stop_autopilot()
        assert not live.state.autopilot.is_on
        with pytest.raises(RequestError, match="does not steer"):
            live.stop_autopilot()
    finally:
        await live.close()


async def test_it_says_what_it_needs(opened: Any) -> None:
    live = await opened.ready()
    try:
        with pytest.raises(RequestError, match="name a target"):
            live.start_autopilot(Steering())
        # WHEN the target lies below what can be cut THEN it ends and says so
        live.start_autopilot(
            Steering(by="std", max_macs=1, is_units_only=True, recovery="none", finish="none")
        )
        await opened.until(lambda: opened.all(AutopilotEnded))
        assert opened.all(AutopilotEnded)[0].reason == "nothing is left to cut"
        units = live.state.variant.network.units.values()
        assert not any(unit.is_on for unit in units if unit.is_removable)
    finally:
        await live.close()


def lowest(network: Any, stats: Any) -> edits.Edit:
    def mean(unit: Any) -> float:
        stds = [stats[x.path].std for x in unit.branch if x.kind in WEIGHTED and x.path in stats]
        return sum(stds) / len(stds)

    return UnitOff(min((u for u in network.units.values() if u.is_removable), key=mean).path)
