"""Carries weights over an edit and checks the result against the masked original.

The masked original is computed on the parent's own module: the last layer of every off unit's
branch is zeroed. The edited module must give the same logits.
"""

import msgspec
import torch

from sessions import edits
from sessions.edits import Classes, Edit, EditError, Head, UnitOff, UnitOn
from sessions.network import Network, Unit, replace_unit
from workbench.surgery.build import State, build

TOLERANCE = 1e-5
"""Largest accepted difference of a logit, relative to the largest logit where that is above 1."""
CHECK_IMAGES = 2


class Carried(msgspec.Struct, frozen=True):
    """A network after an edit."""

    network: Network
    state: State
    """Tensors of off units stay in it, so that they can come back."""
    changed: tuple[str, ...] = ()
    """Paths of the layers whose weights are other than before."""
    lost: tuple[str, ...] = ()
    """What could not be kept, in words."""

    @property
    def exact(self) -> bool:
        """Whether nothing was lost."""
        return not self.lost


def carry(network: Network, state: State, edit: Edit) -> Carried:
    """The edited network with its weights; the given ones are unchanged.

    Raises:
        EditError: the edit is not legal, or its weights are not there.
    """
    edited = edits.apply(network, edit)
    match edit:
        case UnitOn(path):
            keys = [layer.key for layer in edited.units[path].layers() if layer.key]
            if any(f"{key}.weight" not in state for key in keys):
                raise EditError(f"{path} has no weights in this file: start from the file before")
        case Head() if edited.head != network.head:
            return _carry_head(network, edited, state)
        case Classes() if edited.classes != network.classes:
            return _fresh_head(edited, state, edit.seed)
    return Carried(edited, state)


def masked_error(network: Network, state: State, carried: Carried, edit: Edit) -> float | None:
    """Largest |d logit| between the edited network and the masked original, on random images.

    Relative to the largest logit where that is above 1. None where the edit has no original of
    the same shape: another input size, new classes.
    """
    if not isinstance(edit, UnitOff | UnitOn | Head):
        return None
    original, masked = network, dict(state)
    for unit in network.units.values():
        if not unit.is_on and f"{unit.branch[0].key}.weight" not in state:
            continue
        original = replace_unit(original, msgspec.structs.replace(unit, is_on=True))
        if not carried.network.units[unit.path].is_on:
            masked |= _zeroed(unit, masked)
    if carried.lost and isinstance(edit, Head):
        masked[f"{network.head.key}.bias"] = torch.zeros(network.classes)
    generator = torch.Generator().manual_seed(0)
    shape = (CHECK_IMAGES, network.input_channels, network.input_size, network.input_size)
    images = torch.randn(shape, generator=generator)
    with torch.inference_mode():
        before = build(original, masked)(images)
        after = build(carried.network, carried.state)(images)
    return float((before - after).abs().max() / before.abs().max().clamp(min=1.0))


def checked_error(network: Network, state: State, carried: Carried, edit: Edit) -> float | None:
    """The masked error, where the edit has a masked original.

    Raises:
        EditError: the error is above the tolerance; the edit must not be used.
    """
    error = masked_error(network, state, carried, edit)
    if error is not None and error > TOLERANCE:
        raise EditError(
            f"{edits.text(edit)} refused: it differs from the masked original by {error:.1e}"
        )
    return error


def _zeroed(unit: Unit, state: State) -> State:
    last = [layer for layer in unit.branch if layer.key][-1]
    names = (f"{last.key}.weight", f"{last.key}.bias")
    return {name: torch.zeros_like(state[name]) for name in names if name in state}


def _carry_head(before: Network, after: Network, state: State) -> Carried:
    key = before.head.key
    carried = dict(state)
    carried[f"{key}.weight"] = state[f"{key}.weight"].reshape(after.weight_shape(after.head))
    bias = carried.pop(f"{key}.bias", None)
    if after.head.has_bias:
        carried[f"{key}.bias"] = torch.zeros(after.classes) if bias is None else bias
        bias = None
    is_lossy = bias is not None and bool(bias.any())
    lost = (f"the classifier's {after.classes} biases",) if is_lossy else ()
    return Carried(after, carried, (after.head.path,), lost)


def _fresh_head(after: Network, state: State, seed: int) -> Carried:
    """A classifier drawn like torch draws a new layer: uniform, bound 1 / sqrt(fan in)."""
    key = after.head.key
    shape = after.weight_shape(after.head)
    bound = after.width(after.head.in_axis) ** -0.5
    generator = torch.Generator().manual_seed(seed)
    carried = dict(state)
    carried[f"{key}.weight"] = (torch.rand(shape, generator=generator) * 2 - 1) * bound
    if after.head.has_bias:
        carried[f"{key}.bias"] = (torch.rand(shape[:1], generator=generator) * 2 - 1) * bound
    return Carried(after, carried, (after.head.path,), ("the classifier: it starts anew",))
