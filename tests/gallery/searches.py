"""The searches of the gallery: what a searcher would say, from fixed figures."""

from math import cos, sin

import fixed
import msgspec
from staging import Stage

from sessions import choosing, macs
from sessions.edits import Edit, Groups, UnitOff, Width
from sessions.events import Evaluated, JobFinished, JobProgressed, JobStarted
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.search_events import (
    AutopilotStarted,
    CandidateMeasured,
    SearchFinished,
    SearchProgressed,
    TrialFinished,
)
from sessions.searching import Measured, ScanPlan, Trial, Trust
from sessions.steering import Steering

RECIPE = Recipe(epochs=5)
TRUST = tuple(
    Trust(criterion=name, rho=rho, low=rho - 0.31, high=min(rho + 0.22, 1.0), candidates=13)
    for name, rho in (("taylor", 0.71), ("weight std", 0.42), ("l1", 0.38), ("bn scale", -0.05))
) + tuple(
    Trust(
        criterion=name, rho=rho, low=rho - 0.2, high=min(rho + 0.15, 1.0), candidates=18,
        over="cuts",
    )
    for name, rho in (("taylor", 0.52), ("l1", 0.57))
)  # fmt: skip


def _measured(network: Network, found: tuple[Edit, ...], number: int) -> Measured:
    after = choosing.edited(network, found)
    count = macs.count(after)
    f1 = 0.8351 - (0.045 + 0.04 * sin(number * 2.3) if found else 0.0)
    return Measured(
        edits=found, macs=count, f1=f1, low=f1 - 0.031, high=f1 + 0.028, loss=1.1 - f1,
        images=fixed.IMAGES, kept=1.0 if not found else 0.9 - number % 7 / 20, seconds=0.8,
    )  # fmt: skip


async def scan(stage: Stage, done: int | None = None) -> None:
    """A scan, up to so many candidates."""
    await stage.press("S", "n", "enter")
    search = stage.live.state.searching
    assert search is not None
    assert isinstance(search.plan, ScanPlan)
    network = stage.live.state.variants[search.variant].network
    todo = ((), *search.plan.candidates)
    for number, found in enumerate(todo[:done]):
        measured = _measured(network, found, number)
        await stage.searcher(CandidateMeasured(search=search.number, measured=measured))
    if done is not None:
        await stage.searcher(
            SearchProgressed(
                search=search.number, done=done, total=len(todo), doing="stage2.unit6 off",
                left_s=1.3 * (len(todo) - done),
            )
        )  # fmt: skip
        return
    await stage.searcher(SearchFinished(search=search.number, trust=TRUST, seconds=48.0))
    stage.app.clear_notifications()
    await stage.settle()


async def scan_running(stage: Stage) -> None:
    """Seven of its candidates are known."""
    await scan(stage, 8)


async def scan_done(stage: Stage) -> None:
    """All are."""
    await scan(stage)


async def scan_behind(stage: Stage) -> None:
    """A scan runs beside a fine-tuning, seen from the main screen."""
    await scan_running(stage)
    await stage.press("escape", "f")
    await stage.trainer(
        JobStarted(job=stage.job, device="cpu", steps=250),
        JobProgressed(
            job=stage.job, phase="training", step=60, steps=250, epoch=6.0, loss=0.7,
            images_per_s=412.0, left_s=95.0,
        ),
    )  # fmt: skip


async def scan_in_tree(stage: Stage) -> None:
    """What a scan found, in the tree and of a stage."""
    await scan_done(stage)
    await stage.press("escape", "J", "J")


def _trial(network: Network, number: int) -> Trial:
    units = [unit.path for unit in network.units.values() if unit.is_removable]
    off = [units[(number * 3 + at * 2) % len(units)] for at in range(1 + number * 5 % 6)]
    found: list[Edit] = [UnitOff(unit) for unit in dict.fromkeys(off)]
    width = 240 - 30 * (number % 4)
    if width < 240:
        found.append(Width(target="stage3", value=width))
    parameters = {
        "stage1.units": 4 - number % 3, "stage2.units": 8 - number % 5,
        "stage3.width": width / 240, "learning_rate": 0.001 * (1 + number % 6),
        "loss": ("cross-entropy", "focal", "soft-f1")[number % 3],
    }  # fmt: skip
    if number % 11 == 5:
        return Trial(
            number=number, state="failed", parameters=parameters, edits=tuple(found),
            reason="the loss became nan in epoch 2", seconds=41.0, worker="this machine",
        )  # fmt: skip
    count = macs.count(choosing.edited(network, tuple(found)))
    f1 = 0.62 + 0.2 * count / 1_688_940 + 0.03 * cos(number * 1.3)
    is_pruned = number % 7 == 4
    return Trial(
        number=number, state="pruned" if is_pruned else "finished", parameters=parameters,
        edits=tuple(found), macs=count, evaluation=fixed.evaluation(f1),
        score=count / 13_878_369 + 1 - f1 / 0.8367,
        recipe=msgspec.structs.replace(RECIPE, learning_rate=0.001 * (1 + number % 6)),
        checkpoint="" if is_pruned else "ab" * 32, seconds=62.0 + number % 9,
        reason="behind the median of the others" if is_pruned else "", worker="this machine",
    )  # fmt: skip


async def study(stage: Stage, done: int) -> None:
    """A study, up to so many trials."""
    await stage.press("S", "n", "right", "enter")
    search = stage.live.state.searching
    assert search is not None
    network = stage.live.state.variants[search.variant].network
    for number in range(done):
        trial = _trial(network, number)
        await stage.searcher(TrialFinished(search=search.number, trial=trial))


async def study_running(stage: Stage) -> None:
    """Some trials have ended."""
    await study(stage, 9)
    await stage.searcher(
        SearchProgressed(
            search=max(stage.live.state.searches), done=9, total=40,
            doing="trial 9: 3-6-3, epoch 2 of 5", left_s=2460.0,
        )
    )  # fmt: skip


async def study_done(stage: Stage) -> None:
    """All have."""
    await study(stage, 40)
    await stage.searcher(SearchFinished(search=max(stage.live.state.searches), seconds=2710.0))
    stage.app.clear_notifications()
    await stage.settle()


async def study_front(stage: Stage) -> None:
    """The front of a study."""
    await study_done(stage)
    await stage.press("v")


async def study_parameters(stage: Stage) -> None:
    """The parameters of a study."""
    await study_done(stage)
    await stage.press("v", "v")


async def steering(stage: Stage) -> None:
    """The autopilot has made two steps, and measures candidates for the third."""
    await stage.press("S")
    live = stage.live
    assert live.state.current is not None
    live.dispatch(
        AutopilotStarted(variant=live.state.current, steering=Steering(max_macs=1_083_210))
    )
    for edit in (UnitOff("stage2.unit4"), Groups(target="stage3", value=6)):
        live.request_edit(edit)
        await stage.confirm_edits()
        live.queue_job("evaluate")
        found = fixed.evaluation(0.83 - stage.job / 100)
        await stage.trainer(
            Evaluated(job=stage.job, evaluation=found),
            JobFinished(job=stage.job, evaluation=found),
        )
    live.start_scan(is_units_only=True)
    search = live.state.searching
    assert search is not None
    await stage.searcher(
        SearchProgressed(
            search=search.number, done=5, total=13, doing="stage1.unit3 off", left_s=9.0
        )
    )
    stage.app.clear_notifications()
    await stage.settle()
