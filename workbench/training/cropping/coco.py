"""Reads COCO annotation files, which are never trusted, and says which folder a category goes to.

A folder's name is one path component, never hidden, and no two differ by case alone.
"""

import json
import tomllib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sessions.codec import UNREADABLE
from workbench.errors import UserError

MAPS = {"taco-9": Path(__file__).parent / "maps" / "taco9.toml"}
LARGEST_BYTES = 4 << 30
LONGEST_NAME = 60
"""Characters of a folder's name: at most 240 bytes, which every file system takes."""
_UNSAFE = frozenset('/\\:*?"<>|')


class Image(msgspec.Struct, frozen=True):
    """A photo; its boxes are in pixels of this size."""

    id: int
    file_name: str
    width: float
    height: float


class Category(msgspec.Struct, frozen=True):
    """What a box can hold."""

    id: int
    name: str


class Annotation(msgspec.Struct, frozen=True):
    """A box."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float | None] | None = None
    """Left, top, width, height."""
    iscrowd: int | bool | None = 0
    """Whether it is one box around many things."""


class Coco(msgspec.Struct, frozen=True):
    """What is used of an annotation file."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


_decoder = msgspec.json.Decoder(Coco)


def read(path: Path) -> Coco:
    """Read an annotation file.

    Raises:
        UserError: no such file, not COCO's object detection format, or without boxes.
    """
    content = _content(path)
    try:
        found = _decoded(content)
    except (*UNREADABLE, ValueError) as error:
        raise UserError(
            f"{path} is not a COCO file with images, annotations and categories: {error}"
        ) from error
    except MemoryError:
        raise UserError(f"{path} does not fit into memory: split it") from None
    if not found.annotations:
        raise UserError(f"{path} has no annotations: nothing to crop")
    for what, rows in (("image", found.images), ("category", found.categories)):
        _check_told_apart(path, what, rows)
    return found


def load_map(name_or_file: str) -> dict[str, str]:
    """Classes by category name, from a map that is shipped or from a TOML file.

    Raises:
        UserError: no such map or file, not a map, or a class that cannot be a folder.
    """
    path = MAPS.get(name_or_file, Path(name_or_file))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        classes = msgspec.convert(values, dict[str, str])
    except OSError as error:
        known = ", ".join(MAPS)
        raise UserError(
            f"cannot read map {name_or_file} ({error.strerror}): use {known}, or a TOML file"
        ) from error
    except (*UNREADABLE, ValueError) as error:
        raise UserError(
            f'{path} is not a map, which has lines like "Drink can" = "Metal": {error}'
        ) from error
    if not classes:
        raise UserError(f'{path} is empty: a map has lines like "Drink can" = "Metal"')
    for name in classes.values():
        if folder_name(name) != name:
            raise UserError(
                f"{path}: class {_short(name)} cannot be a folder; call it {folder_name(name)!r}"
            )
    _folders(classes.values())
    return classes


def class_folders(found: Coco, class_map: dict[str, str] | None) -> dict[int, str | None]:
    """The folder of each category by its id, None where the map leaves it out.

    Raises:
        UserError: two names fall together in one folder, or the map fits no category.
    """
    names = {category.name for category in found.categories}
    if class_map is None:
        folders = _folders(sorted(names))
        return {category.id: folders[category.name] for category in found.categories}
    if names.isdisjoint(class_map):
        known = ", ".join(_short(name) for name in sorted(names)[:5])
        raise UserError(f"the map has none of the annotations' categories: they are {known} ...")
    return {category.id: class_map.get(category.name) for category in found.categories}


def folder_name(name: str) -> str:
    """A name as one path component that is not hidden and that no file system refuses."""
    composed = unicodedata.normalize("NFC", name[: 4 * LONGEST_NAME])
    safe = "".join(c if c.isprintable() and c not in _UNSAFE else "_" for c in composed)
    safe = safe.lstrip(" .")[:LONGEST_NAME].rstrip(" .")
    # A data folder with a folder `train` is taken to be split already.
    return "train_" if safe == "train" else safe or "_"


def _folders(names: Iterable[str]) -> dict[str, str]:
    """The folder of each name.

    Raises:
        UserError: two names have the same folder, or would have it where case is not kept.
    """
    folders: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in names:
        folders[name] = folder_name(name)
        owner = owners.setdefault(folders[name].casefold(), name)
        if owner != name:
            raise UserError(
                f"{_short(owner)} and {_short(name)} would share the folder {folders[owner]!r}: "
                "give both a class in a --map file"
            )
    return folders


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise UserError(f"no annotation file {path}: check the path")
        if path.stat().st_size > LARGEST_BYTES:
            raise UserError(f"{path} is larger than {LARGEST_BYTES >> 30} GiB: split it")
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except MemoryError:
        raise UserError(f"{path} does not fit into memory: split it") from None


def _decoded(content: bytes) -> Coco:
    """Decode; numbers that JSON does not have (NaN, Infinity, 1e999), but Python writes, too."""
    try:
        return _decoder.decode(content)
    except UNREADABLE as error:
        is_beyond = b"NaN" in content or b"Infinity" in content or "out of range" in str(error)
        if not is_beyond:
            raise
        return msgspec.convert(json.loads(content), Coco)


def _check_told_apart(path: Path, what: str, rows: list[Image] | list[Category]) -> None:
    known: dict[int, Image | Category] = {}
    for row in rows:
        first = known.setdefault(row.id, row)
        if first is not row and first != row:
            raise UserError(f"{path} has two of {what} {row.id}: give each a number of its own")


def _short(name: str) -> str:
    """A name for a message: one line, whatever is in it."""
    return repr(name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "...")
