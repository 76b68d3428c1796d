"""The command on what is kept on disk: decoded images, networks of the zoo; and clearing it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import Json, console, print_json, table
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.training.images.cache_entries import Entry
    from workbench.zoo.store import Kept


def cache(
    source: Annotated[
        Path | None, typer.Argument(help="Only what is cached of this folder of images.")
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Remove it; it is decoded or fetched anew when wanted next."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Images that were decoded before, and networks that `workbench zoo` fetched."""
    from workbench.training.images import cache_entries
    from workbench.zoo import store

    folder, limit = cache_entries.cache_folder(), cache_entries.limit()
    if clear:
        cache_entries.tidy(folder)
    found = cache_entries.entries_of(folder, source and source.expanduser())
    if source is not None and not found:
        raise UserError(f"nothing is cached of {source}: `workbench cache` lists what is")
    removed = [entry for entry in found if clear and cache_entries.drop(entry.folder)]
    kept = [entry for entry in found if entry not in removed]
    networks = store.kept() if source is None else []
    gone = store.clear() if clear and source is None else []
    total = _bytes(cache_entries.entries(folder))
    if as_json:
        report = {"folder": str(folder), "limit": limit, "total": total, "entries": _rows(kept)}
        report["networks"] = _networks(network for network in networks if network not in gone)
        if clear:
            report |= {"removed": _rows(removed), "freed": _bytes(removed)}
            report["removed_networks"] = _networks(gone)
        print_json(report)
        return
    if clear:
        console().print(f"{_counted(removed)} removed, {_shown(removed)} freed")
        if kept:
            console().print(f"{_counted(kept)} kept: in use, or not yours to remove")
    elif kept:
        _print(kept)
    _print_networks(networks, gone)
    console().print(
        f"the cache in {folder} holds {cache_entries.shown_size(total)} of at most "
        f"{cache_entries.shown_size(limit)} ({cache_entries.LIMIT_ENV} sets another limit)"
    )


def _rows(entries: "list[Entry]") -> list[dict[str, Any]]:
    return [
        {
            "key": entry.folder.name,
            "source": entry.source,
            "images": entry.images,
            "size": entry.size,
            "channels": entry.channels,
            "bytes": entry.bytes,
            "last_used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.last_used)),
        }
        for entry in entries
    ]


def _networks(networks: "Iterable[Kept]") -> list[dict[str, Any]]:
    return [{"name": x.name, "file": str(x.path), "bytes": x.bytes} for x in networks]


def _print_networks(networks: "list[Kept]", gone: "list[Kept]") -> None:
    from workbench.training.images.cache_entries import shown_size

    for network in networks:
        is_gone = " removed" if network in gone else ""
        console().print(
            f"network {network.name}{is_gone}: {shown_size(network.bytes)}, {network.path}"
        )


def _print(entries: "list[Entry]") -> None:
    rows = table("source", "pixels", "images", "on disk", "last used")
    rows.columns[0].no_wrap, rows.columns[0].overflow = False, "fold"
    for entry in reversed(entries):
        rows.add_row(
            entry.source or f"unknown ({entry.folder.name})",
            f"{entry.size}x{entry.size}x{entry.channels}" if entry.size else "",
            "" if entry.images is None else f"{entry.images:,}",
            _shown([entry]),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used)),
        )
    console().print(rows)


def _bytes(entries: "list[Entry]") -> int:
    return sum(entry.bytes for entry in entries)


def _shown(entries: "list[Entry]") -> str:
    from workbench.training.images.cache_entries import shown_size

    return shown_size(_bytes(entries))


def _counted(entries: "list[Entry]") -> str:
    return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"


COMMANDS = (cache,)
