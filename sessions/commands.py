"""Commands to the child processes, in the imperative. A command is self-contained.

Weights are named by a lineage, never held by a process, so that a killed process loses nothing.
"""

import msgspec

from sessions.edits import Edit
from sessions.events import Evaluation, JobKind
from sessions.recipe import Recipe
from sessions.searching import Measured, Plan
from sessions.splits import Splits


class Lineage(msgspec.Struct, frozen=True):
    """Weights as a stored checkpoint and the edits made on it since."""

    checkpoint: str
    """Sha256 name in the session's checkpoint folder."""
    edits: tuple[Edit, ...] = ()


class Command(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """Base of every command."""


class OpenModel(Command, frozen=True, tag="open-model", kw_only=True):
    """Read a model file and describe it."""

    path: str
    folder: str
    """The session folder, for the copy of the weights."""
    input_size: int | None = None


class ApplyEdit(Command, frozen=True, tag="apply-edit", kw_only=True):
    """Carry the weights of a variant over an edit and check the result."""

    folder: str
    variant: int
    parent: int
    lineage: Lineage
    """Of the parent."""
    edit: Edit
    is_preparation: bool = False


class DescribeRanks(Command, frozen=True, tag="describe-ranks", kw_only=True):
    """Tell what every rank of a layer would keep."""

    folder: str
    variant: int
    lineage: Lineage
    layer: str


class DescribeCuts(Command, frozen=True, tag="describe-cuts", kw_only=True):
    """Tell what each of some edits would keep, one answer an edit, in the order given.

    It takes the place of an earlier one that is not done: none asks for nothing any more.
    """

    folder: str
    variant: int
    lineage: Lineage
    edits: tuple[Edit, ...]


class SaveModel(Command, frozen=True, tag="save-model", kw_only=True):
    """Write a variant to a file."""

    folder: str
    variant: int
    lineage: Lineage
    path: str


class OpenData(Command, frozen=True, tag="open-data", kw_only=True):
    """List, decode and cache data at a size."""

    source: str
    size: int
    channels: int
    splits: Splits


class DrawSamples(Command, frozen=True, tag="draw-samples", kw_only=True):
    """Show a few training images as a recipe changes them."""

    folder: str
    lineage: Lineage
    """Of the network that they are made for."""
    recipe: Recipe
    data: str
    splits: Splits
    photos: int
    copies: int
    """Changed copies of each photo."""
    edge: int
    """Of the images to show, in pixels."""


class DescribeChannels(Command, frozen=True, tag="describe-channels", kw_only=True):
    """Tell the importance of an axis's channels, and which of them a cut would take."""

    folder: str
    variant: int
    lineage: Lineage
    axis: str
    criterion: str
    scores: str = ""
    """Sha256 name of the stored channel scores, for criteria that need images."""
    edit: Edit | None = None
    """The cut; None where the axis has no smaller legal width."""


class MeasureActivations(Command, frozen=True, tag="measure-activations", kw_only=True):
    """Measure how far every channel spreads on a few training images."""

    folder: str
    variant: int
    lineage: Lineage
    data: str
    splits: Splits
    images: int


class DrawConfused(Command, frozen=True, tag="draw-confused", kw_only=True):
    """Show the validation images of one class that are taken for another."""

    folder: str
    variant: int
    lineage: Lineage
    data: str
    splits: Splits
    true: int
    predicted: int
    photos: int
    edge: int
    """Of the images to show, in pixels."""


class RunJob(Command, frozen=True, tag="run-job", kw_only=True):
    """Run one job to its end; goes on from the job's stored state where there is one."""

    folder: str
    job: int
    job_kind: JobKind
    lineage: Lineage
    recipe: Recipe
    data: str
    splits: Splits
    device: str = "auto"
    teacher: Lineage | None = None
    """The network before it was cut; None where there is none."""
    is_climb: bool = False
    """Whether an evaluation goes on to what each rung of the ladder would bring."""


class StopJob(Command, frozen=True, tag="stop-job", kw_only=True):
    """End the running job after this batch and keep what it has."""

    job: int | None = None
    """Which job; None for any."""
    is_pause: bool = False
    """Whether it is to go on later: its state is stored, and no result is made."""


class EvaluateNow(Command, frozen=True, tag="evaluate-now", kw_only=True):
    """Evaluate the running job's weights after this batch."""


class RunSearch(Command, frozen=True, tag="run-search", kw_only=True):
    """Carry out a plan, or what is left of it."""

    folder: str
    search: int
    lineage: Lineage
    """Of the variant that it starts from."""
    plan: Plan
    recipe: Recipe
    data: str
    splits: Splits
    device: str = "auto"
    done: tuple[Measured, ...] = ()
    """Of a scan: what is known already."""
    told: tuple[int, ...] | None = None
    """Of a study that goes on: the trials that are known; its storage may hold more. None for a
    new one."""


class StopSearch(Command, frozen=True, tag="stop-search", kw_only=True):
    """End the running search as soon as what it has can be kept."""

    search: int


class OpenTrial(Command, frozen=True, tag="open-trial", kw_only=True):
    """Make a variant of a trial's stored network."""

    folder: str
    parent: int
    search: int
    trial: int
    checkpoint: str
    evaluation: Evaluation | None
    """As the trial measured it."""


AnyCommand = (
    OpenModel
    | ApplyEdit
    | DescribeRanks
    | DescribeCuts
    | SaveModel
    | OpenData
    | DrawSamples
    | DescribeChannels
    | MeasureActivations
    | DrawConfused
    | RunJob
    | StopJob
    | EvaluateNow
    | RunSearch
    | StopSearch
    | OpenTrial
)
