"""How the tree is looked at: which convention counts MACs, and which variant it is compared with.

Pure functions of a state and a lens, the same for live and replay. The score stays in contest MACs.
"""

import msgspec

from sessions import history, macs, measured
from sessions.network import Layer, Network
from sessions.state import SessionState, Variant
from widgets import numbers
from widgets.layer_panel import LayerView
from widgets.rows import Row, compared, tree_rows
from widgets.tree_columns import lost
from workbench.screens import names, search_words, views

FINDS = 2
"""Cuts of a stage that the layer panel has room for."""
FIND_WIDTH = 27
"""Cells of what was cut; two figures stand behind it."""
OPENED, BEFORE = "opened", "before"


class Lens(msgspec.Struct, frozen=True):
    """What the user chose to look through."""

    convention: str = macs.CONTEST
    against: str | int | None = None
    """`opened`, `before`, or the number of a variant; None compares with nothing."""

    def with_next_convention(self) -> "Lens":
        """The next way to count, from the last to contest again."""
        names = list(macs.CONVENTIONS)
        after = names[(names.index(self.convention) + 1) % len(names)]
        return msgspec.structs.replace(self, convention=after)

    def with_next_variant(self, state: SessionState) -> "Lens":
        """Against the opened model, against the step before, against nothing."""
        after = OPENED if self.against is None else BEFORE if self.against == OPENED else None
        if after == BEFORE and history.previous(state) is None:
            after = None
        return msgspec.structs.replace(self, against=after)


def other(state: SessionState, lens: Lens) -> Variant | None:
    """The variant that the current one is compared with, where there is one."""
    if lens.against == OPENED:
        return history.baseline(state)
    if lens.against == BEFORE:
        return history.previous(state)
    return None if lens.against is None else state.variants.get(int(lens.against))


def rows(state: SessionState, lens: Lens) -> tuple[Row, ...]:
    """The tree of the current variant through a lens."""
    variant, opened = state.variant, history.baseline(state)
    if variant is None or opened is None:
        return ()
    costs = measured.costs(state, variant.number)
    found = tree_rows(variant, opened.network, state.rule, lens.convention, costs)
    before = other(state, lens)
    if before is None:
        return found
    return compared(found, tree_rows(before, opened.network, state.rule, lens.convention))


def note(state: SessionState, lens: Lens, shown: tuple[Row, ...]) -> str:
    """What the figures are, where they are not contest MACs of the current variant."""
    words = []
    if lens.against is not None and state.variant is not None:
        before = other(state, lens)
        if before is None:
            words.append("there is no step before this one to compare with")
        else:
            name = names.title(before)
            differs = any(row.change is not None and not row.change.is_equal for row in shown)
            alike = "" if differs else ": nothing differs"
            words.append(f"± against v{before.number} {name}{alike}")
    if lens.convention != macs.CONTEST:
        words.append(f"MACs as {lens.convention} counts them, the score in contest MACs")
    return " · ".join(words)


def layer_view(view: LayerView, state: SessionState, row: Row, lens: Lens) -> LayerView:
    """The facts of a row; how its MACs are counted, or what it was measured to cost."""
    variant = state.variant
    lines = view.lines
    if variant is not None and lens.convention != macs.CONTEST:
        lines = (lines[0], *explained(variant.network, row, lens.convention))
    elif row.cost is not None:
        # In the place of what the unit may cost, and of what the tree shows as well.
        left_out = ("pays off", "mean weight std")
        lines = (*(line for line in lines if not line.startswith(left_out)), *_cost(row))
    elif variant is not None and row.is_sum and (found := _finds(state, variant, row)):
        lines = (*(line for line in lines if not line.startswith("mean weight std")), *found)
    return msgspec.structs.replace(view, lines=lines)


def explained(network: Network, row: Row, convention: str) -> tuple[str, ...]:
    """What a convention counts of a row that contest does not, or the other way round."""
    layers = _layers(network, row)
    contest = sum(macs.CONVENTIONS[macs.CONTEST].count(network, layer) for layer in layers)
    parts = [
        f"{share.words} {_times(share)}: {numbers.signed(share.macs, ',d')}"
        for share in macs.shares(network, layers, convention)
    ]
    if not parts:
        return (f"{row.macs:,} MACs by {convention}, as by contest",)
    return (f"{row.macs:,} MACs by {convention}, {contest:,} by contest", *parts)


def _times(share: macs.Share) -> str:
    if share.times == 0:
        return "not counted"
    if share.other_times == 0:
        return "counted" if share.times == 1 else f"counted {share.times}×"
    return f"{share.times}×, not {share.other_times}×"


def _layers(network: Network, row: Row) -> list[Layer]:
    """The layers that a row's MACs are the sum of."""
    for stage in network.stages:
        if stage.path == row.path and not stage.is_plain:
            return [layer for unit in stage.units if unit.is_on for layer in unit.layers()]
    if row.path in network.units:
        return list(network.units[row.path].layers())
    found = network.layers(include_off=True)
    return [layer for _, layer in found if layer.path == row.path]


def _finds(state: SessionState, variant: Variant, row: Row) -> tuple[str, ...]:
    """The best cuts of a stage that a scan found, and which scan."""
    found = measured.finds(state, variant.number, row.path)
    if not found:
        return ()
    best, scan = found[:FINDS], state.searches[found[0][0]]
    of = f"best {len(best)} of {len(found)}, " if len(found) > len(best) else ""
    lines = [_find(f"{of}scan {scan.number} of v{scan.variant}", "cost", "worth")]
    for _, ranked in best:
        words = search_words.edits_words(ranked.measured.edits).removeprefix(row.path).lstrip(" .")
        lines.append(_find(words, lost(ranked.lost), lost(ranked.worth)))
    return tuple(lines)


def _find(words: str, cost: str, worth: str) -> str:
    return f"{numbers.fitted(words, FIND_WIDTH)}{cost:>7}{worth:>7}"


def _cost(row: Row) -> tuple[str, ...]:
    """What the unit may cost, and what it was measured to."""
    cost = row.cost
    assert cost is not None
    pays = () if row.worth is None else (views.pays_off(row.worth),)
    verb = "costs" if cost.best <= 0 else "gains"
    words = f"measured: {verb} {abs(cost.best):.4f} F1"
    if row.is_cost_old:
        past = "cost" if cost.best <= 0 else "gained"
        words = f"in v{cost.measured_from} it {past} {abs(cost.best):.4f} F1"
    if cost.raw is None:
        how = f"by scan {cost.search}: {cost.images:,} images, {cost.recovered_by} anew"
        return (*pays, words, how)
    if cost.recovered is None or cost.recovered <= cost.raw:
        return (*pays, words)
    if (cost.raw <= 0) != (cost.best <= 0):
        return (*pays, words, f"as cut, before {cost.recovered_by}, it cost {-cost.raw:.4f}")
    return (*pays, f"{words} (as cut {abs(cost.raw):.4f})")
