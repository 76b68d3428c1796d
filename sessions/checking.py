"""Whether a Network that came from a file holds together, before anything is built from it."""

import re

from sessions.network import Network

LARGEST_WIDTH = 1 << 20
LARGEST_EDGE = 1024
LARGEST_DEPTH = 64
"""Bounds on what a file may claim, far above anything real."""
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)


def check(network: Network) -> None:
    """Make sure that a Network read from a file holds together.

    Raises:
        ValueError: an axis is unknown or contains itself, or a number or a name is out of range.
    """
    widths: dict[str, int] = {}

    def visit(name: str, within: tuple[str, ...]) -> int:
        if name in widths:
            return widths[name]
        if name not in network.axes:
            raise ValueError(f"axis {name!r} is unknown")
        if name in within:
            raise ValueError(f"axis {name!r} contains itself")
        if len(within) > LARGEST_DEPTH:
            raise ValueError(f"axis {name!r} is nested too deeply")
        axis = network.axes[name]
        parts = [visit(part, (*within, name)) for part in axis.parts]
        widths[name] = sum(parts) if parts else axis.width
        if not 1 <= widths[name] <= LARGEST_WIDTH:
            raise ValueError(f"axis {name!r} has width {widths[name]}")
        return widths[name]

    for name in ("image", "classes", *network.axes):
        visit(name, ())
    if not 1 <= network.input_size <= LARGEST_EDGE:
        raise ValueError(f"input size {network.input_size} is out of range")
    keys: set[str] = set()
    for _, layer in network.layers(include_off=True):
        if layer.in_axis not in network.axes or layer.out_axis not in network.axes:
            raise ValueError(f"{layer.path} is on an unknown axis")
        numbers = (layer.kernel, layer.stride, layer.groups, layer.padding + 1)
        if min(numbers) < 1 or max(numbers) > LARGEST_WIDTH or layer.padding > layer.kernel // 2:
            raise ValueError(f"{layer.path} has a kernel, stride, padding or groups out of range")
        if not _NAME.fullmatch(layer.path) or (layer.key and not _NAME.fullmatch(layer.key)):
            raise ValueError(f"{layer.path!r} or {layer.key!r} is no name")
        groups = network.groups(layer)
        if network.width(layer.in_axis) % groups or network.width(layer.out_axis) % groups:
            raise ValueError(f"{layer.path}: {groups} groups do not divide its channels")
        if layer.key in keys:
            raise ValueError(f"{layer.path} uses the tensors of another layer")
        keys |= {layer.key} - {""}
    channels = network.input_channels
    if not (len(network.mean) == len(network.std) == channels) or min(network.std) <= 0:
        raise ValueError("mean and std do not fit the input channels")
    if not keys:
        raise ValueError("it has no layer with weights")
    for unit in network.units.values():
        if unit.join == "scale" and (not unit.is_gate or unit.out_axis != unit.branch[0].in_axis):
            raise ValueError(f"{unit.path} scales its input, but does not end as a gate on it")
        if not unit.is_on and not unit.is_removable:
            raise ValueError(f"{unit.path} is off, but cannot be")
