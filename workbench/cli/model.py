"""Commands on model files: inspect, edit."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from sessions import edits, macs
from sessions.events import LayerStats
from sessions.network import WEIGHTED, Network
from sessions.stats import unit_std
from workbench.cli.output import Json, console, print_json, quiet_stdout, table
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.surgery.build import State
    from workbench.surgery.carry import Carried

ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A checkpoint: .pt, .pth or .safetensors.")
]
SUMMARY = ("edit", "macs", "exact", "kept", "lost", "max_error")
"""What is told of an edit where no report is asked for."""
InputSize = Annotated[
    int | None,
    typer.Option(help="Input edge in pixels; the file's or the family's own if left out."),
]


def inspect(
    model: ModelPath,
    input_size: InputSize = None,
    convention: Annotated[
        str, typer.Option(help=f"MACs convention: {', '.join(macs.CONVENTIONS)}.")
    ] = macs.CONTEST,
    as_json: Json = False,
) -> None:
    """Show a model as a table: shape, groups, parameters, MACs, weight std."""
    if convention not in macs.CONVENTIONS:
        raise UserError(f"no convention {convention!r}: use {', '.join(macs.CONVENTIONS)}")
    with quiet_stdout():
        from workbench.surgery import files, stats

        opened = files.read_model(model, input_size)
        found = stats.layer_stats(opened.network, opened.state)
        confirmed = stats.ptflops_macs(opened.network)
    network = opened.network
    if as_json:
        print_json(
            {
                "file": str(model),
                "sha256": opened.sha256,
                "notes": opened.notes,
                "family": network.family,
                "input_size": network.input_size,
                "classes": network.classes,
                "units": network.units_per_stage,
                "params": network.total_parameters(),
                "macs": macs.count_all(network),
                "ptflops_macs": confirmed,
                "convention": convention,
                "stages": _stage_rows(network, found, convention),
                "layers": _layer_rows(network, found, convention),
            }
        )
        return
    _print_tree(network, found, convention)
    out = console()
    for note in opened.notes:
        out.print(f"note: {note}")
    agreed = "agrees" if confirmed == macs.count(network) else f"counts {confirmed:,}"
    out.print(f"ptflops on the built module {agreed} (contest convention)")


def edit(
    model: ModelPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".pt, .pth or .safetensors.")],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="EDIT...",
            help="off:stage1.unit3 on:... width:stage3=210 mid:stage2.unit4=24 groups:stage3=6 "
            "kernel:stage1.unit2=5 widen:stage3=300 rank:stage2.unit1.expand_conv3=4 (or =auto, "
            "=90%) head:conv head:linear classes:9 input:80",
        ),
    ],
    criterion: Annotated[
        str, typer.Option(help=f"Which channels stay: {', '.join(edits.CRITERIA)}.")
    ] = edits.CRITERIA[0],
    seed: Annotated[int, typer.Option(min=0, help="For new weights, and for random.")] = 0,
    data: Annotated[
        str | None,
        typer.Option(help="Images for the criteria taylor and activation: digits, or a folder."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="JSON file to write: channels kept, shapes and losses of every edit."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Edit a model file; what stays keeps its weights exactly."""
    edits.check_criterion(criterion)
    parsed = [_seeded(edits.parse(change, criterion), seed) for change in changes]
    with quiet_stdout():
        import torch

        from workbench.surgery import files, stats

        torch.set_num_threads(1)  # small operations: more threads only wait for each other
        opened = files.read_model(model)
        network, state, steps = apply_edits(opened.network, opened.state, parsed, data)
        saved = files.save(out, network, state)
        if report is not None:
            content = msgspec.json.format(msgspec.json.encode(steps), indent=1)
            files.write_atomically(report, content)
        confirmed = stats.ptflops_macs(saved.network)
    before, after = macs.count(opened.network), macs.count(network)
    if as_json:
        print_json(
            {
                "out": str(out),
                "sha256": saved.sha256,
                "bytes": saved.bytes,
                "units": network.units_per_stage,
                "input_size": network.input_size,
                "classes": network.classes,
                "macs_before": before,
                "macs_after": after,
                "ptflops_macs": confirmed,
                "params_before": opened.network.total_parameters(),
                "params_after": network.total_parameters(),
                "exact": all(step["exact"] for step in steps),
                "edits": [{name: step[name] for name in SUMMARY} for step in steps],
                "renamed": saved.renamed,
            }
        )
        return
    rows = table("edit", "MACs", "change", "kept")
    rows.add_row("opened", f"{before:,}", "", "")
    last = before
    for step in steps:
        kept = f"lost: {', '.join(step['lost'])}" if step["lost"] else f"{step['kept']:.1%}"
        kept = "exact" if step["exact"] else kept
        rows.add_row(step["edit"], f"{step['macs']:,}", f"{step['macs'] - last:+,}", kept)
        last = step["macs"]
    rows.columns[3].no_wrap, rows.columns[3].justify = False, "left"
    screen = console()
    screen.print(rows)
    screen.print(f"saved {out} ({saved.bytes:,} bytes); ptflops counts {confirmed:,} MACs")
    for old, new in saved.renamed.items():
        screen.print(f"{old} is {new} in the file")


