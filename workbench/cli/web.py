"""The workbench in a browser."""

import importlib.util
import secrets
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from sessions import log
from workbench.cli.config import OnlyAscii, Theme, chosen
from workbench.cli.screen import (
    DataSource,
    Device,
    InputEdge,
    ModelOrSession,
    NewSession,
    RecipePath,
    RuleGiven,
    checked_model,
    new_session_folder,
)
from workbench.errors import UserError

PAGE = (
    "import os; os.environ['TEXTUAL_DRIVER'] = 'workbench.web.page:PageDriver'; "
    "from workbench.web.page import main; main()"
)
"""Textual reads the driver's name when it is imported, and finds it in a module of its own name."""


def serve(
    model: ModelOrSession,
    data: DataSource = None,
    input_size: InputEdge = None,
    session: NewSession = None,
    recipe: RecipePath = None,
    rule: RuleGiven = None,
    device: Device = "auto",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own are a risk.")
    ] = "127.0.0.1",
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everybody in who reaches the port.")
    ] = False,
    theme: Theme = None,
    only_ascii: OnlyAscii = False,
) -> None:
    """Open a model, or a session, in a browser: one page at a time, this machine alone."""
    if importlib.util.find_spec("textual_serve") is None:
        raise UserError("serve needs textual-serve: pip install 'workbench[web]'")
    from workbench.web.guard import Guard, is_loopback
    from workbench.web.server import SessionServer, listen, run

    is_session = checked_model(model, session, input_size)
    folder = model if is_session else session or new_session_folder(model.stem)
    first = (
        {}
        if is_session
        else {"--session": folder, "--input-size": input_size, "--recipe": recipe, "--rule": rule}
    )
    chosen(theme, only_ascii=only_ascii)  # what is wrong is told here, not in the page
    always = {"--data": data, "--device": device, "--theme": theme, "--ascii": only_ascii}
    command = page_command(model, folder.absolute(), first, always)
    try:
        listener = listen(host, port)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host} port {port} ({error.strerror}): choose another with --port"
        ) from error
    port = listener.getsockname()[1]
    token = "" if no_token else secrets.token_urlsafe(32)
    _say_where(host, port, token, is_loopback=is_loopback(host))
    run(SessionServer(command, folder.name, Guard(token, host, port)), listener)
    if log.is_session(folder):
        print(f"session kept; go on with: workbench open {shlex.quote(str(folder.absolute()))}")


def page_command(
    model: Path, folder: Path, first: Mapping[str, object], always: Mapping[str, object]
) -> Callable[[], str]:
    """What a page runs, as a line for the shell: opens the model, later goes on with its session.

    Args:
        model: a model, or the session folder itself.
        folder: of the session.
        first: options of a session that is new.
        always: options of both.
    """

    def command() -> str:
        goes_on = log.is_session(folder)
        options = always if goes_on else {**first, **always}
        words = [
            name if value is True else f"{name}={value}"
            for name, value in options.items()
            if value is not None and value is not False
        ]
        source = folder if goes_on else model.absolute()
        page = [sys.executable, "-c", PAGE, "open", *words, "--", str(source)]
        return f"exec {shlex.join(page)}"  # no shell between the server and the page's process

    return command


def _say_where(host: str, port: int, token: str, *, is_loopback: bool) -> None:
    """The address to open; warnings go to stderr."""
    if not is_loopback:
        reach = "everybody" if not token else "whoever learns the token"
        print(
            f"warning: listening on {host}: {reach} in the network can use this session and read "
            "and write your files; the connection is not encrypted",
            file=sys.stderr,
        )
    elif not token:
        print("warning: no token: every user of this machine can open it", file=sys.stderr)
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    print(f"open http://{name}:{port}/{f'?token={token}' if token else ''}")
    print("ctrl+c ends it; the session is kept", flush=True)


COMMANDS = (serve,)
