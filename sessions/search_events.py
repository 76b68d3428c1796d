"""The facts of searches: scans, studies and the autopilot. One frozen type per fact."""

from sessions.evaluation import Evaluation, LayerStats
from sessions.event import Event
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.searching import Measured, Plan, Trial, Trust
from sessions.steering import Steering


class SearchStarted(Event, frozen=True, tag="search-started", kw_only=True):
    """A search began, or went on after it had been stopped."""

    search: int
    variant: int
    """That it starts from."""
    plan: Plan
    recipe: Recipe


class SearchProgressed(Event, frozen=True, tag="search-progressed", kw_only=True):
    """A few times a second while a search runs."""

    is_durable = False
    is_logged = False
    search: int
    done: int
    total: int
    doing: str = ""
    """What is tried now, in words."""
    left_s: float | None = None


class CandidateMeasured(Event, frozen=True, tag="candidate-measured", kw_only=True):
    """A scan knows what one candidate costs."""

    is_durable = False
    search: int
    measured: Measured


class TrialFinished(Event, frozen=True, tag="trial-finished", kw_only=True):
    """A trial of a study ended, and what it came to is stored."""

    search: int
    trial: Trial


class SearchFinished(Event, frozen=True, tag="search-finished", kw_only=True):
    """A search ended."""

    search: int
    is_stopped: bool = False
    """Whether it can go on."""
    reason: str = ""
    """Why it failed; empty where it did not."""
    trust: tuple[Trust, ...] = ()
    """Of a scan: which criterion to trust on this network."""
    seconds: float = 0.0


class TrialOpened(Event, frozen=True, tag="trial-opened", kw_only=True):
    """A trial became a variant like any other."""

    variant: int = -1
    """Its number, which the session gives."""
    parent: int
    search: int
    trial: int
    checkpoint: str
    network: Network
    macs: int
    weights_sha256: str
    stats: dict[str, LayerStats]
    evaluation: Evaluation | None = None


class AutopilotStarted(Event, frozen=True, tag="autopilot-started", kw_only=True):
    """The autopilot makes ordinary edits from here on, until it ends or the user takes over."""

    variant: int
    steering: Steering


class AutopilotEnded(Event, frozen=True, tag="autopilot-ended", kw_only=True):
    """The target was reached, nothing was left to cut, or the user took over."""

    reason: str
    is_reached: bool = False
