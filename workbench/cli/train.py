"""Commands that train without a screen: train, recipe."""

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sessions import macs
from sessions import recipe as recipes
from sessions.edits import Classes, text
from sessions.recipe import BEFORE_CUT, Recipe, RecipeError
from sessions.score import load_rule
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath, apply_edits
from workbench.cli.output import Json, console, print_json, quiet_stdout
from workbench.cli.score import RuleName
from workbench.cli.splits import Fold, Folds, HoldOut, Seed, TrainAll, chosen_splits
from workbench.cli.training import (
    Data,
    Device,
    data_report,
    opened_data,
    print_evaluation,
    print_skipped,
)
from workbench.errors import UserError

RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file with fields of the recipe.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A field of the recipe; may be repeated."),
]


def train(
    model: ModelPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".pt, .pth or .safetensors.")],
    data: Data,
    recipe_file: RecipeFile = None,
    assignments: Assignments = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option(
            "--teacher", metavar="FILE", help="A model file to learn from; may be repeated."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    augmentation: Annotated[
        str | None, typer.Option(help="A preset, or a file of an albumentations pipeline.")
    ] = None,
    train_seed: Annotated[
        int | None, typer.Option(help="Of batches and augmentation; the recipe's if left out.")
    ] = None,
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    folds: Folds = 0,
    fold: Fold = 0,
    train_all: TrainAll = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the same command's stopped run."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a model and save the last epoch; ctrl+c stops after the batch, --resume goes on."""
    chosen = load_rule(rule)
    splits = chosen_splits(
        seed=seed, hold_out=hold_out, folds=folds, fold=fold, train_all=train_all
    )
    plan = recipes.changed(
        _planned(recipe_file, assignments),
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        augmentation=augmentation,
        seed=train_seed,
        teachers=[str(path) for path in teachers] if teachers else None,
    )
    if BEFORE_CUT in plan.teachers:
        raise RecipeError(f"{BEFORE_CUT} is for sessions: here name the file with --teacher FILE")
    resume_file = out.with_name(out.name + ".resume")
    if resume and not resume_file.exists():
        raise UserError(f"nothing to resume: there is no {resume_file}; leave --resume out")
    with quiet_stdout():
        from workbench.surgery.files import check_target, read_model, save
        from workbench.training import jobs
        from workbench.training.loop import pick_device

        check_target(out)
        opened = read_model(model, input_size)
        with TerminalDesk(is_silent=as_json) as desk:
            found = [read_model(Path(name).expanduser()) for name in plan.teachers]
            first = None
            if plan.residual_of:
                one = read_model(Path(plan.residual_of).expanduser())
                first = one.network, one.state
            dataset = opened_data(data, opened.network, splits, desk)
            network, state = opened.network, opened.state
            edits: list[dict[str, Any]] = []
            if network.classes != len(dataset.classes):
                change = Classes(len(dataset.classes), seed)
                network, state, edits = apply_edits(network, state, [change])
                desk.say(f"{text(change)}: the classifier starts anew to fit the data")
            if not resume:
                resume_file.unlink(missing_ok=True)
            started = time.perf_counter()
            outcome = jobs.run_fine_tune(
                network, state, dataset, plan, pick_device(device), desk, resume_file,
                [(teacher.network, teacher.state) for teacher in found], first,
            )  # fmt: skip
            seconds = time.perf_counter() - started
    if outcome.reason:
        desk.say(outcome.reason)
    elif outcome.is_stopped:
        raise UserError(
            f"stopped at epoch {desk.epoch:.1f} of {plan.epochs}; nothing is written to {out}: "
            "go on with the same command and --resume"
        )
    assert outcome.state is not None
    assert outcome.evaluation is not None
    saved = save(out, network, outcome.state)
    resume_file.unlink(missing_ok=True)
    count = macs.count(network) + (macs.count(first[0]) if first else 0)
    value = chosen.score(count, outcome.evaluation.f1)
    if as_json:
        print_json(
            {
                "out": str(out),
                "sha256": saved.sha256,
                **msgspec.to_builtins(outcome.evaluation),
                "macs": count,
                "score": value,
                "rule": chosen.name,
                "edits": edits,
                "recipe": msgspec.to_builtins(plan),
                "ended_early": outcome.reason,
                "seconds": seconds,
                **data_report(dataset),
            }
        )
        return
    print_evaluation(outcome.evaluation)
    console().print(
        f"MACs {count:,}   score {value:.4f} ({chosen.name})   saved {out} after {seconds:.0f} s"
    )
    print_skipped(dataset)


def recipe(recipe_file: RecipeFile = None, assignments: Assignments = None) -> None:
    """Print a whole recipe as TOML, with what every field takes: the default, or a changed one."""
    print(recipes.toml(_planned(recipe_file, assignments)), end="")


def _planned(recipe_file: Path | None, assignments: list[str] | None) -> Recipe:
    base = recipes.load(recipe_file) if recipe_file else Recipe()
    return recipes.assigned(base, assignments or [])


COMMANDS = (train, recipe)