def apply_edits(
    network: Network, state: "State", parsed: list[edits.Edit], data: str | None = None
) -> tuple[Network, "State", list[dict[str, Any]]]:
    """Carry weights over edits one by one, each checked against its masked original.

    Args:
        data: images for criteria that need some.

    Raises:
        EditError: an edit is not legal, or its result differs from the masked original.
        UserError: a criterion needs images and has none.
    """
    from workbench.surgery.carry import carry, checked_error
    from workbench.surgery.decompose import chosen

    steps: list[dict[str, Any]] = []
    for change in parsed:
        started = time.perf_counter()
        if isinstance(change, edits.Rank):
            change = chosen(network, state, change)
        measured = None
        if (
            isinstance(change, edits.Width | edits.Mid | edits.Groups)
            and change.criterion in edits.DATA_CRITERIA
        ):
            measured = _measured(network, state, change, data)
        carried: Carried = carry(network, state, change, measured)
        error = checked_error(carried, change)
        steps.append(
            {
                "edit": edits.text(change),
                "macs": macs.count(carried.network),
                "exact": carried.exact,
                "kept": carried.kept_share,
                "lost": carried.lost,
                "max_error": error,
                "kept_layers": carried.kept,
                "axes": _axes(network, carried),
                "layers": _reshaped_layers(network, carried.network),
                "seconds": time.perf_counter() - started,
            }
        )
        network, state = carried.network, carried.state
    return network, state, steps


def _measured(
    network: Network,
    state: "State",
    change: edits.Width | edits.Mid | edits.Groups,
    data: str | None,
) -> dict[str, list[float]]:
    if data is None:
        raise UserError(f"{change.criterion} needs images: name them with --data")
    from workbench.training.images.data import open_data
    from workbench.training.importance import measure
    from workbench.training.jobs import check_fits

    edits.apply(network, change)  # a refusal comes before the work
    opened = open_data(data, network.input_size, network.input_channels, change.seed)
    check_fits(network, opened)
    scores = measure(network, state, opened.train, change.seed)
    assert scores is not None
    return scores[change.criterion]


def _axes(before: Network, carried: "Carried") -> dict[str, list[int]]:
    """For every axis of channels the ones it had before, in their new order; -1 for a new one."""
    return {
        name: carried.orders.get(name, list(range(axis.width)))
        for name, axis in carried.network.axes.items()
        if not axis.parts and name in before.axes
    }


