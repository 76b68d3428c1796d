"""The command on the config file, and the choices of looks that other commands take."""

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from workbench.cli.output import Json, print_json
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.config import Config

Theme = Annotated[
    str | None,
    typer.Option(help="workbench-dark, workbench-light or high-contrast; else the config file's."),
]
OnlyAscii = Annotated[
    bool, typer.Option("--ascii", help="Draw with ASCII alone; names stay as they are.")
]


def config(
    check: Annotated[
        bool, typer.Option("--check", help="Read your file and say what is wrong with it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print where the config file lies and the whole of it with its defaults, or check yours."""
    from workbench import config as settings

    file = settings.config_file()
    if check:
        used = chosen()
        is_there = file.exists()
        if as_json:
            print_json({"file": str(file), "exists": is_there, "config": used})
        else:
            print(f"{file} is fine" if is_there else f"no file {file}: the defaults are used")
        return
    if as_json:
        print_json({"file": str(file), "exists": file.exists(), "config": settings.Config()})
        return
    note = "" if file.exists() else " (not there: what follows are the defaults)"
    print(f"# {file}{note}\n")
    print(settings.toml(settings.Config(), _keys()), end="")


def chosen(theme: str | None = None, *, only_ascii: bool = False) -> "Config":
    """The user's config with what the command line says.

    Raises:
        UserError: the config file or the theme is wrong.
    """
    import msgspec

    from workbench import config as settings

    used = settings.load()
    if theme is not None:
        if theme not in get_args(settings.Theme):
            raise UserError(f"no theme {theme!r}: it is {_or(get_args(settings.Theme))}")
        used = msgspec.structs.replace(used, theme=theme)
    if only_ascii:
        used = msgspec.structs.replace(used, ascii="always")
    if used.keys:
        from workbench import keymap
        from workbench.app import contexts

        try:
            keymap.keymap(used.keys, contexts())
        except settings.ConfigError as error:
            raise settings.ConfigError(f"{settings.config_file()}: {error}") from None
    return used


def _keys() -> dict[str, tuple[str, str]]:
    """Every action's keys and what it does."""
    from workbench import keymap
    from workbench.app import contexts

    return {
        keymap.name(binding): (keymap.written(binding), binding.tooltip or binding.description)
        for context in contexts()
        for binding in context
    }


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


COMMANDS = (config,)
