"""The tree's rows as data: stages, units and layers with every value that a column can show."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from sessions import macs
from sessions.events import LayerStats
from sessions.network import WEIGHTED, Layer, Network, Stage, Unit
from sessions.score import Rule
from sessions.state import Variant
from sessions.stats import unit_std
from sessions.targets import EditError, mid_axes

SHOWN_LAYERS = WEIGHTED | {"batch_norm"} | macs.POOLS
"""Layers that have weights or MACs in some convention; the others would be empty rows."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tree. Values that a row does not have are None."""

    path: str
    parent: str
    level: Literal["stage", "unit", "layer"]
    name: str
    has_children: bool
    is_on: bool = True
    unit: str = ""
    """The unit that on/off acts on."""
    is_removable: bool = False
    is_downsampling: bool = False
    is_changed: bool = False
    """Whether its state differs from that of the opened model."""
    output: str = ""
    """Channels x height x width of the output."""
    mid: int | None = None
    groups: int | None = None
    macs: int = 0
    share: float = 0.0
    """Of all MACs that are on."""
    params: int = 0
    std: float | None = None
    worth: float | None = None
    """F1 that the row may cost before cutting it stops paying."""

    @property
    def depth(self) -> int:
        """0 for stages, 1 for units, 2 for layers."""
        return ("stage", "unit", "layer").index(self.level)


def tree_rows(
    variant: Variant, opened: Network, rule: Rule, convention: str = macs.CONTEST
) -> tuple[Row, ...]:
    """All rows of a variant in running order, folded ones included."""
    builder = _Builder(variant.network, opened, variant.stats, rule, convention)
    rows: list[Row] = []
    for stage in variant.network.stages:
        rows += builder.stage(stage)
    return tuple(rows)


class _Builder:
    def __init__(
        self,
        network: Network,
        opened: Network,
        stats: Mapping[str, LayerStats],
        rule: Rule,
        convention: str,
    ) -> None:
        self.network = network
        self.opened = opened
        self.stats = stats
        self.rule = rule
        self.counts = macs.count_layers(network, convention)
        self.contest = macs.count_layers(network)
        on = [self.counts[layer.path] for _, layer in network.layers()]
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
            output=on[-1].output if on else "",
            macs=sum(unit.macs for unit in on),
            share=sum(unit.share for unit in on),
            params=sum(unit.params for unit in on),
            std=sum(stds) / len(stds) if stds else None,
            is_changed=any(unit.is_changed for unit in units),
        )
        return [top, *(row for rows in parts for row in rows)]

    def unit(self, unit: Unit, stage: Stage) -> list[Row]:
        layers = [self.layer(layer, unit) for layer in unit.layers() if layer.kind in SHOWN_LAYERS]
        before = self.opened.units.get(unit.path)
        convs = [layer for layer in unit.branch if layer.kind in WEIGHTED]
        grouped = [layer.groups for layer in convs if layer.kind == "conv" and layer.groups > 1]
        is_block = not stage.is_plain
        last = (unit.tail or unit.branch)[-1]
        saved = sum(self.contest[layer.path] for layer in unit.layers())
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
            is_changed=before is None
            or self.shape(unit, self.network) != self.shape(before, self.opened),
            output=_output(self.network, last),
            mid=_mid(self.network, unit) if is_block else None,
            groups=max(grouped) if grouped else (1 if is_block else None),
            macs=sum(self.counts[layer.path] for layer in unit.layers()),
            share=sum(row.share for row in layers),
            params=sum(row.params for row in layers),
            std=unit_std(unit, self.stats),
            worth=self.rule.break_even(saved) if unit.is_removable else None,
        )
        return [row, *layers]

    def shape(self, unit: Unit, network: Network) -> object:
        """What an edit can change of a unit."""
        layers = [
            (layer.path, network.weight_shape(layer), network.groups(layer))
            for layer in unit.layers()
        ]
        return unit.is_on, layers

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
            output=_output(self.network, layer),
            groups=self.network.groups(layer) if is_conv else None,
            macs=count,
            share=count / self.total if unit.is_on else 0.0,
            params=self.network.parameters(layer),
            std=None if found is None else found.std,
        )


def _mid(network: Network, unit: Unit) -> int | None:
    try:
        return network.width(mid_axes(network, unit.path)[0])
    except EditError:
        return None


def _output(network: Network, layer: Layer) -> str:
    return f"{network.width(layer.out_axis)}×{layer.out_size}×{layer.out_size}"
