"""Commands with a screen: open, demo, replay, screenshot."""

import asyncio
import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sessions import log
from sessions.recipe import load as load_recipe
from sessions.score import load_rule
from sessions.splits import Splits
from workbench.cli.branching import branch
from workbench.cli.config import OnlyAscii, Theme, chosen
from workbench.cli.output import Json
from workbench.cli.splits import Fold, Folds, HoldOut, Seed, TrainAll, chosen_splits
from workbench.cli.writing import explained, write_whole
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp
    from workbench.config import Config
    from workbench.live import LiveSession
    from workbench.player import Player

DEMO = Path(__file__).parent.parent / "demo"
SMALLEST, LARGEST = (20, 6), (500, 300)
"""Columns and rows of a picture."""
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
ModelOrSession = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A checkpoint, or a session folder to go on with.")
]
DataSource = Annotated[
    str | None, typer.Option(help="digits, or a folder of images; without it F1 is not measured.")
]
InputEdge = Annotated[
    int | None, typer.Option(help="Input edge in pixels; the file's or family's own if left out.")
]
NewSession = Annotated[
    Path | None, typer.Option(help="New session folder; in the user's data folder if left out.")
]
RecipePath = Annotated[Path | None, typer.Option(help="TOML recipe for fine-tuning.")]
RuleGiven = Annotated[
    str | None, typer.Option(help="Score rule: contest, readme, smooth or a TOML file.")
]


def open_(
    model: ModelOrSession,
    data: DataSource = None,
    input_size: InputEdge = None,
    session: NewSession = None,
    recipe: RecipePath = None,
    rule: RuleGiven = None,
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    folds: Folds = 0,
    fold: Fold = 0,
    train_all: TrainAll = False,
    theme: Theme = None,
    only_ascii: OnlyAscii = False,
) -> None:
    """Open a model, or a session, in the workbench."""
    from workbench.live import LiveSession
    from workbench.session import Opening

    config = chosen(theme, only_ascii=only_ascii)

    _check_terminal("inspect, edit, train and evaluate work without one")
    splits = chosen_splits(
        seed=seed, hold_out=hold_out, folds=folds, fold=fold, train_all=train_all
    )
    is_session = checked_model(model, session, input_size, splits)
    folder = model if is_session else session or new_session_folder(model.stem)
    _show(
        LiveSession(
            Opening(
                folder=folder.absolute(),
                model=None if is_session else model.absolute(),
                data=_absolute(data),
                input_size=input_size,
                device=device,
                recipe=load_recipe(recipe) if recipe else None,
                rule=load_rule(rule) if rule else None,
                splits=splits,
            )
        ),
        config,
    )


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="The same journey without a screen.")
    ] = False,
    session: Annotated[Path | None, typer.Option(help="New session folder.")] = None,
    as_json: Json = False,
    theme: Theme = None,
    only_ascii: OnlyAscii = False,
) -> None:
    """Open the embedded model and data: switch units off, press r, watch F1 come back."""
    from workbench.live import LiveSession
    from workbench.session import Opening

    if not headless and not _has_terminal():
        print("no terminal here: running the demo's journey without a screen", file=sys.stderr)
        headless = True
    opening = Opening(
        folder=(session or new_session_folder("demo")).absolute(),
        model=DEMO / "digits.safetensors",
        data="digits",
        recipe=load_recipe(DEMO / "recipe.toml"),
    )
    if not headless:
        _show(LiveSession(opening), chosen(theme, only_ascii=only_ascii))
        return
    from workbench.cli.verify import run_demo_headless

    run_demo_headless(opening, as_json=as_json)


def replay(
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="A session folder.")],
    speed: Annotated[
        float | None, typer.Option(help="0.25 to 64; else the config file's.", min=0.25, max=64)
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Rebuild it without a screen and compare.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="With --verify: where the data is now, if it was moved.")
    ] = None,
    f1_tolerance: Annotated[
        float, typer.Option(help="With --verify: largest accepted difference of F1.")
    ] = 0.002,
    skip_f1: Annotated[
        bool, typer.Option("--skip-f1", help="With --verify: do not measure F1 again.")
    ] = False,
    as_json: Json = False,
    theme: Theme = None,
    only_ascii: OnlyAscii = False,
) -> None:
    """Play a recorded session in the same screen, or verify it."""
    if verify:
        from workbench.cli.verify import run_verify

        run_verify(folder, data, f1_tolerance, skip_f1=skip_f1, as_json=as_json)
        return
    from workbench.player import Player

    config = chosen(theme, only_ascii=only_ascii)
    player = Player(folder, config.replay_speed if speed is None else speed)
    _check_terminal("replay --verify works without one")
    if player.is_torn:
        print("note: the last line was cut off and is left out", file=sys.stderr)
    _run(_app(player, config))


