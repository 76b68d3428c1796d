"""`workbench zoo`: networks with public weights, and which to start from on one's own photos."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from sessions import macs
from sessions.edits import InputSize, apply
from workbench.cli.output import Json, console, print_json, table
from workbench.cli.zoo_compare import compare, sizes
from workbench.cli.zoo_desk import BaseUrl, ZooDesk
from workbench.cli.zoo_tables import print_whole

app = typer.Typer(
    help="Networks with public weights, and which to start from.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SHOWN = (macs.CONTEST, "conv-linear")


@app.command("list")
def list_networks(
    input_size: Annotated[int, typer.Option(help="Input edge in pixels that MACs are of.")] = 224,
    classes: Annotated[int, typer.Option(help="Classes that MACs and parameters are of.")] = 1000,
    as_json: Json = False,
) -> None:
    """Every network with public weights: groups, width, MACs, published error, whether here."""
    from workbench.zoo import store
    from workbench.zoo.catalogue import PUBLISHED

    here = {found.name: str(found.path) for found in store.kept()}
    rows = []
    for published in PUBLISHED.values():
        network = apply(published.network(classes), InputSize(input_size))
        rows.append(
            msgspec.to_builtins(published)
            | {
                "params": network.total_parameters(),
                "input_size": input_size,
                "classes": classes,
                "macs": {name: macs.count(network, name) for name in SHOWN},
                "url": published.url(store.base_url()),
                "file": here.get(published.name),
            }
        )
    if as_json:
        print_json({"folder": str(store.folder()), "networks": rows})
        return
    shown = table("network", "groups", "width", "params", "MACs", "conv-linear", "top-1", "top-5")
    shown.add_column("here")
    for row in rows:
        shown.add_row(
            row["name"], str(row["groups"]), f"{row['width']:g}", f"{row['params']:,}",
            *(f"{row['macs'][name]:,}" for name in SHOWN),
            f"{row['top1_error']:.2f} %", f"{row['top5_error']:.2f} %",
            "yes" if row["file"] else "no",
        )  # fmt: skip
    out = console()
    print_whole(shown)
    out.print(
        f"MACs at {input_size} pixels and {classes} classes, by the contest's count and of conv "
        "and linear layers alone; top-1 and top-5 are errors as published for ImageNet-1K at 224 "
        "pixels"
    )
    out.print(f"`workbench zoo get NAME` fetches one into {store.folder()}")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="As `workbench zoo list` has it.")],
    out: Annotated[Path | None, typer.Option(help="Copy the file to this name as well.")] = None,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Fetch a network's public weights, checked; broken off, the same command goes on."""
    from workbench.zoo import store
    from workbench.zoo.catalogue import named

    published = named(name)
    with ZooDesk(is_silent=as_json) as desk:
        path = store.obtained(published, base_url, desk)
    if out is not None:
        store.copied(path, out)
        path = out
    if as_json:
        size = path.stat().st_size
        print_json({"name": name, "file": str(path), "sha1": published.sha1, "bytes": size})
    else:
        console().print(f"{name} is in {path}, its SHA-1 as published")


for _command in (compare, sizes):
    app.command()(_command)
