"""The demo's journey without a screen, through the same session and processes as with one."""

import time
from collections.abc import Callable
from typing import Any

from sessions import history, macs
from sessions.recipe import changed
from sessions.state import SessionState, Variant
from workbench.session import Opening
from workbench.watching import Watch

UNITS_OFF = ("stage1.unit3", "stage2.unit4")
EPOCHS = 3


async def run_demo(opening: Opening, say: Callable[[str], None]) -> dict[str, Any]:
    """Open, two units off, recover, a short fine-tune, evaluate, save; the caller verifies.

    Raises:
        UserError: a step failed.
    """
    watch = Watch(opening)
    live = watch.live
    live.claim()
    started = time.monotonic()
    steps: list[dict[str, Any]] = []

    def note(name: str) -> None:
        variant = live.state.variant
        assert variant is not None
        assert variant.evaluation is not None
        f1 = variant.evaluation.f1
        steps.append(
            {
                "step": name,
                "units": variant.network.units_per_stage,
                "macs": variant.macs,
                "f1": f1,
                "score": live.state.rule.score(variant.macs, f1),
                "seconds": round(time.monotonic() - started, 2),
            }
        )
        say(f"{name:<24} {variant.macs:>9,} MACs   F1 {f1:.4f}   {steps[-1]['seconds']:.1f} s")

    try:
        await live.start()
        await watch.until(_is_measured)
        note("opened")
        for unit in UNITS_OFF:
            live.toggle(unit)
        await watch.until(_is_measured)
        note("two units off")
        live.queue_job("recover")
        await watch.until(lambda state: _is_from_job(state, "recover"))
        note("recovered")
        live.queue_job("fine-tune", changed(live.state.recipe, epochs=EPOCHS))
        await watch.until(lambda state: _is_from_job(state, "fine-tune"))
        note("fine-tuned")
        live.queue_job("evaluate")
        await watch.until(lambda state: not any(job.is_active for job in state.jobs.values()))
        note("evaluated")
        path = live.folder / "model.pt"
        live.save_model(path)
        await watch.until(lambda state: watch.saved is not None)
    finally:
        await live.close()
    assert watch.saved is not None
    opened = history.baseline(live.state)
    assert opened is not None
    say(f"saved {path}")
    return {
        "session": str(live.folder),
        "saved": str(path),
        "sha256": watch.saved.sha256,
        "macs_before": opened.macs,
        "macs_after": watch.saved.macs,
        "ptflops_macs": watch.saved.ptflops_macs,
        "macs": macs.count_all(_current(live.state).network),
        "f1_opened": steps[0]["f1"],
        "f1_cut": steps[1]["f1"],
        "f1_recovered": steps[2]["f1"],
        "f1_after": steps[-1]["f1"],
        "score_after": steps[-1]["score"],
        "steps": steps,
    }


def _current(state: SessionState) -> Variant:
    assert state.variant is not None
    return state.variant


def _is_measured(state: SessionState) -> bool:
    return state.variant is not None and state.variant.evaluation is not None


def _is_from_job(state: SessionState, label: str) -> bool:
    return _is_measured(state) and _current(state).label.startswith(label)