def screenshot(
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="A session folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="SVG file to write.")],
    at: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds on the replay's clock; the end if left out."),
    ] = None,
    size: Annotated[str, typer.Option(help="Columns x rows.")] = "120x36",
    select: Annotated[str | None, typer.Option(help="Row to put the cursor on.")] = None,
    panel: Annotated[int, typer.Option(help="Panel 1 to 3 where they are tabs.", min=1, max=3)] = 1,
    bar: Annotated[bool, typer.Option(help="Show the replay's bar below.")] = True,
    theme: Theme = None,
    only_ascii: OnlyAscii = False,
) -> None:
    """Write the screen of a recorded session as an SVG picture."""
    from workbench.picture import draw
    from workbench.player import Player

    columns, rows = _parsed_size(size)
    player = Player(folder, is_paused=True)
    length = player.playback.timeline.seconds
    if at is not None and at > length:
        raise UserError(f"--at {at:g} is after the end: the replay of {folder} has {length:.1f} s")
    player.playback.seek(length if at is None else at)
    config = chosen(theme, only_ascii=only_ascii)
    svg = asyncio.run(draw(player, (columns, rows), config, select, panel, has_bar=bar))
    with explained(out):
        write_whole(out, svg)
    print(f"saved {out}")


def _parsed_size(text: str) -> tuple[int, int]:
    """Columns and rows.

    Raises:
        UserError: not of that form, or no terminal's size.
    """
    try:
        columns, rows = (int(part) for part in text.split("x"))
    except ValueError:
        raise UserError(f"--size takes columns x rows like 120x36, not {text!r}") from None
    if not (SMALLEST[0] <= columns <= LARGEST[0] and SMALLEST[1] <= rows <= LARGEST[1]):
        raise UserError(
            f"--size {text} is not possible: from {SMALLEST[0]}x{SMALLEST[1]} to "
            f"{LARGEST[0]}x{LARGEST[1]}"
        )
    return columns, rows


def checked_model(
    model: Path, session: Path | None, input_size: int | None, splits: Splits = Splits()
) -> bool:
    """Whether what is to be opened is a session.

    Raises:
        UserError: there is nothing to open, or a session is to be what it is not.
    """
    is_session = log.is_session(model)
    if is_session and (session is not None or input_size is not None or splits != Splits()):
        raise UserError(
            "a session goes on as it is: leave --session, --input-size, --seed, --hold-out, "
            "--folds and --train-all out"
        )
    if not model.exists():
        raise UserError(f"no file {model}: check the path")
    if model.is_dir() and not is_session:
        raise UserError(f"{model} is a folder without a session: name a model file or a session")
    return is_session


def new_session_folder(name: str) -> Path:
    """A folder of its own for a new session, in the user's data folder."""
    import platformdirs

    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    base = platformdirs.user_data_path("workbench") / "sessions"
    folder = base / f"{name}-{stamp}"
    number = 2
    while folder.exists():
        folder = base / f"{name}-{stamp}-{number}"
        number += 1
    return folder


def _absolute(data: str | None) -> str | None:
    """Folders are recorded absolutely, so that a session opens from anywhere."""
    if data is None or (data == "digits" and not Path(data).exists()):
        return data
    return str(Path(data).expanduser().absolute())


def _has_terminal() -> bool:
    """Whether there is one, or a browser in its place."""
    return "TEXTUAL_DRIVER" in os.environ or (sys.stdin.isatty() and sys.stdout.isatty())


def _check_terminal(otherwise: str) -> None:
    if not _has_terminal():
        raise UserError(f"this needs a terminal; {otherwise}")


def _app(source: "LiveSession | Player", config: "Config") -> "WorkbenchApp":
    """The application: it paints what a key changed within 4 ms, Textual would within 17."""
    os.environ.setdefault("TEXTUAL_FPS", "300")  # read when Textual is imported
    from workbench.app import WorkbenchApp

    return WorkbenchApp(source, config)


def _show(live: "LiveSession", config: "Config") -> None:
    live.claim()
    _run(_app(live, config))


def _run(app: "WorkbenchApp") -> None:
    """Show it until the user quits; a live session, also one that branched off, is named then."""
    problem = app.run()
    if problem:
        raise UserError(problem)
    if app.return_code:
        raise typer.Exit(app.return_code)
    live = app.live
    if live is None:
        return
    if live.log_error:
        print(f"error: the session could not be saved whole: {live.log_error}", file=sys.stderr)
    if log.is_session(live.folder):
        print(f"session kept; go on with: workbench open {live.folder}")


open_.__name__ = "open"
COMMANDS = (open_, demo, replay, branch, screenshot)
