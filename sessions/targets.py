"""What the target of an edit names: stages, units, axes and convs of a Network.

Targets are paths of the tree: a stage, a unit, or a unit's `compress` (the 1x1 convs before its
depthwise or k x k conv) and `expand` (those after it).
"""

import difflib

from sessions.network import ACTIVATIONS, Layer, Network, Stage, Unit

PARTS = ("compress", "expand")
INNER = ACTIVATIONS | {"batch_norm", "depthwise"}
"""Layers that show which axes inside of a unit are its own, and no ranks of a decomposition."""
FIXED = frozenset({"image", "classes"})
"""Axes whose width the data decides."""


class EditError(ValueError):
    """An edit that is not possible: the message gives the reason and the nearest legal value."""


def own_axis(network: Network, target: str) -> str:
    """The axis of the channels that a stage adds.

    Raises:
        EditError: no such stage, or its width is decided by the data.
    """
    if not is_stage(network, target):
        stages = [s.path for s in network.stages if _owned(s) not in FIXED]
        if target in network.units:
            raise EditError(
                f"width:{target} is not possible: all units of a stage share its channels; "
                f"use width:{target.rpartition('.')[0]}, or mid:{target} for its bottleneck"
            )
        raise EditError(f"no stage {target!r}: {nearest('width', target, stages)}")
    axis = _owned(stage_of(network, target))
    if axis in FIXED:
        raise EditError(f"the width of {target} is the number of classes: use classes:N")
    return axis


def mid_axes(network: Network, target: str) -> tuple[str, ...]:
    """The bottleneck axes of a unit, or of all units of a stage but its gates.

    Raises:
        EditError: no such unit, or it has no bottleneck.
    """
    found: dict[str, None] = {}
    for unit in _named(network, target):
        outside = {unit.branch[0].in_axis, unit.branch[-1].out_axis}
        inside = [x.in_axis for x in unit.branch if x.kind in INNER]
        found |= dict.fromkeys(axis for axis in inside if axis not in outside)
    if not found:
        raise EditError(f"{target} has no bottleneck")
    return tuple(found)


def grouped_layers(network: Network, target: str) -> tuple[Layer, ...]:
    """The 1x1 convs that a group count is for.

    Convs that are dense in a unit of grouped ones stay dense unless they are named: so does
    ShuffleNet's first 1x1 conv, whose few input channels are not grouped.

    Raises:
        EditError: no such target, or it has none.
    """
    part = target.rpartition(".")[2]
    found: list[Layer] = []
    for unit in _named(network, target):
        spatial = [x.kind in ("conv", "depthwise") and not _is_pointwise(x) for x in unit.branch]
        middle = spatial.index(True) if any(spatial) else len(spatial)
        convs = {
            "compress": [x for x in unit.branch[:middle] if _is_pointwise(x)],
            "expand": [x for x in unit.branch[middle:] if _is_pointwise(x)],
        }
        both = convs["compress"] + convs["expand"]
        if part in PARTS:
            found += convs[part]
        elif any(layer.groups > 1 for layer in both):
            found += [layer for layer in both if layer.groups > 1]
        else:
            found += both
    if not found:
        raise EditError(f"{target} has no 1x1 conv to group")
    return tuple(found)


def units(network: Network, target: str) -> tuple[Unit, ...]:
    """The units that a target names, off ones included.

    Raises:
        EditError: it names none; the message has the nearest that does.
    """
    path, _, part = target.rpartition(".")
    name = path if part in PARTS else target
    if name in network.units and not any(s.is_plain and s.path == name for s in network.stages):
        return (network.units[name],)
    stages = [stage for stage in network.stages if not stage.is_plain]
    for stage in stages:
        if stage.path == name:
            return stage.units
    known = [s.path for s in stages] + [u.path for s in stages for u in s.units]
    raise EditError(f"no stage or unit {name!r}: {nearest('', name, known)}")


def _named(network: Network, target: str) -> tuple[Unit, ...]:
    """The units that a target names; of a stage not its gates, whose channels are their own."""
    found = units(network, target)
    blocks = tuple(unit for unit in found if not unit.is_gate)
    return blocks if is_stage(network, target) and blocks else found


def is_stage(network: Network, target: str) -> bool:
    """Whether a target is a stage."""
    return any(stage.path == target for stage in network.stages)


def stage_of(network: Network, target: str) -> Stage:
    """The stage of a path."""
    return next(stage for stage in network.stages if stage.path == target)


def _owned(stage: Stage) -> str:
    return stage.units[0].branch[-1].out_axis


def inherited(network: Network, target: str) -> int:
    """Channels of a stage that it has from the stage before."""
    stage = stage_of(network, target)
    return network.width(stage.units[0].out_axis) - network.axes[_owned(stage)].width


def _is_pointwise(layer: Layer) -> bool:
    return layer.kind == "conv" and layer.kernel == 1


def nearest(name: str, wanted: str, known: list[str]) -> str:
    """The known name most like a wanted one, in words; with the name of an edit before it."""
    near = difflib.get_close_matches(wanted, known, 1, 0.0)
    return f"the nearest is {name}{':' if name else ''}{near[0]}" if near else "there is none"