def _reshaped_layers(before: Network, after: Network) -> dict[str, dict[str, Any]]:
    """Shape and groups of every layer with weights, before and after."""

    def described(network: Network) -> dict[str, dict[str, Any]]:
        return {
            layer.path: {"shape": network.weight_shape(layer), "groups": network.groups(layer)}
            for _, layer in network.layers(include_off=True)
            if layer.kind in WEIGHTED
        }

    old, new = described(before), described(after)
    return {
        path: {"before": old.get(path), "after": new.get(path)} for path in dict(old) | dict(new)
    }


def _seeded(edit: edits.Edit, seed: int) -> edits.Edit:
    has_seed = isinstance(edit, edits.Classes | edits.Cut | edits.Widen)
    return msgspec.structs.replace(edit, seed=seed) if has_seed else edit


def _stage_rows(
    network: Network, found: dict[str, LayerStats], convention: str
) -> list[dict[str, Any]]:
    counts = macs.count_layers(network, convention)
    return [
        {
            "path": stage.path,
            "units": sum(unit.is_on for unit in stage.units),
            "width": network.width(stage.units[-1].out_axis),
            "macs": sum(counts[x.path] for unit in stage.units for x in unit.layers()),
            "params": sum(network.parameters(x) for unit in stage.units for x in unit.layers()),
            "unit_std": {unit.path: unit_std(unit, found) for unit in stage.units},
        }
        for stage in network.stages
    ]


def _layer_rows(
    network: Network, found: dict[str, LayerStats], convention: str
) -> list[dict[str, Any]]:
    counts = macs.count_layers(network, convention)
    rows = []
    for unit, layer in network.layers():
        stats = found.get(layer.path)
        rows.append(
            {
                "path": layer.path,
                "unit": unit.path,
                "kind": layer.kind,
                "shape": network.weight_shape(layer),
                "groups": network.groups(layer),
                "in_size": layer.in_size,
                "out_size": layer.out_size,
                "params": network.parameters(layer),
                "macs": counts[layer.path],
                "std": None if stats is None else stats.std,
                "mean": None if stats is None else stats.mean,
                "near_zero": None if stats is None else stats.near_zero,
            }
        )
    return rows


def _print_tree(network: Network, found: dict[str, LayerStats], convention: str) -> None:
    counts = macs.count_layers(network, convention)
    total = macs.count(network, convention)
    units = "-".join(map(str, network.units_per_stage))
    rows = table(
        "layer", "shape", "groups", "out", "params", "MACs", "share", "std",
        title=f"{network.family} {units}, input {network.input_size}, {network.classes} classes",
    )  # fmt: skip
    for stage in network.stages:
        for unit in stage.units:
            layers = list(unit.layers())
            inside = sum(counts[layer.path] for layer in layers)
            std = unit_std(unit, found)
            rows.add_row(
                Text(unit.path, style="bold"), "", "", "",
                f"{sum(map(network.parameters, layers)):,}", f"{inside:,}",
                f"{inside / total:.1%}", "" if std is None else f"{std:.3f}",
            )  # fmt: skip
            for layer in layers:
                stats = found.get(layer.path)
                shape = "x".join(map(str, network.weight_shape(layer)))
                grouped = layer.kind in ("conv", "depthwise", "shuffle")
                rows.add_row(
                    f"  {layer.name}", shape or layer.kind,
                    str(network.groups(layer)) if grouped else "",
                    str(layer.out_size), f"{network.parameters(layer):,}" if shape else "",
                    f"{counts[layer.path]:,}" if counts[layer.path] else "", "",
                    f"{stats.std:.3f}" if stats else "",
                )  # fmt: skip
    screen = console()
    screen.print(rows)
    screen.print(f"total {total:,} MACs ({convention}), {network.total_parameters():,} parameters")
    others = table("convention", "MACs", "what it counts")
    for name, convention_ in macs.CONVENTIONS.items():
        others.add_row(name, f"{macs.count(network, name):,}", convention_.source)
    others.columns[2].justify = "left"
    others.columns[2].no_wrap = False
    screen.print()
    screen.print(others)


COMMANDS = (inspect, edit)
