"""The command that measures what every possible edit of a model would cost."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sessions import choosing, edits
from sessions import recipe as recipes
from sessions.choosing import Ranked
from sessions.recipe import Recipe
from sessions.score import Rule, load_rule
from sessions.searching import Measured, ScanPlan, Trust
from sessions.splits import VALIDATION
from sessions.trusting import advice
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath
from workbench.cli.output import Json, console, print_json, quiet_stdout, table
from workbench.cli.score import RuleName
from workbench.cli.splits import Fold, Folds, HoldOut, Seed, chosen_splits
from workbench.cli.train import Assignments, RecipeFile
from workbench.cli.training import Data, Device, data_report, opened_data, print_skipped
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.surgery.files import ModelFile


LEGEND = """
Best exchange of F1 for MACs first; what F1 cannot tell apart, by cross-entropy.
worth: the F1 that the saving may cost before the score gets worse.
score: by how much it changes, cliff and halving aside; lower is better.
Nothing was trained but batch norm: a recovery brings much of the F1 back."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan came to, and all that another run must agree in to go on with it."""

    sha256: str
    input_size: int
    criterion: str
    images: int
    fingerprint: str
    splits: dict[str, Any]
    recipe: Recipe
    measured: tuple[Measured, ...]

    def is_of(self, other: "Found") -> bool:
        """Whether both were measured in the same way."""
        return msgspec.structs.replace(self, measured=other.measured) == other


def sensitivity(
    model: ModelPath,
    data: Data,
    units_only: Annotated[
        bool, typer.Option("--units-only", help="Switch units off; no widths and groups.")
    ] = False,
    images: Annotated[
        int, typer.Option(min=1, help="Validation images at most, each class by its share.")
    ] = ScanPlan(candidates=()).images,
    criterion: Annotated[
        str, typer.Option(help=f"How cuts choose channels: {', '.join(edits.CRITERIA)}.")
    ] = edits.CRITERIA[0],
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="FILE", help="What a stopped run printed with --json: go on."
        ),
    ] = None,
    recipe_file: RecipeFile = None,
    assignments: Assignments = None,
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    folds: Folds = 0,
    fold: Fold = 0,
    as_json: Json = False,
) -> None:
    """What each unit, width and group count costs in F1 for the MACs it saves, without training.

    Each edit is measured by itself, after batch norm was measured anew. Ctrl+c ends it after the
    edit that is being measured, and what was found is printed.
    """
    chosen = load_rule(rule)
    edits.check_criterion(criterion)
    splits = chosen_splits(seed=seed, hold_out=hold_out, folds=folds, fold=fold)
    base = recipes.load(recipe_file) if recipe_file else Recipe()
    recipe = recipes.assigned(base, assignments or [])
    began = time.perf_counter()
    with quiet_stdout():
        from workbench.search import scan
        from workbench.search.trust import trusts
        from workbench.surgery.files import read_model
        from workbench.training.loop import pick_device

        opened = read_model(model, input_size)
        with TerminalDesk(is_silent=as_json) as desk:
            dataset = opened_data(data, opened.network, splits, desk)
            plan = _plan(opened, images, criterion, units_only=units_only)
            found = Found(
                sha256=opened.sha256,
                input_size=opened.network.input_size,
                criterion=criterion,
                images=images,
                fingerprint=dataset.fingerprint,
                splits=msgspec.to_builtins(splits),
                recipe=recipe,
                measured=(),
            )
            measured = scan.scan(
                opened.network, opened.state, dataset, plan, recipe, pick_device(device),
                known=_known(resume, found, plan), should_stop=desk.should_stop,
                on_measured=lambda one: desk.say(_line(one)),
                on_progress=lambda done, total, doing, _: desk.advance(
                    "measuring", done, total, doing
                ),
            )  # fmt: skip
            found = msgspec.structs.replace(found, measured=measured)
            is_stopped = len(measured) <= len(plan.candidates)
            compared = trusts(opened.network, opened.state, dataset, measured, recipe.seed)
    report = _report(found, plan, chosen, compared, is_stopped=is_stopped)
    seconds = time.perf_counter() - began
    if as_json:
        print_json({"file": str(model), **report, "seconds": seconds, **data_report(dataset)})
        return
    _print(report, choosing.ranked(measured, chosen), compared, seconds)
    print_skipped(dataset)


