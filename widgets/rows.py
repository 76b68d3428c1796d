"""The tree's rows as data: stages, units and layers with every value that a column can show."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from sessions import macs
from sessions.decomposing import is_factor
from sessions.events import LayerStats
from sessions.measured import Cost
from sessions.network import WEIGHTED, Layer, Network, Stage, Unit
from sessions.score import Rule
from sessions.state import Variant
from sessions.stats import unit_std
from sessions.targets import EditError, mid_axes

SHOWN_LAYERS = WEIGHTED | {"batch_norm"} | macs.POOLS
"""Layers that have weights or MACs in some convention; the others would be empty rows."""
Shape = tuple[tuple[int, ...], int]


class Change(msgspec.Struct, frozen=True):
    """What a row has more than the same row of another variant."""

    macs: int
    """Of what is on."""
    params: int
    width: int
    is_equal: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tree. Values that a row does not have are None."""

    path: str
    parent: str
    level: Literal["stage", "unit", "layer"]
    name: str
    has_children: bool
    is_sum: bool = False
    """Whether it stands for units that have rows of their own."""
    is_on: bool = True
    unit: str = ""
    """The unit that on/off acts on."""
    is_removable: bool = False
    is_downsampling: bool = False
    is_changed: bool = False
    """Whether its state differs from that of the opened model."""
    is_decomposed: bool = False
    """Whether it is one of the thinner layers that replace another, or has such layers."""
    output: str = ""
    """Channels x height x width of the output."""
    width: int | None = None
    """Channels of the output."""
    mid: int | None = None
    groups: int | None = None
    macs: int = 0
    share: float = 0.0
    """Of all MACs that are on."""
    params: int = 0
    std: float | None = None
    weights: tuple[LayerStats, ...] = ()
    """Statistics of the weights of the row's layers; none for a sum of units."""
    worth: float | None = None
    """F1 that the row may cost before cutting it stops paying."""
    cost: Cost | None = None
    """What switching it off was measured to cost."""
    is_cost_old: bool = False
    """Whether that was measured in a variant before the one shown."""
    kept: float | None = None
    """Importance that the last edit kept, 0..1; None where it touched nothing."""
    change: Change | None = None
    """Against another variant, where there is one to compare with."""

    @property
    def depth(self) -> int:
        """0 for stages, 1 for units, 2 for layers."""
        return ("stage", "unit", "layer").index(self.level)

    @property
    def running_macs(self) -> int:
        """MACs, none where it is off."""
        return self.macs if self.is_on else 0

    @property
    def running_params(self) -> int:
        """Parameters, none where it is off."""
        return self.params if self.is_on else 0


def tree_rows(
    variant: Variant,
    opened: Network,
    rule: Rule,
    convention: str = macs.CONTEST,
    costs: Mapping[str, Cost] | None = None,
) -> tuple[Row, ...]:
    """All rows of a variant in running order, folded ones included."""
    builder = _Builder(variant, opened, rule, convention, costs or {})
    rows: list[Row] = []
    for stage in variant.network.stages:
        rows += builder.stage(stage)
    return tuple(rows)


def compared(rows: Iterable[Row], others: Iterable[Row]) -> tuple[Row, ...]:
    """The rows with what each has more than the same row of another variant.

    A row that the other does not have is new: all it has is more.
    """
    known = {row.path: row for row in others}
    return tuple(
        msgspec.structs.replace(row, change=_change(row, known.get(row.path))) for row in rows
    )


def _change(row: Row, other: Row | None) -> Change:
    if other is None:
        return Change(row.running_macs, row.running_params, row.width or 0, False)
    return Change(
        row.running_macs - other.running_macs,
        row.running_params - other.running_params,
        (row.width or 0) - (other.width or 0),
        _comparable(row) == _comparable(other),
    )


def _comparable(row: Row) -> tuple[object, ...]:
    shape = (row.output, row.mid, row.groups)
    return (row.is_on, row.running_macs, row.running_params, *shape)


