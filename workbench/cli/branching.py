"""Branches a session off, without a screen."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.output import Json, print_json


def branch(
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="A session folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that does not exist yet.")],
    at: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds on the replay's clock; the end if left out."),
    ] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Where a line is broken, keep what is before it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a session of another one's first part, to go on from there; the other stays as it is."""
    from sessions import branching

    made = branching.branch(folder.absolute(), out.absolute(), seconds=at, salvage=salvage)
    if as_json:
        print_json(made)
        return
    if made.note:
        print(f"note: {made.note}")
    jobs = ", ".join(map(str, made.cut_off))
    cut_off = f"; cut off: job {jobs}, to go on with c" if jobs else ""
    print(f"{made.records:,} events, {made.variants:,} variants{cut_off}")
    print(f"go on with: workbench open {made.session}")
