"""Data sets as arrays: every image decoded and resized once, kept in the user's cache folder.

A data set is opened by name (`digits`) or folder, at the input size of a network.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import filelock
import msgspec
import numpy as np
import platformdirs
from numpy.typing import NDArray

from sessions.events import Skipped
from workbench.child import keep_freed_memory
from workbench.errors import UserError
from workbench.training.listing import Listing, list_folder

DIGITS = "digits"
VAL_SHARE = 0.2
SKIPPED_LISTED = 20
CACHE_ENV = "WORKBENCH_CACHE"
Progress = Callable[[int, int], None]


class Split(msgspec.Struct, frozen=True):
    """One split of a data set: N rows of a larger, usually memory-mapped array."""

    source: NDArray[np.uint8]
    """(M, S, S, C), all images of the data set."""
    rows: NDArray[np.intp]
    """(N,), where in the source this split's images are."""
    labels: NDArray[np.int64]
    """(N,)"""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, where: NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Copies of the images at these positions of the split, (n, S, S, C)."""
        return self.source[self.rows[where]]


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """An opened data set."""

    source: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()
    skipped_count: int = 0


def open_data(
    source: str, size: int, channels: int = 3, seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """Open data at an image size; the split of unsplit folders is stratified and follows the seed.

    Args:
        source: `digits`, or a folder.
        size: edge in pixels.
        channels: 3 for RGB, 1 for grey.

    Raises:
        UserError: no usable images; the message names the next step.
    """
    keep_freed_memory()
    if channels not in (1, 3):
        raise UserError(f"the network takes {channels} channels; images have 1 or 3")
    if source == DIGITS and not Path(source).exists():
        return _digits(size, channels, seed)
    listing = list_folder(Path(source).expanduser())
    images, labels, val_marks, meta = _cached(listing, size, channels, progress)
    is_val = _split(labels, listing.classes, seed) if val_marks is None else val_marks
    _check_train(labels[~is_val], listing.classes)
    if not is_val.any():
        raise UserError(f"{source} has no usable validation image: add some")
    return Dataset(
        source=source,
        classes=listing.classes,
        train=_select(images, labels, ~is_val),
        val=_select(images, labels, is_val),
        fingerprint=meta.fingerprint,
        skipped=tuple(meta.skipped),
        skipped_count=meta.skipped_count,
    )


class _Meta(msgspec.Struct):
    fingerprint: str
    skipped: list[Skipped]
    skipped_count: int


def cache_folder() -> Path:
    """Where decoded images are kept."""
    set_by_user = os.environ.get(CACHE_ENV)
    return Path(set_by_user) if set_by_user else platformdirs.user_cache_path("workbench")


def _digits(size: int, channels: int, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.clip(digits.images * (255 / 16), 0, 255).astype(np.uint8)
    large = np.stack([cv2.resize(x, (size, size), interpolation=cv2.INTER_CUBIC) for x in grey])
    images = np.repeat(large[..., None], channels, axis=-1)
    labels = digits.target.astype(np.int64)
    classes = tuple(str(name) for name in digits.target_names)
    is_val = _split(labels, classes, seed)
    return Dataset(
        source=DIGITS,
        classes=classes,
        train=_select(images, labels, ~is_val),
        val=_select(images, labels, is_val),
        fingerprint=hashlib.sha256(grey.tobytes()).hexdigest(),
    )


def _split(labels: NDArray[np.int64], classes: tuple[str, ...], seed: int) -> NDArray[np.bool_]:
    """Marks of validation images: a fifth of each class, and at least one on either side."""
    rng = np.random.default_rng(seed)
    is_val = np.zeros(len(labels), dtype=bool)
    for label, name in enumerate(classes):
        where = np.flatnonzero(labels == label)
        if len(where) < 2:
            count = "one usable image" if len(where) else "no usable image"
            raise UserError(
                f"class {name!r} has {count}: it needs two, one to train on and one to validate; "
                "add images or remove the class"
            )
        held_out = min(max(round(VAL_SHARE * len(where)), 1), len(where) - 1)
        is_val[rng.permutation(where)[:held_out]] = True
    return is_val


def _select(
    images: NDArray[np.uint8], labels: NDArray[np.int64], marks: NDArray[np.bool_]
) -> Split:
    rows = np.flatnonzero(marks)
    return Split(images, rows, labels[rows])


def _check_train(labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    present = set(labels.tolist())
    for label, name in enumerate(classes):
        if label not in present:
            raise UserError(f"class {name!r} has no usable training image: add some")


def _cached(
    listing: Listing, size: int, channels: int, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None, _Meta]:
    folder = cache_folder() / "images" / _key(listing, size, channels)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{folder}.lock"):
            if not (folder / "meta.json").is_file():
                _build(folder, listing, size, channels, progress)
    except OSError as error:
        raise UserError(
            f"cannot cache images in {folder.parent}: {error.strerror}; free space, or set "
            f"{CACHE_ENV} to another folder"
        ) from error
    meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    is_val = np.load(folder / "is_val.npy")
    return images, labels, (is_val > 0 if (is_val >= 0).all() else None), meta


def _key(listing: Listing, size: int, channels: int) -> str:
    """Changes with any file's name, size or time, so that no stale array is used."""
    digest = hashlib.sha256(f"1 {listing.root} {size} {channels}".encode())
    for item in listing.items:
        try:
            status = os.stat(item.path)
            found = f"{status.st_size}\0{status.st_mtime_ns}"
        except OSError:
            found = "unreadable"
        line = f"{item.path}\0{item.label}\0{item.is_val}\0{found}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _build(
    folder: Path, listing: Listing, size: int, channels: int, progress: Progress | None
) -> None:
    """Decode into a temporary folder and rename it, so that a half-built cache is never seen."""
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    total = len(listing.items)
    shape = (total, size, size, channels)
    images = np.lib.format.open_memmap(partial / "all.npy", mode="w+", dtype=np.uint8, shape=shape)
    digest = hashlib.sha256()
    kept: list[int] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(lambda item: _decode(item.path, size, channels), listing.items)
        for index, (item, (image, content_hash, reason)) in enumerate(
            zip(listing.items, decoded, strict=True)
        ):
            if progress is not None and index % 64 == 0:
                progress(index, total)
            name = os.path.relpath(item.path, listing.root)
            if image is None:
                printable = name.encode(errors="replace").decode()
                skipped.append(Skipped(printable, reason))
                continue
            images[len(kept)] = image
            kept.append(index)
            digest.update(name.encode(errors="surrogateescape") + content_hash)
    if not kept:
        raise UserError(f"none of the {total} images in {listing.root} can be read")
    np.save(partial / "images.npy", images[: len(kept)])
    del images
    (partial / "all.npy").unlink()
    items = [listing.items[index] for index in kept]
    np.save(partial / "labels.npy", np.array([item.label for item in items], dtype=np.int64))
    marks = [-1 if item.is_val is None else int(item.is_val) for item in items]
    np.save(partial / "is_val.npy", np.array(marks, dtype=np.int8))
    meta = _Meta(digest.hexdigest(), skipped[:SKIPPED_LISTED], len(skipped))
    (partial / "meta.json").write_bytes(msgspec.json.encode(meta))
    os.replace(partial, folder)


def _decode(path: str, size: int, channels: int) -> tuple[NDArray[np.uint8] | None, bytes, str]:
    """The image at the size, the hash of the file, and why there is no image if there is none."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return None, b"", error.strerror or "unreadable"
    digest = hashlib.sha256(content).digest()
    if content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content[-65536:]:
        return None, digest, "cut short"
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
    except cv2.error:
        image = None
    if image is None:
        return None, digest, "not a readable image" if content else "empty file"
    if channels == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    larger = max(image.shape[:2]) > size
    method = cv2.INTER_AREA if larger else cv2.INTER_CUBIC
    resized = cv2.resize(image, (size, size), interpolation=method)
    return resized.reshape(size, size, channels).astype(np.uint8), digest, ""
