"""Every image of a folder decoded and resized once, kept in the user's cache folder.

A cache entry is built beside its place and renamed, so that a half-built one is never seen, and
two processes that want the same one build it once. An entry goes by the names, sizes and times of
the files: one whose content changes while its size and time stay is not noticed. After such a
change `workbench cache --clear SOURCE` has the folder read anew.
"""

import array
import contextlib
import errno
import functools
import hashlib
import os
import shutil
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import cv2
import filelock
import msgspec
import numpy as np
from numpy.typing import NDArray

from sessions.events import Skipped
from workbench.errors import UserError
from workbench.training.images import cache_entries
from workbench.training.images.cache_entries import CACHE_ENV, META, PIXELS, Meta
from workbench.training.images.decoding import MEMORY_LIMIT, decoded, large
from workbench.training.images.image_header import Unreadable
from workbench.training.images.items import Item, Listing
from workbench.training.images.listing import SILENT_S, SKIPPED_LISTED, Progress, printable

FORMAT = 2
"""Part of every key; another one where the same file comes out as other pixels."""
LABELS, MARKS = "labels.npy", "is_val.npy"
REPORT_S = 0.25
_AT_ONCE = 4096
"""Names that go into the key at once."""
_TASK, _AHEAD = 4, 4
"""Images that a thread decodes at a time, and tasks a thread that wait."""

Opened = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None, Meta]
Decoded = tuple[NDArray[np.uint8] | None, bytes, str]
"""The image, the hash of its file, and why there is no image if there is none."""


def cached(listing: Listing, size: int, channels: int, progress: Progress | None) -> Opened:
    """Images (N, S, S, C), their labels, which are for validation where the folder says, and more.

    Raises:
        UserError: no image can be read, or the cache folder cannot be written.
    """
    cache_entries.limit()  # refused also where nothing has to be built
    folder = cache_entries.cache_folder() / _key(listing, size, channels, progress)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{folder}{cache_entries.LOCK}"):
            found = _opened(folder)
            if found is None:
                _build(folder, listing, size, channels, progress)
                found = _opened(folder)
    except OSError as error:
        raise UserError(
            f"cannot cache images in {folder.parent}: {_reason(error)}; free space, or set "
            f"{CACHE_ENV} to another folder"
        ) from error
    if found is None:
        raise UserError(f"{folder} is not as it was written: check the disk, or set {CACHE_ENV}")
    cache_entries.used(folder)
    return found


def _key(listing: Listing, size: int, channels: int, progress: Progress | None) -> str:
    """Changes with any file's name, size or time, so that no stale array is used."""
    head = (FORMAT, os.path.abspath(listing.root), size, channels, listing.classes)
    left_out = (listing.skipped_count, *((skip.path, skip.reason) for skip in listing.skipped))
    digest = hashlib.sha256(f"{head} {left_out}\n".encode(errors="surrogateescape"))
    done, total, started = 0, len(listing.items), time.monotonic()
    for folder in listing.folders:
        place = os.path.relpath(folder.path, listing.root)
        line = f"{place}\0{folder.label}\0{folder.is_val}\n"
        digest.update(line.encode(errors="surrogateescape"))
        with _within(folder.path) as look:
            for start in range(0, len(folder.names), _AT_ONCE):
                names = folder.names[start : start + _AT_ONCE]
                lines = "".join([_stamp(look, name) for name in names])
                digest.update(lines.encode(errors="surrogateescape"))
                done += len(names)
                if progress is not None and time.monotonic() - started > SILENT_S:
                    progress(done, total)
    return digest.hexdigest()[:32]


@contextlib.contextmanager
def _within(folder: str) -> Iterator[Callable[[str], os.stat_result]]:
    """A look at files of a folder, which is found once where the system can."""
    place = None
    if os.stat in os.supports_dir_fd:
        with contextlib.suppress(OSError):  # deleted meanwhile
            place = os.open(folder, os.O_RDONLY)
    if place is None:
        yield lambda name: os.stat(os.path.join(folder, name))
        return
    try:
        yield functools.partial(os.stat, dir_fd=place)
    finally:
        os.close(place)


def _stamp(look: Callable[[str], os.stat_result], name: str) -> str:
    try:
        status = look(name)
    except OSError:
        return f"{name}\0unreadable\n"
    return f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"


def _opened(folder: Path) -> Opened | None:
    """What an entry holds; None where there is none, or it is damaged."""
    try:
        meta = msgspec.json.decode((folder / META).read_bytes(), type=Meta)
        sizes = {name: (folder / name).stat().st_size for name in meta.sizes}
        if not sizes or sizes != meta.sizes:
            return None
        labels, marks = np.load(folder / LABELS), np.load(folder / MARKS)
        images = _mapped(folder / PIXELS)
    except (OSError, ValueError, EOFError, msgspec.MsgspecError):
        return None
    if not len(images) == len(labels) == len(marks) == meta.images:
        return None
    return images, labels, (marks > 0 if (marks >= 0).all() else None), meta


