"""Which rows of the tree are shown, and in which order: folds, sorting and the filter.

Pure functions of the rows. Siblings are sorted inside their parent; a row that is shown has its
parents above it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Set
from fnmatch import translate

import msgspec

from widgets.rows import Row

Children = Mapping[str, list[Row]]
"""Rows by the path of their parent, in the order in which they are shown."""
Test = Callable[[Row], bool]


class Sort(msgspec.Struct, frozen=True):
    """A way to sort siblings."""

    column: str
    is_descending: bool
    value: Callable[[Row], float | None]


def _macs(row: Row) -> float:
    return row.running_macs if row.change is None else abs(row.change.macs)


SORTS: dict[str, Sort] = {
    sort.column: sort
    for sort in (
        Sort("macs", True, _macs),
        # Low ones first: they are cut first by the usual rule.
        Sort("std", False, lambda row: row.std if row.is_on else None),
        Sort("worth", True, lambda row: row.worth if row.is_on else None),
    )
}
WORDS: dict[str, Test] = {
    "off": lambda row: not row.is_on,
    "edited": lambda row: row.is_changed and not row.is_sum,
    "decomposed": lambda row: row.is_decomposed and not row.is_sum,
}
"""What a filter may ask for with a colon before it."""


class Filtered(msgspec.Struct, frozen=True):
    """The rows that a filter leaves."""

    paths: frozenset[str]
    parents: frozenset[str]
    """Rows that must be unfolded for every match to be seen."""
    first: str
    """Path of the first match, empty where there is none."""
    matches: int
    """How many rows match, without what is inside of those."""


def children_of(rows: Iterable[Row], sort: str = "") -> Children:
    """Rows by parent, siblings in running order or sorted; rows without the value come last."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.parent, []).append(row)
    if sort:
        by = SORTS[sort]
        sign = -1 if by.is_descending else 1
        for siblings in found.values():
            keyed = [(by.value(row), row) for row in siblings]
            keyed.sort(key=lambda pair: (pair[0] is None, sign * (pair[0] or 0.0)))
            siblings[:] = [row for _, row in keyed]
    return found


def visible(children: Children, unfolded: Set[str], paths: Set[str] | None = None) -> list[Row]:
    """The rows that are shown, from top to bottom; without `paths` no filter is set."""
    shown: list[Row] = []
    waiting = [iter(children.get("", ()))]
    while waiting:
        for row in waiting[-1]:
            if paths is not None and row.path not in paths:
                continue
            shown.append(row)
            if row.path in unfolded and row.path in children:
                waiting.append(iter(children[row.path]))
                break
        else:
            waiting.pop()
    return shown


def filtered(rows: Iterable[Row], text: str) -> Filtered:
    """What a filter leaves: matches, all that is inside them, and their parents."""
    tests = _tests(text)
    by_path: dict[str, Row] = {}
    inside: set[str] = set()
    parents: set[str] = set()
    first = ""
    matches = 0
    for row in rows:
        by_path[row.path] = row
        if row.parent in inside:  # of a match that has rows, the folds decide
            inside.add(row.path)
        elif all(test(row) for test in tests):
            inside.add(row.path)
            first = first or row.path
            matches += 1
            above = row.parent
            while above and above not in parents:
                parents.add(above)
                above = by_path[above].parent
    return Filtered(frozenset(inside | parents), frozenset(parents), first, matches)


def unknown_words(text: str) -> tuple[str, ...]:
    """Words with a colon that mean nothing, as they were typed."""
    return tuple(
        word
        for word in text.split()
        if word.startswith(":") and not any(known.startswith(word[1:].lower()) for known in WORDS)
    )


def _tests(text: str) -> list[Test]:
    tests: list[Test] = []
    for word in text.lower().split():
        if word.startswith(":"):
            # As typed: the beginning of a word is enough.
            meant = [test for known, test in WORDS.items() if known.startswith(word[1:])]
            tests.append(_any(meant))
        elif any(sign in word for sign in "*?["):
            tests.append(_glob(word))
        else:
            tests.append(_part(word))
    return tests


def _any(tests: list[Test]) -> Test:
    return lambda row: any(test(row) for test in tests)


def _glob(word: str) -> Test:
    match = re.compile(translate(word)).match
    return lambda row: match(row.path.lower()) is not None


def _part(word: str) -> Test:
    return lambda row: word in row.path.lower()
