"""The autopilot: makes ordinary edits and jobs in a live session until a target is reached.

It holds nothing that is not in the session: each step is an edit and a recovery like the user's
own, and whatever the user does in between ends it where the session is.
"""

from typing import TYPE_CHECKING

from sessions import choosing
from sessions.edits import Edit, EditError, Reshape, UnitOff
from sessions.events import (
    AnyEvent,
    CutDescribed,
    Edited,
    EditRejected,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobKind,
    JobPaused,
    ProcessExited,
    Unknown,
)
from sessions.network import Network
from sessions.search_events import AutopilotEnded, AutopilotStarted, SearchFinished
from sessions.searching import ScanPlan
from sessions.state import SessionState, Variant
from sessions.steering import Steering
from workbench.session import RequestError

if TYPE_CHECKING:
    from workbench.live import LiveSession

TAKEN_OVER = "you took over"
SECONDS = 6
"""Second steps that are tried behind each candidate that is looked ahead from."""


class Autopilot:
    """Steers one session; `take` is told every event after it was recorded."""

    def __init__(self, live: "LiveSession") -> None:
        self.live = live
        self._steering: Steering | None = None
        self._at = -1
        """The variant that is current while nobody else acts."""
        self._job = 0
        """That it waits for; 0 for none."""
        self._scans: list[int] = []
        """Searches of this step: the candidates by themselves, then those with a second step."""
        self._kept: dict[Edit, float | None] = {}
        """Of the edits that the engine was asked about; None until it answered."""
        self._refused: set[Edit] = set()
        """Edits that the engine would not make on this variant."""
        self._is_finishing = False

    @property
    def is_on(self) -> bool:
        """Whether it steers."""
        return self._steering is not None

    @property
    def state(self) -> SessionState:
        """Of the session."""
        return self.live.state

    def start(self, steering: Steering) -> None:
        """Begin at the current variant.

        Raises:
            RequestError: no target, no data, or something that it needs is running.
        """
        if self.is_on:
            raise RequestError("the autopilot steers already")
        if steering.max_macs <= 0 and steering.score is None:
            raise RequestError("name a target: MACs to come down to, or a score to reach")
        variant = self.live.searchable()
        if steering.score is not None and variant.evaluation is None:
            raise RequestError("F1 is not measured yet: try again when it is")
        self._steering, self._at, self._is_finishing = steering, variant.number, False
        self.live.dispatch(AutopilotStarted(variant=variant.number, steering=steering))
        self._step()

    def stop(self, reason: str = TAKEN_OVER, *, is_reached: bool = False) -> None:
        """Leave the session to the user, as it is."""
        if self._steering is None:
            return
        self._steering = None
        self.live.dispatch(AutopilotEnded(reason=reason, is_reached=is_reached))
        searching = self.state.searching
        if searching is not None and searching.number in self._scans:
            self.live.stop_search()

    def take(self, event: AnyEvent | Unknown) -> None:
        """Something happened: go on with it, or leave it to the user."""
        if self._steering is None:
            return
        try:
            self._take(event)
        except RequestError as error:
            self.stop(str(error))

    def _take(self, event: AnyEvent | Unknown) -> None:
        match event:
            case ProcessExited(process=process, reason=reason):
                self.stop(f"the {process} {reason}")
            case JobFailed(job=job, reason=reason) if job == self._job:
                self.stop(f"its {self.state.jobs[job].kind} failed: {reason}")
            case JobPaused(job=job) | JobCancelled(job=job) if job == self._job:
                self.stop()
            case JobFinished(job=job, is_stopped=is_stopped) if job == self._job:
                self._after_job(is_stopped=is_stopped)
            case EditRejected(variant=variant, parent=parent, edit=edit) if variant == self._at:
                self._refused.add(edit)
                self._at = parent
                self._choose()
            case _ if self.state.current != self._at:
                self.stop()
            case Edited(variant=variant) if variant == self._at:
                self._recover()
            case SearchFinished(search=search) if search in self._scans[-1:]:
                self._after_scan(event)
            case CutDescribed(edit=edit) if edit in self._kept:
                self._kept[edit] = 0.0 if event.reason else event.kept
                if None not in self._kept.values():
                    self._choose()

    def _step(self) -> None:
        """Choose and make an edit, or finish where the target is reached."""
        assert self._steering is not None
        variant = self._variant
        self._refused.clear()
        self._scans.clear()
        self._kept.clear()
        if self._needed(variant) <= 0:
            self._finish()
        elif self._steering.by == "sensitivity":
            self._scan(list(self._candidates(variant)))
        elif self._steering.by == "importance":
            self._ask_kept(variant)
        else:
            self._choose()

    def _candidates(self, variant: Variant) -> tuple[tuple[Edit, ...], ...]:
        assert self._steering is not None
        is_all = not self._steering.is_units_only
        found = choosing.candidates(
            variant.network,
            widths=choosing.SHARES if is_all else (),
            groups=is_all,
        )
        return choosing.promising(variant.network, variant.stats, found)

    def _needed(self, variant: Variant) -> float:
        """MACs still to be saved."""
        assert self._steering is not None
        rule, score = self.state.rule, 0.0
        if variant.evaluation is not None:
            score = rule.score(variant.macs, variant.evaluation.f1)
        return choosing.needed_macs(self._steering, variant.macs, score, rule)

    def _scan(self, candidates: list[tuple[Edit, ...]]) -> None:
        if not candidates:
            self.stop("nothing is left to cut")
            return
        self._scans.append(self.live.start_search(ScanPlan(candidates=tuple(candidates))))

    def _after_scan(self, event: SearchFinished) -> None:
        assert self._steering is not None
        if event.reason or event.is_stopped:
            self.stop(event.reason or TAKEN_OVER)
        elif len(self._scans) == 1 and (pairs := self._pairs()):
            self._scan(pairs)
        else:
            self._choose()

    def _pairs(self) -> list[tuple[Edit, ...]]:
        """The best candidates with the best others behind them."""
        assert self._steering is not None
        measured = self.state.searches[self._scans[0]].measured
        singles = [r.measured.edits[0] for r in choosing.ranked(measured, self.state.rule)]
        network = self._variant.network
        found: list[tuple[Edit, ...]] = []
        for first in singles[: self._steering.look_ahead]:
            others = [edit for edit in singles if edit != first]
            legal = [(first, other) for other in others if _is_legal(network, (first, other))]
            found += [pair for pair in legal if not _is_undone(pair)][:SECONDS]
        return found

    def _ask_kept(self, variant: Variant) -> None:
        """Ask the engine what each cut would keep; what a unit is worth its weights tell."""
        singles = [edits[0] for edits in self._candidates(variant)]
        for edit in singles:
            self._kept[edit] = (
                choosing.unit_kept(variant.network, edit.unit, variant.stats)
                if isinstance(edit, UnitOff)
                else None
            )
        asked = tuple(edit for edit, kept in self._kept.items() if kept is None)
        if asked:
            self.live.describe_cuts(variant.number, asked)
        else:
            self._choose()

    def _choose(self) -> None:
        """Make the best edit that has not been refused."""
        edit = self._best()
        if edit is None:
            self.stop("nothing is left to cut")
            return
        self._at = self.state.next_variant
        self.live.request_edit(edit)

    def _best(self) -> Edit | None:
        assert self._steering is not None
        variant, rule = self._variant, self.state.rule
        if self._steering.by == "sensitivity":
            measured = [m for scan in self._scans for m in self.state.searches[scan].measured]
            left = [m for m in measured if not m.edits or m.edits[0] not in self._refused]
            return choosing.best_next(left, self._steering, rule)
        if self._steering.by == "importance":
            kept = {e: k for e, k in self._kept.items() if k and e not in self._refused}
            return choosing.most_kept(variant.network, kept, self._needed(variant))
        edit = choosing.lowest_std(variant.network, variant.stats)
        return None if edit in self._refused else edit

    def _recover(self) -> None:
        assert self._steering is not None
        if self._steering.recovery == "none":
            self._step()
        else:
            self._queue(self._steering.recovery)

    def _queue(self, kind: JobKind) -> None:
        self._job = self.state.next_job
        self.live.queue_job(kind)

    def _after_job(self, *, is_stopped: bool) -> None:
        job, self._job = self.state.jobs[self._job], 0
        if self.state.current not in (job.variant, job.result) or is_stopped:
            self.stop()
            return
        self._at = self._variant.number
        if not self._is_finishing:
            self._step()
        else:
            self._end()

    def _finish(self) -> None:
        assert self._steering is not None
        if self._steering.finish == "none":
            self._end()
            return
        self._is_finishing = True
        self._queue(self._steering.finish)

    def _end(self) -> None:
        variant = self._variant
        words = f"{variant.macs:,} MACs"
        if variant.evaluation is not None:
            score = self.state.rule.score(variant.macs, variant.evaluation.f1)
            words += f", F1 {variant.evaluation.f1:.3f}, score {score:.4f}"
        self.stop(words, is_reached=True)

    @property
    def _variant(self) -> Variant:
        assert self.state.variant is not None
        return self.state.variant


def _is_legal(network: Network, pair: tuple[Edit, ...]) -> bool:
    try:
        choosing.edited(network, pair)
    except EditError:
        return False
    return True


def _is_undone(pair: tuple[Edit, ...]) -> bool:
    """Whether the second edit sets anew what the first one set."""
    first, second = pair
    if not isinstance(first, Reshape) or not isinstance(second, Reshape):
        return False
    return type(first) is type(second) and first.target == second.target
