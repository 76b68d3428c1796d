"""A study's storage: any that Optuna opens, where dashboards and other tools can read it too.

What a trial came to is one value of the trial, written before Optuna is told of its end, so that a
process killed at any moment loses no finished trial.
"""

import sqlite3
import warnings
from pathlib import Path
from typing import Any

import msgspec
import optuna
import sqlalchemy.exc
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sessions.searching import StudyPlan, Trial
from workbench.errors import UserError

SQLITE = "sqlite:///"
FOUND = "workbench"
"""The trial's value that holds what it came to."""
MADE_FOR = "workbench"
"""The study's value that says what it is a study of."""
INFEASIBLE = "infeasible"
"""The trial's value that marks a structure above the limit of MACs."""
OVER = "max_macs"
"""The constraint: share of the limit by which a structure is above it."""
WAITING_S = 60
"""Seconds that SQLite waits for whoever else writes, a dashboard for example."""
STORAGE_ERRORS = (OptunaError, sqlalchemy.exc.SQLAlchemyError)
UNOPENED = (*STORAGE_ERRORS, ValueError, ImportError, RuntimeError)


def _connected(file: str) -> sqlite3.Connection:
    """A connection by which readers do not wait for the writer, nor it for the disk each time.

    What was committed survives the end of any process; the last of it may not survive a power cut,
    and those trials are then done again.
    """
    connection = sqlite3.connect(file, timeout=WAITING_S, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def study_name(search: int) -> str:
    """The name of a search's study in its storage."""
    return f"search-{search}"


def default_url(folder: Path, search: int) -> str:
    """The file of a search's study in a session's folder."""
    return f"{SQLITE}{folder.absolute() / 'searches' / f'{search}.db'}"


def open_storage(url: str) -> BaseStorage:
    """Open a storage, made anew where SQLite has none there.

    Raises:
        UserError: it cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options: dict[str, Any] = {}
    if url.startswith(SQLITE):
        file = url.removeprefix(SQLITE)
        options["creator"] = lambda: _connected(file)
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot open {url}: {error.strerror}: choose another --storage"
            ) from None
    try:
        return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=options))
    except UNOPENED as error:
        raise UserError(
            f"cannot open the storage {url}: {first_line(error)}: give an SQLAlchemy URL, for "
            "example sqlite:///study.db"
        ) from error


def open_study(
    storage: BaseStorage, name: str, plan: StudyPlan, made_for: dict[str, Any]
) -> optuna.Study:
    """Open a study, or go on with it.

    Args:
        made_for: what trials must have in common to be compared.

    Raises:
        UserError: the study that is there was made for something else.
    """
    directions = (
        [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
        if plan.is_front
        else [StudyDirection.MINIMIZE]
    )
    study = optuna.create_study(
        storage=storage, study_name=name, load_if_exists=True, directions=directions
    )
    before = study.user_attrs.get(MADE_FOR)
    if before is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(MADE_FOR, made_for)
        names = ["MACs", "F1"] if plan.is_front else [f"score ({plan.rule.name})"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(names)
    elif before != made_for:
        other = [key for key, value in made_for.items() if (before or {}).get(key) != value]
        raise UserError(
            f"the study that is there was made with another {', '.join(other)}: give the same "
            "again, or take a new folder or storage"
        )
    return study


def study_trials(url: str, name: str) -> tuple[Trial, ...]:
    """Read every trial of a study that has ended, by number.

    Raises:
        UserError: no such storage or study.
    """
    file = url.removeprefix(SQLITE)
    if url != file and not Path(file).is_file():
        raise UserError(f"there is no study in {file}: name its folder, or its storage as a URL")
    study = load_study(open_storage(url), name)
    return trials_of(study)


def load_study(storage: BaseStorage, name: str) -> optuna.Study:
    """Open a study that is there.

    Raises:
        UserError: it is not.
    """
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        known = ", ".join(optuna.get_all_study_names(storage)) or "none"
        raise UserError(f"there is no study {name!r} in this storage: it has {known}") from None


def trials_of(study: optuna.Study) -> tuple[Trial, ...]:
    """Every trial that has ended, by number; structures above the limit of MACs are left out."""
    frozen = study.get_trials(deepcopy=False)
    return tuple(found for trial in frozen if trial.state.is_finished() and (found := read(trial)))


def importances(url: str, name: str) -> dict[str, float]:
    """How much of what the trials differ by each parameter explains, the largest first.

    Of a front it is of F1. Empty where there are too few trials that differ.

    Raises:
        UserError: no such storage or study.
    """
    study = load_study(open_storage(url), name)
    is_front = len(study.directions) > 1
    target = (lambda trial: trial.values[1]) if is_front else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # that all come out alike: too few trials
            return dict(optuna.importance.get_param_importances(study, target=target))
    except (ValueError, RuntimeError, UserWarning):  # Optuna says that there is too little
        return {}


def read(frozen: FrozenTrial) -> Trial | None:
    """What a trial came to; None where it has not ended, or counts for nothing."""
    stored = frozen.user_attrs.get(FOUND)
    return None if stored is None else msgspec.convert(stored, Trial)


def write(trial: optuna.Trial, found: Trial) -> None:
    """Keep what a trial came to, with a few figures for tools that show a trial's values."""
    shown: dict[str, Any] = {"MACs": found.macs}
    if found.f1 is not None:
        shown["F1"] = found.f1
    for key, value in shown.items():
        trial.set_user_attr(key, value)
    trial.set_user_attr(FOUND, msgspec.to_builtins(found))


def constrain(trial: optuna.Trial, over: float) -> None:
    """Let the sampler know how far a structure is from the limit of MACs.

    Args:
        over: share of the limit by which it is above, negative below it.
    """
    if OVER not in trial.storage.get_trial(trial._trial_id).constraints:
        trial.set_constraint(OVER, over)


def end_infeasible(study: optuna.Study, trial: optuna.Trial) -> None:
    """End a trial whose structure is above the limit of MACs; it counts for nothing."""
    trial.set_user_attr(INFEASIBLE, True)
    study.tell(trial, state=TrialState.PRUNED)


def resumed(study: optuna.Study, number: int) -> optuna.Trial:
    """A trial that an earlier process left running."""
    frozen = study.get_trials(deepcopy=False)[number]
    return optuna.trial.Trial(study, frozen._trial_id)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
