"""The tree of variants: where undo and redo lead, and where a variant's weights come from."""

import msgspec

from sessions import macs
from sessions.commands import Lineage
from sessions.edits import Edit
from sessions.network import WEIGHTED, Network, Unit
from sessions.state import SessionState, Variant


def undo_target(state: SessionState) -> int | None:
    """The variant before the current one; preparation on opening is not undone."""
    variant = state.variant
    if variant is None or variant.is_preparation:
        return None
    return variant.parent


def redo_target(state: SessionState) -> int | None:
    """The variant that undo came from, or that was made last from the current one."""
    if state.current is None:
        return None
    child = state.redo.get(state.current)
    return child if child in state.variants else None


def lineage(state: SessionState, number: int) -> Lineage:
    """The stored checkpoint that a variant's weights follow from, and the edits since.

    Raises:
        KeyError: no such variant.
    """
    steps = []
    variant = state.variants[number]
    while variant.checkpoint is None:
        assert variant.edit is not None
        assert variant.parent is not None
        steps.append(variant.edit)
        variant = state.variants[variant.parent]
    return Lineage(variant.checkpoint, tuple(reversed(steps)))


def stored(state: SessionState, number: int) -> Variant:
    """The variant with stored weights that a variant's edits began at.

    Raises:
        KeyError: no such variant.
    """
    variant = state.variants[number]
    while variant.checkpoint is None:
        assert variant.parent is not None
        variant = state.variants[variant.parent]
    return variant


def teacher(state: SessionState, number: int) -> Variant | None:
    """The network before it was cut: of the ancestors with other structure the one of highest F1.

    None where no ancestor of other structure and the same classes has been measured.
    """
    network = state.variants[number].network
    known = [
        variant
        for variant in path(state, number)
        if variant.network != network
        and variant.network.classes == network.classes
        and variant.evaluation is not None
    ]
    return max(known, key=lambda v: v.evaluation.f1 if v.evaluation else 0.0, default=None)


def edits_since(state: SessionState, ancestor: int, number: int) -> tuple[Edit, ...] | None:
    """The edits that lead from one variant to another, None where jobs lie between them.

    Raises:
        KeyError: no such variant.
    """
    steps: list[Edit] = []
    at = number
    while at != ancestor:
        variant = state.variants[at]
        if variant.edit is None or variant.parent is None:
            return None
        steps.append(variant.edit)
        at = variant.parent
    return tuple(reversed(steps))


def carriable(state: SessionState) -> tuple[int, tuple[Edit, ...]] | None:
    """A job's result whose weights the current variant could have, and the edits over to it.

    That is the latest job that started from where the current variant's edits began.
    """
    for job in reversed(state.jobs.values()):
        if job.result not in state.variants or state.current is None or job.result is None:
            continue
        steps = edits_since(state, job.variant, state.current)
        if steps:
            return job.result, steps
    return None


def baseline(state: SessionState) -> Variant | None:
    """The opened model, after what was done on opening to fit it to the data."""
    prepared = [v for v in state.variants.values() if v.is_preparation]
    return prepared[-1] if prepared else None


def previous(state: SessionState) -> Variant | None:
    """The variant one step before the current one, where there is such a step."""
    target = undo_target(state)
    return None if target is None else state.variants[target]


def tree(state: SessionState) -> list[tuple[int, int]]:
    """Every variant with its depth, each branch in one piece.

    Where history forked, the earlier branches come first and deeper, and the latest goes on.
    """
    children: dict[int | None, list[int]] = {}
    for number in sorted(state.variants):
        children.setdefault(state.variants[number].parent, []).append(number)
    found: list[tuple[int, int]] = []
    waiting = [(number, 0) for number in reversed(children.get(None, []))]
    while waiting:
        number, depth = waiting.pop()
        found.append((number, depth))
        after = children.get(number, [])
        waiting += [(child, depth) for child in after[-1:]]
        waiting += [(child, depth + 1) for child in reversed(after[:-1])]
    return found


class Difference(msgspec.Struct, frozen=True):
    """A row of two variants that is not the same in both."""

    path: str
    before: str
    after: str
    macs: int
    """MACs of the second less those of the first, contest convention."""


def differences(a: Network, b: Network) -> tuple[Difference, ...]:
    """The units, and the layers outside of units, in which two networks differ."""
    counts = [macs.count_layers(network) for network in (a, b)]
    found = []
    for path in dict.fromkeys([*a.units, *b.units]):
        units = [network.units.get(path) for network in (a, b)]
        words = [_words(n, u) for n, u in zip((a, b), units, strict=True)]
        if words[0] == words[1]:
            continue
        sums = [
            sum(count[layer.path] for layer in unit.layers()) if unit and unit.is_on else 0
            for count, unit in zip(counts, units, strict=True)
        ]
        found.append(Difference(path, words[0], words[1], sums[1] - sums[0]))
    return tuple(found)


def _words(network: Network, unit: Unit | None) -> str:
    """A unit in one line: width, bottleneck, groups, kernels."""
    if unit is None:
        return "not there"
    if not unit.is_on:
        return "off"
    parts = []
    for layer in unit.branch:
        if layer.kind in WEIGHTED:
            out, groups = network.width(layer.out_axis), network.groups(layer)
            kernel = f" {layer.kernel}×{layer.kernel}" if layer.kernel > 1 else ""
            by = f"/{groups}" if layer.kind == "conv" and groups > 1 else ""
            parts.append(f"{out}{by}{kernel}")
    return " → ".join(parts)


def path(state: SessionState, number: int) -> tuple[Variant, ...]:
    """The variants from the opened one to this, in order."""
    steps = []
    at: int | None = number
    while at is not None:
        steps.append(state.variants[at])
        at = steps[-1].parent
    return tuple(reversed(steps))
