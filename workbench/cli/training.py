"""Commands that train and measure without a screen: train, evaluate, compare."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sessions import macs, recipe
from sessions.edits import Classes, text
from sessions.events import Evaluation
from sessions.recipe import Recipe
from sessions.score import load_rule
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath, apply_edits
from workbench.cli.output import Json, console, print_json, quiet_stdout, table
from workbench.cli.score import RuleName
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.training.data import Dataset

Data = Annotated[str, typer.Option("--data", help="digits, or a folder of images.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the split into training and validation.")]


def evaluate(
    model: ModelPath,
    data: Data,
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """F1, accuracy, per class, MACs and score of a model on the validation split."""
    chosen = load_rule(rule)
    with quiet_stdout():
        from workbench.surgery.files import read_model
        from workbench.training import jobs
        from workbench.training.loop import pick_device

        opened = read_model(model, input_size)
        with TerminalDesk(is_silent=as_json) as desk:
            dataset = _open(data, opened.network, seed, desk)
            outcome = jobs.run_evaluate(
                opened.network, opened.state, dataset, pick_device(device), desk
            )
    assert outcome.evaluation is not None
    count = macs.count(opened.network)
    value = chosen.score(count, outcome.evaluation.f1)
    if as_json:
        print_json(
            {
                **msgspec.to_builtins(outcome.evaluation),
                "macs": count,
                "score": value,
                "rule": chosen.name,
                **_data_report(dataset),
            }
        )
        return
    _print_evaluation(outcome.evaluation)
    console().print(f"MACs {count:,}   score {value:.4f} ({chosen.name})")
    _print_skipped(dataset)


def train(
    model: ModelPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".pt, .pth or .safetensors.")],
    data: Data,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="TOML file with fields of the recipe.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the cosine.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    augmentation: Annotated[str | None, typer.Option(help="none, shift, light or strong.")] = None,
    train_seed: Annotated[
        int | None, typer.Option(help="Of batches and augmentation; the recipe's if left out.")
    ] = None,
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the same command's stopped run."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a model and save the last epoch; ctrl+c stops after the batch, --resume goes on."""
    chosen = load_rule(rule)
    base = recipe.load(recipe_file) if recipe_file else Recipe()
    plan = recipe.changed(
        base, epochs=epochs, learning_rate=learning_rate, batch_size=batch_size,
        augmentation=augmentation, seed=train_seed,
    )  # fmt: skip
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
            dataset = _open(data, opened.network, seed, desk)
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
                network, state, dataset, plan, pick_device(device), desk, resume_file
            )
            seconds = time.perf_counter() - started
    assert outcome.state is not None
    assert outcome.evaluation is not None
    if outcome.is_stopped:
        raise UserError(
            f"stopped at epoch {desk.epoch:.1f} of {plan.epochs}; nothing is written to {out}: "
            "go on with the same command and --resume"
        )
    saved = save(out, network, outcome.state)
    resume_file.unlink(missing_ok=True)
    count = macs.count(network)
    value = chosen.score(count, outcome.evaluation.f1)
    if as_json:
        print_json(
            {
                "out": str(out),
                "sha256": saved.sha256,
                "f1": outcome.evaluation.f1,
                "accuracy": outcome.evaluation.accuracy,
                "split": outcome.evaluation.split,
                "images": outcome.evaluation.images,
                "classes": msgspec.to_builtins(outcome.evaluation.classes),
                "macs": count,
                "score": value,
                "rule": chosen.name,
                "edits": edits,
                "recipe": msgspec.to_builtins(plan),
                "seconds": seconds,
                **_data_report(dataset),
            }
        )
        return
    _print_evaluation(outcome.evaluation)
    console().print(
        f"MACs {count:,}   score {value:.4f} ({chosen.name})   saved {out} after {seconds:.0f} s"
    )
    _print_skipped(dataset)