def _plan(opened: "ModelFile", images: int, criterion: str, *, units_only: bool) -> ScanPlan:
    """The candidates of a model, the most promising first.

    Raises:
        UserError: there are none.
    """
    from workbench.surgery.stats import layer_stats

    candidates = choosing.candidates(
        opened.network,
        widths=() if units_only else choosing.SHARES,
        groups=not units_only,
        criterion=criterion,
    )
    if not candidates:
        what = "switched off: leave --units-only out" if units_only else "cut"
        raise UserError(f"nothing in this network can be {what}")
    stats = layer_stats(opened.network, opened.state)
    ordered = choosing.promising(opened.network, stats, candidates)
    return ScanPlan(candidates=ordered, images=images)


def _known(resume: Path | None, found: Found, plan: ScanPlan) -> tuple[Measured, ...]:
    """What the run that is gone on with had measured of this plan.

    Raises:
        UserError: the file is not readable, or not of the same model, data and options.
    """
    if resume is None:
        return ()
    try:
        before = msgspec.json.decode(resume.read_bytes(), type=Found)
    except OSError as error:
        raise UserError(f"cannot read {resume}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UserError(
            f"{resume} is not what `workbench sensitivity --json` printed: {error}"
        ) from error
    if not before.is_of(found):
        differing = [
            name for name in Found.__struct_fields__
            if name != "measured" and getattr(before, name) != getattr(found, name)
        ]  # fmt: skip
        raise UserError(
            f"{resume} is of another run ({', '.join(differing)}): give the options of that run, "
            "or leave --resume out"
        )
    wanted = {(), *plan.candidates}
    return tuple(one for one in before.measured if one.edits in wanted)


def _report(
    found: Found,
    plan: ScanPlan,
    rule: Rule,
    compared: tuple[Trust, ...],
    *,
    is_stopped: bool,
) -> dict[str, Any]:
    baseline = choosing.baseline_of(found.measured)
    return {
        **msgspec.to_builtins(found),
        "split": VALIDATION,
        "rule": rule.name,
        "is_stopped": is_stopped,
        "candidates": len(plan.candidates),
        "baseline": None if baseline is None else _figures(baseline, rule),
        "ranked": [
            {
                "edits": list(map(edits.text, row.measured.edits)),
                **_figures(row.measured, rule),
                "saved": row.saved,
                "lost": row.lost,
                "worth": row.worth,
                "rate": row.rate,
                "change_of_score": row.change,
            }
            for row in choosing.ranked(found.measured, rule)
        ],
        "trust": msgspec.to_builtins(compared),
        "advice": advice(compared),
    }


def _figures(one: Measured, rule: Rule) -> dict[str, Any]:
    plain = {
        name: getattr(one, name) for name in ("macs", "f1", "low", "high", "loss", "images", "kept")
    }
    return {**plain, "score": rule.score(one.macs, one.f1)}


def _words(one: Measured) -> str:
    return " ".join(map(edits.text, one.edits)) or "as it is"


def _line(one: Measured) -> str:
    """A find, told as it comes."""
    return (
        f"{_words(one):<24} {one.macs:>12,} MACs   F1 {one.f1:.3f} [{one.low:.3f}, {one.high:.3f}]"
    )


def _print(
    report: dict[str, Any],
    ranked: tuple[Ranked, ...],
    compared: tuple[Trust, ...],
    seconds: float,
) -> None:
    screen = console()
    screen.print()
    rows = table("edit", "saves", "F1", "lost", "worth", "score", "loss")
    base = report["baseline"]
    if base is not None:
        interval = f"{base['f1']:.3f} [{base['low']:.3f}, {base['high']:.3f}]"
        rows.add_row("as it is", "", interval, "", "", "", f"{base['loss']:.3f}")
    for row in ranked:
        one = row.measured
        rows.add_row(
            _words(one), f"{row.saved:,}", f"{one.f1:.3f} [{one.low:.3f}, {one.high:.3f}]",
            f"{row.lost:.3f}", f"{row.worth:.4f}", f"{row.change:+.4f}", f"{one.loss:.3f}",
        )  # fmt: skip
    screen.print(rows)
    screen.print(LEGEND)
    if compared:
        screen.print()
        trust = table("criterion", "of", "rank correlation with F1 lost", "edits")
        for each in compared:
            trust.add_row(
                each.criterion, each.over, f"{each.rho:+.2f} [{each.low:+.2f}, {each.high:+.2f}]",
                str(each.candidates),
            )  # fmt: skip
        screen.print(trust)
    screen.print(f"\n{report['advice']}")
    on = "" if base is None else f" on {base['images']} {VALIDATION} images"
    screen.print(f"{len(ranked)} edits measured{on} in {seconds:.0f} s")
    if report["is_stopped"]:
        screen.print(
            f"stopped: {report['candidates'] - len(ranked)} edits are not measured; "
            "--json and --resume FILE go on later"
        )


COMMANDS = (sensitivity,)
