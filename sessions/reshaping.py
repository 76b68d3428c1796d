"""Widths, groups and kernels of a Network: what is legal, and the network after it."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from sessions import network as net
from sessions.network import Axis, Layer, Network, Unit
from sessions.targets import (
    PARTS,
    EditError,
    grouped_layers,
    inherited,
    is_stage,
    mid_axes,
    own_axis,
    stage_of,
    units,
)

LARGEST_KERNEL = 11
WIDEST = 4
"""A widened axis has at most so many times its channels."""
OF_UNITS = {
    "mid": "bottleneck",
    "groups": "1x1 convs whose groups can be chosen",
    "kernel": "depthwise conv",
}
"""What only stages of units have, by the edit that changes it."""


def with_width(network: Network, target: str, value: int) -> Network:
    """The network with a stage of that many channels.

    Raises:
        EditError: see `options`.
    """
    axis = own_axis(network, target)
    _check_legal(network, "width", target, value)
    return _with_axis(network, axis, value - inherited(network, target))


def with_mid(network: Network, target: str, value: int) -> Network:
    """The network with bottlenecks of that many channels."""
    _check_legal(network, "mid", target, value)
    for axis in mid_axes(network, target):
        network = _with_axis(network, axis, value)
    return network


def with_groups(network: Network, target: str, value: int) -> Network:
    """The network with that many groups in its 1x1 convs.

    Where a whole unit changes, its shuffle follows.
    """
    _check_legal(network, "groups", target, value)
    changed = {layer.path for layer in grouped_layers(network, target)}
    is_whole = target.rpartition(".")[2] not in PARTS
    for unit in units(network, target):
        shuffles = {x.path for x in unit.branch if x.kind == "shuffle"} if is_whole else set()
        touched = changed | shuffles

        def change(layer: Layer, touched: set[str] = touched) -> Layer:
            return msgspec.structs.replace(layer, groups=value) if layer.path in touched else layer

        network = net.replace_unit(
            network, msgspec.structs.replace(unit, branch=tuple(map(change, unit.branch)))
        )
    return network


def with_kernel(network: Network, target: str, value: int) -> Network:
    """The network with depthwise convs of that kernel; the feature maps keep their sizes."""
    _check_legal(network, "kernel", target, value)
    found = [x for unit in units(network, target) for x in unit.branch if x.kind == "depthwise"]
    paths = {layer.path for layer in found}
    network = _with_layers(network, target, paths, kernel=value, padding=value // 2)
    return net.sized(network, network.input_size)


def widened(network: Network, target: str, value: int) -> Network:
    """The network with more channels in a stage, or in a unit's bottleneck."""
    _check_legal(network, "widen", target, value)
    if is_stage(network, target):
        return _with_axis(network, own_axis(network, target), value - inherited(network, target))
    (axis,) = mid_axes(network, target)
    return _with_axis(network, axis, value)


def options(network: Network, name: str, target: str) -> tuple[int, ...]:
    """The legal values of an edit in ascending order, the present one among them.

    Args:
        name: width, mid, groups, kernel or widen.
        target: what it would be made on.

    Raises:
        EditError: the target does not exist, or has no such value.
    """
    owner, _, part = target.rpartition(".")
    if part in PARTS and name != "groups":
        raise EditError(f"{name}:{target} is not possible: only groups are of a part; name {owner}")
    if name in OF_UNITS and is_stage(network, target) and stage_of(network, target).is_plain:
        raise EditError(
            f"{name}:{target} is not possible: {target} has no {OF_UNITS[name]}: "
            f"{_widths(network, target)}"
        )
    key = ("options", name, target)
    if key not in network.memo:
        network.memo[key] = _options(network, name, target)
    return network.memo[key]


