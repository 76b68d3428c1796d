"""Gathers the commands and turns every expected error into one line on stderr."""

import sys
from importlib.metadata import version as installed_version

import typer

from sessions.edits import EditError
from sessions.log import SessionError
from sessions.recipe import RecipeError
from sessions.score import ScoreError
from workbench.cli import (
    autopilot,
    cache,
    config,
    data,
    export,
    model,
    new,
    report,
    score,
    screen,
    search,
    sensitivity,
    train,
    training,
    web,
    zoo,
)
from workbench.errors import UserError

app = typer.Typer(
    name="workbench",
    help="Cut down small image classifiers by hand, with MACs, F1 and score in sight.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    screen,
    web,
    report,
    model,
    new,
    train,
    training,
    data,
    cache,
    export,
    score,
    config,
    sensitivity,
):
    for command in group.COMMANDS:
        app.command()(command)
app.add_typer(zoo.app, name="zoo")
search.app.command()(autopilot.autopilot)
app.add_typer(search.app, name="search")


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version."),
) -> None:
    if version:
        print(f"workbench {installed_version('workbench')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; usage errors leave with 2, all others with 1."""
    try:
        app()
    except (UserError, EditError, SessionError, RecipeError, ScoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
