"""The autopilot without a screen: the same session, processes and record as with one."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions import edits, history
from sessions.events import AnyEvent, Unknown
from sessions.search_events import SearchProgressed
from sessions.state import SessionState, Variant
from sessions.steering import Steering
from workbench.errors import UserError
from workbench.session import Opening, RequestError
from workbench.watching import Watch

SILENT_S = 600.0
"""Without any event from a process, after which it is given up."""


class Teller:
    """Tells each variant as it is measured, and what is tried between."""

    def __init__(self, say: Callable[[str], None], progress: Callable[[str, int, int], None]):
        self.say, self.progress = say, progress
        self.watch: Watch | None = None
        self._told: tuple[int, float] | None = None

    def take(self, event: AnyEvent | Unknown) -> None:
        """Something happened in the session."""
        if isinstance(event, SearchProgressed):
            self.progress("measuring candidates", event.done, max(event.total, 1))
        if self.watch is None:
            return
        variant = self.watch.live.state.variant
        if variant is None or variant.evaluation is None or variant.is_pending:
            return
        if self._told != (variant.number, variant.evaluation.f1):
            self._told = (variant.number, variant.evaluation.f1)
            self.say(line(self.watch.live.state, variant))


def line(state: SessionState, variant: Variant) -> str:
    """A variant in one line."""
    f1 = score = "—"
    if variant.evaluation is not None:
        f1 = f"{variant.evaluation.f1:.4f}"
        score = f"{state.rule.score(variant.macs, variant.evaluation.f1):.4f}"
    what = variant.label if variant.edit is None else edits.text(variant.edit)
    return f"{what:<32} {variant.macs:>11,} MACs   F1 {f1:<6}   score {score}"


async def fly(
    opening: Opening,
    steering: Steering,
    out: Path,
    say: Callable[[str], None] = lambda words: None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """Open, steer to the target, save what it came to.

    Raises:
        UserError: a step failed, or the target cannot be reached; the session is kept.
    """
    teller = Teller(say, progress)
    watch = teller.watch = Watch(opening, teller.take)
    live, started = watch.live, time.monotonic()
    live.claim()
    try:
        await live.start()
        await watch.until(_is_measured, SILENT_S)
        start = live.state.variant
        assert start is not None
        try:
            live.start_autopilot(steering)
        except RequestError as error:
            raise UserError(str(error)) from error
        await watch.until(_has_landed, SILENT_S)
        pilot, variant = live.state.autopilot, live.state.variant
        assert pilot is not None
        assert variant is not None
        if not pilot.is_reached:
            raise UserError(
                f"the autopilot ended at {variant.macs:,} MACs: {pilot.reason}; the session is "
                f"kept in {live.folder}"
            )
        live.save_model(out)
        await watch.until(lambda state: watch.saved is not None)
    finally:
        await live.close()
    return _report(live.state, start, out, live.folder, time.monotonic() - started)


def _report(
    state: SessionState, start: Variant, out: Path, folder: Path, seconds: float
) -> dict[str, Any]:
    end = state.variant
    assert end is not None
    steps = [v for v in history.path(state, end.number) if v.number >= start.number]
    return {
        "saved": str(out),
        "session": str(folder),
        "seconds": round(seconds, 1),
        "units": end.network.units_per_stage,
        **_figures(state, end),
        "rule": state.rule.name,
        "steps": [
            {
                "step": v.label if v.edit is None else edits.text(v.edit),
                "variant": v.number,
                **_figures(state, v),
            }
            for v in steps
        ],
    }


def _figures(state: SessionState, variant: Variant) -> dict[str, Any]:
    evaluation = variant.evaluation
    return {
        "macs": variant.macs,
        "f1": None if evaluation is None else evaluation.f1,
        "interval": None if evaluation is None else evaluation.interval,
        "split": None if evaluation is None else evaluation.split,
        "score": None if evaluation is None else state.rule.score(variant.macs, evaluation.f1),
    }


def _is_measured(state: SessionState) -> bool:
    return (
        state.variant is not None
        and state.variant.evaluation is not None
        and not any(job.is_active for job in state.jobs.values())
    )


def _has_landed(state: SessionState) -> bool:
    return state.autopilot is not None and not state.autopilot.is_on
