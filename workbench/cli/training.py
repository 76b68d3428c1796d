"""Commands that measure without a screen: evaluate, compare; and what training shares of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sessions import macs
from sessions.events import Evaluation
from sessions.score import load_rule
from sessions.splits import Splits
from workbench.cli.comparison import (
    figures,
    measured,
    print_comparison,
    print_verdict,
    structure,
)
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath
from workbench.cli.output import Json, console, print_json, quiet_stdout, table
from workbench.cli.score import RuleName
from workbench.cli.splits import Fold, Folds, HoldOut, Seed, SplitChoice, chosen_splits

if TYPE_CHECKING:
    from workbench.training.images.data import Dataset

Data = Annotated[str, typer.Option("--data", help="digits, or a folder of images.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def evaluate(
    model: ModelPath,
    data: Data,
    beside: Annotated[
        Path | None,
        typer.Option(
            "--with", metavar="FILE", help="A first student whose logits are added (residual_of)."
        ),
    ] = None,
    split: SplitChoice = "validation",
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    folds: Folds = 0,
    fold: Fold = 0,
    as_json: Json = False,
) -> None:
    """F1 with its interval, accuracy, confusions, per class, MACs and score of a model."""
    chosen = load_rule(rule)
    splits = chosen_splits(seed=seed, hold_out=hold_out, folds=folds, fold=fold)
    with quiet_stdout():
        from workbench.surgery.build import build
        from workbench.surgery.files import read_model
        from workbench.training.distillation import FirstStudent
        from workbench.training.jobs import check_fits
        from workbench.training.loop import pick_device
        from workbench.training.measuring.evaluate import judge

        opened = read_model(model, input_size)
        network = opened.network
        with TerminalDesk(is_silent=as_json) as desk:
            dataset = opened_data(data, network, splits, desk)
        check_fits(network, dataset)
        target = pick_device(device)
        count, added = macs.count(network), None
        if beside is not None:
            one = read_model(beside)
            first = FirstStudent((one.network, one.state), network, target)
            count, added = count + macs.count(one.network), first.logits
        module = build(network, opened.state).to(target)
        found = judge(module, network, dataset, target, split, added)
    value = chosen.score(count, found.f1)
    if as_json:
        print_json(
            {
                **msgspec.to_builtins(found),
                "macs": count,
                "score": value,
                "rule": chosen.name,
                **data_report(dataset),
            }
        )
        return
    print_evaluation(found)
    print_confusion(found)
    console().print(f"MACs {count:,}   score {value:.4f} ({chosen.name})")
    print_skipped(dataset)


def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="A model file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another model file.")],
    data: Annotated[
        str | None, typer.Option("--data", help="digits, or a folder; without it structure alone.")
    ] = None,
    split: SplitChoice = "validation",
    sequential: Annotated[
        bool,
        typer.Option(
            "--sequential", help="Take images in random order and stop once a difference is clear."
        ),
    ] = False,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    folds: Folds = 0,
    fold: Fold = 0,
    as_json: Json = False,
) -> None:
    """The before/after table of two models, with paired tests on the same images."""
    chosen = load_rule(rule)
    splits = chosen_splits(seed=seed, hold_out=hold_out, folds=folds, fold=fold)
    paired = None
    with quiet_stdout():
        from workbench.surgery.files import read_model

        models = [read_model(path) for path in (before, after)]
        sides = [structure(before, models[0]), structure(after, models[1])]
        if data is not None:
            from workbench.training.jobs import check_fits

            with TerminalDesk(is_silent=as_json) as desk:
                opened = [opened_data(data, model.network, splits, desk) for model in models]
                for model, dataset in zip(models, opened, strict=True):
                    check_fits(model.network, dataset)
                paired, found = measured(
                    models,
                    [dataset.part(split) for dataset in opened],
                    opened[0].classes,
                    split,
                    device,
                    seed=seed if sequential else None,
                    progress=lambda done, total: desk.advance("comparing", done, total),
                )
            for side, each in zip(sides, found, strict=True):
                side |= {**figures(each), "score": chosen.score(side["macs"], each.f1)}
    if as_json:
        print_json({"before": sides[0], "after": sides[1], "paired": paired, "rule": chosen.name})
        return
    print_comparison(sides[0], sides[1])
    if paired is not None:
        print_verdict(paired, split)


def opened_data(source: str, network: Any, splits: Splits, desk: TerminalDesk) -> "Dataset":
    """Open data at a network's size, with a bar."""
    from workbench.training.images.data import open_data

    def progress(done: int, total: int) -> None:
        desk.advance("reading images", done, total)

    return open_data(source, network.input_size, network.input_channels, splits, progress)


def data_report(dataset: "Dataset") -> dict[str, Any]:
    """What a report in JSON says of the data."""
    return {
        "data": {
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "train_images": len(dataset.train),
            "val_images": len(dataset.val),
            "hold_out_images": 0 if dataset.hold_out is None else len(dataset.hold_out),
            "splits": msgspec.to_builtins(dataset.splits),
            "skipped_count": dataset.skipped_count,
            "skipped": msgspec.to_builtins(dataset.skipped),
        }
    }


def print_skipped(dataset: "Dataset") -> None:
    """Say that files were left out, with one of them."""
    if dataset.skipped_count:
        first = dataset.skipped[0]
        console().print(
            f"{dataset.skipped_count} files skipped, for example {first.path}: {first.reason}"
        )


def print_evaluation(evaluation: Evaluation) -> None:
    """The scores of every class, and of all."""
    rows = table("class", "F1", "precision", "recall", "images")
    for found in evaluation.classes:
        rows.add_row(
            found.name, f"{found.f1:.3f}", f"{found.precision:.3f}", f"{found.recall:.3f}",
            str(found.support),
        )  # fmt: skip
    screen = console()
    screen.print(rows)
    interval = ""
    if evaluation.interval is not None:
        interval = " [{:.4f}, {:.4f}]".format(*evaluation.interval)
    screen.print(
        f"macro F1 {evaluation.f1:.4f}{interval}   accuracy {evaluation.accuracy:.4f}   "
        f"{evaluation.images} {evaluation.split} images"
    )


def print_confusion(evaluation: Evaluation) -> None:
    """Which classes were taken for which; nothing where that is not kept."""
    if evaluation.confusion:
        from widgets.confusion import ConfusionView, confusion_text

        screen = console()
        screen.print()
        screen.print(confusion_text(ConfusionView.of(evaluation), screen.width))
        screen.print()


COMMANDS = (evaluate, compare)
