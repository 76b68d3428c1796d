"""One frozen type per fact, in the past tense. Whatever happens in a session is one of these."""

from typing import Literal

import msgspec

from sessions.edits import Edit
from sessions.evaluation import ClassScore as ClassScore
from sessions.evaluation import Evaluation as Evaluation
from sessions.evaluation import LayerStats as LayerStats
from sessions.event import Event as Event
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.score import Rule
from sessions.search_events import (
    AutopilotEnded,
    AutopilotStarted,
    CandidateMeasured,
    SearchFinished,
    SearchProgressed,
    SearchStarted,
    TrialFinished,
    TrialOpened,
)
from sessions.splits import Splits

JobKind = Literal["evaluate", "recover", "fine-tune", "measure"]
CHANGING = frozenset({"recover", "fine-tune"})
"""Jobs that end in another variant."""


RAW, BATCH_NORM, REPAIR, SHORT = "raw", "batch norm", "fitted", "short fine-tune"
"""The rungs of a recovery, each dearer than the one before."""


class Skipped(msgspec.Struct, frozen=True):
    """A file that was left out of the data."""

    path: str
    reason: str


class ModelOpened(Event, frozen=True, tag="model-opened", kw_only=True):
    """The engine read a model file; it is variant 0."""

    source: str
    sha256: str
    """Of the model file."""
    checkpoint: str
    """Sha256 name of the session's own copy of the weights."""
    network: Network
    weights_sha256: str
    stats: dict[str, LayerStats]
    macs: int
    ptflops_macs: int
    """The contest count, taken by ptflops on the built module."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class DataRequested(Event, frozen=True, tag="data-requested", kw_only=True):
    """The trainer was asked to open data."""

    is_durable = False
    is_logged = False
    source: str


class DataOpened(Event, frozen=True, tag="data-opened", kw_only=True):
    """The trainer listed, decoded and cached the data."""

    source: str
    fingerprint: str
    """Sha256 over names and contents of the used images."""
    classes: tuple[str, ...]
    train_images: int
    val_images: int
    hold_out_images: int = 0
    splits: Splits | None = None
    """How the images were divided; None in recordings from before it could be chosen."""
    size: int
    """Edge of the cached images in pixels."""
    skipped: tuple[Skipped, ...] = ()
    """At most 20 of the files that were left out."""
    skipped_count: int = 0
    seconds: float = 0.0


class DataFailed(Event, frozen=True, tag="data-failed", kw_only=True):
    """The data could not be opened."""

    source: str
    reason: str


class DataProgressed(Event, frozen=True, tag="data-progressed", kw_only=True):
    """Images decoded so far."""

    is_durable = False
    is_logged = False
    done: int
    total: int


class EditRequested(Event, frozen=True, tag="edit-requested", kw_only=True):
    """An edit was sent to the engine; shown at once, and saved with the answer."""

    is_durable = False
    variant: int
    parent: int
    edit: Edit


class Edited(Event, frozen=True, tag="edited", kw_only=True):
    """The engine carried the weights over an edit and checked the result."""

    variant: int
    parent: int
    edit: Edit
    macs: int
    weights_sha256: str
    exact: bool
    """Whether the result equals the masked parent."""
    max_error: float | None = None
    """Largest difference of a logit to the masked parent on random inputs, where compared."""
    lost: tuple[str, ...] = ()
    """What could not be kept, in words."""
    kept: float = 1.0
    """Importance kept by the convs that the edit reaches, their mean, 0..1."""
    kept_layers: dict[str, float] = {}
    """The same for each of them by path."""
    stats: dict[str, LayerStats] = {}
    """Of the layers whose weights changed."""
    is_preparation: bool = False
    """Made on opening to fit the data, before the user's first step."""
    seconds: float = 0.0


class EditRejected(Event, frozen=True, tag="edit-rejected", kw_only=True):
    """The engine refused an edit; nothing has changed."""

    variant: int
    parent: int
    edit: Edit
    reason: str


class VariantSelected(Event, frozen=True, tag="variant-selected", kw_only=True):
    """Undo, redo or a jump made another variant the current one."""

    variant: int


class VariantNamed(Event, frozen=True, tag="variant-named", kw_only=True):
    """The user gave a variant a name; an empty one takes it away."""

    variant: int
    name: str


