"""Which networks the ShuffleNet v1 builder of pytorchcv can build, and so load the weights of.

It takes one number of groups, the stages' widths and the depth; all else follows from these.
Source: pytorchcv, models/shufflenet.py, `ShuffleNet(channels, init_block_channels, groups)`.
"""

from collections import Counter
from collections.abc import Iterator

from sessions.network import Layer, Network, Unit, sized
from workbench.surgery.families import shufflenet
from workbench.surgery.families.shufflenet import Plan, UnitPlan

FIRST_UNIT_GROUPS = 1
"""Of the first 1x1 conv of the network's first unit, whatever the groups elsewhere."""


def obstacles(network: Network) -> list[str]:
    """Why pytorchcv cannot build a network, in words; empty where it can.

    Units that are off are no obstacle, but have to be left out first.
    """
    if network.family != shufflenet.NAME:
        return [f"only {shufflenet.TITLE} has a plain form, this is {network.family!r}"]
    stages = network.stages[1:-1]
    plain = [stage.is_plain for stage in network.stages]
    if plain != [True, *(False for _ in stages), True] or not all(x.units for x in stages):
        return ["it is not an init block, stages of units and a classifier"]
    groups = Counter(_expand_groups(unit) for stage in stages for unit in stage.units)
    usual = max(groups, key=lambda count: (groups[count], count), default=1)
    wanted = sized(shufflenet.make(_plan(network, usual)), network.input_size)
    found: list[str] = []
    for unit, other in zip(network.units.values(), wanted.units.values(), strict=True):
        found += _differences(network, unit, wanted, other)
    if network.head.kind == "linear" and not network.head.has_bias:
        found.append("the linear classifier has no bias, pytorchcv's has one")
    return found


def _plan(network: Network, groups: int) -> Plan:
    """What pytorchcv would build for the same depth and widths."""
    stages: list[tuple[UnitPlan, ...]] = []
    before = network.width(network.stages[0].units[0].out_axis)
    init_width = before
    for number, stage in enumerate(network.stages[1:-1], start=1):
        width = network.width(stage.units[0].out_axis)
        stages.append(
            tuple(
                UnitPlan(
                    path=f"stage{number}.unit{position}",
                    mid=width // 4,
                    width=width - before if position == 1 else width,
                    groups=groups,
                    compress_groups=FIRST_UNIT_GROUPS if number == position == 1 else groups,
                )
                for position in range(1, len(stage.units) + 1)
            )
        )
        before = width
    head = network.head
    return Plan(
        init_width=init_width,
        stages=tuple(stages),
        classes=network.classes,
        input_channels=network.input_channels,
        head_kind=head.kind,
        head_has_bias=head.has_bias,
    )


def _expand_groups(unit: Unit) -> int:
    convs = [layer for layer in unit.branch if layer.kind == "conv"]
    return convs[-1].groups if convs else 1


def _differences(network: Network, unit: Unit, wanted: Network, other: Unit) -> Iterator[str]:
    mine, theirs = (
        [[(x.kind, x.key) for x in part] for part in (one.branch, one.shortcut, one.tail)]
        for one in (unit, other)
    )
    if mine != theirs or unit.join != other.join:
        known = {layer.key for layer in other.layers()}
        more = [layer.name for layer in unit.layers() if layer.key not in known]
        what = (
            f"layers that pytorchcv does not have ({', '.join(more)})" if more else "other layers"
        )
        yield f"{unit.path} has {what}"
        return
    width, quarter = _bottleneck(network, unit), _bottleneck(wanted, other)
    if width != quarter:
        yield f"{unit.path} has a bottleneck of {width}, not {quarter}, a quarter of its width"
    for layer, model in zip(unit.layers(), other.layers(), strict=True):
        yield from _layer_differences(layer, model)


def _bottleneck(network: Network, unit: Unit) -> int:
    return network.width(unit.branch[0].out_axis)


def _layer_differences(layer: Layer, model: Layer) -> Iterator[str]:
    if layer.kind in ("conv", "shuffle") and layer.groups != model.groups:
        yield f"{layer.path} has {layer.groups} groups, pytorchcv would have {model.groups}"
    if layer.kernel != model.kernel:
        yield f"{layer.path} has a kernel of {layer.kernel}, pytorchcv {model.kernel}"
    elif (layer.stride, layer.padding) != (model.stride, model.padding):
        yield f"{layer.path} has another stride or padding than pytorchcv's"
    if layer.has_bias and not model.has_bias:
        yield f"{layer.path} has a bias, pytorchcv's has none"
