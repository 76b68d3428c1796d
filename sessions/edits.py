"""The edits: frozen values with a text form, and `apply`, which is pure and never half done.

Text form: off:stage1.unit3  on:stage1.unit3  head:conv  head:linear  classes:9  input:80
"""

import difflib
from typing import Literal

import msgspec

from sessions import network as net
from sessions.network import Axis, Network

INPUT_SIZES = (8, 1024)
"""Smallest and largest input edge in pixels."""
CLASS_COUNTS = (2, 100_000)


class EditError(ValueError):
    """An edit that is not possible: the message gives the reason and the nearest legal value."""


class UnitOff(msgspec.Struct, frozen=True, tag="off"):
    """Mask a unit's branch: its output becomes its input."""

    unit: str


class UnitOn(msgspec.Struct, frozen=True, tag="on"):
    """Take a unit back with the weights it had."""

    unit: str


class Head(msgspec.Struct, frozen=True, tag="head"):
    """Make the classifier a 1x1 conv without bias, or a linear layer with one."""

    form: Literal["conv", "linear"]


class Classes(msgspec.Struct, frozen=True, tag="classes"):
    """Replace the classifier by a new one, initialised from the seed."""

    count: int
    seed: int = 0


class InputSize(msgspec.Struct, frozen=True, tag="input"):
    """Run at another input size; weights stay."""

    size: int


Edit = UnitOff | UnitOn | Head | Classes | InputSize
NAMES = ("off", "on", "head", "classes", "input")


def parse(text: str) -> Edit:
    """Read the text form of an edit.

    Raises:
        EditError: unknown edit, or a value of the wrong form.
    """
    name, colon, value = text.partition(":")
    if not colon or not value:
        raise EditError(f"{text!r} is not an edit: write NAME:VALUE, for example off:stage1.unit3")
    if name == "off":
        return UnitOff(value)
    if name == "on":
        return UnitOn(value)
    if name == "head":
        if value not in ("conv", "linear"):
            raise EditError(f"head:{value} is not possible: use head:conv or head:linear")
        return Head(value)  # type: ignore[arg-type]
    if name in ("classes", "input"):
        try:
            number = int(value)
        except ValueError:
            raise EditError(f"{name} takes a whole number, not {value!r}") from None
        return Classes(number) if name == "classes" else InputSize(number)
    close = difflib.get_close_matches(name, NAMES, 1)
    hint = f"did you mean {close[0]}:{value}?" if close else f"use one of {', '.join(NAMES)}"
    raise EditError(f"unknown edit {name!r}: {hint}")


def text(edit: Edit) -> str:
    """The text form that `parse` reads."""
    match edit:
        case UnitOff(unit):
            return f"off:{unit}"
        case UnitOn(unit):
            return f"on:{unit}"
        case Head(form):
            return f"head:{form}"
        case Classes(count):
            return f"classes:{count}"
        case InputSize(size):
            return f"input:{size}"


def apply(network: Network, edit: Edit) -> Network:
    """The edited network; the given one is unchanged.

    Raises:
        EditError: the edit is not legal on this network.
    """
    match edit:
        case UnitOff(unit) | UnitOn(unit):
            return _switch(network, unit, is_on=isinstance(edit, UnitOn))
        case Head(form):
            return _with_head(network, form)
        case Classes(count):
            _check_range("classes", count, CLASS_COUNTS)
            axes = network.axes | {"classes": Axis(count)}
            return msgspec.structs.replace(network, axes=axes)
        case InputSize(size):
            _check_range("input", size, INPUT_SIZES)
            return net.sized(network, size)


def toggle(network: Network, unit: str) -> Edit:
    """The edit that switches a unit to its other state."""
    found = network.units.get(unit)
    return UnitOn(unit) if found and not found.is_on else UnitOff(unit)


def _check_range(name: str, value: int, limits: tuple[int, int]) -> None:
    low, high = limits
    if not low <= value <= high:
        nearest = low if value < low else high
        raise EditError(f"{name}:{value} is out of {low}..{high}: nearest is {name}:{nearest}")


def _switch(network: Network, path: str, *, is_on: bool) -> Network:
    verb = "on" if is_on else "off"
    unit = network.units.get(path)
    if unit is None:
        choice = [u.path for u in network.units.values() if u.is_removable]
        near = difflib.get_close_matches(path, choice, 1, 0.0)
        raise EditError(
            f"no unit {path!r}: the nearest is {verb}:{near[0]}"
            if near
            else f"no unit {path!r}: nothing in this network can be switched off"
        )
    if unit.is_on == is_on:
        raise EditError(f"{path} is already {verb}")
    if not is_on and not unit.is_removable:
        raise EditError(f"{path} stays: {_why_it_stays(network, unit)}")
    return net.replace_unit(network, msgspec.structs.replace(unit, is_on=is_on))


def why_it_stays(network: Network, path: str) -> str:
    """Why a unit cannot be off, empty where it can."""
    unit = network.units[path]
    return "" if unit.is_removable else _why_it_stays(network, unit)


def _why_it_stays(network: Network, unit: net.Unit) -> str:
    stage = next(stage for stage in network.stages if unit in stage.units)
    others = [u.path for u in stage.units if u.is_removable and u.is_on]
    instead = f"; can be off: {', '.join(others)}" if others else ""
    if unit.is_downsampling:
        return f"it halves the resolution and sets the width of {stage.path}{instead}"
    return f"its output has another shape than its input{instead}"


def _with_head(network: Network, form: str) -> Network:
    head = network.head
    if head.kind == form:
        return network
    kind: net.Kind = "conv" if form == "conv" else "linear"
    flatten = net.Layer(
        path="output.flatten", kind="flatten", in_axis="classes", out_axis="classes"
    )
    new_head = msgspec.structs.replace(head, kind=kind, has_bias=form == "linear")
    unit = next(u for u, layer in network.layers(include_off=True) if layer == head)
    kept = [layer for layer in unit.branch if layer.kind != "flatten" and layer != head]
    if form == "conv":
        branch = [*kept, new_head, flatten]
    else:
        before = msgspec.structs.replace(flatten, in_axis=head.in_axis, out_axis=head.in_axis)
        branch = [*kept, before, new_head]
    edited = net.replace_unit(network, msgspec.structs.replace(unit, branch=tuple(branch)))
    return net.sized(edited, network.input_size)
