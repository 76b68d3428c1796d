"""What can be changed at a row of the tree, and what every legal value would come to."""

import msgspec

from sessions import decomposing, edits, macs, reshaping, targets
from sessions.edits import CRITERIA, Cut, Edit, EditError, Rank
from sessions.network import Layer, Network
from sessions.score import Rule
from sessions.state import Variant

TITLES = {
    "width": "width",
    "mid": "bottleneck",
    "groups": "groups",
    "groups.compress": "groups, compress",
    "groups.expand": "groups, expand",
    "kernel": "kernel",
    "widen": "widen",
    "rank": "rank",
}


class Offer(msgspec.Struct, frozen=True):
    """One thing that can be changed."""

    name: str
    """Of the edit, as in its text form."""
    target: str
    title: str
    now: int
    """The present value; the full rank for a rank."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """One legal value and what it would come to."""

    edit: Edit | None
    """None for the present value."""
    value: str
    macs: int
    change: int
    """Of the MACs."""
    score: float | None
    """If F1 stayed as it is; None where F1 is not known."""
    worth: float
    """F1 that may be lost until the saving is used up."""


def offers(network: Network, path: str) -> tuple[Offer, ...]:
    """What can be changed at a row: a stage, a unit or a layer."""
    found = []
    for name, target in _candidates(network, path):
        try:
            if name == "rank":
                layer = decomposing.decomposable(network, target)
                now, is_choice = decomposing.full_ranks(network, layer)[-1], True
            else:
                now = reshaping.value(network, name, target)
                is_choice = len(reshaping.options(network, name, target)) > 1
        except EditError:
            continue
        if is_choice:
            part = target.rpartition(".")[2]
            key = f"{name}.{part}" if name == "groups" and part in targets.PARTS else name
            found.append(Offer(name, target, TITLES[key], now))
    return tuple(found)


def previews(
    variant: Variant, offer: Offer, rule: Rule, criterion: str = CRITERIA[0]
) -> tuple[Preview, ...]:
    """Every legal value of an offer, from the smallest, with what it would come to."""
    network = variant.network
    if offer.name == "rank":
        layer = decomposing.decomposable(network, offer.target)
        full = decomposing.full_ranks(network, layer)
        # Of a larger kernel both ranks shrink together.
        choices: list[tuple[str, Edit | None]] = []
        for rank in range(1, full[-1] + 1):
            ranks = tuple(max(round(rank * f / full[-1]), 1) for f in full)
            choices.append(("x".join(map(str, ranks)), Rank(offer.target, ranks)))
    else:
        kind = edits.RESHAPES[offer.name]
        choices = []
        for value in reshaping.options(network, offer.name, offer.target):
            edit: edits.Reshape = kind(target=offer.target, value=value)
            if isinstance(edit, Cut):
                edit = msgspec.structs.replace(edit, criterion=criterion)
            choices.append((str(value), None if value == offer.now else edit))
    return tuple(_preview(variant, rule, value, edit) for value, edit in choices)


def _preview(variant: Variant, rule: Rule, value: str, edit: Edit | None) -> Preview:
    network = variant.network if edit is None else edits.apply(variant.network, edit)
    count = macs.count(network)
    known = variant.evaluation
    return Preview(
        edit=edit,
        value=value,
        macs=count,
        change=count - variant.macs,
        score=None if known is None else rule.score(count, known.f1),
        worth=rule.break_even(variant.macs - count),
    )


def _candidates(network: Network, path: str) -> list[tuple[str, str]]:
    names = [(name, path) for name in ("width", "mid", "groups")]
    names += [("groups", f"{path}.{part}") for part in targets.PARTS]
    names += [("kernel", path), ("widen", path), ("rank", path)]
    for stage in network.stages:
        if stage.is_plain and stage.path == path:  # its layers are few: no need to go there
            names += [("rank", layer.path) for layer in stage.units[0].branch]
    owner = path.rpartition(".")[0]
    if owner not in network.units:
        return names
    # A layer's row offers what can be changed of it.
    parts = {
        part: [layer.path for layer in _layers(network, f"{owner}.{part}")]
        for part in targets.PARTS
    }
    kinds = {layer.path: layer.kind for _, layer in network.layers(include_off=True)}
    found = [("groups", f"{owner}.{part}") for part, paths in parts.items() if path in paths]
    if kinds.get(path) == "depthwise":
        found.append(("kernel", owner))
    return [*found, ("rank", path)]


def _layers(network: Network, target: str) -> tuple[Layer, ...]:
    try:
        return targets.grouped_layers(network, target)
    except EditError:
        return ()
