"""What a user names as candidates of a comparison: files, folders of them, networks of the zoo.

Whatever cannot be had is a candidate with a reason, so that it does not end the comparison.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from workbench.errors import UserError
from workbench.zoo import catalogue, store
from workbench.zoo.catalogue import Published

SUFFIXES = (".pt", ".pth", ".safetensors")
"""Those of workbench/surgery/files.py, which imports torch."""


class Candidate(msgspec.Struct, frozen=True):
    """A model file, or why there is none."""

    name: str
    path: Path | None
    published: Published | None = None
    """Where the file is one with public weights, also under another name."""
    reason: str = ""


def found(names: Iterable[str], base: str | None, watcher: store.Watcher) -> list[Candidate]:
    """The candidates of these names in their order, each file once.

    A file or folder goes before a network of the same name; a network that is not here is fetched.
    """
    candidates: dict[object, Candidate] = {}
    for name in names:
        for candidate in _of(name, base, watcher):
            key = candidate.path.resolve() if candidate.path is not None else candidate.name
            candidates.setdefault(key, candidate)
    return list(candidates.values())


def one(name: str, base: str | None, watcher: store.Watcher) -> Candidate:
    """The file or network of a name.

    Raises:
        UserError: there is none, or it cannot be fetched.
    """
    path = Path(name).expanduser()
    if path.exists():
        return _file(name, path)
    if path.suffix or path.name != name:
        raise UserError(f"no file {name}: check the path")
    published = catalogue.named(name)
    return Candidate(name, store.obtained(published, base, watcher), published)


def _of(name: str, base: str | None, watcher: store.Watcher) -> Iterator[Candidate]:
    folder = Path(name).expanduser()
    try:
        if not folder.is_dir():
            yield one(name, base, watcher)
            return
        inside = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except UserError as error:
        yield Candidate(name, None, reason=str(error))
    except OSError as error:
        yield Candidate(name, None, reason=f"cannot read {folder}: {error.strerror}")
    else:
        if not inside:
            reason = f"no {', '.join(SUFFIXES)} file in it"
            yield Candidate(name, None, reason=reason)
        for path in inside:
            yield _file(str(Path(name) / path.name), path)


def _file(name: str, path: Path) -> Candidate:
    try:
        return Candidate(name, path, catalogue.of_sha1(store.sha1_of(path)))
    except OSError:  # opening it says why
        return Candidate(name, path)
