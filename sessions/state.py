"""SessionState: all that the screen shows, as frozen values that only `reducer.reduce` makes."""

import msgspec

from sessions import edits
from sessions.events import DataOpened, Evaluation, JobKind, RanksDescribed
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import CONTEST, Rule
from sessions.searching import Measured, Plan, Trial, Trust
from sessions.steering import Steering
from sessions.stored_stats import Stats


class Rung(msgspec.Struct, frozen=True):
    """A step of a recovery and what it brought."""

    name: str
    evaluation: Evaluation
    epoch: float


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """Stored weights at the end of a ladder that was climbed by itself."""

    recipe: Recipe
    checkpoint: str
    weights_sha256: str
    stats: Stats
    evaluation: Evaluation | None


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A network with its weights at one moment of the session."""

    number: int
    parent: int | None
    label: str
    """The edit or job that made it."""
    network: Network
    macs: int
    """Contest convention."""
    edit: edits.Edit | None = None
    checkpoint: str | None = None
    """Stored weights; None where they follow from the parent's by the edit."""
    weights_sha256: str = ""
    stats: Stats = {}
    evaluation: Evaluation | None = None
    recoverable: Rung | None = None
    """The best rung of the ladder that was climbed by itself: what a recovery brings back."""
    recovered: Recovered | None = None
    """The end of that ladder; None where it was not climbed to its end."""
    is_pending: bool = False
    """Whether the engine has not confirmed it yet."""
    is_preparation: bool = False
    exact: bool = True
    lost: tuple[str, ...] = ()
    kept: float = 1.0
    """Importance that its edit kept, 0..1."""
    kept_layers: dict[str, float] = {}
    name: str = ""
    """Given by the user."""
    scores: str = ""
    """Sha256 name of the channel scores measured on images; empty where there are none."""


class CurvePoint(msgspec.Struct, frozen=True):
    """A value on a training curve."""

    epoch: float
    value: float


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job and how far it is."""

    number: int
    kind: JobKind
    variant: int
    result: int | None
    recipe: Recipe
    is_automatic: bool
    teacher: int | None = None
    """The variant before the cut, which may teach."""
    status: str = "queued"
    """queued, running, paused, interrupted, finished, stopped, failed, cancelled"""
    phase: str = ""
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    stored_step: int = 0
    """Step of the last state on disk, 0 where there is none."""
    images_per_s: float = 0.0
    left_s: float | None = None
    losses: tuple[CurvePoint, ...] = ()
    f1s: tuple[CurvePoint, ...] = ()
    rungs: tuple[Rung, ...] = ()
    evaluation: Evaluation | None = None
    """The latest, of the weights in training or of the result."""
    reason: str = ""
    device: str = ""
    seconds: float = 0.0
    """From its start to its end, of the last run; 0 while it runs."""

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("queued", "running")

    @property
    def is_resumable(self) -> bool:
        """Whether it was put aside or cut off, or failed after a step that is on disk."""
        if self.status == "failed":
            return self.stored_step > 0
        return self.status in ("paused", "interrupted")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A scan or a study and what it has found so far."""

    number: int
    variant: int
    """That it starts from."""
    plan: Plan
    recipe: Recipe
    status: str = "running"
    """running, interrupted, stopped, finished, failed"""
    done: int = 0
    total: int = 0
    doing: str = ""
    left_s: float | None = None
    measured: tuple[Measured, ...] = ()
    """Of a scan, in the order in which they came; the first is the network as it is."""
    trials: tuple[Trial, ...] = ()
    """Of a study, by the time of their end."""
    trust: tuple[Trust, ...] = ()
    """Of a scan that ended."""
    reason: str = ""
    seconds: float = 0.0

    @property
    def is_resumable(self) -> bool:
        """Whether it can go on."""
        return self.status in ("interrupted", "stopped")


class Autopilot(msgspec.Struct, frozen=True, kw_only=True):
    """An autopilot that is steering, or the last that did."""

    variant: int
    """Where it began."""
    steering: Steering
    is_on: bool = True
    is_reached: bool = False
    reason: str = ""
    """Why it ended."""


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the screen shows."""

    source: str = ""
    notes: tuple[str, ...] = ()
    ptflops_macs: int | None = None
    data: DataOpened | None = None
    data_source: str = ""
    """Data that is being opened; empty where none is."""
    data_error: str = ""
    data_progress: tuple[int, int] | None = None
    rule: Rule = CONTEST
    recipe: Recipe = Recipe()
    variants: dict[int, Variant] = {}
    current: int | None = None
    redo: dict[int, int] = {}
    """The child that redo goes to, by variant."""
    jobs: dict[int, Job] = {}
    searches: dict[int, Search] = {}
    autopilot: Autopilot | None = None
    ranks: RanksDescribed | None = None
    """What was last asked about a layer's ranks."""
    saved: dict[int, str] = {}
    """Last file a variant was saved to."""

    @property
    def variant(self) -> Variant | None:
        """The current variant."""
        return None if self.current is None else self.variants[self.current]

    @property
    def running(self) -> Job | None:
        """The running job."""
        return next((job for job in self.jobs.values() if job.status == "running"), None)

    @property
    def queued(self) -> tuple[Job, ...]:
        """Jobs that wait, first to start first."""
        return tuple(job for job in self.jobs.values() if job.status == "queued")

    @property
    def resumable(self) -> Job | None:
        """The latest job that was cut off and can go on."""
        jobs = [job for job in self.jobs.values() if job.is_resumable]
        return jobs[-1] if jobs else None

    @property
    def searching(self) -> Search | None:
        """The running search."""
        found = (search for search in self.searches.values() if search.status == "running")
        return next(found, None)

    @property
    def next_search(self) -> int:
        """The number for the next search."""
        return max(self.searches, default=0) + 1

    @property
    def next_variant(self) -> int:
        """The number for the next variant; numbers promised to jobs are not given again."""
        promised = [job.result for job in self.jobs.values() if job.result is not None]
        return max([-1, *self.variants, *promised]) + 1

    @property
    def next_job(self) -> int:
        """The number for the next job."""
        return max(self.jobs, default=0) + 1
