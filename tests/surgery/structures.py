"""Small networks of regular and irregular structure, made by hand."""

from typing import Any

import msgspec

from sessions import edits
from sessions.network import Axis, Layer, Network, replace_unit, sized
from workbench.surgery.families import shufflenet

replace = msgspec.structs.replace


def tiny(**changes: Any) -> Network:
    """2-2-2 units, 5 classes, input 32."""
    made = shufflenet.fresh(**({"width": 0.25, "units": (2, 2, 2), "classes": 5} | changes))
    return edits.apply(made, edits.InputSize(32))


def with_off() -> Network:
    """One unit of the middle of a stage is off, so that the names after it change."""
    made = tiny(units=(3, 1, 1))
    return edits.apply(edits.apply(made, edits.UnitOff("stage1.unit2")), edits.Head("conv"))


def changed(network: Network, path: str, **fields: Any) -> Network:
    """The network with other fields of one layer."""
    unit = network.units[path.rpartition(".")[0]]
    branch = tuple(replace(x, **fields) if x.path == path else x for x in unit.branch)
    return sized(replace_unit(network, replace(unit, branch=branch)), network.input_size)


def widened(network: Network, axis: str, width: int) -> Network:
    """The network with another width of one axis."""
    return replace(network, axes=network.axes | {axis: Axis(width)})


def split(network: Network, path: str, rank: int) -> Network:
    """The network with a conv replaced by two thinner ones, in as many groups."""
    unit = network.units[path.rpartition(".")[0]]
    branch: list[Layer] = []
    for layer in unit.branch:
        if layer.path != path:
            branch.append(layer)
            continue
        axis = f"{unit.path}.rank"
        first = {"path": f"{path}_in", "key": f"{layer.key}_in", "out_axis": axis}
        last = {"path": f"{path}_out", "key": f"{layer.key}_out", "in_axis": axis}
        branch += [replace(layer, **first), replace(layer, **last)]
    network = replace(network, axes=network.axes | {f"{unit.path}.rank": Axis(rank)})
    return replace_unit(network, replace(unit, branch=tuple(branch)))


def irregular() -> Network:
    """Groups, widths, kernels and depths that no builder of ShuffleNets has."""
    made = changed(tiny(), "stage1.unit2.compress_conv1", groups=5)
    made = changed(made, "stage1.unit2.expand_conv3", groups=1)
    made = widened(made, "stage2.unit2.mid", 24)
    made = changed(made, "stage2.unit2.c_shuffle", groups=8)
    made = changed(made, "stage3.unit2.dw_conv2", kernel=5, padding=2, has_bias=True)
    made = split(made, "stage2.unit1.expand_conv3", 6)
    return split(made, "stage3.unit2.compress_conv1", 9)