class RanksDescribed(Event, frozen=True, tag="ranks-described", kw_only=True):
    """What every rank of a layer would keep: for the choice of one, not for the record."""

    is_durable = False
    is_logged = False
    variant: int
    layer: str
    kept: tuple[float, ...]
    """Share of the squared weights by rank, from rank 1 to the full one, 0..1."""
    auto: tuple[int, ...]
    """The ranks that variational Bayes takes to be above the noise."""


KEPT, MOVED, CUT = "k", "m", "c"
"""What becomes of a channel: it stays in its group, stays in another one, or goes."""


class ChannelFates(msgspec.Struct, frozen=True):
    """What an edit would do to the channels of an axis."""

    axis: str
    fates: str
    """KEPT, MOVED or CUT for each channel, in their present order."""
    groups: int = 1
    """Of the conv that puts them out, at present: so many runs of equal length."""


class CutDescribed(Event, frozen=True, tag="cut-described", kw_only=True):
    """What an edit would keep: for the choice of one, not for the record."""

    is_durable = False
    is_logged = False
    variant: int
    edit: Edit
    kept: float = 1.0
    """Importance that would be kept by the convs that the edit reaches, their mean, 0..1."""
    kept_layers: dict[str, float] = {}
    """The same for each of them by path."""
    exact: bool = False
    """Whether nothing would be lost."""
    channels: tuple[ChannelFates, ...] = ()
    """Of the axes whose channels would go or move."""
    reason: str = ""
    """Why the edit would be refused; empty where it would be made."""


class SamplesDrawn(Event, frozen=True, tag="samples-drawn", kw_only=True):
    """Training images as a recipe changes them: for the eyes, not for the record."""

    is_durable = False
    is_logged = False
    edge: int
    """Of each image in pixels."""
    rows: tuple[tuple[bytes, ...], ...] = ()
    """Images as RGB bytes, edge * edge * 3; each row one photo, first as it is."""
    names: tuple[str, ...] = ()
    """The class of each row."""
    reason: str = ""
    """Why there are none."""


class ChannelsDescribed(Event, frozen=True, tag="channels-described", kw_only=True):
    """What a criterion makes of the channels of an axis: for the eyes, not for the record."""

    is_durable = False
    is_logged = False
    variant: int
    axis: str
    criterion: str
    importance: tuple[float, ...] = ()
    """By channel; 1 is the mean of the axis."""
    taken: tuple[int, ...] = ()
    """The channels that the cut asked about would take, in order."""
    reason: str = ""
    """Why there is none."""


class ActivationsMeasured(Event, frozen=True, tag="activations-measured", kw_only=True):
    """How far the channels spread on a few training images: not for the record."""

    is_durable = False
    is_logged = False
    variant: int
    images: int = 0
    stds: dict[str, tuple[float, ...]] = {}
    """By basic axis and channel, over images and positions."""
    reason: str = ""
    """Why there are none."""


class ConfusedDrawn(Event, frozen=True, tag="confused-drawn", kw_only=True):
    """Images of one class taken for another, the most confident first: not for the record."""

    is_durable = False
    is_logged = False
    variant: int
    true: int
    predicted: int
    split: str = ""
    total: int = 0
    """Images in this cell, of which the first few are drawn."""
    edge: int = 0
    """Of each image in pixels."""
    images: tuple[bytes, ...] = ()
    """RGB bytes, edge * edge * 3 each."""
    names: tuple[str, ...] = ()
    """Files below the data's folder."""
    confidences: tuple[float, ...] = ()
    """Probability of the predicted class, 0..1."""
    reason: str = ""
    """Why there are none."""


class JobQueued(Event, frozen=True, tag="job-queued", kw_only=True):
    """A job was asked for; it starts when the one before it ends."""

    job: int
    job_kind: JobKind
    variant: int
    """The variant whose network and weights the job starts from."""
    result: int | None = None
    """Number that the job's resulting variant will have."""
    recipe: Recipe = Recipe()
    teacher: int | None = None
    """The variant before the cut, which may teach; None where there is none."""
    is_automatic: bool = False


class JobStarted(Event, frozen=True, tag="job-started", kw_only=True):
    """The trainer began, or went on from a stored step."""

    job: int
    device: str
    steps: int
    """Batches in the whole job."""
    from_step: int = 0


