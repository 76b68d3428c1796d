"""The networks on this machine: fetched, unpacked, checked, kept in the user's cache folder.

A file gets its name only once its SHA-1 is the published one, and is checked again whenever it is
asked for. One process at a time fetches a network; another that wants the same one waits for it.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import filelock
import msgspec

from workbench.errors import UserError, explain
from workbench.training.images.cache_entries import cache_folder
from workbench.zoo import transfer
from workbench.zoo.catalogue import BASE_URL, PUBLISHED, Published
from workbench.zoo.transfer import CHUNK, NotFetched, Stopped

URL_ENV = "WORKBENCH_ZOO_URL"
LOCK = ".lock"
WAIT_S = 0.5
MOST_PER_WEIGHT = 16
"""Bytes of an unpacked file for each of the network's parameters: four times what they take."""

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What zipfile raises over an archive that is damaged, encrypted or of an unknown kind."""


class Watcher(Protocol):
    """What a fetch tells and asks."""

    def fetched(self, done: int, total: int) -> None:
        """Bytes that have come, and of how many; of 0 where that is not known."""

    def say(self, line: str) -> None:
        """A line for people."""

    def should_stop(self) -> bool:
        """Whether to end here; what has come is kept."""


class Kept(msgspec.Struct, frozen=True):
    """A network's file on this machine."""

    name: str
    path: Path
    bytes: int


def folder() -> Path:
    """Where the files are kept."""
    return cache_folder().parent / "models"


def base_url() -> str:
    """The address below which the releases are: of a mirror, where the environment names one."""
    return os.environ.get(URL_ENV, "").strip() or BASE_URL


def kept() -> list[Kept]:
    """Every network that is here, not checked."""
    found = []
    for network in PUBLISHED.values():
        path = folder() / network.file_name
        with contextlib.suppress(OSError):
            found.append(Kept(network.name, path, path.stat().st_size))
    return found


def obtained(network: Published, base: str | None, watcher: Watcher) -> Path:
    """The file of a network, from the cache folder or else fetched into it.

    An archive, or the file itself, that somebody put into that folder by hand is taken.

    Args:
        base: the address below which the releases are; None takes that of the environment.

    Raises:
        UserError: it cannot be fetched, is not the published file, or cannot be kept; the message
            names the next step.
    """
    path = folder() / network.file_name
    url = network.url(base or base_url())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, watcher):
            if not _is_here(path, network, watcher):
                _fetch(path, network, url, watcher)
    except Stopped:
        raise UserError(
            f"stopped; {network.name} goes on from here with the same command"
        ) from None
    except NotFetched as error:
        raise UserError(
            f"{error}: check the network and the proxy (HTTPS_PROXY) or name a mirror ({URL_ENV}), "
            f"or put {network.archive_name} from {url} into {path.parent} by hand"
        ) from error
    except OSError as error:
        raise UserError(f"cannot keep {path}: {explain(error)}") from error
    return path


def copied(path: Path, out: Path) -> None:
    """Copy a kept file to a name of the user's, whole or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        shutil.copyfile(path, partial)
        os.replace(partial, out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {explain(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def clear() -> list[Kept]:
    """Remove every network and what unfinished fetches left; returns those that are gone.

    One that is being fetched stays.
    """
    before = kept()
    for network in PUBLISHED.values():
        _drop(folder() / network.file_name)
    return [found for found in before if not found.path.exists()]


def sha1_of(path: Path) -> str:
    """The checksum of a file, hex digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


@contextlib.contextmanager
def _locked(path: Path, watcher: Watcher) -> Iterator[None]:
    lock = filelock.FileLock(f"{path}{LOCK}")
    is_waiting = False
    while True:
        try:
            lock.acquire(timeout=WAIT_S if is_waiting else 0)
            break
        except filelock.Timeout:
            if not is_waiting:
                watcher.say(f"waiting for another process that fetches {path.name}")
            is_waiting = True
            if watcher.should_stop():
                raise Stopped from None
    try:
        yield
    finally:
        lock.release()


def _drop(path: Path) -> None:
    if not path.parent.is_dir():
        return
    with (
        contextlib.suppress(filelock.Timeout, OSError),
        filelock.FileLock(f"{path}{LOCK}", timeout=0) as lock,
    ):
        for suffix in ("", ".zip", ".unpacked"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        transfer.discard(_archive(path))
        os.unlink(lock.lock_file)


def _is_here(path: Path, network: Published, watcher: Watcher) -> bool:
    if not path.exists():
        return False
    if sha1_of(path) == network.sha1:
        return True
    watcher.say(f"{path} is not the published file any more: it is fetched again")
    path.unlink()
    return False


def _fetch(path: Path, network: Published, url: str, watcher: Watcher) -> None:
    archive = _archive(path)
    origin = "put there by hand"
    if not archive.exists():
        origin = f"from {url}"
        transfer.fetch(url, archive, watcher.fetched, watcher.should_stop)
    unpacked = path.with_name(f"{path.name}.unpacked")
    try:
        _unpack(archive, unpacked, network)
        found = sha1_of(unpacked)
        if found != network.sha1:
            raise UserError(
                f"{network.name} {origin} is not the published file (SHA-1 {found[:8]}, published "
                f"{network.sha1[:8]}) and was removed: fetch it again, or from elsewhere"
            )
        os.replace(unpacked, path)
    finally:
        # Good or not, it has done its service; what is wrong must not be found here again.
        archive.unlink(missing_ok=True)
        unpacked.unlink(missing_ok=True)


def _archive(path: Path) -> Path:
    return path.with_name(f"{path.name}.zip")


def _unpack(archive: Path, out: Path, network: Published) -> None:
    """Write the one file of an archive; names in the archive never become paths.

    Raises:
        UserError: it holds something else than that one file.
    """
    removed = "it was removed: fetch it again, or from elsewhere"
    try:
        with zipfile.ZipFile(archive) as content:
            members = content.infolist()
            names = [member.filename for member in members]
            if names != [network.file_name]:
                held = ", ".join(repr(name) for name in names[:3]) or "nothing"
                raise UserError(
                    f"{archive.name} holds {held}, and not {network.file_name} alone: {removed}"
                )
            most = MOST_PER_WEIGHT * network.params
            with content.open(members[0]) as source, out.open("wb") as file:
                if not _poured(source, file, most):
                    raise UserError(
                        f"{archive.name} unpacks to more than the {most:,} bytes that "
                        f"{network.name} can have: {removed}"
                    )
                file.flush()
                os.fsync(file.fileno())
    except UNREADABLE as error:
        raise UserError(f"{archive.name} is no whole zip archive ({error}): {removed}") from error


def _poured(source: IO[bytes], file: IO[bytes], most: int) -> bool:
    """Copy, counting what really comes: an archive may claim any size."""
    written = 0
    while chunk := source.read(CHUNK):
        written += len(chunk)
        if written > most:
            return False
        file.write(chunk)
    return True
