"""The variants of a session as lines: the tree of history, and the figures of each."""

from sessions import history
from sessions.state import SessionState, Variant
from widgets import numbers
from workbench.screens import names
from workbench.screens.panel_views import best_of

UNITS_FROM = 84
"""Columns from which on there is room for the units of every stage."""
DEEPEST = 6
"""Branches of branches that are indented."""
UNITS, MACS, F1, INTERVAL, SCORE, BEST = 9, 11, 8, 11, 9, 2


def variant_lines(state: SessionState, width: int) -> list[str]:
    """A title and a line for every variant, in the order of the tree of history."""
    has_units = width >= UNITS_FROM
    room = max(width - MACS - F1 - INTERVAL - SCORE - BEST - (UNITS if has_units else 0), 8)
    units = f"{'units':>{UNITS}}" if has_units else ""
    lines = [
        f"{'variant':<{room}}{units}{'MACs':>{MACS}}{'F1':>{F1}}{'interval':>{INTERVAL}}"
        f"{'score':>{SCORE}}{'':{BEST}}"
    ]
    best = best_of(state)
    depth_of: dict[int | None, int] = {None: 0}
    for number, depth in history.tree(state):
        variant = state.variants[number]
        depth_of[number] = depth
        mark = "▸" if number == state.current else " "
        lines_up = branch(depth, is_first=depth_of.get(variant.parent, 0) < depth)
        name = f"{mark}{lines_up}v{number} {names.title(variant)}"
        units = "-".join(map(str, variant.network.units_per_stage))
        units = f"{units:>{UNITS}}" if has_units else ""
        figures = _figures(state, variant, is_best=number == best)
        lines.append(f"{numbers.fitted(name, room)}{units}{figures}")
    return lines


def branch(depth: int, *, is_first: bool) -> str:
    """The lines of history left of a variant: those it left go on below it."""
    if depth == 0:
        return ""
    deep = min(depth, DEEPEST)
    more = "…" if depth > DEEPEST else " "
    return "│ " * (deep - 1) + ("├" if is_first else "│") + more


def _figures(state: SessionState, variant: Variant, *, is_best: bool) -> str:
    f1 = interval = score = "—"
    found = variant.evaluation
    if found is not None:
        f1 = f"{found.f1:.4f}"
        score = numbers.plain(state.rule.score(variant.macs, found.f1), ".4f")
        if found.interval is not None:
            low, high = found.interval
            interval = f"{numbers.ratio(low, 2)}–{numbers.ratio(high, 2)}"
    star = " ★" if is_best else ""
    return f"{variant.macs:>{MACS},}{f1:>{F1}}{interval:>{INTERVAL}}{score:>{SCORE}}{star:{BEST}}"