def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="A model file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another model file.")],
    data: Annotated[
        str | None, typer.Option("--data", help="digits, or a folder; without it structure alone.")
    ] = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The before/after table of two models, with a paired test on the same images."""
    chosen = load_rule(rule)
    sides: list[dict[str, Any]] = []
    right = []
    with quiet_stdout():
        from workbench.surgery.files import read_model

        for path in (before, after):
            opened = read_model(path)
            side: dict[str, Any] = {
                "file": str(path),
                "units": opened.network.units_per_stage,
                "input_size": opened.network.input_size,
                "classes": opened.network.classes,
                "macs": macs.count(opened.network),
                "params": opened.network.total_parameters(),
            }
            if data is not None:
                from workbench.surgery.build import build
                from workbench.training import evaluate as measure
                from workbench.training import jobs
                from workbench.training.loop import pick_device

                with TerminalDesk(is_silent=as_json) as desk:
                    dataset = _open(data, opened.network, seed, desk)
                jobs.check_fits(opened.network, dataset)
                module = build(opened.network, opened.state)
                target = pick_device(device)
                predicted = measure.predict(module.to(target), opened.network, dataset.val, target)
                found = measure.score_predictions(dataset.val.labels, predicted, dataset.classes)
                right.append(predicted == dataset.val.labels)
                side |= {
                    "f1": found.f1,
                    "accuracy": found.accuracy,
                    "score": chosen.score(side["macs"], found.f1),
                    "class_f1": {score.name: score.f1 for score in found.classes},
                }
            sides.append(side)
        paired = None
        if len(right) == 2:
            from workbench.training.evaluate import paired_test

            paired = paired_test(*right)
    if as_json:
        print_json({"before": sides[0], "after": sides[1], "paired": paired, "rule": chosen.name})
        return
    _print_comparison(sides[0], sides[1])
    if paired is not None:
        verdict = "within noise" if paired["p_value"] > 0.05 else "a real difference"
        console().print(
            f"\nonly A right on {paired['only_a_right']}, only B on {paired['only_b_right']} of "
            f"{paired['images']} images: p = {paired['p_value']:.3f}, {verdict} (McNemar)"
        )


def _open(source: str, network: Any, seed: int, desk: TerminalDesk) -> "Dataset":
    from workbench.training.data import open_data

    def progress(done: int, total: int) -> None:
        desk.advance("reading images", done, total)

    return open_data(source, network.input_size, network.input_channels, seed, progress)


def _data_report(dataset: "Dataset") -> dict[str, Any]:
    return {
        "data": {
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "train_images": len(dataset.train),
            "val_images": len(dataset.val),
            "skipped_count": dataset.skipped_count,
            "skipped": msgspec.to_builtins(dataset.skipped),
        }
    }


def _print_skipped(dataset: "Dataset") -> None:
    if dataset.skipped_count:
        first = dataset.skipped[0]
        console().print(
            f"{dataset.skipped_count} files skipped, for example {first.path}: {first.reason}"
        )


def _print_evaluation(evaluation: Evaluation) -> None:
    rows = table("class", "F1", "precision", "recall", "images")
    for found in evaluation.classes:
        rows.add_row(
            found.name, f"{found.f1:.3f}", f"{found.precision:.3f}", f"{found.recall:.3f}",
            str(found.support),
        )  # fmt: skip
    screen = console()
    screen.print(rows)
    screen.print(
        f"macro F1 {evaluation.f1:.4f}   accuracy {evaluation.accuracy:.4f}   "
        f"{evaluation.images} {evaluation.split} images"
    )


def _print_comparison(before: dict[str, Any], after: dict[str, Any]) -> None:
    rows = table("", "A", "B", "change")
    rows.add_row("file", Path(before["file"]).name, Path(after["file"]).name, "")
    rows.add_row("units", *("-".join(map(str, side["units"])) for side in (before, after)), "")
    rows.add_row("input", str(before["input_size"]), str(after["input_size"]), "")
    for name in ("macs", "params"):
        change = after[name] - before[name]
        rows.add_row(
            name, f"{before[name]:,}", f"{after[name]:,}",
            f"{change:+,} ({change / before[name]:+.1%})",
        )  # fmt: skip
    for name in ("f1", "accuracy", "score"):
        if name in before:
            rows.add_row(
                name, f"{before[name]:.4f}", f"{after[name]:.4f}",
                f"{after[name] - before[name]:+.4f}",
            )  # fmt: skip
    for name, value in before.get("class_f1", {}).items():
        other = after["class_f1"][name]
        rows.add_row(f"  F1 {name}", f"{value:.3f}", f"{other:.3f}", f"{other - value:+.3f}")
    console().print(rows)


COMMANDS = (train, evaluate, compare)
