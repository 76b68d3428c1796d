"""The command that writes a new, untrained network: a ShuffleNet as ordered, or random cells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from sessions import edits, macs
from sessions.network import Network
from workbench.cli.output import Json, print_json, quiet_stdout
from workbench.errors import UserError

FAMILIES = ("shufflenet", "cells")
GROUPS, WIDTH, UNITS = 3, 0.25, "4,8,4"
"""Of a ShuffleNet, where they are left out."""


def new(
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".pt, .pth or .safetensors.")],
    family: Annotated[
        str,
        typer.Option(
            help="shufflenet: ShuffleNet v1 as ordered. cells: random stages of convs, "
            "bottlenecks, inverted residuals, pools and squeeze-and-excitation, by the seed."
        ),
    ] = FAMILIES[0],
    groups: Annotated[
        int | None,
        typer.Option(
            help=f"ShuffleNet: groups of the 1x1 convs: 1, 2, 3, 4 or 8. {GROUPS} if left out."
        ),
    ] = None,
    width: Annotated[
        float | None, typer.Option(help=f"ShuffleNet: width factor. {WIDTH} if left out.")
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help=f"ShuffleNet: units of the three stages. {UNITS} if left out."),
    ] = None,
    max_macs: Annotated[
        int, typer.Option(min=0, help="Cells: widths are cut down to this limit; 0 for none.")
    ] = 0,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    input_size: Annotated[int, typer.Option(help="Input edge in pixels.")] = 224,
    seed: Annotated[
        int, typer.Option(min=0, help="For the weights, and for the structure of cells.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Write a new, untrained network."""
    ordered = {"--groups": groups, "--width": width, "--units": units}
    _check_options(family, ordered, max_macs)
    with quiet_stdout():
        import torch

        from workbench.surgery import build, files

        files.check_target(out)
        if family == "cells":
            network = _cells(classes, input_size, max_macs, seed)
        else:
            network = _shufflenet(
                GROUPS if groups is None else groups,
                WIDTH if width is None else width,
                UNITS if units is None else units,
                classes,
            )
            network = edits.apply(network, edits.InputSize(input_size))
        torch.manual_seed(seed)
        saved = files.save(out, network, build.build(network).state_dict())
    report = {"out": str(out), "macs": macs.count(network), "params": network.total_parameters()}
    if as_json:
        print_json({**report, "sha256": saved.sha256, "units": network.units_per_stage})
    else:
        print(f"saved {out}: {report['macs']:,} MACs, {report['params']:,} parameters")


def _check_options(family: str, ordered: Mapping[str, object], max_macs: int) -> None:
    """Make sure that the family is known, and that no option is of the other."""
    if family not in FAMILIES:
        raise UserError(f"no family {family!r}: use {' or '.join(FAMILIES)}")
    given = next((name for name, value in ordered.items() if value is not None), "")
    if family == "cells" and given:
        raise UserError(f"{given} is of a ShuffleNet: leave it out, or --family cells")
    if family != "cells" and max_macs:
        raise UserError("--max-macs is of cells: leave it out, or name --family cells")


def _shufflenet(groups: int, width: float, units: str, classes: int) -> Network:
    from workbench.surgery.families import shufflenet

    try:
        counts = [int(part) for part in units.split(",")]
    except ValueError:
        raise UserError(f"--units takes three numbers like 4,8,4, not {units!r}") from None
    return shufflenet.fresh(groups, width, counts, classes)


def _cells(classes: int, input_size: int, max_macs: int, seed: int) -> Network:
    from workbench.search import designs

    edits.check_range("classes", classes, edits.CLASS_COUNTS)
    edits.check_range("input", input_size, edits.INPUT_SIZES)
    try:
        network, _ = designs.drawn(
            seed, "cells", classes, max_macs=max_macs, input_sizes=(input_size,)
        )
    except designs.DesignError as error:
        raise UserError(str(error)) from error
    return network


COMMANDS = (new,)
