"""A search as data: what is to be tried, and what was found.

Nothing here measures anything, and nothing decides: sessions/choosing.py does that.
"""

from typing import Literal

import msgspec

from sessions.edits import Edit
from sessions.evaluation import Evaluation
from sessions.recipe import Recipe
from sessions.score import Rule

SearchKind = Literal["sensitivity", "study"]
TrialState = Literal["finished", "pruned", "failed"]
TrustOver = Literal["units", "cuts"]
"""What a criterion ranked: units that go, or widths and groups that shrink."""
Start = Literal["variant", "shufflenet", "cells"]
"""What a study's networks are made from: the variant by edits, or new ones of a family."""
Value = bool | int | float | str
"""Of a parameter of a study."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What some edits come to after batch norm was measured anew, without training."""

    edits: tuple[Edit, ...]
    """None: the network as it is, which the others are compared with."""
    macs: int
    f1: float
    low: float
    """Lower end of the 95 % interval of F1."""
    high: float
    loss: float
    """Mean cross-entropy on the same images: finer than F1."""
    images: int
    """That F1 and loss were measured on."""
    kept: float = 1.0
    """Importance that the edits keep, 0..1."""
    seconds: float = 0.0


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """How far a cheap criterion ranks candidates as the measurement does."""

    criterion: str
    rho: float
    """Spearman's rank correlation of the criterion with the measured loss of F1, -1..1."""
    low: float
    """Lower end of its 95 % bootstrap interval."""
    high: float
    candidates: int
    """That it was taken over."""
    over: TrustOver = "units"


class ScanPlan(msgspec.Struct, frozen=True, kw_only=True, tag="sensitivity"):
    """Measure each candidate by itself, in this order."""

    candidates: tuple[tuple[Edit, ...], ...]
    images: int = 1024
    """Validation images at most that F1 is measured on, a stratified choice."""


class Space(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a study may vary; what is not named stays as it is."""

    units: bool = True
    """Which removable units are on."""
    units_by: Literal["count", "each"] = "count"
    """How many of a stage, those going first without which F1 falls least; or each by itself."""
    widths: bool = True
    """Of the stages."""
    bottlenecks: bool = False
    """Of the units, by stage."""
    groups: bool = True
    """Of the stages."""
    input_sizes: tuple[int, ...] = ()
    """To choose from; empty keeps the present one."""
    recipe: tuple[str, ...] = ()
    """Names of fields of the recipe: their ranges are in search/spaces.py."""


class StudyPlan(msgspec.Struct, frozen=True, kw_only=True, tag="study"):
    """Try structures and recipes together, each by training."""

    start: Start = "variant"
    space: Space = Space()
    rule: Rule
    is_front: bool = False
    """Whether MACs and F1 are two objectives, for a front, instead of one score."""
    trials: int = 40
    minutes: float = 0.0
    """Of wall time after which no trial begins; 0 for no limit."""
    max_macs: int = 0
    """Structures above it are not trained; 0 for no limit."""
    seed: int = 0
    workers: int = 1
    """Trials at a time."""
    is_pruned: bool = True
    """Whether trials without prospects end early."""
    is_reproducible: bool = False
    """Whether results are told in the order of the trials, so that one seed gives one study."""
    storage: str = ""
    """An Optuna storage URL; empty for a file of the session's."""
    ray: str = ""
    """Address of a Ray cluster, or `local`; empty for processes of this machine."""


Plan = ScanPlan | StudyPlan


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One network of a study, trained and measured."""

    number: int
    state: TrialState
    parameters: dict[str, Value] = {}
    edits: tuple[Edit, ...] = ()
    """On the variant that the study started from; empty for new networks."""
    recipe: Recipe | None = None
    macs: int = 0
    evaluation: Evaluation | None = None
    """None where it ended before one was made."""
    score: float | None = None
    checkpoint: str = ""
    """Sha256 name of the stored network and weights; empty where nothing was kept."""
    reason: str = ""
    """Why it failed or was pruned."""
    seconds: float = 0.0
    worker: str = ""
    """Where it ran."""

    @property
    def f1(self) -> float | None:
        """Macro F1, where it was measured."""
        return None if self.evaluation is None else self.evaluation.f1