def _options(network: Network, name: str, target: str) -> tuple[int, ...]:
    match name:
        case "width":
            axis, rest = own_axis(network, target), inherited(network, target)
            room = network.axes[axis].width
            return tuple(rest + w for w in _legal_widths(network, axis, range(1, room + 1)))
        case "mid":
            axes = mid_axes(network, target)
            room = min(network.width(axis) for axis in axes)
            legal = [set(_legal_widths(network, axis, range(1, room + 1))) for axis in axes]
            return tuple(sorted(set.intersection(*legal)))
        case "widen":
            whole = is_stage(network, target)
            axes = (own_axis(network, target),) if whole else mid_axes(network, target)
            if len(axes) != 1:
                raise EditError(
                    f"widen:{target} is not possible: it has {len(axes)} bottlenecks, and one at a "
                    "time can be widened: name a stage for its width, or a unit with one"
                )
            rest = inherited(network, target) if whole else 0
            now = network.axes[axes[0]].width
            if whole and _grouped_on(network, axes[0]):
                return (rest + now,)
            wider = _legal_widths(network, axes[0], range(now, WIDEST * now + 1))
            if whole:
                return tuple(rest + w for w in wider)
            (unit,) = units(network, target)
            held = _blocks(unit, axes[0], now)
            return tuple(w for w in wider if held <= _blocks(unit, axes[0], w))
        case "groups":
            return _legal_groups(network, target)
        case "kernel":
            sizes = [
                layer.in_size
                for unit in units(network, target)
                for layer in unit.branch
                if layer.kind == "depthwise"
            ]
            if not sizes:
                raise EditError(f"kernel:{target} is not possible: it has no depthwise conv")
            most = min(LARGEST_KERNEL, 2 * min(sizes) + 1)
            now = value(network, "kernel", target)
            return tuple(sorted({now, *range(1, most + 1, 2)}))
    raise EditError(f"{name} has no values to choose from")


def value(network: Network, name: str, target: str) -> int:
    """The present value of what an edit would change; that of the first unit of several.

    Raises:
        EditError: the target does not exist, or has no such value.
    """
    match name:
        case "groups":
            return max(network.groups(layer) for layer in grouped_layers(network, target))
        case "kernel":
            found = [x for unit in units(network, target) for x in unit.branch]
            kernels = [layer.kernel for layer in found if layer.kind == "depthwise"]
            if not kernels:
                raise EditError(f"kernel:{target} is not possible: it has no depthwise conv")
            return kernels[0]
        case "mid":
            return network.width(mid_axes(network, target)[0])
    if is_stage(network, target):
        return network.width(stage_of(network, target).units[0].out_axis)
    return network.width(mid_axes(network, target)[0])


def undivided(network: Network) -> str:
    """The first layer whose groups do not divide its channels, in words; empty where all do."""
    for _, layer in network.layers(include_off=True):
        groups = network.groups(layer)
        for axis in (layer.in_axis, layer.out_axis):
            if network.width(axis) % groups:
                return f"{layer.path} has {groups} groups, which do not divide {axis}"
    return ""


def _check_legal(network: Network, name: str, target: str, wanted: int) -> None:
    legal = options(network, name, target)
    if wanted in legal:
        return
    now = value(network, name, target)
    if name in ("width", "mid") and wanted > max(legal):
        wider = () if name == "mid" and is_stage(network, target) else _wider(network, target)
        step = f"nearest is {name}:{target}={max(legal)}"
        if wider:
            step = f"widen:{target}={_closest(wider, wanted)} adds channels"
        raise EditError(
            f"{name}:{target}={wanted} is more than the {now} channels there are: {step}"
        )
    if name == "widen" and wanted < now:
        cut = "width" if is_stage(network, target) else "mid"
        fewer = _closest(options(network, cut, target), wanted)
        raise EditError(f"widen:{target}={wanted} has fewer channels: use {cut}:{target}={fewer}")
    below = [v for v in legal if v < wanted][-1:]
    above = [v for v in legal if v > wanted][:1]
    near = " and ".join(f"{name}:{target}={v}" for v in below + above)
    verb = "are" if below and above else "is"
    raise EditError(
        f"{name}:{target}={wanted} is not possible: {_reason(network, name, target, wanted)}; "
        f"nearest {verb} {near}"
    )


def _widths(network: Network, target: str) -> str:
    """What a stage's width can be cut to, in words."""
    try:
        legal = options(network, "width", target)
    except EditError as error:
        return str(error)
    fewer = legal[:-1]
    if not fewer:
        return f"only its width can be cut, and {legal[0]} channels are the least"
    more = f" to width:{target}={fewer[-1]}" if len(fewer) > 1 else ""
    return f"its channels can be cut: width:{target}={fewer[0]}{more}"


def _wider(network: Network, target: str) -> tuple[int, ...]:
    """The widths that a target can be widened to."""
    return options(network, "widen", target)[1:]


def _closest(values: tuple[int, ...], wanted: int) -> int:
    return min(values, key=lambda value: abs(value - wanted))


