"""Brings one file over HTTP to a place on disk, on from where an earlier try broke off.

What has come lies in `NAME.part`, and `NAME.part.json` says of which version of which address it
is: it is gone on with only where the server confirms that version, else begun anew. Whether the
content is right is for the caller to check.
"""

import contextlib
import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from workbench.errors import UserError, explain

TIMEOUT_S = 30.0
"""Without a single byte; a slow transfer may take as long as it likes."""
CHUNK = 64 * 1024
LARGEST = 256 * 1024**2
"""Bytes; more is no network of this zoo."""
PARTIAL, NOTE = ".part", ".part.json"

Progress = Callable[[int, int], None]
"""Told how many bytes have come, and of how many; of 0 where the server does not say."""


class Stopped(Exception):
    """The user ended it; what has come is kept."""


class NotFetched(UserError):
    """The file could not be brought; the message says why, and not what to do instead."""


class _Note(msgspec.Struct):
    """The version that a partial file is of."""

    url: str
    validator: str
    """A strong ETag, or else the date of the last change."""
    size: int = 0
    """Bytes of the whole; 0 where the server did not say."""


class _Broken(Exception):
    """The connection ended early; the rest can be asked for."""


class _Changed(Exception):
    """What comes is not the rest of what is here."""


def fetch(
    url: str,
    place: Path,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Bring a file to a place, through the proxies of the environment.

    Where the connection breaks off it goes on by itself for as long as something comes.

    Raises:
        NotFetched: the address is no HTTP, the server cannot be reached, refuses or has too much.
        UserError: what comes cannot be written.
        Stopped: `should_stop` said so.
    """
    if not _is_http(url):
        raise NotFetched(f"{url} is no http or https address")
    partial, note = _beside(place, PARTIAL), _beside(place, NOTE)
    while True:
        before = _size(partial)
        try:
            _get(url, partial, note, progress, should_stop, timeout_s)
            os.replace(partial, place)
            note.unlink(missing_ok=True)
        except _Changed:
            discard(place)
            continue
        except _Broken as error:
            if _size(partial) > before:
                continue
            raise NotFetched(
                f"the transfer from {_host(url)} broke off after {_size(partial):,} bytes ({error})"
            ) from error
        except urllib.error.HTTPError as error:
            raise NotFetched(_answered(error, url)) from error
        except OSError as error:
            raise UserError(f"cannot write {partial}: {explain(error)}") from error
        return


def discard(place: Path) -> None:
    """Remove what an unfinished transfer to a place left."""
    for suffix in (PARTIAL, NOTE):
        _beside(place, suffix).unlink(missing_ok=True)


def _get(
    url: str,
    partial: Path,
    note: Path,
    progress: Progress,
    should_stop: Callable[[], bool],
    timeout_s: float,
) -> None:
    """One request, from the end of the partial file where it may be gone on with."""
    known = _known(note, url)
    start = _size(partial) if known is not None else 0
    if known is not None and known.size and start == known.size:
        return
    with _opened(url, known.validator if start and known else "", start, timeout_s) as response:
        start, total = _agreed(response, start, known)
        if total > LARGEST:
            raise NotFetched(f"{url} has {total:,} bytes, far more than a network of this zoo")
        if not start:
            # The old note goes before the new bytes come: it would vouch for the wrong file.
            note.unlink(missing_ok=True)
        with open(partial, "r+b" if start else "wb") as file:
            file.truncate(start)
            file.seek(start)
            _write_note(note, url, response, total)
            _copy(response, file, start, total, progress, should_stop)


def _opened(url: str, validator: str, start: int, timeout_s: float) -> Any:
    headers = {"User-Agent": "workbench", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    request = urllib.request.Request(url, headers=headers)
    try:
        # An opener of its own: the shared one keeps the proxies that it was first used with.
        return urllib.request.build_opener().open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _opened(url, "", 0, timeout_s)
        raise
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(f"cannot reach {_host(url)}: {_reason(error)}") from error


def _agreed(response: Any, start: int, known: _Note | None) -> tuple[int, int]:
    """Where the bytes that come belong, and the size of the whole, 0 where it is not said."""
    length = _number(response.headers.get("Content-Length"))
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, length
    unit, _, rest = (response.headers.get("Content-Range") or "").partition(" ")
    span, _, whole = rest.partition("/")
    first = span.partition("-")[0]
    total = _number(whole) or start + length
    if not start and (unit, first) != ("bytes", "0"):
        raise NotFetched(f"{response.url} sent a part, where the whole was asked for")
    if known is not None and start:
        tag = response.headers.get("ETag") or known.validator
        is_same = not known.validator.startswith('"') or tag == known.validator
        if (unit, first) != ("bytes", str(start)) or known.size not in (0, total) or not is_same:
            raise _Changed
    return start, total


def _copy(
    response: Any,
    file: Any,
    done: int,
    total: int,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> None:
    progress(done, total)
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(_reason(error)) from error
        if not chunk:
            break
        file.write(chunk)
        done += len(chunk)
        progress(done, total)
        if done > (total or LARGEST):
            raise NotFetched(f"{response.url} sent more than the {total or LARGEST:,} bytes due")
        if should_stop():
            raise Stopped
    if done < total:
        raise _Broken(f"{total - done:,} are missing")


def _write_note(note: Path, url: str, response: Any, total: int) -> None:
    """Note the version, unless there is nothing to tell it by: then there is no going on."""
    tag = response.headers.get("ETag") or ""
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified") or ""
    if validator:
        note.write_bytes(msgspec.json.encode(_Note(url, validator, total)))


def _known(note: Path, url: str) -> _Note | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        found = msgspec.json.decode(note.read_bytes(), type=_Note)
        return found if found.url == url else None
    return None


def _answered(error: urllib.error.HTTPError, url: str) -> str:
    if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return f"{url} does not exist ({error.code})"
    return f"{_host(url)} answered {error.code} {error.reason} to {url}"


def _reason(error: Exception) -> str:
    """What went wrong on the way, in words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    match cause:
        case socket.gaierror():
            return "its name is not known here"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({cause.verify_message})"
        case OSError():
            return cause.strerror or str(cause)
        case _:
            return str(cause) or type(cause).__name__


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _beside(place: Path, suffix: str) -> Path:
    return place.with_name(place.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
