"""Prints what the verification of a session found, for `replay --verify` and the headless demo."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.output import console, print_json, quiet_stdout, table
from workbench.errors import UserError
from workbench.journey import run_demo
from workbench.session import Opening

if TYPE_CHECKING:
    from workbench.training.verify import Verification


def run_verify(
    folder: Path, data: str | None, f1_tolerance: float, *, skip_f1: bool, as_json: bool
) -> None:
    """Verify and print; a session that differs from its record ends with an error.

    Raises:
        UserError: something differs.
    """
    with quiet_stdout():
        from workbench.training.verify import verify

        found = verify(folder, data, f1_tolerance, skip_f1=skip_f1)
    if as_json:
        print_json(found)
    else:
        _print(found)
    _raise_if_different(found)
    if not as_json:
        console().print("verified")


def run_demo_headless(opening: Opening, *, as_json: bool) -> None:
    """Run the demo's journey, verify its session, print what happened.

    Raises:
        UserError: a step failed, or the session does not verify.
    """
    report = asyncio.run(run_demo(opening, say=(lambda line: None) if as_json else print))
    with quiet_stdout():
        from workbench.training.verify import verify

        found = verify(opening.folder)
    if as_json:
        print_json({**report, "verified": found.is_verified, "verification": found})
    else:
        _print(found)
    _raise_if_different(found)
    if not as_json:
        print(f"verified; play it again with: workbench replay {opening.folder}")


def _print(found: "Verification") -> None:
    rows = table("check", "compared", "equal")
    for what in ("MACs", "weights", "F1"):
        these = [check for check in found.checks if check.what == what]
        rows.add_row(what, str(len(these)), str(sum(check.is_equal for check in these)))
    screen = console()
    screen.print(rows)
    f1 = "F1 not compared"
    if found.largest_f1_error is not None:
        f1 = f"largest F1 difference {found.largest_f1_error:.6f}, tolerance {found.f1_tolerance:g}"
    screen.print(f"{found.events} events, {found.variants} variants; {f1}")
    if found.is_torn:
        screen.print("the last line was cut off and is left out")


def _raise_if_different(found: "Verification") -> None:
    bad = [check for check in found.checks if not check.is_equal]
    if bad:
        first = bad[0]
        raise UserError(
            f"{len(bad)} of {len(found.checks)} checks differ; first: variant {first.variant}, "
            f"{first.what}: recorded {first.recorded}, rebuilt {first.rebuilt}"
        )
    if not found.is_verified:
        raise UserError("nothing to compare: the session ended before a model was open")
