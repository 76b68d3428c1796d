"""The entries of the image cache on disk: what they take, when they were used, which have to go.

An entry is a folder `images/KEY`. `KEY.lock` is held while it is built, opened or dropped; its
pixels are locked, shared, for as long as a process maps them, so that none in use is dropped. On
Linux and macOS a mapped file stays readable even if somebody deletes it by hand; Windows has no
such locks, but refuses to rename or delete a file that is mapped, so that it stays as well.
"""

import contextlib
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import BinaryIO

import filelock
import msgspec
import platformdirs

from sessions.events import Skipped
from workbench.errors import UserError

CACHE_ENV = "WORKBENCH_CACHE"
LIMIT_ENV = "WORKBENCH_CACHE_LIMIT"
DEFAULT_LIMIT = 5 * 10**9
PIXELS, META = "images.npy", "meta.json"
LOCK, PARTIAL = ".lock", ".part"
_KEY = re.compile(r"[0-9a-f]{32}")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class Meta(msgspec.Struct):
    """What is known of the images of a cache entry."""

    fingerprint: str
    skipped: list[Skipped]
    skipped_count: int
    root: str = ""
    """Absolute path of their folder; empty in entries of older versions."""
    images: int | None = None
    size: int | None = None
    """Edge in pixels."""
    channels: int | None = None
    sizes: dict[str, int] = {}
    """Bytes of each file of the entry, by which a damaged one is known."""


class Entry(msgspec.Struct, frozen=True):
    """A cache entry as it is listed."""

    folder: Path
    source: str
    """Empty where an older version did not note it."""
    images: int | None
    size: int | None
    channels: int | None
    bytes: int
    last_used: float
    """Seconds since 1970."""


def cache_folder() -> Path:
    """Where entries are kept."""
    set_by_user = os.environ.get(CACHE_ENV)
    base = Path(set_by_user) if set_by_user else platformdirs.user_cache_path("workbench")
    return base / "images"


def limit() -> int:
    """Bytes that all entries may take together.

    Raises:
        UserError: the user's limit is no size.
    """
    text = os.environ.get(LIMIT_ENV, "").strip()
    if not text:
        return DEFAULT_LIMIT
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.upper())
    if found is None:
        raise UserError(f"{LIMIT_ENV} is {text!r}, which is no size: write it like 2GB or 500MB")
    number, unit = found.groups()
    return int(float(number) * _UNITS[unit if unit in _UNITS else f"{unit}B"])


def shown_size(count: int) -> str:
    """Bytes for people, in decimal units."""
    unit = next((u for u in ("TB", "GB", "MB", "KB") if count >= _UNITS[u]), "B")
    return f"{count / _UNITS[unit]:.1f} {unit}" if unit != "B" else f"{count} B"


def entries(folder: Path) -> list[Entry]:
    """All entries, the one that was not used for longest first."""
    found = []
    for path in _inside(folder):
        if _KEY.fullmatch(path.name):
            with contextlib.suppress(OSError):  # dropped by another process meanwhile
                found.append(_entry(path))
    return sorted(found, key=lambda entry: entry.last_used)


def entries_of(folder: Path, source: Path | None) -> list[Entry]:
    """The entries of a folder of images and those below it; all of them without one."""
    if source is None:
        return entries(folder)
    wanted = os.path.realpath(source)
    found = ((entry, os.path.realpath(entry.source)) for entry in entries(folder) if entry.source)
    return [
        entry for entry, root in found if root == wanted or root.startswith(wanted + os.path.sep)
    ]


def used(folder: Path) -> None:
    """Note that an entry was used now."""
    with contextlib.suppress(OSError):  # of another user: then it keeps its time
        os.utime(folder / META)


def hold(pixels: BinaryIO) -> None:
    """Keep an entry from being dropped while this file, or a mapping of it, is open."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(pixels, fcntl.LOCK_SH)


def drop(folder: Path) -> bool:
    """Remove an entry; False where it is in use, being built, or another user's."""
    lock = filelock.FileLock(f"{folder}{LOCK}", timeout=0)
    try:
        with lock:
            if _is_held(folder / PIXELS):
                return False
            gone = folder.with_name(folder.name + PARTIAL)
            shutil.rmtree(gone, ignore_errors=True)
            os.replace(folder, gone)
            shutil.rmtree(gone, ignore_errors=True)
            os.unlink(lock.lock_file)
    except (filelock.Timeout, OSError):
        return not folder.exists()
    return True


def make_room(folder: Path, needed: int) -> None:
    """Drop what was not used for longest until so many bytes more fit into the limit.

    What is in use stays, and so does the entry that is about to be built, however large it is.
    """
    kept = entries(folder)
    total = needed + sum(entry.bytes for entry in kept)
    for entry in kept:
        if total <= limit():
            break
        if drop(entry.folder):
            total -= entry.bytes


def tidy(folder: Path) -> None:
    """Remove what processes that are gone left behind: half-built entries, locks of no entry."""
    for path in _inside(folder):
        if path.suffix not in (LOCK, PARTIAL) or not _KEY.fullmatch(path.stem):
            continue
        entry = path.with_suffix("")
        lock = filelock.FileLock(f"{entry}{LOCK}", timeout=0)
        with contextlib.suppress(filelock.Timeout, OSError), lock:
            shutil.rmtree(entry.with_suffix(PARTIAL), ignore_errors=True)
            if not entry.exists():
                os.unlink(lock.lock_file)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _entry(path: Path) -> Entry:
    note = path / META
    try:
        meta = msgspec.json.decode(note.read_bytes(), type=Meta)
    except (OSError, msgspec.MsgspecError):  # damaged: built anew when it is wanted
        meta = Meta("", [], 0)
    return Entry(
        folder=path,
        source=meta.root,
        images=meta.images,
        size=meta.size,
        channels=meta.channels,
        bytes=sum(file.stat().st_size for file in path.iterdir()),
        last_used=min((note if note.exists() else path).stat().st_mtime, time.time()),
    )


def _is_held(pixels: Path) -> bool:
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with pixels.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
