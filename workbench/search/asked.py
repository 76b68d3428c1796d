"""A trial between the moment Optuna is asked for it and the moment Optuna is told its end."""

import msgspec
import optuna

from sessions.searching import Trial
from workbench.search import storages
from workbench.search.backends import Task
from workbench.search.spaces import Design


class Asked:
    """Such a trial, and what is known of it."""

    def __init__(self, trial: optuna.Trial, design: Design, found: Trial | None = None) -> None:
        self.trial, self.design = trial, design
        self.found = found
        """What it came to, once that is known."""
        self.is_submitted = found is not None
        self.lost = 0
        self.epoch = 0
        self.f1: float | None = None
        self.pruned = ""
        """Why it was asked to end, in words."""


def known(study: optuna.Study, trial: optuna.Trial, design: Design) -> Trial | None:
    """The end of an earlier trial of the same design, which needs no training again."""
    for before in storages.trials_of(study):
        is_same = before.parameters == trial.params or (
            not design.is_new and before.edits == design.edits
        )
        if is_same and before.state == "finished" and before.recipe == design.recipe:
            return msgspec.structs.replace(
                before, number=trial.number, parameters=trial.params, seconds=0.0,
                reason=f"the same as trial {before.number}",
            )  # fmt: skip
    return None


def task_of(number: int, design: Design) -> Task:
    """What a worker is to do."""
    if design.is_new:
        return Task(trial=number, network=design.network, recipe=design.recipe)
    return Task(trial=number, edits=design.edits, recipe=design.recipe)
