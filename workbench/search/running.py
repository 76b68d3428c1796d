"""The course of a study: asks Optuna for trials, hands them to a backend, tells Optuna the ends.

Everything that is known is in the storage before anybody hears of it. In a reproducible study a
trial is asked for when the same earlier ones have been told, whatever ran fastest.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import optuna
import safetensors.torch
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from sessions import macs
from sessions.score import NEVER
from sessions.searching import StudyPlan, Trial
from workbench.errors import UserError
from workbench.search import storages
from workbench.search.asked import Asked, known, task_of
from workbench.search.backends import (
    Backend,
    Done,
    Failed,
    Happened,
    Lost,
    Reported,
    Result,
    Stopped,
)
from workbench.search.designs import DesignError
from workbench.search.spaces import Design, Designs
from workbench.surgery import store

OnProgress = Callable[[int, int, str, float | None], None]
"""Trials done, trials in all, what is tried now in words, seconds left."""
AHEAD = 4
"""Trials that a reproducible study asks for before it tells the first of them."""
RETRIES = 2
"""Of a trial whose worker was lost."""
FAILURES = 8
"""Trials in a row that may fail until the study gives up."""
DRAWS = 500
"""Designs in a row that may be above the limit of MACs until the study gives up."""
WAIT_S = 0.25
UNPRUNED = 5
"""Trials that run to their end before any is compared with them."""
SPENT = "seconds"
"""The study's value with its wall time so far."""


