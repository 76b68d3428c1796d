"""The searcher: carries out scans and studies, beside the trainer, so that editing goes on.

A search killed at any moment goes on in a new process: a scan from what is recorded, a study from
its storage.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from sessions.commands import AnyCommand, RunSearch, StopSearch
from sessions.search_events import (
    CandidateMeasured,
    SearchFinished,
    SearchProgressed,
    TrialFinished,
)
from sessions.searching import Measured, ScanPlan, StudyPlan, Trial, Trust
from workbench.child import TRAINER_NICE, Channel, lower_priority
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.training.images.data import Dataset

PROGRESS_S = 0.25


class Searcher:
    """Carries out one search after the other."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._running = 0
        self._is_stopped = False
        self._reported = 0.0

    def handle(self, command: AnyCommand) -> None:
        """Carry out a search; whatever ends it, exactly one event says so."""
        if not isinstance(command, RunSearch):
            return  # a stop that came after the end
        started = time.perf_counter()
        self._running, self._is_stopped, self._reported = command.search, False, 0.0
        reason, trust = "", tuple[Trust, ...]()
        try:
            trust = self._searched(command)
        except UserError as error:
            reason = str(error)
        if not self.channel.is_parent_gone:
            self.channel.send(
                SearchFinished(
                    search=command.search,
                    is_stopped=self._is_stopped,
                    reason=reason,
                    trust=trust,
                    seconds=time.perf_counter() - started,
                )
            )

    def _searched(self, command: RunSearch) -> tuple[Trust, ...]:
        from workbench.surgery.store import Deriver
        from workbench.training.images.data import open_data
        from workbench.training.loop import pick_device

        self.progressed(0, 0, "getting ready")
        network, state = Deriver()(Path(command.folder), command.lineage)
        data: Dataset = open_data(
            command.data, network.input_size, network.input_channels, command.splits
        )
        device = pick_device(command.device)
        match command.plan:
            case ScanPlan() as plan:
                from workbench.search import scan, trust

                found = scan.scan(
                    network, state, data, plan, command.recipe, device,
                    known=command.done, should_stop=self.should_stop, on_measured=self.measured,
                    on_progress=self.progressed,
                )  # fmt: skip
                if self._is_stopped or len(plan.candidates) < trust.FEWEST:
                    return ()
                self.progressed(len(found), len(found), "comparing criteria")
                return trust.trusts(network, state, data, found, command.recipe.seed)
            case StudyPlan() as plan:
                from workbench.search import study

                if command.told is not None:
                    self.catch_up(command, plan, command.told)
                study.run_study(
                    Path(command.folder), command.search, plan, (network, state), data,
                    command.recipe, device,
                    on_trial=self.tried, on_progress=self.progressed, should_stop=self.should_stop,
                )  # fmt: skip
                return ()

    def measured(self, found: Measured) -> None:
        """Tell what a candidate costs."""
        self.channel.send(CandidateMeasured(search=self._running, measured=found))

    def tried(self, trial: Trial) -> None:
        """Tell what a trial came to."""
        self.channel.send(TrialFinished(search=self._running, trial=trial))

    def catch_up(self, command: RunSearch, plan: StudyPlan, told: tuple[int, ...]) -> None:
        """Tell the trials that ended just before everything was cut off."""
        from workbench.search import storages

        url = plan.storage or storages.default_url(Path(command.folder), command.search)
        try:
            trials = storages.study_trials(url, storages.study_name(command.search))
        except UserError:
            return  # nothing is there yet; what else is wrong the study itself will say
        for trial in trials:
            if trial.number not in told:
                self.tried(trial)

    def progressed(
        self, done: int, total: int, doing: str = "", left_s: float | None = None
    ) -> None:
        """Tell how far the search is, a few times a second at most."""
        now = time.monotonic()
        if now - self._reported >= PROGRESS_S:
            self._reported = now
            self.channel.send(
                SearchProgressed(
                    search=self._running, done=done, total=total, doing=doing, left_s=left_s
                )
            )

    def should_stop(self) -> bool:
        """Whether the user, or the end of the parent, wants the search to end."""
        while (command := self.channel.poll()) is not None:
            if isinstance(command, StopSearch) and command.search == self._running:
                self._is_stopped = True
        return self._is_stopped or self.channel.is_parent_gone


def main() -> None:
    """Serve commands until the parent is gone."""
    lower_priority(TRAINER_NICE)
    channel = Channel()
    channel.serve(Searcher(channel).handle)


if __name__ == "__main__":
    main()
