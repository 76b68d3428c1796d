"""Every image of a folder decoded and resized once, kept in the user's cache folder.

A cache entry is built beside its place and renamed, so that a half-built one is never seen, and
two processes that want the same one build it once.
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
from workbench.errors import UserError
from workbench.training.listing import Listing

SKIPPED_LISTED = 20
CACHE_ENV = "WORKBENCH_CACHE"
Progress = Callable[[int, int], None]


class Meta(msgspec.Struct):
    """What is known of the images of a cache entry."""

    fingerprint: str
    skipped: list[Skipped]
    skipped_count: int


def cache_folder() -> Path:
    """Where decoded images are kept."""
    set_by_user = os.environ.get(CACHE_ENV)
    return Path(set_by_user) if set_by_user else platformdirs.user_cache_path("workbench")


def cached(
    listing: Listing, size: int, channels: int, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None, Meta]:
    """Images (N, S, S, C), their labels, which are for validation where the folder says, and more.

    Raises:
        UserError: no image can be read, or the cache folder cannot be written.
    """
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
    meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=Meta)
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
    meta = Meta(digest.hexdigest(), skipped[:SKIPPED_LISTED], len(skipped))
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
