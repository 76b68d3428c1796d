"""Random legal edits, drawn from the values that the workbench offers for a network."""

import random

import numpy as np

from sessions import decomposing, edits, reshaping
from sessions.edits import Classes, Cut, Edit, EditError, Head, InputSize, Rank
from sessions.network import Network
from workbench.surgery.carry import Carried, carry

CUTS = ("width", "mid", "groups")
MASKING = ("switch", "head", *CUTS, *CUTS, "kernel", "widen")
"""Kinds whose results are the original with less; cuts are drawn twice as often."""
KINDS = (*MASKING, "rank", "classes", "input")


def targets(network: Network, kind: str) -> list[str]:
    """What a reshape of a kind can be made on, whether or not there is another legal value."""
    stages = [stage for stage in network.stages if not stage.is_plain]
    names = [stage.path for stage in stages]
    units = [unit.path for stage in stages for unit in stage.units]
    parts = [f"{unit}.{part}" for unit in units for part in reshaping.PARTS]
    return {
        "width": ["init", *names],
        "widen": ["init", *names, *units],
        "mid": names + units,
        "kernel": names + units,
        "groups": names + units + parts,
    }[kind]


def others(network: Network, kind: str, target: str) -> list[int]:
    """The legal values of a target that are not the present one."""
    try:
        now = reshaping.value(network, kind, target)
        legal = reshaping.options(network, kind, target)
    except EditError:  # a stage of several bottlenecks is not widened as one
        return []
    return [value for value in legal if value != now]


def drawn(rng: random.Random, network: Network, kinds: tuple[str, ...] = KINDS) -> Edit:
    """A legal edit that changes something; of the classes where no kind has another."""
    for kind in rng.sample(kinds, len(kinds)):
        edit = _of_kind(rng, network, kind)
        if edit is not None:
            return edit
    return Classes(network.classes + 1)


def _of_kind(rng: random.Random, network: Network, kind: str) -> Edit | None:
    match kind:
        case "switch":
            removable = [path for path, unit in network.units.items() if unit.is_removable]
            off = [path for path in removable if not network.units[path].is_on]
            choice = off if off and rng.random() < 0.5 else removable
            return edits.toggle(network, rng.choice(choice)) if choice else None
        case "head":
            return _head(network)
        case "classes":
            return Classes(network.classes + rng.randint(1, 3), rng.randrange(9))
        case "input":
            return InputSize(rng.choice([n for n in (24, 33, 40) if n != network.input_size]))
        case "rank":
            return _rank(rng, network)
    found = targets(network, kind)
    for target in rng.sample(found, len(found)):
        if values := others(network, kind, target):
            return _reshape(rng, kind, target, rng.choice(values))
    return None


def _head(network: Network) -> Head | None:
    edit = Head("conv" if network.head.kind == "linear" else "linear")
    try:
        edits.apply(network, edit)
    except EditError:  # a decomposed linear classifier stays linear
        return None
    return edit


def _reshape(rng: random.Random, kind: str, target: str, value: int) -> Edit:
    made = edits.RESHAPES[kind]
    if issubclass(made, Cut):
        by, seed = rng.choice(edits.CRITERIA), rng.randrange(9)
        return made(target=target, value=value, criterion=by, seed=seed)
    return made(target=target, value=value)


def _rank(rng: random.Random, network: Network) -> Rank:
    can_be = [
        layer for unit, layer in network.layers(include_off=True)
        if layer in unit.branch and decomposing.can_be_decomposed(layer)
    ]  # fmt: skip
    # Factors of factors are legal, but there would soon be nothing else.
    whole = [layer for layer in can_be if not layer.name.endswith(("_in", "_core", "_out"))]
    layer = rng.choice(whole or can_be)
    full = decomposing.full_ranks(network, layer)
    return Rank(layer.path, tuple(rng.randint(1, most) for most in full))


def measured(network: Network, seed: int) -> dict[str, list[float]]:
    """Channel scores as a measurement on images would give them."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.random(axis.width).tolist()
        for name, axis in network.axes.items()
        if not axis.parts
    }


def carried(at: Carried, edit: Edit, seed: int) -> Carried:
    """What an edit makes of a network; it was offered, so it is never refused."""
    return carry(at.network, at.state, edit, measured(at.network, seed))
