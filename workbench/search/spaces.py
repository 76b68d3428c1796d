"""What a study may vary, as Optuna parameters, and what their values make of a variant.

Each set of values is a legal design: edits are chosen one after another on the network that the
ones before made (input size, units, groups, then widths and bottlenecks from the front to the
back), and where a wanted width is not legal there, the nearest legal one is taken, of two equally
near ones the larger. Widths are shares of a stage's own channels, so that they keep their meaning
when the stage before is cut.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
from optuna.trial import BaseTrial

from sessions import edits, reshaping
from sessions.edits import Edit, EditError, Groups, InputSize, Mid, UnitOff, Width
from sessions.network import Network
from sessions.recipe import Recipe, changed
from sessions.searching import Space, Value
from sessions.targets import inherited, own_axis
from workbench.search.designs import Family, design
from workbench.search.ranges import own_values, suggest_field

LEAST_SHARE = 0.4
SHARE_STEP = 0.05
"""Of a stage's own channels, or of its bottlenecks'."""
MOST_GROUPS = 8
"""More are only offered where the network has more."""
LIGHTER = (1.0, 0.75, 0.5)
"""Share of each stage's units, or else of its channels, that the first trials keep."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial is to train."""

    edits: tuple[Edit, ...] = ()
    network: Network
    """After the edits, or a new one."""
    is_new: bool = False
    """Whether the network is new, not made by edits."""
    recipe: Recipe


class Designs(Protocol):
    """A space of designs."""

    def suggest(self, trial: BaseTrial) -> Design:
        """Draw parameters, and make a legal design of them."""

    def starts(self) -> list[dict[str, Value]]:
        """Parameters of the trials to begin with."""


class VariantDesigns:
    """Designs made from a variant by edits."""

    def __init__(
        self, network: Network, space: Space, recipe: Recipe, costs: Mapping[str, float]
    ) -> None:
        """Work out what can be varied.

        Args:
            costs: of each unit that can be off, what F1 falls by without it; the dearest stays on
                longest.

        Raises:
            UserError: nothing can be varied.
        """
        self.network, self.space, self.recipe = network, space, recipe
        self.units = _removable(network, costs) if space.units else {}
        self.widths = _shared(network, "width") if space.widths else ()
        self.mids = _shared(network, "mid") if space.bottlenecks else ()
        self.groups = _grouped(network) if space.groups else {}
        self.sizes = tuple(sorted({network.input_size, *space.input_sizes}))

    def suggest(self, trial: BaseTrial) -> Design:
        """Draw parameters, and make the edits and the recipe of them."""
        made = _Edits(self.network)
        if len(self.sizes) > 1:
            size = trial.suggest_categorical("input", self.sizes)
            made.add(InputSize(size), is_changed=size != self.network.input_size)
        for stage, paths in self.units.items():
            for path in self._off(trial, stage, paths):
                made.add(UnitOff(path))
        for stage, counts in self.groups.items():
            count = trial.suggest_categorical(f"{stage}.groups", counts)
            now = reshaping.value(self.network, "groups", stage)
            made.add(Groups(target=stage, value=count), is_changed=count != now)
        for stage in self.widths:
            made.width(stage, _share(trial, f"{stage}.width"))
        for stage in self.mids:
            made.mid(stage, _share(trial, f"{stage}.bottleneck"))
        values = {name: suggest_field(trial, self.recipe, name) for name in self.space.recipe}
        return Design(
            edits=tuple(made.edits), network=made.network, recipe=changed(self.recipe, **values)
        )

    def starts(self) -> list[dict[str, Value]]:
        """The variant as it is, and with fewer units, or channels where units stay as they are."""
        found: list[dict[str, Value]] = []
        for share in LIGHTER:
            values: dict[str, Value] = {}
            for stage, paths in self.units.items():
                values |= self._kept(stage, paths, round(share * len(paths)))
            for stage in self.widths:
                values[f"{stage}.width"] = 1.0 if self.units else share
            for stage in self.mids:
                values[f"{stage}.bottleneck"] = 1.0 if self.units or self.widths else share
            for stage in self.groups:
                values[f"{stage}.groups"] = reshaping.value(self.network, "groups", stage)
            if len(self.sizes) > 1:
                values["input"] = self.network.input_size
            values |= own_values(self.recipe, self.space.recipe)
            if values not in found:
                found.append(values)
        return found

    def _off(self, trial: BaseTrial, stage: str, paths: tuple[str, ...]) -> list[str]:
        """The units of a stage that go, in the order of the network."""
        if self.space.units_by == "each":
            return [p for p in sorted(paths) if not trial.suggest_categorical(p, (True, False))]
        kept = trial.suggest_int(f"{stage}.units", 0, len(paths))
        return sorted(paths[kept:])

    def _kept(self, stage: str, paths: tuple[str, ...], kept: int) -> dict[str, Value]:
        if self.space.units_by == "each":
            return {path: place < kept for place, path in enumerate(paths)}
        return {f"{stage}.units": kept}


