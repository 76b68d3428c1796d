"""Measures two models on the same images and prints them side by side, for `compare`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessions import macs
from sessions.events import Evaluation
from workbench.cli.output import console, table

if TYPE_CHECKING:
    from workbench.surgery.files import ModelFile
    from workbench.training.images.data import Split
    from workbench.training.measuring.paired import Paired, Predict


def structure(path: Path, model: "ModelFile") -> dict[str, Any]:
    """What is known of a model without images."""
    network = model.network
    return {
        "file": str(path),
        "units": network.units_per_stage,
        "input_size": network.input_size,
        "classes": network.classes,
        "macs": macs.count(network),
        "params": network.total_parameters(),
    }


def figures(found: Evaluation) -> dict[str, Any]:
    """What is told of an evaluation."""
    return {
        "f1": found.f1,
        "f1_low": found.low,
        "f1_high": found.high,
        "accuracy": found.accuracy,
        "split": found.split,
        "class_f1": {score.name: score.f1 for score in found.classes},
    }


def measured(
    models: list["ModelFile"],
    splits: list["Split"],
    classes: tuple[str, ...],
    name: str,
    device: str,
    *,
    seed: int | None,
    progress: Callable[[int, int], None],
) -> tuple["Paired", list[Evaluation]]:
    """Compare on all images of a split, or with a seed on as many as it takes, in random order."""
    import numpy as np

    from workbench.training.measuring.evaluate import score_predictions
    from workbench.training.measuring.paired import compare_all, compare_in_looks

    labels = splits[0].labels
    assert np.array_equal(labels, splits[1].labels)
    first, second = (
        _predictor(model, split, device) for model, split in zip(models, splits, strict=True)
    )
    if seed is None:
        seen = np.arange(len(labels))
        a, b = first(seen), second(seen)
        paired = compare_all(labels, a, b, len(classes))
    else:
        paired, seen, a, b = compare_in_looks(labels, (first, second), len(classes), seed, progress)
    return paired, [score_predictions(labels[seen], each, classes, name) for each in (a, b)]


def _predictor(model: "ModelFile", split: "Split", device: str) -> "Predict":
    """Predictions of the images at positions of a split."""
    from workbench.surgery.build import build
    from workbench.training.images.data import Split
    from workbench.training.loop import pick_device
    from workbench.training.measuring.evaluate import predict

    target = pick_device(device)
    module = build(model.network, model.state).to(target)

    def predicted(where: Any) -> Any:
        part = Split(split.source, split.rows[where], split.labels[where])
        return predict(module, model.network, part, target)

    return predicted


def print_comparison(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The figures of both and what changed."""
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


def print_verdict(paired: "Paired", split: str) -> None:
    """Whether the difference is more than noise, and on which images."""
    screen = console()
    screen.print(
        f"\nmacro F1 B - A {paired.f1_difference:+.4f} [{paired.f1_low:+.4f}, "
        f"{paired.f1_high:+.4f}] ({paired.confidence:.0%} paired bootstrap): {paired.verdict}"
    )
    screen.print(
        f"accuracy: only A right on {paired.only_a_right}, only B on {paired.only_b_right} of "
        f"{paired.images} {split} images: p = {paired.p_value:.3f} (McNemar)"
    )
    if paired.planned_looks > 1:
        screen.print(
            f"took {paired.images} of {paired.of} images in random order, {paired.looks} of "
            f"{paired.planned_looks} looks, each at {1 - paired.confidence:.0%} so that all of "
            "them together err in 5% at most"
        )
