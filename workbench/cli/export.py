"""The command that hands a model on to people without the workbench."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sessions import macs
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath
from workbench.cli.output import Json, console, print_json, quiet_stdout, table

if TYPE_CHECKING:
    from torch import Tensor

    from sessions.network import Network
    from workbench.surgery.exporting.export import Exported

DATA_IMAGES = 100


def export(
    model: ModelPath,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help=".onnx, .pt2, .py, .pt, .pth or .safetensors."),
    ],
    input_size: InputSize = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="digits, or a folder: compare on its images as well."),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="A state_dict in upstream's naming, where it has that form."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Hand a model on; the file is read back and has to put out the same."""
    with quiet_stdout():
        from workbench.surgery import files, stats
        from workbench.surgery.exporting import export as exporting

        exporting.check_target(out, is_plain=plain)
        exporting.check_spares(out, model)
        opened = files.read_model(model, input_size)
        images = None if data is None else _images(data, opened.network, is_silent=as_json)
        done = exporting.export(out, opened.network, opened.state, is_plain=plain, images=images)
        confirmed = stats.ptflops_macs(done.network)
    if as_json:
        print_json(_report(out, done, confirmed))
    else:
        _print(out, done, confirmed)


def _images(source: str, network: "Network", *, is_silent: bool) -> "Tensor":
    """Validation images from all over the split, (N, C, S, S), normalised."""
    import numpy as np
    import torch

    from workbench.training.images.data import open_data
    from workbench.training.measuring.evaluate import normalised

    with TerminalDesk(is_silent=is_silent) as desk:

        def progress(done: int, total: int) -> None:
            desk.advance("reading images", done, total)

        split = open_data(source, network.input_size, network.input_channels, progress=progress).val
    where = np.linspace(0, len(split) - 1, min(len(split), DATA_IMAGES)).astype(np.intp)
    return normalised(split.take(where), network, torch.device("cpu"))


def _report(out: Path, done: "Exported", confirmed: int) -> dict[str, Any]:
    network = done.network
    return {
        "out": str(out),
        "form": done.form,
        "files": done.files,
        "bytes": sum(done.files.values()),
        "units": network.units_per_stage,
        "input_size": network.input_size,
        "classes": network.classes,
        "mean": network.mean,
        "std": network.std,
        "params": network.total_parameters(),
        "macs": macs.count(network),
        "ptflops_macs": confirmed,
        "parity": {found.inputs: msgspec.to_builtins(found) for found in done.parity},
        "latency_ms": {"built": done.built_ms, "exported": done.exported_ms},
        "runtime": done.runtime,
        "note": done.note,
    }


def _print(out: Path, done: "Exported", confirmed: int) -> None:
    network, screen = done.network, console()
    rows = table("images", "number", "same class", "largest difference", "of the largest logit")
    for found in done.parity:
        rows.add_row(
            found.inputs, str(found.images), str(found.same_classes), f"{found.max_abs:.1e}",
            f"{found.max_rel:.1e}",
        )  # fmt: skip
    screen.print(rows)
    screen.print(
        f"one image, one thread: {done.built_ms:.2f} ms built, {done.exported_ms:.2f} ms exported "
        f"({done.runtime})"
    )
    screen.print(
        f"{macs.count(network):,} MACs (ptflops counts {confirmed:,}), "
        f"{network.total_parameters():,} parameters, input {network.input_size}, "
        f"{network.classes} classes"
    )
    for path, size in done.files.items():
        screen.print(f"saved {path} ({size:,} bytes)")
    screen.print(f"{done.form}: {done.note}")


COMMANDS = (export,)
