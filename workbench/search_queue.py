"""The searches of a live session: one at a time, beside edits and jobs.

What they find is recorded as it comes; a search that was stopped or cut off goes on where it was.
"""

import msgspec

from sessions import choosing, history
from sessions.commands import OpenTrial, RunSearch, StopSearch
from sessions.events import AnyEvent, Unknown
from sessions.recipe import Recipe
from sessions.search_events import SearchStarted, TrialOpened
from sessions.searching import Plan, ScanPlan, StudyPlan
from sessions.state import Variant
from workbench.session import RequestError, Session


class SearchQueue(Session):
    """Starts and stops searches, and opens what they found."""

    def start_scan(self, *, is_units_only: bool = False) -> int:
        """Measure what each removable unit, and each width and group count, would cost.

        Returns:
            The number of the search.

        Raises:
            RequestError: no data, a search is running, or nothing can be cut.
        """
        variant = self.searchable()
        found = choosing.candidates(
            variant.network,
            widths=() if is_units_only else choosing.SHARES,
            groups=not is_units_only,
        )
        if not found:
            raise RequestError("nothing in this network can be cut")
        ordered = choosing.promising(variant.network, variant.stats, found)
        return self.start_search(ScanPlan(candidates=ordered))

    def start_study(self, plan: StudyPlan, recipe: Recipe | None = None) -> int:
        """Try structures and recipes together, from the current variant.

        Args:
            plan: what is varied, and how much is tried.
            recipe: of every trial; None for the session's.

        Returns:
            The number of the search.

        Raises:
            RequestError: no data, or a search is running.
        """
        return self.start_search(plan, recipe)

    def start_search(self, plan: Plan, recipe: Recipe | None = None) -> int:
        """Carry out a plan on the current variant.

        Raises:
            RequestError: no data, or a search is running.
        """
        variant = self.searchable()
        number = self.state.next_search
        self._run(number, variant.number, plan, recipe or self.state.recipe)
        return number

    def resume_search(self, number: int) -> None:
        """Go on with a search that was stopped or cut off.

        Raises:
            RequestError: it cannot go on, no data, or a search is running.
        """
        search = self.state.searches.get(number)
        if search is None or not search.is_resumable:
            raise RequestError("this search has ended: start a new one")
        self.searchable()
        self._run(number, search.variant, search.plan, search.recipe)

    def stop_search(self) -> None:
        """End the running search; what it found is kept.

        Raises:
            RequestError: none runs.
        """
        running = self.state.searching
        if running is None:
            raise RequestError("no search is running")
        self._send(self._searcher, StopSearch(search=running.number))

    def open_trial(self, search: int, trial: int) -> None:
        """Make a variant of a trial.

        Raises:
            RequestError: no such trial, or it kept no weights.
        """
        known = self.state.searches.get(search)
        found = next((t for t in known.trials if t.number == trial), None) if known else None
        if known is None or found is None:
            raise RequestError(f"search {search} has no trial {trial}")
        if not found.checkpoint:
            raise RequestError(f"trial {trial} kept no weights: {found.reason or found.state}")
        self._send(
            self._engine,
            OpenTrial(
                folder=str(self.folder),
                parent=known.variant,
                search=search,
                trial=trial,
                checkpoint=found.checkpoint,
                evaluation=found.evaluation,
            ),
        )

    def numbered(self, event: AnyEvent | Unknown) -> AnyEvent | Unknown:
        """An opened trial with the number that its variant gets; any other event as it is."""
        if isinstance(event, TrialOpened):
            return msgspec.structs.replace(event, variant=self.state.next_variant)
        return event

    def _run(self, number: int, variant: int, plan: Plan, recipe: Recipe) -> None:
        data = self.state.data
        assert data is not None
        known = self.state.searches.get(number)
        self.dispatch(SearchStarted(search=number, variant=variant, plan=plan, recipe=recipe))
        self._send(
            self._searcher,
            RunSearch(
                folder=str(self.folder),
                search=number,
                lineage=history.lineage(self.state, variant),
                plan=plan,
                recipe=recipe,
                data=data.source,
                splits=self.splits,
                device=self.opening.device,
                done=() if known is None else known.measured,
                told=None if known is None else tuple(t.number for t in known.trials),
            ),
        )

    def searchable(self) -> Variant:
        """The current variant, where a search can begin on it.

        Raises:
            RequestError: it is not ready, no data is open, or a search is running.
        """
        variant, data = self.state.variant, self.state.data
        if variant is None or variant.is_pending:
            raise RequestError("the model is not ready yet: try again in a moment")
        if data is None:
            reason = self.state.data_error or "no data is open"
            raise RequestError(f"{reason}: open with --data FOLDER, or --data digits")
        if variant.network.classes != len(data.classes):
            raise RequestError(
                f"this variant has {variant.network.classes} classes, the data has "
                f"{len(data.classes)}"
            )
        if self.state.searching is not None:
            raise RequestError("a search is running: stop it first, with x in the search panel")
        return variant
