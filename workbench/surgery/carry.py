"""Carries weights over an edit and checks the result against the masked original.

The masked original has the structure from before the edit and its weights without what was lost;
the edited network must give the same logits. A decomposition has the product of its factors there.
"""

from collections.abc import Mapping

import msgspec
import torch

from sessions import decomposing, edits
from sessions.edits import (
    DATA_CRITERIA,
    Classes,
    Cut,
    Edit,
    EditError,
    Groups,
    Head,
    Kernel,
    Mid,
    Rank,
    Reshape,
    UnitOff,
    UnitOn,
    Widen,
    Width,
)
from sessions.network import Network, Unit, replace_unit
from workbench.surgery import decompose
from workbench.surgery.build import TENSORS, State, run, units_on
from workbench.surgery.reshape import reshape

TOLERANCE = 1e-5
"""Largest accepted difference of a logit, relative to the largest logit where that is above 1."""
FINE_TOLERANCE = 1e-9
"""The same in double precision, which decides where single precision is in doubt."""
EXACT = 1e-10
"""Share of the squared weights whose loss is rounding."""
CHECK_IMAGES = 2
CHECK_SIZE = 64
"""Edge of the check's images in pixels, where the network's is larger."""
OPEN = 3.0
"""The least bias at which a hard sigmoid of it alone is exactly one."""
Scores = Mapping[str, list[float]]
"""Measured channel importances by axis."""


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A network after an edit."""

    network: Network
    state: State
    """Tensors of off units stay in it, so that they can come back."""
    original: Network | None = None
    """What the edit is checked against; None where nothing has the same outputs."""
    masked: State = {}
    """The weights of the original without what was lost."""
    changed: tuple[str, ...] = ()
    """Paths of the layers whose weights are other than before."""
    lost: tuple[str, ...] = ()
    """What could not be kept, in words."""
    kept: dict[str, float] = {}
    """Importance that each conv keeps, 0..1, of those that the edit reaches."""
    orders: dict[str, list[int]] = {}
    """For every axis that changed, the old channel at each new place; -1 for a new channel."""
    is_whole: bool = True
    """Whether no weight other than zero was lost."""

    @property
    def exact(self) -> bool:
        """Whether nothing was lost."""
        return self.is_whole and not self.lost

    @property
    def kept_share(self) -> float:
        """Importance kept, the mean over the convs that the edit reaches, 0..1."""
        return sum(self.kept.values()) / len(self.kept) if self.kept else 1.0


def carry(
    network: Network,
    state: State,
    edit: Edit,
    measured: Scores | None = None,
    *,
    is_arranged: bool = True,
) -> Carried:
    """The edited network with its weights; the given ones are unchanged.

    Args:
        measured: for criteria that need images.
        is_arranged: False leaves channels in their old order: for comparison only.

    Raises:
        EditError: the edit is not legal, or its weights are not there.
    """
    edited = edits.apply(network, edit)
    try:
        return _carried(network, edited, state, edit, measured, is_arranged=is_arranged)
    except EditError:
        raise
    except ValueError:  # numpy's LinAlgError is one
        if all(torch.isfinite(value).all() for value in state.values()):
            raise
        raise EditError(
            f"{edits.text(edit)} refused: some weights are not finite numbers, so that channels "
            "cannot be compared: go back to a variant from before"
        ) from None


def _carried(
    network: Network,
    edited: Network,
    state: State,
    edit: Edit,
    measured: Scores | None,
    *,
    is_arranged: bool,
) -> Carried:
    match edit:
        case UnitOff() | UnitOn():
            return _switched(network, edited, state, edit.unit)
        case Head() if edited.head != network.head:
            return _carry_head(network, edited, state)
        case Classes() if edited.classes != network.classes:
            return _fresh_head(edited, state, edit.seed)
        case Rank():
            return _decomposed(network, edited, state, edit)
        case Width() | Mid() | Groups() | Kernel() | Widen():
            return _reshaped(network, edited, state, edit, measured, is_arranged=is_arranged)
    return Carried(network=edited, state=state)


def masked_error(carried: Carried, dtype: torch.dtype = torch.float32) -> float | None:
    """Largest |d logit| between the edited network and the masked original, on random images.

    Relative to the largest logit where that is above 1. None where the edit has no original:
    another input size, new classes.
    """
    if carried.original is None:
        return None
    network = carried.network
    size = min(network.input_size, CHECK_SIZE)
    generator = torch.Generator().manual_seed(0)
    shape = (CHECK_IMAGES, network.input_channels, size, size)
    images = torch.randn(shape, generator=generator).to(dtype)
    original, masked = carried.original, _cast(carried.masked, dtype)
    shared = _shared_units(carried)
    with torch.inference_mode():
        images = run(original, masked, images, slice(shared))
        before = run(original, masked, images, slice(shared, None))
        after = run(network, _cast(carried.state, dtype), images, slice(shared, None))
    return float((before - after).abs().max() / before.abs().max().clamp(min=1.0))


def checked_error(carried: Carried, edit: Edit) -> float | None:
    """The masked error, where the edit has a masked original.

    Raises:
        EditError: the error is above the tolerance; the edit must not be used.
    """
    error = masked_error(carried)
    if error is None or error <= TOLERANCE:
        return error
    fine = masked_error(carried, torch.float64)
    if fine is None or not fine <= FINE_TOLERANCE:
        raise EditError(
            f"{edits.text(edit)} not made, for its check failed: outputs differ by {fine:.2g} from "
            "those before"
        )
    return error


def _shared_units(carried: Carried) -> int:
    """How many leading units are the very same, so that running them once is enough."""
    assert carried.original is not None
    count = 0
    for before, after in zip(units_on(carried.original), units_on(carried.network), strict=False):
        names = [f"{layer.key}.{part}" for layer in before.layers() for part in TENSORS]
        if before != after or any(
            carried.masked.get(name) is not carried.state.get(name) for name in names
        ):
            break
        count += 1
    return count


def _switched(network: Network, edited: Network, state: State, path: str) -> Carried:
    """The original has every unit whose weights are there, and those that are off lead nowhere."""
    keys = [layer.key for layer in edited.units[path].layers() if layer.key]
    if edited.units[path].is_on and any(f"{key}.weight" not in state for key in keys):
        raise EditError(f"{path} has no weights in this file: start from the file before")
    original, masked = network, dict(state)
    for unit in network.units.values():
        first = next((layer.key for layer in unit.branch if layer.key), "")
        if not unit.is_on and f"{first}.weight" not in state:
            continue
        original = replace_unit(original, msgspec.structs.replace(unit, is_on=True))
        if not edited.units[unit.path].is_on:
            masked |= _zeroed(unit, masked)
    return Carried(network=edited, state=state, original=original, masked=masked)


def _zeroed(unit: Unit, state: State) -> State:
    """The last weights of a branch so that it adds nothing, or that all its factors are one."""
    last = [layer for layer in unit.branch if layer.key][-1]
    bias = OPEN if unit.is_gate else 0.0
    starts = {f"{last.key}.weight": 0.0, f"{last.key}.bias": bias}
    return {k: torch.full_like(state[k], value) for k, value in starts.items() if k in state}


def _reshaped(
    network: Network,
    edited: Network,
    state: State,
    edit: Reshape,
    measured: Scores | None,
    *,
    is_arranged: bool,
) -> Carried:
    if isinstance(edit, Cut) and edit.criterion in DATA_CRITERIA and measured is None:
        raise EditError(f"{edit.criterion} needs images: measure the channels first")
    done = reshape(network, edited, state, edit, measured, is_arranged=is_arranged)
    if isinstance(edit, Widen) and not done.is_whole:
        raise EditError(
            f"{edits.text(edit)} would move channels across groups and break connections: "
            f"try a multiple of {edit.value}, or fewer groups first"
        )
    changed = tuple(
        layer.path
        for _, layer in edited.layers(include_off=True)
        if f"{layer.key}.weight" in state
        and not torch.equal(done.state[f"{layer.key}.weight"], state[f"{layer.key}.weight"])
    )
    return Carried(
        network=edited,
        state=done.state,
        original=network,
        masked=done.masked,
        changed=changed,
        kept=done.kept,
        orders=done.orders,
        is_whole=done.is_whole,
    )


def _decomposed(network: Network, edited: Network, state: State, edit: Rank) -> Carried:
    layer = decomposing.decomposable(network, edit.layer)
    if f"{layer.key}.weight" not in state:
        raise EditError(f"{layer.path} has no weights in this file: start from the file before")
    factors = decompose.factored(network, state, layer, edit.ranks)
    carried = {k: v for k, v in state.items() if not k.startswith(f"{layer.key}.")}
    return Carried(
        network=edited,
        state=carried | factors.parts,
        original=network,
        masked=state | {f"{layer.key}.weight": factors.rebuilt},
        changed=tuple(f"{layer.path}_{name}" for name in decomposing.factor_names(layer)),
        kept={layer.path: factors.kept},
        is_whole=factors.kept >= 1 - EXACT,
    )


def _carry_head(before: Network, after: Network, state: State) -> Carried:
    key = before.head.key
    carried, masked = dict(state), dict(state)
    carried[f"{key}.weight"] = state[f"{key}.weight"].reshape(after.weight_shape(after.head))
    bias = carried.pop(f"{key}.bias", None)
    if after.head.has_bias:
        zeros = state[f"{key}.weight"].new_zeros(after.classes)
        carried[f"{key}.bias"] = zeros if bias is None else bias
        bias = None
    is_lossy = bias is not None and bool(bias.any())
    if is_lossy:
        masked[f"{key}.bias"] = torch.zeros_like(state[f"{key}.bias"])
    return Carried(
        network=after,
        state=carried,
        original=before,
        masked=masked,
        changed=(after.head.path,),
        lost=(f"the classifier's {after.classes} biases",) if is_lossy else (),
    )


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
    return Carried(
        network=after,
        state=carried,
        changed=(after.head.path,),
        lost=("the classifier: it starts anew",),
    )


def _cast(state: State, dtype: torch.dtype) -> State:
    if dtype == torch.float32:
        return state
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
