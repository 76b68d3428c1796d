"""Lists the images of a data folder by class, without opening one.

A folder is `train/` and `val/` with class folders, or class folders alone; a `test/` beside
`train/` is held out. What lies in a class folder and cannot be used is counted with a reason.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sessions.events import Skipped
from workbench.errors import UserError
from workbench.training.images.items import ImageFolder, Listing

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".gif", ".tif",
    ".tiff",
})  # fmt: skip
UNSUPPORTED = frozenset({
    ".avif", ".heic", ".heif", ".hif", ".svg", ".svgz", ".jp2", ".j2k", ".jpx", ".jxl", ".jxr",
    ".psd", ".psb", ".xcf", ".tga", ".pcx", ".ico", ".icns", ".ppm", ".pgm", ".pbm", ".pnm",
    ".pfm", ".pam", ".exr", ".hdr", ".dds", ".dcm", ".nii", ".fits", ".eps", ".ai", ".wmf",
    ".emf", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf", ".orf", ".rw2",
    ".raf", ".pef", ".srw", ".qoi", ".bpg", ".flif", ".jng", ".mng",
})  # fmt: skip
"""Images that people have and that are not read; files that are no images are no one's loss."""
VALIDATION_NAMES = ("val", "valid", "validation")
HOLD_OUT_NAME = "test"
LAYOUT = "put images into one folder a class, or into train/CLASS and val/CLASS"
LEFTOVERS = frozenset({"__MACOSX", "@eaDir"})
"""Folders that archivers and file servers add, with files of their own that look like images."""
SKIPPED_LISTED = 20
REPORT_EVERY = 8192
SILENT_S = 1.0
"""What is over sooner reports no progress."""

Progress = Callable[[int, int], None]
"""Told how many are done, and of how many; of 0 where that is not known yet."""


def list_folder(root: Path, progress: Progress | None = None) -> Listing:
    """Find classes and images, both in the order of their names.

    Raises:
        UserError: no folder, no images, fewer than two classes, or a validation class that
            training does not have.
    """
    if not root.is_dir():
        raise UserError(f"no data folder {root}: name a folder of images, or digits")
    root = _unnested(root)
    search = _Search(str(root), progress)
    folders = _subfolders(root)
    val = next((name for name in VALIDATION_NAMES if name in folders), None)
    if "train" in folders and val is not None:
        classes, train = _classes(search, root / "train", None, is_val=False)
        _, held_out = _classes(search, root / val, classes, is_val=True)
        if not held_out:
            raise UserError(f"{root / val} has no images: {LAYOUT}")
        return search.listing(classes, (*train, *held_out))
    if "train" in folders and HOLD_OUT_NAME in folders:
        classes, train = _classes(search, root / "train", None, is_val=None)
        return search.listing(classes, train)
    if "train" in folders:
        raise UserError(
            f"{root} has a train folder, but none named {' or '.join(VALIDATION_NAMES)} beside it: "
            "name the validation folder val, or open the train folder alone"
        )
    classes, found = _classes(search, root, None, is_val=None)
    return search.listing(classes, found)


def list_unlabelled(root: Path, progress: Progress | None = None) -> Listing:
    """Every image below a folder, as one class.

    Raises:
        UserError: no folder, or no images.
    """
    if not root.is_dir():
        raise UserError(f"no folder of images {root}")
    search = _Search(str(root), progress)
    found = search.below(root)
    if not found:
        raise UserError(f"{root} has no images that can be read")
    folders = tuple(ImageFolder(folder, images, 0, None) for folder, images in found)
    return search.listing(("image",), folders)


def list_hold_out(listing: Listing, progress: Progress | None = None) -> Listing | None:
    """The images of a test folder beside train; None where there is none with class folders.

    Raises:
        UserError: a class that training does not have.
    """
    root = Path(listing.root)
    if not {"train", HOLD_OUT_NAME} <= set(_subfolders(root)):
        return None
    search = _Search(listing.root, progress)
    _, found = _classes(search, root / HOLD_OUT_NAME, listing.classes, is_val=None)
    return search.listing(listing.classes, found) if found else None


def _unnested(root: Path) -> Path:
    """The inner folder where an archive was unpacked into a folder of its own."""
    folders = _subfolders(root)
    if len(folders) == 1 and _subfolders(root / folders[0]):
        with os.scandir(root) as entries:
            if not any(_suffix(entry.name) in SUFFIXES for entry in entries if entry.is_file()):
                return root / folders[0]
    return root


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if _is_class(e))
    except OSError as error:
        raise UserError(
            f"cannot list {folder}: {error.strerror}; open a folder that you may read"
        ) from error


