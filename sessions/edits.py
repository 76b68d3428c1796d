"""The edits: frozen values with a text form, and `apply`, which is pure and never half done.

Text form: off:stage1.unit3  on:stage1.unit3  width:stage3=210  mid:stage2.unit4=24
groups:stage3=6  groups:stage3.unit2.expand=1  kernel:stage1.unit2=5  widen:stage3=300
rank:stage2.unit1.expand_conv3=4 (or auto, or 90%)  head:conv  head:linear  classes:9  input:80
A cut takes @CRITERION behind it: width:stage3=210@fpgm.
"""

import difflib
from typing import Literal

import msgspec

from sessions import decomposing, reshaping
from sessions import network as net
from sessions.network import Axis, Network
from sessions.targets import EditError as EditError

INPUT_SIZES = (8, 1024)
"""Smallest and largest input edge in pixels."""
CLASS_COUNTS = (2, 100_000)
CRITERIA = ("l2", "l1", "std", "bn", "fpgm", "random", "taylor", "activation")
"""Names of the ways to tell which channels go; what they compute is in surgery/criteria.py."""
DATA_CRITERIA = frozenset({"taylor", "activation"})
"""Those that need images."""


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


class Cut(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the channels, or the connections, that stay are chosen."""

    criterion: str = CRITERIA[0]
    seed: int = 0
    """For the criterion `random`."""
    scores: str = ""
    """Sha256 name of the stored channel scores, for criteria that need images."""


class Width(Cut, frozen=True, tag="width"):
    """Cut the channels of a stage, everywhere they appear."""

    target: str
    value: int


class Mid(Cut, frozen=True, tag="mid"):
    """Cut the bottleneck of a unit, or of every unit of a stage."""

    target: str
    value: int


class Groups(Cut, frozen=True, tag="groups"):
    """Change the groups of a stage's, a unit's, or a part of a unit's 1x1 convs."""

    target: str
    value: int


class Kernel(msgspec.Struct, frozen=True, tag="kernel"):
    """Change the kernel of a unit's depthwise conv, or of those of every unit of a stage."""

    target: str
    value: int


class Widen(msgspec.Struct, frozen=True, tag="widen"):
    """Add channels to a stage, or to a unit's bottleneck; the function stays as it is."""

    target: str
    value: int
    seed: int = 0
    """For the weights that lead to the new channels."""


class Rank(msgspec.Struct, frozen=True, tag="rank"):
    """Decompose a layer into thinner ones."""

    layer: str
    ranks: tuple[int, ...] = ()
    """One per group for a 1x1 conv or a linear layer; of input and output for a larger kernel."""
    rule: str = ""
    """Where no rank is given: `auto`, or a share of the squared weights to keep, like `90%`."""


Reshape = Width | Mid | Groups | Kernel | Widen
"""Edits with a target and a value."""
Edit = UnitOff | UnitOn | Head | Classes | InputSize | Width | Mid | Groups | Kernel | Widen | Rank
RESHAPES: dict[str, type[Reshape]] = {
    "width": Width,
    "mid": Mid,
    "groups": Groups,
    "kernel": Kernel,
    "widen": Widen,
}
NAMES = ("off", "on", *RESHAPES, "rank", "head", "classes", "input")


def parse(text: str, criterion: str = CRITERIA[0]) -> Edit:
    """Read the text form of an edit.

    Args:
        text: see the module.
        criterion: of cuts that name none.

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
        number = _number(name, value)
        return Classes(number) if name == "classes" else InputSize(number)
    if name == "rank":
        target, ranks = _target(name, value, "stage2.unit1.expand_conv3=4")
        if ranks == "auto" or ranks.endswith("%"):
            return Rank(target, rule=ranks)
        return Rank(target, tuple(_number(name, part) for part in ranks.split("x")))
    if name in RESHAPES:
        return _parse_reshape(name, value, criterion)
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
        case Rank(layer, ranks, rule):
            return f"rank:{layer}={rule or 'x'.join(map(str, ranks))}"
        case _:
            name = next(name for name, kind in RESHAPES.items() if isinstance(edit, kind))
            by = ""
            if isinstance(edit, Cut) and edit.criterion != CRITERIA[0]:
                by = f"@{edit.criterion}"
            return f"{name}:{edit.target}={edit.value}{by}"


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
            check_range("classes", count, CLASS_COUNTS)
            axes = network.axes | {"classes": Axis(count)}
            return msgspec.structs.replace(network, axes=axes)
        case InputSize(size):
            check_range("input", size, INPUT_SIZES)
            return net.sized(network, size)
        case Rank(layer, ranks):
            return decomposing.decomposed(network, layer, ranks)
    if isinstance(edit, Cut):
        check_criterion(edit.criterion)
    match edit:
        case Width(target=target, value=value):
            return reshaping.with_width(network, target, value)
        case Mid(target=target, value=value):
            return reshaping.with_mid(network, target, value)
        case Groups(target=target, value=value):
            return reshaping.with_groups(network, target, value)
        case Kernel(target, value):
            return reshaping.with_kernel(network, target, value)
        case Widen(target, value):
            return reshaping.widened(network, target, value)


def toggle(network: Network, unit: str) -> Edit:
    """The edit that switches a unit to its other state."""
    found = network.units.get(unit)
    return UnitOn(unit) if found and not found.is_on else UnitOff(unit)


def check_criterion(name: str) -> None:
    """Make sure that there is a criterion of this name.

    Raises:
        EditError: there is none; the message names the nearest.
    """
    if name not in CRITERIA:
        close = difflib.get_close_matches(name, CRITERIA, 1)
        nearest = f"the nearest is {close[0]}; " if close else ""
        raise EditError(f"unknown criterion {name!r}: {nearest}use one of {', '.join(CRITERIA)}")


def _parse_reshape(name: str, value: str, criterion: str) -> Edit:
    target, rest = _target(name, value, "stage3=2")
    amount, at, own = rest.partition("@")
    number = _number(name, amount)
    kind = RESHAPES[name]
    if issubclass(kind, Cut):
        check_criterion(own if at else criterion)
        return kind(target=target, value=number, criterion=own if at else criterion)
    if at:
        raise EditError(f"{name} takes no criterion: write {name}:{target}={amount}")
    return kind(target=target, value=number)


def _target(name: str, value: str, example: str) -> tuple[str, str]:
    target, equals, rest = value.partition("=")
    if not equals or not target:
        raise EditError(f"{name}:{value} names no value: write {name}:{example}")
    return target, rest


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise EditError(f"{name} takes a whole number, not {value!r}") from None


def check_range(name: str, value: int, limits: tuple[int, int]) -> None:
    """Make sure that a value is within its limits, both included.

    Raises:
        EditError: it is not; the message names the nearest.
    """
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
        raise EditError(f"{path} stays: {why_it_stays(network, path)}{_can_be_off(network, unit)}")
    return net.replace_unit(network, msgspec.structs.replace(unit, is_on=is_on))


def why_it_stays(network: Network, path: str) -> str:
    """Why a unit cannot be off, empty where it can."""
    unit = network.units[path]
    if unit.is_removable:
        return ""
    if unit.is_downsampling:
        stage = next(stage for stage in network.stages if unit in stage.units)
        return f"it halves the resolution and sets the width of {stage.path}"
    if unit.join == "none" and unit.out_axis == unit.branch[0].in_axis:
        return "no shortcut leads around it"
    return "its output has another shape than its input"


def _can_be_off(network: Network, unit: net.Unit) -> str:
    stage = next(stage for stage in network.stages if unit in stage.units)
    others = [u.path for u in stage.units if u.is_removable and u.is_on]
    return f"; can be off: {', '.join(others)}" if others else ""


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
    if form == "conv" and any(layer.kind == "linear" for layer in kept):
        raise EditError("head:conv is not possible: it is decomposed; undo that, and do it after")
    if form == "conv":
        branch = [*kept, new_head, flatten]
    else:
        before = msgspec.structs.replace(flatten, in_axis=head.in_axis, out_axis=head.in_axis)
        branch = [*kept, before, new_head]
    edited = net.replace_unit(network, msgspec.structs.replace(unit, branch=tuple(branch)))
    return net.sized(edited, network.input_size)