class NewDesigns:
    """New networks of a family, whose weights are drawn."""

    def __init__(
        self, family: Family, like: Network, space: Space, recipe: Recipe, max_macs: int
    ) -> None:
        """Work out what the networks have in common.

        Args:
            like: for its classes, its channels of images, and its input size where the space has
                none.
        """
        self.family, self.like, self.space, self.recipe = family, like, space, recipe
        self.max_macs = max_macs

    def suggest(self, trial: BaseTrial) -> Design:
        """Draw parameters, and make a network and a recipe of them.

        Raises:
            DesignError: such a network cannot meet the limit of MACs.
        """
        network = design(
            trial, self.family, self.like.classes, self.like.input_channels, self.max_macs,
            self.space.input_sizes or (self.like.input_size,),
        )  # fmt: skip
        values = {name: suggest_field(trial, self.recipe, name) for name in self.space.recipe}
        return Design(network=network, is_new=True, recipe=changed(self.recipe, **values))

    def starts(self) -> list[dict[str, Value]]:
        """None: no network of the family is better known than another."""
        return []


class _Edits:
    """Edits that are added one by one, each legal on what the ones before made."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.edits: list[Edit] = []

    def add(self, edit: Edit, *, is_changed: bool = True) -> None:
        """Make an edit, unless it changes nothing."""
        if is_changed:
            self.network = edits.apply(self.network, edit)
            self.edits.append(edit)

    def width(self, stage: str, share: float) -> None:
        """Cut a stage to about that share of its own channels."""
        rest = inherited(self.network, stage)
        own = self.network.axes[own_axis(self.network, stage)].width
        value = self._nearest("width", stage, rest + share * own)
        self.add(Width(target=stage, value=value), is_changed=value != rest + own)

    def mid(self, stage: str, share: float) -> None:
        """Cut the bottlenecks of a stage to about that share."""
        now = reshaping.value(self.network, "mid", stage)
        value = self._nearest("mid", stage, share * now)
        self.add(Mid(target=stage, value=value), is_changed=value != now)

    def _nearest(self, name: str, stage: str, wanted: float) -> int:
        legal = reshaping.options(self.network, name, stage)
        return min(legal, key=lambda value: (abs(value - wanted), -value))


def removable(network: Network) -> tuple[str, ...]:
    """Paths of the units that are on and can be off."""
    return tuple(
        unit.path
        for unit in network.units.values()
        if unit.is_on and unit.is_removable and not edits.why_it_stays(network, unit.path)
    )


def _removable(network: Network, costs: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """The units of each stage that can be off, the one to keep longest first."""
    paths = set(removable(network))
    found = {}
    for stage in network.stages:
        inside = [unit.path for unit in stage.units if unit.path in paths]
        if inside:
            found[stage.path] = tuple(sorted(inside, key=lambda path: -costs.get(path, 0.0)))
    return found


def _shared(network: Network, name: str) -> tuple[str, ...]:
    """The stages in which an edit has a choice."""
    return tuple(
        stage.path for stage in network.stages if len(_options(network, name, stage.path)) > 1
    )


def _grouped(network: Network) -> dict[str, tuple[int, ...]]:
    found = {}
    for stage in network.stages:
        legal = _options(network, "groups", stage.path)
        if legal:
            now = reshaping.value(network, "groups", stage.path)
            counts = tuple(count for count in legal if count <= MOST_GROUPS or count == now)
            if len({*counts, now}) > 1:
                found[stage.path] = tuple(sorted({*counts, now}))
    return found


def _options(network: Network, name: str, stage: str) -> tuple[int, ...]:
    """Legal values of an edit; none where it is not for such a stage."""
    try:
        return reshaping.options(network, name, stage)
    except EditError:
        return ()


def _share(trial: BaseTrial, name: str) -> float:
    return trial.suggest_float(name, LEAST_SHARE, 1.0, step=SHARE_STEP)