def _classes(
    search: "_Search", root: Path, known: tuple[str, ...] | None, *, is_val: bool | None
) -> tuple[tuple[str, ...], tuple[ImageFolder, ...]]:
    found = {name: search.below(root / name) for name in _subfolders(root)}
    found = {name: images for name, images in found.items() if images is not None}
    names = known if known is not None else tuple(found)
    if known is None and not any(found.values()):
        if search.count:
            raise UserError(
                f"{root} has no images that can be read ({search.first_reason}): convert them to "
                "JPEG or PNG, or make them readable"
            )
        raise UserError(f"{root} has no images in class folders: {LAYOUT}")
    if known is None and len(names) < 2:
        raise UserError(f"{root} has only one class ({names[0]}): {LAYOUT}")
    strangers = [name for name in found if name not in names]
    if strangers:
        part = HOLD_OUT_NAME if root.name == HOLD_OUT_NAME else "validation"
        raise UserError(
            f"{part} class {strangers[0]!r} has no training images: add it under train/ or "
            f"take it out of {part}"
        )
    return names, tuple(
        ImageFolder(folder, images, label, is_val)
        for label, name in enumerate(names)
        for folder, images in found.get(name) or ()
    )


class _Search:
    """Walks class folders; counts what is not read and reports how far it is."""

    def __init__(self, root: str, progress: Progress | None) -> None:
        self.count = 0
        self._root = root
        self._skipped: list[Skipped] = []
        self._progress = progress
        self._started = time.monotonic()
        self._listed = 0

    @property
    def first_reason(self) -> str:
        """The first file that is not read, and why."""
        return f"{self._skipped[0].path}: {self._skipped[0].reason}"

    def listing(self, classes: tuple[str, ...], folders: tuple[ImageFolder, ...]) -> Listing:
        """What was found."""
        return Listing(self._root, classes, folders, tuple(self._skipped), self.count)

    def below(self, top: Path) -> list[tuple[str, tuple[str, ...]]] | None:
        """Folders with their images, in the order of a walk; None where nothing is an image."""
        pending, found, before = [str(top)], [], self.count
        while pending:
            parent = pending.pop()
            try:
                with os.scandir(parent) as entries:
                    images, inside = self._sorted_out(parent, entries)
            except OSError as error:
                self._skip(parent, error.strerror or "unreadable")
                continue
            if images:
                found.append((parent, images))
            pending += [os.path.join(parent, name) for name in reversed(inside)]
        return found if found or self.count > before else None

    def _sorted_out(
        self, parent: str, entries: Iterator["os.DirEntry[str]"]
    ) -> tuple[tuple[str, ...], list[str]]:
        images, inside = [], []
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if not _is_hidden(name):
                    inside.append(name)
                continue
            suffix = _suffix(name)
            if suffix in SUFFIXES:
                if name[0] != ".":
                    images.append(name)
                    self._listed += 1
                    if self._progress is not None and self._listed % REPORT_EVERY == 0:
                        self._report(self._progress)
            elif suffix in UNSUPPORTED and name[0] != ".":
                self._skip(os.path.join(parent, name), f"format not supported ({suffix})")
        images.sort()
        return tuple(images), sorted(inside)

    def _report(self, progress: Progress) -> None:
        if time.monotonic() - self._started > SILENT_S:
            progress(self._listed, 0)

    def _skip(self, path: str, reason: str) -> None:
        self.count += 1
        if len(self._skipped) < SKIPPED_LISTED:
            self._skipped.append(Skipped(printable(os.path.relpath(path, self._root)), reason))


def printable(name: str) -> str:
    """A file's name as text, also where it is none on the disk."""
    return name.encode(errors="replace").decode()


def _is_class(entry: "os.DirEntry[str]") -> bool:
    """Whether this is a folder, or leads to one, that is not hidden."""
    is_folder = entry.is_dir(follow_symlinks=False) or (
        entry.is_symlink() and os.path.isdir(entry.path)
    )
    return is_folder and not _is_hidden(entry.name)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :].lower()


def _is_hidden(name: str) -> bool:
    return name[0] == "." or name in LEFTOVERS
