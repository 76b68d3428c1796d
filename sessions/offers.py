"""What can be changed at a row of the tree, and what every legal value would come to."""

from collections.abc import Iterator

import msgspec

from sessions import decomposing, edits, macs, reshaping, targets
from sessions.edits import CRITERIA, DATA_CRITERIA, Cut, Edit, EditError, Rank
from sessions.network import Layer, Network
from sessions.score import Rule
from sessions.state import Variant

TITLES = {
    "width": "width",
    "mid": "bottleneck",
    "groups": "groups",
    "groups.compress": "compress groups",
    "groups.expand": "expand groups",
    "kernel": "kernel",
    "widen": "widen",
    "rank": "rank",
}
CRITERION_TITLES = {
    "l2": "L2 norm", "l1": "L1 norm", "std": "std of weights", "bn": "batch-norm scale",
    "fpgm": "geometric median", "random": "chance", "taylor": "Taylor score",
    "activation": "activation",
}  # fmt: skip
"""What a criterion is called; edits and files have its short name."""


class Offer(msgspec.Struct, frozen=True):
    """One thing that can be changed."""

    name: str
    """Of the edit, as in its text form."""
    target: str
    title: str
    now: int
    """The present value, the largest where it is mixed; the full rank for a rank."""
    present: tuple[int, ...]
    """The values that the units of a target have, ascending: one where they agree."""

    @property
    def is_mixed(self) -> bool:
        """Whether the units of the target differ, so that every value changes something."""
        return len(self.present) > 1


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """One legal value and what it would come to."""

    edit: Edit | None
    """None for the present value, where nothing would change."""
    value: str
    number: int
    """The value to type; the rank of the output where there are two."""
    is_present: bool = False
    """Whether this is the value now, or that of some units."""
    macs: int
    change: int
    """Of the MACs."""
    score: float | None
    """If F1 stayed as it is; None where F1 is not known."""
    worth: float
    """F1 that may be lost until the saving is used up."""


def offers(network: Network, path: str) -> tuple[Offer, ...]:
    """What can be changed at a row: a stage, a unit or a layer."""
    return tuple(_offered(network, path))


def are_there(network: Network, path: str) -> bool:
    """Whether anything can be changed at a row; looks no further than the first."""
    return any(True for _ in _offered(network, path))


def _offered(network: Network, path: str) -> Iterator[Offer]:
    for name, target in _candidates(network, path):
        if name == "rank" and not decomposing.is_decomposable(network, target):
            continue
        try:
            if name == "rank":
                layer = decomposing.decomposable(network, target)
                present = decomposing.full_ranks(network, layer)[-1:]
                is_choice = True
            else:
                present = _present(network, name, target)
                is_choice = {*reshaping.options(network, name, target)} != {*present}
                is_choice |= len(present) > 1
        except EditError:
            continue
        if is_choice:
            part = target.rpartition(".")[2]
            key = f"{name}.{part}" if name == "groups" and part in targets.PARTS else name
            yield Offer(name, target, TITLES[key], max(present), present)


def _present(network: Network, name: str, target: str) -> tuple[int, ...]:
    """The values of what an edit would change, ascending: several where units differ."""
    match name:
        case "mid":
            found = {network.width(axis) for axis in targets.mid_axes(network, target)}
        case "groups":
            found = {network.groups(x) for x in targets.grouped_layers(network, target)}
        case "kernel":
            layers = [x for unit in targets.units(network, target) for x in unit.branch]
            found = {layer.kernel for layer in layers if layer.kind == "depthwise"}
            if not found:
                raise EditError(f"{target} has no depthwise conv")
        case _:
            found = {reshaping.value(network, name, target)}
    return tuple(sorted(found))


def criterion_title(name: str) -> str:
    """What a criterion is called; a name that is not known is left as it is."""
    return CRITERION_TITLES.get(name, name)


def axis_title(network: Network, axis: str) -> str:
    """Whose channels those of a basic axis are, in words."""
    for stage in network.stages:
        try:
            if targets.own_axis(network, stage.path) == axis:
                adds = targets.inherited(network, stage.path)
                return f"channels that {stage.path} adds" if adds else f"channels of {stage.path}"
        except EditError:
            pass
        for unit in stage.units:
            inside = {layer.out_axis for layer in unit.branch} - {unit.branch[-1].out_axis}
            if axis in inside:
                return f"bottleneck of {unit.path}"
    return f"channels {axis}"


def previews(
    variant: Variant, offer: Offer, rule: Rule, criterion: str = CRITERIA[0]
) -> tuple[Preview, ...]:
    """Every legal value of an offer, from the smallest, with what it would come to."""
    network = variant.network
    if offer.name == "rank":
        layer = decomposing.decomposable(network, offer.target)
        full = decomposing.full_ranks(network, layer)
        # Of a larger kernel both ranks shrink together.
        choices: list[tuple[str, int, Edit | None]] = []
        for rank in range(1, full[-1] + 1):
            ranks = tuple(max(round(rank * f / full[-1]), 1) for f in full)
            choices.append(("x".join(map(str, ranks)), rank, Rank(offer.target, ranks)))
        return tuple(_preview(variant, rule, *choice) for choice in choices)
    kind = edits.RESHAPES[offer.name]
    found = []
    for value in reshaping.options(network, offer.name, offer.target):
        edit: edits.Reshape = kind(target=offer.target, value=value)
        if isinstance(edit, Cut):
            scores = variant.scores if criterion in DATA_CRITERIA else ""
            edit = msgspec.structs.replace(edit, criterion=criterion, scores=scores)
        is_present = value in offer.present
        is_change = not is_present or offer.is_mixed
        preview = _preview(variant, rule, str(value), value, edit if is_change else None)
        found.append(msgspec.structs.replace(preview, is_present=is_present))
    return tuple(found)


def _preview(variant: Variant, rule: Rule, value: str, number: int, edit: Edit | None) -> Preview:
    network = variant.network if edit is None else edits.apply(variant.network, edit)
    count = macs.count(network)
    known = variant.evaluation
    return Preview(
        edit=edit,
        value=value,
        number=number,
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
