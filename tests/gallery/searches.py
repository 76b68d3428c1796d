"""The searches of the gallery: what a searcher would say, from fixed figures."""

from math import cos, sin

import fixed
import msgspec
from staging import Stage
from textual.widgets import Input

from sessions import choosing, macs
from sessions.edits import Cut, Edit, Groups, UnitOff, Width
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
from sessions.searching import Measured, ScanPlan, Trial, Trust, Value
from sessions.steering import Steering
from workbench.screens import search_trials, search_words

RECIPE = Recipe(epochs=5)
START_F1 = 0.8351
RANKED = (("taylor", 0.71), ("std", 0.42), ("l1", 0.38), ("bn", -0.05))
TRUST = (
    *(
        Trust(criterion=name, rho=rho, low=rho - 0.31, high=min(rho + 0.22, 1.0), candidates=13)
        for name, rho in RANKED
    ),
    Trust(criterion="l2", rho=0.57, low=0.37, high=0.72, candidates=27, over="cuts"),
)


def _measured(network: Network, found: tuple[Edit, ...], number: int) -> Measured:
    """What saves more loses more, here and there much more."""
    after = choosing.edited(network, found)
    count = macs.count(after)
    share = 1 - count / macs.count(network)
    f1 = START_F1 - (0.2 * share * (1.1 + sin(number * 2.3)) + 0.002 if found else 0.0)
    is_cut = any(isinstance(edit, Cut) for edit in found)
    return Measured(
        edits=found, macs=count, f1=f1, low=f1 - 0.031, high=f1 + 0.028, loss=1.1 - f1,
        images=fixed.IMAGES, kept=1 - 1.1 * share if is_cut else 1.0, seconds=0.8,
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
                search=search.number, done=done, total=len(todo),
                doing=search_words.edits_words(todo[done]), left_s=1.3 * (len(todo) - done),
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
    """Units, the width of the last stage, and two fields of the recipe, from its number."""
    stages = [stage for stage in network.stages if not stage.is_plain]
    removable = [[u.path for u in stage.units if u.is_removable] for stage in stages]
    keeps = [
        len(paths) - (number * (at + 2) + number // 3) % 3 for at, paths in enumerate(removable)
    ]
    off = [path for paths, kept in zip(removable, keeps, strict=True) for path in paths[kept:]]
    found: list[Edit] = [UnitOff(path) for path in off]
    width = 240 - 30 * (number % 4)
    if width < 240:
        found.append(Width(target="stage3", value=width))
    rate, loss = 0.001 * (1 + number % 6), ("cross-entropy", "focal", "soft-f1")[number % 3]
    parameters: dict[str, Value] = {
        **{f"{stage.path}.units": kept for stage, kept in zip(stages, keeps, strict=True)},
        "stage3.width": width / 240, "learning_rate": rate, "loss": loss,
    }  # fmt: skip
    base = Trial(
        number=number, state="failed", parameters=parameters, edits=tuple(found),
        macs=macs.count(choosing.edited(network, tuple(found))),
        recipe=msgspec.structs.replace(RECIPE, learning_rate=rate, loss=loss),
    )  # fmt: skip
    if number % 11 == 5:
        return msgspec.structs.replace(base, reason="the loss became nan in epoch 2")
    f1 = 0.62 + 0.2 * base.macs / 1_688_940 + 0.03 * cos(number * 1.3)
    if number % 7 == 4:
        return msgspec.structs.replace(
            base, state="pruned", reason=f"behind the median after epoch 2: F1 {f1 - 0.1:.4f}",
            seconds=24.0 + number % 9, worker="gpu-1:4127",
        )  # fmt: skip
    return msgspec.structs.replace(
        base, state="finished", evaluation=fixed.evaluation(f1),
        score=base.macs / 13_878_369 + 1 - f1 / 0.8367, checkpoint="ab" * 32,
        seconds=62.0 + number % 9, worker="gpu-1:4127",
    )  # fmt: skip


def _shape(network: Network, trial: Trial) -> str:
    return search_trials.structure(trial, network, is_short=True)


async def study(stage: Stage, done: int) -> None:
    """A study, up to so many trials."""
    await stage.press("S", "n", "right")
    stage.app.screen.query_one("#study-recipe", Input).value = "learning_rate, loss"
    await stage.press("enter")
    search = stage.live.state.searching
    assert search is not None
    network = stage.live.state.variants[search.variant].network
    for number in range(done):
        trial = _trial(network, number)
        await stage.searcher(TrialFinished(search=search.number, trial=trial))


async def study_running(stage: Stage) -> None:
    """Some trials have ended."""
    await study(stage, 9)
    shape = _shape(stage.network, _trial(stage.network, 9))
    await stage.searcher(
        SearchProgressed(
            search=max(stage.live.state.searches), done=9, total=40,
            doing=f"trial 9: {shape}, epoch 2 of 5", left_s=2460.0,
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
    found = choosing.candidates(live.state.variants[live.state.current].network)
    search = live.start_search(ScanPlan(candidates=found))
    network = live.state.variants[live.state.searches[search].variant].network
    for number, edits in enumerate(((), *found[:4])):
        measured = _measured(network, edits, number)
        await stage.searcher(CandidateMeasured(search=search, measured=measured))
    await stage.searcher(
        SearchProgressed(
            search=search, done=5, total=len(found) + 1, doing=search_words.edits_words(found[4]),
            left_s=1.3 * (len(found) - 4),
        )
    )  # fmt: skip
    stage.app.clear_notifications()
    await stage.settle()