class _Builder:
    def __init__(
        self,
        variant: Variant,
        opened: Network,
        rule: Rule,
        convention: str,
        costs: Mapping[str, Cost],
    ) -> None:
        self.variant = variant
        self.network = variant.network
        self.opened = opened
        self.shapes = _shapes(self.network)
        self.shapes_before = self.shapes if opened is self.network else _shapes(opened)
        self.stats = variant.stats
        self.rule = rule
        self.costs = costs
        self.counts = macs.count_layers(self.network, convention)
        self.contest = (
            self.counts if convention == macs.CONTEST else macs.count_layers(self.network)
        )
        on = [self.counts[layer.path] for _, layer in self.network.layers()]
        self.total = max(sum(on), 1)

    def stage(self, stage: Stage) -> list[Row]:
        parts = [self.unit(unit, stage) for unit in stage.units]
        if stage.is_plain:
            first, *layers = parts[0]
            plain = msgspec.structs.replace(first, level="stage", parent="", name=stage.path)
            return [plain, *(msgspec.structs.replace(row, level="unit") for row in layers)]
        units = [rows[0] for rows in parts]
        on = [unit for unit in units if unit.is_on]
        stds = [unit.std for unit in on if unit.std is not None]
        top = Row(
            path=stage.path,
            parent="",
            level="stage",
            name=stage.path,
            has_children=True,
            is_sum=True,
            output=on[-1].output if on else "",
            width=on[-1].width if on else None,
            macs=sum(unit.macs for unit in on),
            share=sum(unit.share for unit in on),
            params=sum(unit.params for unit in on),
            std=sum(stds) / len(stds) if stds else None,
            is_changed=any(unit.is_changed for unit in units),
            is_decomposed=any(unit.is_decomposed for unit in units),
            kept=_mean(unit.kept for unit in units),
        )
        return [top, *(row for rows in parts for row in rows)]

    def unit(self, unit: Unit, stage: Stage) -> list[Row]:
        layers = [self.layer(layer, unit) for layer in unit.layers() if layer.kind in SHOWN_LAYERS]
        convs = [layer for layer in unit.branch if layer.kind in WEIGHTED]
        grouped = [layer.groups for layer in convs if layer.kind == "conv" and layer.groups > 1]
        is_block = not stage.is_plain
        saved = sum(self.contest[layer.path] for layer in unit.layers())
        cost = self.costs.get(unit.path)
        row = Row(
            path=unit.path,
            parent=stage.path,
            level="unit",
            name=unit.name,
            has_children=bool(layers),
            is_on=unit.is_on,
            unit=unit.path if is_block else "",
            is_removable=unit.is_removable,
            is_downsampling=unit.is_downsampling and is_block,
            is_changed=self.is_changed(unit),
            is_decomposed=any(row.is_decomposed for row in layers),
            output=_output(self.network, unit),
            width=self.network.width(unit.out_axis),
            mid=_mid(self.network, unit) if is_block else None,
            groups=max(grouped) if grouped else (1 if is_block else None),
            macs=sum(self.counts[layer.path] for layer in unit.layers()),
            share=sum(row.share for row in layers),
            params=sum(row.params for row in layers),
            std=unit_std(unit, self.stats),
            weights=tuple(found for row in layers for found in row.weights),
            worth=self.rule.break_even(saved) if unit.is_removable else None,
            cost=cost,
            is_cost_old=cost is not None
            and self.variant.number not in (cost.measured_from, cost.measured_by),
            kept=_mean(row.kept for row in layers),
        )
        return [row, *layers]

    def is_changed(self, unit: Unit) -> bool:
        """Whether an edit made the unit other than it was opened."""
        before = self.opened.units.get(unit.path)
        if before is None or before.is_on != unit.is_on:
            return True
        paths = [layer.path for layer in unit.layers()]
        if paths != [layer.path for layer in before.layers()]:
            return True
        return any(self.shapes[path] != self.shapes_before[path] for path in paths)

    def layer(self, layer: Layer, unit: Unit) -> Row:
        count = self.counts[layer.path]
        found = self.stats.get(layer.path)
        is_conv = layer.kind in ("conv", "depthwise")
        return Row(
            path=layer.path,
            parent=unit.path,
            level="layer",
            name=layer.name,
            has_children=False,
            is_on=unit.is_on,
            is_changed=self.shapes_before.get(layer.path) != self.shapes[layer.path],
            is_decomposed=is_factor(layer),
            output=_output(self.network, layer),
            width=self.network.width(layer.out_axis),
            groups=self.network.groups(layer) if is_conv else None,
            macs=count,
            share=count / self.total if unit.is_on else 0.0,
            params=self.network.parameters(layer),
            std=None if found is None else found.std,
            weights=() if found is None else (found,),
            kept=self.variant.kept_layers.get(layer.path),
        )


def _shapes(network: Network) -> dict[str, Shape]:
    """What an edit can change of each layer, by its path."""
    return {
        layer.path: (network.weight_shape(layer), network.groups(layer))
        for _, layer in network.layers(include_off=True)
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _mid(network: Network, unit: Unit) -> int | None:
    try:
        return network.width(mid_axes(network, unit.path)[0])
    except EditError:
        return None


def _output(network: Network, part: Layer | Unit) -> str:
    return f"{network.width(part.out_axis)}×{part.out_size}×{part.out_size}"