class JobProgressed(Event, frozen=True, tag="job-progressed", kw_only=True):
    """A few times a second while a job runs."""

    is_durable = False
    job: int
    phase: str
    step: int
    steps: int
    epoch: float = 0.0
    """Epochs done, with the fraction of the running one."""
    loss: float | None = None
    """Mean training loss since the last progress."""
    images_per_s: float = 0.0
    left_s: float | None = None


class CheckpointWritten(Event, frozen=True, tag="checkpoint-written", kw_only=True):
    """The job's state is on disk; a stopped or killed job resumes from here."""

    job: int
    step: int
    epoch: float


class Evaluated(Event, frozen=True, tag="evaluated", kw_only=True):
    """An evaluation ended."""

    job: int
    evaluation: Evaluation
    epoch: float | None = None
    """Epochs trained where the weights were those of a running job; None: the variant's own."""
    rung: str = ""
    """Which step of a recovery this is; empty elsewhere."""


class JobFinished(Event, frozen=True, tag="job-finished", kw_only=True):
    """A job ended, or was stopped with its result kept."""

    job: int
    is_stopped: bool = False
    checkpoint: str | None = None
    """Of the resulting variant; None where weights did not change."""
    weights_sha256: str = ""
    stats: dict[str, LayerStats] = {}
    evaluation: Evaluation | None = None
    scores: str = ""
    """Sha256 name of measured channel scores; empty where none were measured."""
    reason: str = ""
    """Why it ended early by itself, with the last good weights kept."""
    seconds: float = 0.0


class JobPaused(Event, frozen=True, tag="job-paused", kw_only=True):
    """A job was put aside with its state on disk, to go on when the user says so."""

    job: int


class JobFailed(Event, frozen=True, tag="job-failed", kw_only=True):
    """A job ended without a result."""

    job: int
    reason: str


class JobCancelled(Event, frozen=True, tag="job-cancelled", kw_only=True):
    """A job was taken from the queue before it started, or given up by the user."""

    job: int


class ModelSaved(Event, frozen=True, tag="model-saved", kw_only=True):
    """A variant was written to a file of the user's."""

    variant: int
    path: str
    sha256: str
    bytes: int
    macs: int
    ptflops_macs: int
    renamed: dict[str, str] = {}
    """Units whose name changed because units before them are off, new name by old."""


class CommandFailed(Event, frozen=True, tag="command-failed", kw_only=True):
    """A child process could not carry out a command; the session goes on."""

    is_durable = False
    command: str
    reason: str


class ProcessExited(Event, frozen=True, tag="process-exited", kw_only=True):
    """A child process ended without being asked to."""

    process: str
    code: int
    reason: str = ""


class RuleChosen(Event, frozen=True, tag="rule-chosen", kw_only=True):
    """The score rule was set."""

    rule: Rule


class RecipeChosen(Event, frozen=True, tag="recipe-chosen", kw_only=True):
    """The recipe of the next jobs was set."""

    recipe: Recipe


class SessionResumed(Event, frozen=True, tag="session-resumed", kw_only=True):
    """The session was opened again after it had been closed or cut off."""


AnyEvent = (
    ModelOpened
    | DataRequested
    | DataOpened
    | DataFailed
    | DataProgressed
    | EditRequested
    | Edited
    | EditRejected
    | VariantSelected
    | VariantNamed
    | RanksDescribed
    | CutDescribed
    | SamplesDrawn
    | ChannelsDescribed
    | ActivationsMeasured
    | ConfusedDrawn
    | JobQueued
    | JobStarted
    | JobProgressed
    | CheckpointWritten
    | Evaluated
    | JobFinished
    | JobPaused
    | JobFailed
    | JobCancelled
    | ModelSaved
    | CommandFailed
    | ProcessExited
    | RuleChosen
    | RecipeChosen
    | SessionResumed
    | SearchStarted
    | SearchProgressed
    | CandidateMeasured
    | TrialFinished
    | SearchFinished
    | TrialOpened
    | AutopilotStarted
    | AutopilotEnded
)


class Unknown(msgspec.Struct, frozen=True):
    """An event of a kind this version does not know; kept as it was written."""

    kind: str
    raw: bytes
