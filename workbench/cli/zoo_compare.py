"""`workbench zoo compare` and `workbench zoo sizes`: short fine-tunes side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sessions import recipe as recipes
from sessions.recipe import Recipe
from sessions.score import load_rule
from sessions.splits import VALIDATION, Splits
from workbench.cli.model import InputSize
from workbench.cli.output import Json, print_json, quiet_stdout
from workbench.cli.score import RuleName
from workbench.cli.splits import HoldOut, Seed, chosen_splits
from workbench.cli.train import Assignments, RecipeFile
from workbench.cli.training import Data, Device
from workbench.cli.zoo_desk import BaseUrl, ZooDesk
from workbench.cli.zoo_tables import print_entries, print_sizes
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.search.zoo import Comparison, Entry, Plan

SIZES = "32,48,64,80,96,128,160,224"
TrainSeed = Annotated[
    int | None,
    typer.Option(help="Of batches, augmentation and new classifiers; the recipe's if left out."),
]


def compare(
    candidates: Annotated[
        list[str],
        typer.Argument(
            metavar="CANDIDATE...",
            help="Model files, folders of them, or names of `workbench zoo list`.",
        ),
    ],
    data: Data,
    input_size: InputSize = None,
    head_epochs: Annotated[
        int, typer.Option(min=0, help="Of the classifier alone; 0 leaves it out.")
    ] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Of the whole network.")] = 3,
    recipe_file: RecipeFile = None,
    assignments: Assignments = None,
    train_seed: TrainSeed = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Pretrained candidates side by side: MACs, published error, F1 after short fine-tunes, score.

    Each gets the same photos, seeds and recipe; F1 is of the validation images. For the classifier
    alone batch norm is measured anew on the photos and then kept.
    """
    splits = chosen_splits(seed=seed, hold_out=hold_out)
    plan = _planned(recipe_file, assignments, epochs, train_seed)
    with ZooDesk(is_silent=as_json) as desk, quiet_stdout():
        from workbench.search.zoo import ranked
        from workbench.zoo.candidates import found

        bench = _comparison(desk, data, splits, plan, head_epochs, rule, device)
        named = found(candidates, base_url, desk)
        entries = []
        for number, candidate in enumerate(named, start=1):
            desk.say(f"{number} of {len(named)}: {candidate.name}")
            entries.append(bench.measured(candidate, input_size))
            _say_outcome(desk, entries[-1])
    entries = ranked(entries)
    if as_json:
        print_json({**_settings(bench.plan), "candidates": entries})
    else:
        print_entries(entries, bench.plan)
    _leave(entries)


def sizes(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model file, or a name of `zoo list`.")
    ],
    data: Data,
    wanted: Annotated[
        str, typer.Option("--sizes", help="Input edges in pixels, with commas.")
    ] = SIZES,
    epochs: Annotated[int, typer.Option(min=1, help="At each size.")] = 3,
    recipe_file: RecipeFile = None,
    assignments: Assignments = None,
    train_seed: TrainSeed = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """One network at several input sizes: MACs, F1 after a short fine-tune at each, score."""
    edges = _edges(wanted)
    splits = chosen_splits(seed=seed, hold_out=hold_out)
    plan = _planned(recipe_file, assignments, epochs, train_seed)
    with ZooDesk(is_silent=as_json) as desk, quiet_stdout():
        from workbench.training.images.resolution import own_edge
        from workbench.zoo.candidates import one

        bench = _comparison(desk, data, splits, plan, 0, rule, device)
        own = own_edge(data)
        candidate = one(model, base_url, desk)
        entries = []
        for number, edge in enumerate(edges, start=1):
            desk.say(f"{number} of {len(edges)}: {edge} pixels")
            entries.append(bench.measured(candidate, edge))
            _say_outcome(desk, entries[-1])
    if as_json:
        rows = [
            msgspec.to_builtins(entry) | {"is_enlarged": edge > own}
            for edge, entry in zip(edges, entries, strict=True)
        ]
        print_json({**_settings(bench.plan), "own_size": own, "sizes": rows})
    else:
        print_sizes(entries, edges, own, bench.plan)
    _leave(entries)


def _planned(
    recipe_file: Path | None, assignments: list[str] | None, epochs: int, train_seed: int | None
) -> Recipe:
    base = recipes.load(recipe_file) if recipe_file else Recipe()
    base = recipes.assigned(base, assignments or [])
    return recipes.changed(base, epochs=epochs, seed=train_seed)


def _comparison(
    desk: ZooDesk,
    data: str,
    splits: Splits,
    plan: Recipe,
    head_epochs: int,
    rule: str,
    device: str,
) -> "Comparison":
    from workbench.search.zoo import Comparison, Plan
    from workbench.training.loop import pick_device

    chosen = Plan(
        data=data, splits=splits, recipe=plan, head_epochs=head_epochs, rule=load_rule(rule)
    )
    return Comparison(chosen, pick_device(device), desk, desk.reading)


def _settings(plan: "Plan") -> dict[str, Any]:
    """What a report in JSON says of how the figures came about."""
    return {**msgspec.structs.asdict(plan), "rule": plan.rule.name, "split": VALIDATION}


def _edges(text: str) -> list[int]:
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise UserError(f"--sizes takes numbers like {SIZES}, not {text!r}") from None
    if found[0] < 1:
        raise UserError(f"--sizes takes edges of at least 1 pixel, not {found[0]}")
    return found


def _say_outcome(desk: ZooDesk, entry: "Entry") -> None:
    if entry.full is None:
        desk.say(f"  not measured: {entry.reason}")
        return
    head = f"{entry.head.f1:.4f} with the classifier alone, " if entry.head is not None else ""
    desk.say(f"  F1 {head}{entry.full.f1:.4f} on {entry.full.split}, {entry.seconds:.0f} s")


def _leave(entries: "list[Entry]") -> None:
    """Say by the exit status that nothing could be measured."""
    if all(entry.full is None for entry in entries):
        raise typer.Exit(1)