def _mapped(path: Path) -> NDArray[np.uint8]:
    """The array in a file, which is held for as long as any of it is used."""
    with path.open("rb") as file:
        cache_entries.hold(file)  # the mapping has a copy of this descriptor, and so its lock
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"unknown version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, dtype, "r", file.tell(), shape)


def _build(
    folder: Path, listing: Listing, size: int, channels: int, progress: Progress | None
) -> None:
    """Decode into a temporary folder and rename it, so that a half-built cache is never seen."""
    if folder.exists():
        shutil.rmtree(folder)
    cache_entries.tidy(folder.parent)
    needed = len(listing.items) * size * size * channels
    cache_entries.make_room(folder.parent, needed)
    if needed > (free := shutil.disk_usage(folder.parent).free):
        needs, has = map(cache_entries.shown_size, (needed, free))
        raise OSError(errno.ENOSPC, f"they need {needs}, and {has} are free")
    partial = folder.with_name(folder.name + cache_entries.PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        meta = _fill(partial, listing, (size, size, channels), progress)
        meta.sizes = {path.name: path.stat().st_size for path in partial.iterdir()}
        (partial / META).write_bytes(msgspec.json.encode(meta))
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _fill(
    partial: Path, listing: Listing, shape: tuple[int, int, int], progress: Progress | None
) -> Meta:
    total = len(listing.items)
    digest = hashlib.sha256()
    labels, marks = array.array("q"), array.array("b")
    skipped, skipped_count = list(listing.skipped), listing.skipped_count
    # Written one by one: a full disk is an error then, and not the end of the process.
    with (partial / PIXELS).open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        _write_head(file, (total, *shape))
        for item, (image, content_hash, reason) in _in_order(pool, listing, shape, progress):
            name = os.path.relpath(item.path, listing.root)
            if image is None:
                skipped_count += 1
                if len(skipped) < SKIPPED_LISTED:
                    skipped.append(Skipped(printable(name), reason))
                continue
            file.write(image.data)
            labels.append(item.label)
            marks.append(-1 if item.is_val is None else int(item.is_val))
            digest.update(name.encode(errors="surrogateescape") + content_hash)
        if not labels:
            first = f"{skipped[0].path}: {skipped[0].reason}"
            raise UserError(f"none of the {total} images in {listing.root} can be read ({first})")
        file.seek(0)
        _write_head(file, (len(labels), *shape))
    np.save(partial / LABELS, np.array(labels, dtype=np.int64))
    np.save(partial / MARKS, np.array(marks, dtype=np.int8))
    return Meta(
        fingerprint=digest.hexdigest(),
        skipped=skipped,
        skipped_count=skipped_count,
        root=os.path.abspath(listing.root),
        images=len(labels),
        size=shape[0],
        channels=shape[2],
    )


def _in_order(
    pool: ThreadPoolExecutor,
    listing: Listing,
    shape: tuple[int, int, int],
    progress: Progress | None,
) -> Iterator[tuple[Item, Decoded]]:
    """Every image as it was decoded, few of them ahead of the reader."""

    def decode(items: list[Item]) -> list[tuple[Item, Decoded]]:
        return [(item, _decode(item.path, shape[0], shape[2])) for item in items]

    items, total, done = iter(listing.items), len(listing.items), 0
    waiting: deque[Future[list[tuple[Item, Decoded]]]] = deque()
    reported = -REPORT_S
    while done < total:
        while len(waiting) < _AHEAD * (os.cpu_count() or 1) and (some := [*islice(items, _TASK)]):
            waiting.append(pool.submit(decode, some))
        for found in waiting.popleft().result():
            if progress is not None and (done % 64 == 0 or time.monotonic() - reported > REPORT_S):
                reported = time.monotonic()
                progress(done, total)
            yield found
            done += 1
    if progress is not None:
        progress(total, total)


def _decode(path: str, size: int, channels: int) -> Decoded:
    digest = b""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return None, digest, "not a file"
        if status.st_size > MEMORY_LIMIT:
            return None, digest, f"too large: {cache_entries.shown_size(status.st_size)}"
        with large(status.st_size):
            content = Path(path).read_bytes()
            digest = hashlib.sha256(content).digest()
            return decoded(content, size, channels), digest, ""
    except OSError as error:
        return None, digest, error.strerror or "unreadable"
    except Unreadable as error:
        return None, digest, str(error)
    except (MemoryError, cv2.error):
        return None, digest, "too large for the memory"


def _write_head(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """As long for any number of images, so that it can be written again."""
    what = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, what)


def _reason(error: OSError) -> str:
    if error.errno in (errno.EDQUOT, errno.EFBIG):
        return "no space left"
    return (error.strerror or str(error)).replace("No space", "no space")
