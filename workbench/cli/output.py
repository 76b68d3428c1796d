"""What commands print: one JSON object, or tables and progress for people."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")
]


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json.dumps(msgspec.to_builtins(value), ensure_ascii=False), file=sys.__stdout__)


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Send whatever libraries print to stderr, so that stdout is only ours."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def console() -> Console:
    """For tables on stdout."""
    return Console(highlight=False, markup=False, soft_wrap=True)


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table whose first column is text and whose others are numbers."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", no_wrap=True)
    return made
