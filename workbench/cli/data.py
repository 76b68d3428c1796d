"""Commands on data: crop makes a folder of images, curves takes a session's numbers out."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sessions import curves as session_curves
from sessions import log
from workbench.cli.desk import TerminalDesk
from workbench.cli.output import Json, console, print_json, quiet_stdout, table
from workbench.cli.writing import explained, write_whole
from workbench.errors import UserError

if TYPE_CHECKING:
    from sessions.curves import Row
    from sessions.log import Recording
    from workbench.training.cropping.crop import Cropped


def crop(
    annotations: Annotated[
        Path, typer.Argument(metavar="ANNOTATIONS", help="A COCO file with boxes, .json.")
    ],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of the photos.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New or empty folder.")],
    class_map: Annotated[
        str | None,
        typer.Option(
            "--map",
            help='taco-9, or a TOML file with lines like "Drink can" = "Metal"; '
            "without it each category is a class.",
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Added on each side, as a share of the box's longer side.")
    ] = 0.1,
    min_size: Annotated[
        int, typer.Option(help="Shorter side in pixels below which a box is left out.")
    ] = 16,
    as_json: Json = False,
) -> None:
    """Cut the boxes of COCO annotations out of their photos, into one folder a class."""
    with quiet_stdout():
        from workbench.training.cropping import coco
        from workbench.training.cropping import crop as cropping

        classes = None if class_map is None else coco.load_map(class_map)
        with TerminalDesk(is_silent=as_json) as desk:

            def progress(done: int, total: int) -> None:
                desk.advance("cutting boxes", done, total, f"{done:,} of {total:,} photos")
                if desk.should_stop():
                    raise UserError(f"stopped at photo {done} of {total}; nothing is in {out}")

            done = cropping.crop(
                annotations, images, out,
                class_map=classes, margin=margin, min_size=min_size, progress=progress,
            )  # fmt: skip
    if as_json:
        print_json(done)
    else:
        _print_cropped(out, done)


def _print_cropped(out: Path, done: "Cropped") -> None:
    screen = console()
    rows = table("class", "crops")
    for name, count in done.classes.items():
        rows.add_row(name, f"{count:,}")
    screen.print(rows)
    for reason, count in done.skipped.items():
        screen.print(f"skipped {count:,}: {reason}")
    if done.unused:
        screen.print(f"not among the annotations' categories: {', '.join(done.unused)}")
    screen.print(
        f"{done.written:,} of {done.total:,} boxes written to {out} in {done.seconds:.1f} s; "
        f"use them with --data {out}"
    )


def curves(
    folder: Annotated[Path, typer.Argument(metavar="SESSION", help="A session folder.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help=".csv or .json; without it a table goes to stdout."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Folder to write runs for TensorBoard into, one a job."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write every loss, speed, F1 and accuracy that a session recorded."""
    if out is not None and out.suffix not in FORMS:
        raise UserError(f"{out.name!r} is no form of curves: end the name in {' or '.join(FORMS)}")
    recording = log.read(folder)
    found = list(session_curves.rows(recording.records))
    if not found:
        raise UserError(f"{folder} has no curves: no job of it told of progress or F1")
    if recording.is_torn:
        print("note: the last line was cut off and is left out", file=sys.stderr)
    if out is None and tensorboard is None:
        form = ".json" if as_json else ".csv"
        print(FORMS[form](recording, found), end="", file=sys.__stdout__)
        return
    runs: list[str] = []
    if tensorboard is not None:
        from workbench import tensorboard as writing

        with explained(tensorboard):
            runs = writing.write(tensorboard, found, session_curves.created_at(recording.header))
    if out is not None:
        with explained(out):
            write_whole(out, FORMS[out.suffix](recording, found))
    jobs = len({row.job for row in found})
    if as_json:
        targets = {"out": out and str(out), "tensorboard": tensorboard and str(tensorboard)}
        print_json({**targets, "values": len(found), "jobs": jobs, "runs": runs})
        return
    for target in (out, tensorboard):
        if target is not None:
            print(f"saved {target}: {len(found):,} values of {jobs} jobs")
    if tensorboard is not None:
        print(f"see them with: tensorboard --logdir {tensorboard}")


def _csv(recording: "Recording", found: "list[Row]") -> str:
    return session_curves.as_csv(found)


def _json(recording: "Recording", found: "list[Row]") -> str:
    return json.dumps(session_curves.as_json(recording.header, found), ensure_ascii=False) + "\n"


FORMS = {".csv": _csv, ".json": _json}


COMMANDS = (crop, curves)
