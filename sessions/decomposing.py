"""Layers replaced by thinner ones: what can be decomposed, and the network after it.

A 1x1 conv or a linear layer becomes two of low rank, grouped as it was; a dense k x k conv becomes
three (Tucker-2): 1x1, k x k, 1x1. Only the last one has the bias that the layer had.
"""

import msgspec

from sessions import network as net
from sessions.network import Axis, Layer, Network, Unit
from sessions.targets import EditError, nearest


def decomposed(network: Network, path: str, ranks: tuple[int, ...]) -> Network:
    """The network with a layer replaced by two thinner ones, or by three where its kernel is not 1.

    Raises:
        EditError: no such layer, it cannot be decomposed, or a rank is out of range.
    """
    unit, layer = _found(network, path)
    if not ranks:
        raise EditError(f"rank:{path} has no rank yet: it follows from the weights")
    full = full_ranks(network, layer)
    written = "x".join(map(str, ranks))
    if len(ranks) != len(full):
        raise EditError(
            f"rank:{path}={written} is not possible: {_wanted(full)}; "
            f"nearest is rank:{path}={'x'.join(map(str, _within(full, ranks)))}"
        )
    for rank, most in zip(ranks, full, strict=True):
        if not 1 <= rank <= most:
            near = "x".join(map(str, _within(full, ranks)))
            raise EditError(
                f"rank:{path}={written} is not possible: full rank is "
                f"{'x'.join(map(str, full))}: nearest is rank:{path}={near}"
            )
    parts, axes = _factors(layer, unit, network.groups(layer), ranks)
    branch = tuple(x for old in unit.branch for x in (parts if old is layer else (old,)))
    network = msgspec.structs.replace(network, axes=network.axes | axes)
    edited = net.replace_unit(network, msgspec.structs.replace(unit, branch=branch))
    return net.sized(edited, network.input_size)


def full_ranks(network: Network, layer: Layer) -> tuple[int, ...]:
    """The ranks at which a decomposition loses nothing: per group, or of input and output."""
    out_width, per_group, *_ = network.weight_shape(layer)
    if layer.kernel > 1:
        return (per_group, out_width)
    return (min(per_group, out_width // network.groups(layer)),)


def can_be_decomposed(layer: Layer) -> bool:
    """Whether there is a decomposition for a layer: 1x1 convs, linear layers, dense k x k convs."""
    is_linear = layer.kind == "linear" or (layer.kind == "conv" and layer.kernel == 1)
    return is_linear or (layer.kind == "conv" and layer.groups == 1)


def is_factor(layer: Layer) -> bool:
    """Whether a layer is one of the thinner ones that took another's place."""
    return any("_rank" in axis.rpartition(".")[2] for axis in (layer.in_axis, layer.out_axis))


def factor_names(layer: Layer) -> tuple[str, ...]:
    """Endings of the names of the layers that a layer is decomposed into, in running order."""
    return ("in", "out") if layer.kernel == 1 else ("in", "core", "out")


def is_decomposable(network: Network, path: str) -> bool:
    """Whether the layer of a path can be decomposed."""
    return any(layer.path == path for _, layer in _layers(network))


def decomposable(network: Network, path: str) -> Layer:
    """The layer of a path, where it can be decomposed.

    Raises:
        EditError: there is none, or it cannot be; the message has the nearest that can.
    """
    return _found(network, path)[1]


def _wanted(full: tuple[int, ...]) -> str:
    """What ranks a layer takes, in words."""
    if len(full) == 1:
        return f"it takes one rank, 1 to {full[0]}"
    return f"it takes two ranks, of its input (1 to {full[0]}) and its output (1 to {full[1]})"


def _within(full: tuple[int, ...], ranks: tuple[int, ...]) -> list[int]:
    """The legal ranks nearest to some; where one was given for two, it is for both."""
    given = (*ranks, *ranks[-1:] * len(full))
    return [min(max(rank, 1), most) for rank, most in zip(given, full, strict=False)]


def _layers(network: Network) -> list[tuple[Unit, Layer]]:
    return [
        (unit, layer)
        for unit, layer in network.layers(include_off=True)
        if can_be_decomposed(layer) and layer in unit.branch
    ]


def _found(network: Network, path: str) -> tuple[Unit, Layer]:
    found = _layers(network)
    for unit, layer in found:
        if layer.path == path:
            return unit, layer
    known = [layer.path for _, layer in found]
    kinds = {layer.path: layer.kind for _, layer in network.layers(include_off=True)}
    why = f"a {kinds[path]} layer cannot be decomposed" if path in kinds else f"no layer {path!r}"
    raise EditError(f"{why}: {nearest('rank', path, known)}")


def _factors(
    layer: Layer, unit: Unit, groups: int, ranks: tuple[int, ...]
) -> tuple[tuple[Layer, ...], dict[str, Axis]]:
    """The layers that take a layer's place, and the axes between them."""
    names = factor_names(layer)
    inner = [f"{unit.path}.{layer.name}_rank{n}" for n in range(1, len(names))]
    axes = {name: Axis(groups * rank) for name, rank in zip(inner, ranks, strict=True)}
    between = [layer.in_axis, *inner, layer.out_axis]
    made = []
    for position, name in enumerate(names):
        is_core = name == "core"
        is_strided = name == ("core" if len(names) == 3 else "in")
        made.append(
            msgspec.structs.replace(
                layer,
                path=f"{layer.path}_{name}",
                key=f"{layer.key}_{name}",
                in_axis=between[position],
                out_axis=between[position + 1],
                kernel=layer.kernel if is_core else 1,
                stride=layer.stride if is_strided else 1,
                padding=layer.padding if is_core else 0,
                groups=groups,
                has_bias=layer.has_bias and position == len(names) - 1,
            )
        )
    return tuple(made), axes
