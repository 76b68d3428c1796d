"""`workbench search autopilot`: edits and recoveries, without a screen, down to a target."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from sessions.recipe import load as load_recipe
from sessions.score import load_rule
from sessions.steering import By, Recovery, Steering
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath
from workbench.cli.output import Json, print_json
from workbench.cli.score import RuleName
from workbench.cli.splits import HoldOut, Seed, chosen_splits
from workbench.cli.training import Data, Device
from workbench.errors import UserError


def autopilot(
    model: ModelPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File for the network it comes to.")],
    data: Data,
    to_macs: Annotated[
        int, typer.Option("--macs", min=0, help="Contest MACs to come down to; 0 for none.")
    ] = 0,
    to_score: Annotated[
        float | None, typer.Option("--score", help="Score to reach, where no MACs are given.")
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            help="sensitivity: F1 lost per MACs saved, measured; std: the unit of lowest weight "
            "std; importance: what keeps most for the same MACs."
        ),
    ] = "sensitivity",
    units_only: Annotated[
        bool, typer.Option("--units-only", help="Switch units off; change no width, no groups.")
    ] = False,
    look_ahead: Annotated[
        int, typer.Option(min=0, help="Candidates whose best next step is measured too.")
    ] = 3,
    recovery: Annotated[Recovery, typer.Option(help="After each edit.")] = "recover",
    finish: Annotated[Recovery, typer.Option(help="Once the target is reached.")] = "fine-tune",
    session: Annotated[
        Path | None, typer.Option(help="New session folder; in the user's data folder else.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML recipe of recoveries.")] = None,
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    as_json: Json = False,
) -> None:
    """Cut a trained network down to a target: ordinary edits in a session that replays."""
    from workbench.cli.screen import new_session_folder
    from workbench.flight import fly
    from workbench.session import Opening

    if not to_macs and to_score is None:
        raise UserError("name a target: --macs 1083210, or --score 0.35")
    opening = Opening(
        folder=(session or new_session_folder(f"{model.stem}-autopilot")).absolute(),
        model=model.absolute(),
        data=data if data == "digits" else str(Path(data).absolute()),
        input_size=input_size,
        device=device,
        recipe=load_recipe(recipe) if recipe else None,
        rule=load_rule(rule),
        splits=chosen_splits(seed=seed, hold_out=hold_out),
    )
    steering = Steering(
        by=by,
        max_macs=to_macs,
        score=None if to_macs else to_score,
        is_units_only=units_only,
        look_ahead=look_ahead,
        recovery=recovery,
        finish=finish,
    )
    with TerminalDesk(is_silent=as_json) as desk:
        say = (lambda words: None) if as_json else lambda words: print(words, flush=True)
        found = asyncio.run(fly(opening, steering, out.absolute(), say, desk.advance))
    if as_json:
        print_json(found)
        return
    print(f"saved {found['saved']} after {found['seconds']:.0f} s")
    print(f"look at every step with: workbench replay {found['session']}", file=sys.stderr)