def _reason(network: Network, name: str, target: str, wanted: int) -> str:
    if wanted < 1:
        return "it has to be at least 1"
    if name == "kernel":
        return "a kernel is odd, and no larger than the feature map asks for"
    if name == "groups":
        widths = {
            network.width(axis)
            for layer in grouped_layers(network, target)
            for axis in (layer.in_axis, layer.out_axis)
        }
        return f"groups have to divide {', '.join(map(str, sorted(widths)))} channels"
    whole = is_stage(network, target)
    is_divided = (
        not whole
        and name == "widen"
        and not undivided(_with_axis(network, mid_axes(network, target)[0], wanted))
    )
    if is_divided and wanted <= WIDEST * value(network, "widen", target):
        return "channels would change their groups and break connections"
    if name == "widen" and whole and (found := _grouped_on(network, own_axis(network, target))):
        return (
            f"more channels would move those of {found.path} across its {found.groups} groups "
            "and break connections; make its groups 1 first"
        )
    if whole and name != "mid":
        rest = inherited(network, target)
        if wanted <= rest:
            return f"{rest} of its channels come from the stage before"
        axes: tuple[str, ...] = (own_axis(network, target),)
        taken = rest
    else:
        axes, taken = mid_axes(network, target), 0
    if wanted - taken > WIDEST * network.axes[axes[0]].width:
        return f"at most {WIDEST} times the channels can be added at once"
    tried = network
    for axis in axes:
        tried = _with_axis(tried, axis, wanted - taken)
    return undivided(tried)


def _legal_widths(network: Network, axis: str, widths: Iterable[int]) -> Iterator[int]:
    """Those of the widths that all groups divide."""
    conditions = set()
    for _, layer in network.layers(include_off=True):
        if layer.kind == "depthwise":
            continue
        for side in (layer.in_axis, layer.out_axis):
            times = _count(network, side, axis)
            if times and layer.groups > 1:
                fixed = network.width(side) - times * network.axes[axis].width
                conditions.add((fixed, times, layer.groups))
    return (w for w in widths if all((f + n * w) % g == 0 for f, n, g in conditions))


def _legal_groups(network: Network, target: str) -> tuple[int, ...]:
    layers = _regrouped(network, target)
    widths = {network.width(axis) for layer in layers for axis in (layer.in_axis, layer.out_axis)}
    return tuple(g for g in range(1, min(widths) + 1) if not any(w % g for w in widths))


def _count(network: Network, axis: str, part: str) -> int:
    """How often a basic axis occurs in an axis."""
    if axis == part:
        return 1
    return sum(_count(network, inner, part) for inner in network.axes[axis].parts)


def _blocks(unit: Unit, axis: str, width: int) -> Counter[tuple[int, ...]]:
    """How many channels of an inner axis lie in the same block of every conv on it.

    Wider, the channels keep their connections if there is as much room for each such set.
    """
    blocks: list[list[int]] = [[] for _ in range(width)]
    channels = list(range(width))
    for layer in unit.branch:
        if layer.kind == "conv" and layer.in_axis == axis:
            for place, channel in enumerate(channels):
                blocks[channel].append(place // (width // layer.groups))
        elif layer.kind == "conv" and layer.out_axis == axis:
            channels = list(range(width))
            for channel in channels:
                blocks[channel].append(channel // (width // layer.groups))
        elif layer.kind == "shuffle" and layer.in_axis == axis:
            run = width // layer.groups
            channels = [channels[i * run + j] for j in range(run) for i in range(layer.groups)]
    return Counter(map(tuple, blocks))


def _grouped_on(network: Network, axis: str) -> Layer | None:
    """A grouped conv that the channels of a basic axis run into or out of."""
    for _, layer in network.layers(include_off=True):
        is_on = _count(network, layer.in_axis, axis) or _count(network, layer.out_axis, axis)
        if layer.kind == "conv" and layer.groups > 1 and is_on:
            return layer
    return None


def _regrouped(network: Network, target: str) -> list[Layer]:
    """The layers that change with a group count: the shuffles, too, of whole units."""
    layers = list(grouped_layers(network, target))
    if target.rpartition(".")[2] not in PARTS:
        layers += [x for u in units(network, target) for x in u.branch if x.kind == "shuffle"]
    return layers


def _with_layers(network: Network, target: str, paths: set[str], **changes: int) -> Network:
    for unit in units(network, target):
        branch = tuple(
            msgspec.structs.replace(layer, **changes) if layer.path in paths else layer
            for layer in unit.branch
        )
        network = net.replace_unit(network, msgspec.structs.replace(unit, branch=branch))
    return network


def _with_axis(network: Network, axis: str, width: int) -> Network:
    return msgspec.structs.replace(network, axes=network.axes | {axis: Axis(width)})
