"""Lists the images of a data folder by class, without opening one.

A folder is `train/` and `val/` with class folders, or class folders alone.
"""

import os
from pathlib import Path

import msgspec

from workbench.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
VALIDATION_NAMES = ("val", "valid", "validation")
LAYOUT = "put images into one folder a class, or into train/CLASS and val/CLASS"


class Item(msgspec.Struct, frozen=True):
    """An image file and its class."""

    path: str
    label: int
    is_val: bool | None
    """Which split the folder puts it in; None where the folder does not say."""


class Listing(msgspec.Struct, frozen=True):
    """The images of a folder."""

    root: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]


def list_folder(root: Path) -> Listing:
    """Find classes and images, both in the order of their names.

    Raises:
        UserError: no folder, no images, fewer than two classes, or a validation class that
            training does not have.
    """
    if not root.is_dir():
        raise UserError(f"no data folder {root}: name a folder of images, or digits")
    root = _unnested(root)
    folders = _subfolders(root)
    val = next((name for name in VALIDATION_NAMES if name in folders), None)
    if "train" in folders and val is not None:
        classes, train = _classes(root / "train", None, is_val=False)
        _, held_out = _classes(root / val, classes, is_val=True)
        if not held_out:
            raise UserError(f"{root / val} has no images: {LAYOUT}")
        return Listing(str(root), classes, (*train, *held_out))
    if "train" in folders:
        raise UserError(
            f"{root} has a train folder, but none named {' or '.join(VALIDATION_NAMES)} beside it: "
            "name the validation folder val, or open the train folder alone"
        )
    classes, items = _classes(root, None, is_val=None)
    return Listing(str(root), classes, items)


def _unnested(root: Path) -> Path:
    """The inner folder where an archive was unpacked into a folder of its own."""
    folders = _subfolders(root)
    if len(folders) == 1 and _subfolders(root / folders[0]) and not any(_images(root, deep=False)):
        return root / folders[0]
    return root


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _classes(
    root: Path, known: tuple[str, ...] | None, *, is_val: bool | None
) -> tuple[tuple[str, ...], tuple[Item, ...]]:
    found = {name: list(_images(root / name, deep=True)) for name in _subfolders(root)}
    found = {name: images for name, images in found.items() if images}
    names = known if known is not None else tuple(found)
    if known is None and not names:
        raise UserError(f"{root} has no images in class folders: {LAYOUT}")
    if known is None and len(names) < 2:
        raise UserError(f"{root} has only one class ({names[0]}): {LAYOUT}")
    strangers = [name for name in found if name not in names]
    if strangers:
        raise UserError(
            f"validation class {strangers[0]!r} has no training images: add it under train/ or "
            "take it out of validation"
        )
    return names, tuple(
        Item(path, label, is_val)
        for label, name in enumerate(names)
        for path in found.get(name, ())
    )


def _images(folder: Path, *, deep: bool) -> list[str]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(folders) if deep else []
        found += [
            os.path.join(parent, name)
            for name in sorted(files)
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")
        ]
    return found
