"""Weight statistics that stay on disk until a row of the tree asks for them.

A long session has hundreds of thousands of histograms, and shows those of few variants. What a
variant has follows from some records; the last one that names a layer counts.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from sessions.events import LayerStats

Stats = Mapping[str, LayerStats]
KEPT = 8
"""Variants whose statistics are in memory at the same time."""


class Shelf:
    """Reads the statistics of records, and keeps those that were asked for last."""

    def __init__(self, read: Callable[[int], Stats]) -> None:
        self.read = read
        """The statistics in a record, by its index."""
        self._latest: deque[StoredStats] = deque()
        self._keys: dict[frozenset[str], frozenset[str]] = {}

    def put(self, index: int, stats: Stats, *, is_shown: bool = False) -> "StoredStats":
        """Statistics that can be let go, because a record has them.

        `is_shown`: they are looked at next, and stay in memory for a while.
        """
        stored = StoredStats(self, (index,), self.keys(stats))
        return stored.hold(stats) if is_shown else stored

    def keys(self, paths: Iterable[str]) -> frozenset[str]:
        """The paths of layers; variants mostly share them."""
        found = frozenset(paths)
        return self._keys.setdefault(found, found)

    def keep(self, stats: "StoredStats") -> None:
        """Count these as used last; those that were used before all others are let go."""
        self._latest.append(stats)
        if len(self._latest) > KEPT:
            self._latest.popleft().forget()


class StoredStats(Stats):
    """Statistics by layer path, read from records where they are not held."""

    __slots__ = ("_found", "_keys", "_parts", "_shelf")

    def __init__(self, shelf: Shelf, parts: tuple[int | Stats, ...], keys: frozenset[str]) -> None:
        self._shelf = shelf
        self._parts = parts
        """Indices of records of this shelf, or statistics; later ones count."""
        self._keys = keys
        self._found: Stats | None = None

    def joined(self, later: Stats) -> "StoredStats":
        """These with later ones in their place."""
        added: tuple[int | Stats, ...] = (later,)
        newer: Stats | None = later
        if isinstance(later, StoredStats):
            newer = later._found
            if later._shelf is self._shelf:
                added = later._parts
        keys = self._shelf.keys(later)
        if keys >= self._keys:
            whole = StoredStats(self._shelf, added, keys)
            return whole if newer is None else whole.hold(newer)
        both = StoredStats(self._shelf, (*self._parts, *added), self._shelf.keys(self._keys | keys))
        if self._found is None or newer is None:
            return both
        return both.hold({**self._found, **newer})

    def hold(self, found: Stats) -> "StoredStats":
        """Keep them in memory until others have been used."""
        self._found = found
        self._shelf.keep(self)
        return self

    def forget(self) -> None:
        """Read them again the next time."""
        self._found = None

    def __getitem__(self, path: str) -> LayerStats:
        if self._found is None:
            self.hold(self._read())
            assert self._found is not None
        return self._found[path]

    def __contains__(self, path: object) -> bool:
        return path in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def _read(self) -> Stats:
        found: dict[str, LayerStats] = {}
        for part in self._parts:
            found.update(self._shelf.read(part) if isinstance(part, int) else part)
        return found


def joined(before: Stats, later: Stats) -> Stats:
    """Statistics with later ones in their place; nothing is read for that."""
    if not later or not before:
        return before or later
    if isinstance(before, StoredStats):
        return before.joined(later)
    return {**before, **later}
