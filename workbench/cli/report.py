"""A session as one page to read and to hand on."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sessions import log
from sessions.replay import rebuilt
from workbench.cli.output import Json, print_json
from workbench.cli.writing import explained, write_whole
from workbench.errors import UserError


def report(
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="A session folder.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="HTML file; may be left out with --json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a session as one HTML page: figures, charts, variants, confusions, recipes."""
    from workbench.report.facts import NothingToReport, gather
    from workbench.report.page import page

    if out is None and not as_json:
        raise UserError("name the page: -o report.html")
    recording = log.read(folder)
    if recording.is_torn:
        print("note: the last line was cut off and is left out", file=sys.stderr)
    try:
        found = gather(
            folder, recording.header, rebuilt(recording.records),
            seconds=recording.seconds, events=len(recording.records), is_torn=recording.is_torn,
        )  # fmt: skip
    except NothingToReport as error:
        raise UserError(f"{folder}: {error}") from error
    if out is not None:
        with explained(out):
            write_whole(out, page(found))
    if as_json:
        print_json(found)
    elif out is not None:
        print(f"saved {out}")


COMMANDS = (report,)