class StudyRun:
    """One process's part in a study."""

    def __init__(
        self, folder: Path, study: optuna.Study, plan: StudyPlan, designs: Designs, backend: Backend
    ) -> None:
        self.folder, self.study, self.plan = folder, study, plan
        self.designs, self.backend = designs, backend
        self.open: dict[int, Asked] = {}
        self.began = time.monotonic()
        self.spent: float = study.user_attrs.get(SPENT, 0.0)
        """Seconds of earlier runs."""
        self.failed = 0
        """Trials in a row."""
        self.smooth = msgspec.structs.replace(plan.rule, cliff=0.0, halved_from=NEVER)
        """By which trials under way are compared: steps in the rule would hide who is better."""
        is_pruned = plan.is_pruned and not plan.is_front and not plan.is_reproducible
        pruner: BasePruner = NopPruner()
        if is_pruned:
            pruner = MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=1)
        self.study.pruner, self.is_pruned = pruner, is_pruned
        self.ended = sum(found.state != "failed" for found in storages.trials_of(study))
        """Trials finished or pruned."""

    @property
    def elapsed(self) -> float:
        """Seconds of wall time that the study took so far, earlier runs included."""
        return self.spent + time.monotonic() - self.began

    def run(
        self,
        on_trial: Callable[[Trial], None],
        on_progress: OnProgress,
        should_stop: Callable[[], bool],
    ) -> None:
        """Run until there are as many trials as planned, the time is up, or it is stopped.

        Raises:
            UserError: no design is below the limit of MACs, too many trials in a row failed, or no
                worker can run.
        """
        for values in self.designs.starts():
            self.study.enqueue_trial(values, skip_if_exists=True)
        self._resume()
        while not should_stop():
            self._fill(should_stop)
            if not self.open:
                break
            happened = self.backend.next(WAIT_S)
            if happened is not None:
                self._take(happened)
            for found in self._tell():
                on_trial(found)
            on_progress(self.ended, self.plan.trials, self._doing(), self._left_s())
        self.study.set_user_attr(SPENT, self.elapsed)

    def _resume(self) -> None:
        """Take up the trials that an earlier process left, under their own numbers."""
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._seed_sampler(frozen.number)
            trial = storages.resumed(self.study, frozen.number)
            design = self._designed(trial)
            if design is not None:
                self.open[frozen.number] = Asked(trial, design, storages.read(frozen))

    def _fill(self, should_stop: Callable[[], bool]) -> None:
        """Ask for trials as long as there is room, and hand over what a worker is free for."""
        capacity = self.backend.capacity
        room = AHEAD if self.plan.is_reproducible else capacity
        drawn = 0
        while len(self.open) < room and self._is_more() and not should_stop():
            drawn += 1
            if drawn > DRAWS:
                raise UserError(
                    f"none of {DRAWS} structures is within {self.plan.max_macs:,} MACs: raise "
                    "--max-macs, or let more be varied (units, widths, input)"
                )
            if self._ask():
                drawn = 0
        for number, one in self.open.items():
            busy = sum(o.is_submitted and o.found is None for o in self.open.values())
            if not one.is_submitted and busy < capacity:
                one.is_submitted = True
                self.backend.submit(task_of(number, one.design))

    def _is_more(self) -> bool:
        minutes = self.plan.minutes
        is_late = bool(minutes) and self.elapsed >= 60 * minutes
        return not is_late and self.ended + len(self.open) < self.plan.trials

    def _ask(self) -> bool:
        """Ask for a trial; returns whether its design is within the limit of MACs."""
        asked = [t for t in self.study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]
        self._seed_sampler(len(asked))
        trial = self.study.ask()
        design = self._designed(trial)
        if design is not None:
            self.open[trial.number] = Asked(trial, design, known(self.study, trial, design))
        return design is not None

    def _designed(self, trial: optuna.Trial) -> Design | None:
        """The design of a trial; one above the limit of MACs ends the trial."""
        limit, over = self.plan.max_macs, 1.0
        design = None
        try:
            design = self.designs.suggest(trial)
            over = macs.count(design.network) / limit - 1 if limit else 0.0
        except DesignError:
            pass  # as far above as twice the limit
        if limit:
            storages.constrain(trial, over)
        if over <= 0:
            return design
        storages.end_infeasible(self.study, trial)
        return None

    def _seed_sampler(self, number: int) -> None:
        """Draws follow from seed, number and what was told: so they do after an interruption.

        With several workers a trial is not drawn beside those that are still under way.
        """
        seed = int(np.random.SeedSequence((self.plan.seed, number)).generate_state(1)[0])
        self.study.sampler = TPESampler(seed=seed, constant_liar=self._is_wide)

    @property
    def _is_wide(self) -> bool:
        """Whether trials run beside each other; a reproducible study is the same for any number."""
        return self.plan.workers > 1 and not self.plan.is_reproducible

    def _take(self, happened: Happened) -> None:
        one = self.open.get(happened.trial)
        if one is None or one.found is not None:
            return
        match happened:
            case Reported(epoch=epoch, f1=f1):
                self._reported(one, epoch, f1)
            case Done(result=result):
                one.found = self._finished(one, result)
            case Stopped(seconds=seconds, worker=worker):
                one.found = self._found(
                    one, state="pruned", reason=one.pruned, seconds=seconds, worker=worker
                )
            case Failed(reason=reason):
                one.found = self._found(one, state="failed", reason=reason)
            case Lost(reason=reason):
                one.lost += 1
                one.is_submitted = False
                if one.lost > RETRIES:
                    reason = f"given up after {one.lost} workers were lost: {reason}"
                    one.found = self._found(one, state="failed", reason=reason)
        if one.found is not None:
            storages.write(one.trial, one.found)

    def _reported(self, one: Asked, epoch: int, f1: float) -> None:
        one.epoch, one.f1 = epoch, f1
        if self.plan.is_front:
            return  # two goals have no order to prune by
        seen = self.study.get_trials(deepcopy=False)[one.trial.number].intermediate_values
        if epoch not in seen:
            value = self.smooth.score(macs.count(one.design.network), f1)
            one.trial.report(value, epoch)
        is_last = epoch >= one.design.recipe.epochs
        if self.is_pruned and not is_last and not one.pruned and one.trial.should_prune():
            one.pruned = f"behind the median after epoch {epoch}: F1 {f1:.4f}"
            self.backend.stop(one.trial.number)

    def _finished(self, one: Asked, result: Result) -> Trial:
        weights = safetensors.torch.load(result.weights)
        return self._found(
            one,
            state="finished",
            macs=result.macs,
            evaluation=result.evaluation,
            score=self.plan.rule.score(result.macs, result.evaluation.f1),
            checkpoint=store.put(self.folder, result.network, weights),
            seconds=result.seconds,
            worker=result.worker,
        )

    def _found(self, one: Asked, **values: object) -> Trial:
        base = Trial(
            number=one.trial.number, state="failed", parameters=one.trial.params,
            edits=one.design.edits, recipe=one.design.recipe,
            macs=macs.count(one.design.network),
        )  # fmt: skip
        return msgspec.structs.replace(base, **values)

    def _tell(self) -> list[Trial]:
        """Tell Optuna of the trials that have ended; in order, where that decides what follows."""
        told: list[Trial] = []
        while self.open:
            numbers = list(self.open)[:1] if self.plan.is_reproducible else list(self.open)
            ready = [n for n in numbers if self.open[n].found is not None]
            is_early = len(self.open) < AHEAD and self._is_more()
            if not ready or (self.plan.is_reproducible and is_early):
                break
            found = self.open.pop(ready[0]).found
            assert found is not None
            self._told(found)
            told.append(found)
        return told

    def _told(self, found: Trial) -> None:
        match found.state:
            case "finished":
                assert found.evaluation is not None
                f1, score = found.evaluation.f1, found.score
                self.study.tell(found.number, [found.macs, f1] if self.plan.is_front else score)
            case "pruned":
                self.study.tell(found.number, state=TrialState.PRUNED)
            case "failed":
                self.study.tell(found.number, state=TrialState.FAIL)
        self.study.set_user_attr(SPENT, self.elapsed)
        self.failed = self.failed + 1 if found.state == "failed" else 0
        self.ended += found.state != "failed"
        if self.failed >= FAILURES:
            raise UserError(f"{FAILURES} trials in a row failed, the last one: {found.reason}")

    def _doing(self) -> str:
        said = []
        for number, one in self.open.items():
            if one.is_submitted and one.found is None:
                f1 = "" if one.f1 is None else f", F1 {one.f1:.4f}"
                said.append(f"trial {number}: epoch {one.epoch} of {one.design.recipe.epochs}{f1}")
        return "; ".join(said)

    def _left_s(self) -> float | None:
        minutes = 60 * self.plan.minutes - self.elapsed if self.plan.minutes else None
        if not self.ended:
            return minutes
        by_count = self.elapsed / self.ended * (self.plan.trials - self.ended)
        return by_count if minutes is None else max(min(by_count, minutes), 0.0)
