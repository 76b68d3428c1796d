"""What the search panel can ask for, as values; the application hands them to the live session."""

from typing import TYPE_CHECKING, assert_never

import msgspec

from sessions.edits import Edit
from sessions.recipe import Recipe
from sessions.searching import StudyPlan
from sessions.steering import Steering

if TYPE_CHECKING:
    from workbench.live import LiveSession


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """Measure what each cut of the current variant costs."""

    is_units_only: bool


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """Train networks of a space."""

    plan: StudyPlan
    recipe: Recipe
    """Of every trial, but for what the plan varies."""


class Stop(msgspec.Struct, frozen=True):
    """End the running search."""


class Resume(msgspec.Struct, frozen=True):
    """Go on with a search."""

    search: int


class Open(msgspec.Struct, frozen=True):
    """Make a variant of a trial."""

    search: int
    trial: int


class Try(msgspec.Struct, frozen=True):
    """Make a candidate's edits as ordinary ones."""

    edits: tuple[Edit, ...]


class TakeOver(msgspec.Struct, frozen=True):
    """End the autopilot where the session is."""


Begin = Scan | Study | Steering
"""What the form answers with."""
Request = Begin | Stop | Resume | Open | Try | TakeOver


def hand_over(live: "LiveSession", request: Request) -> None:
    """Let a live session do what was asked.

    Raises:
        RequestError: not possible now; the message says what to do.
    """
    match request:
        case Scan(is_units_only=is_units_only):
            live.start_scan(is_units_only=is_units_only)
        case Study(plan=plan, recipe=recipe):
            live.start_study(plan, recipe)
        case Steering():
            live.start_autopilot(request)
        case Stop():
            live.stop_search()
        case Resume(search):
            live.resume_search(search)
        case Open(search, trial):
            live.open_trial(search, trial)
        case Try(edits):
            for edit in edits:
                live.request_edit(edit)
        case TakeOver():
            live.stop_autopilot()
        case _:
            assert_never(request)
