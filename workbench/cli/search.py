"""Commands that search without a screen: `workbench search study` and `show`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from sessions import edits, fronts
from sessions import recipe as recipes
from sessions.recipe import Recipe
from sessions.score import Rule, load_rule
from sessions.searching import Start, StudyPlan, Trial
from workbench.cli.desk import TerminalDesk
from workbench.cli.model import InputSize, ModelPath
from workbench.cli.output import Json, console, print_json, quiet_stdout, table
from workbench.cli.score import RuleName
from workbench.cli.search_space import VARIED, chosen_space
from workbench.cli.splits import HoldOut, Seed, chosen_splits
from workbench.cli.train import Assignments, RecipeFile
from workbench.cli.training import Data, Device, data_report, opened_data
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.search.trial import Model
    from workbench.training.images.data import Dataset

SEARCH = 1
"""The number of the study of a folder that the command line made."""
app = typer.Typer(
    name="search",
    help="Let trials of structures and recipes be made and trained, and see what they came to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Folder = Annotated[
    Path,
    typer.Option(
        "--session", metavar="DIR", help="Folder of the study and its networks; an old one goes on."
    ),
]


@app.command()
def study(
    model: ModelPath,
    data: Data,
    folder: Folder,
    trials: Annotated[int, typer.Option(min=1, help="Finished or pruned trials in all.")] = 40,
    minutes: Annotated[
        float, typer.Option(min=0, help="Wall time after which no trial begins; 0: no limit.")
    ] = 0.0,
    front: Annotated[
        bool, typer.Option("--front", help="Look for a front of MACs and F1, not the best score.")
    ] = False,
    start: Annotated[
        Start, typer.Option(help="Edit the model, or make new networks of a family.")
    ] = "variant",
    space_file: Annotated[
        Path | None, typer.Option("--space", metavar="FILE", help="What to vary, as TOML.")
    ] = None,
    vary: Annotated[
        str | None, typer.Option(help=f"What to vary, commas between: {VARIED}.")
    ] = None,
    recipe_file: RecipeFile = None,
    assignments: Assignments = None,
    epochs: Annotated[int | None, typer.Option(help="Of each trial; without: 8.")] = None,
    teachers: Annotated[
        list[str] | None,
        typer.Option("--teacher", metavar="FILE", help="A model file, or before-cut: the model."),
    ] = None,
    max_macs: Annotated[
        int, typer.Option(min=0, help="Structures above it are not trained; 0: no limit.")
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 1,
    storage: Annotated[
        str, typer.Option(metavar="URL", help="An Optuna storage; without: a file in DIR.")
    ] = "",
    ray: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A Ray cluster to run trials on, or local.")
    ] = "",
    study_seed: Annotated[int, typer.Option("--study-seed", min=0, help="Of what is tried.")] = 0,
    reproducible: Annotated[
        bool,
        typer.Option("--reproducible", help="The same study for the same seeds; none is pruned."),
    ] = False,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Train trials without prospects to the end too.")
    ] = False,
    input_size: InputSize = None,
    rule: RuleName = "contest",
    device: Device = "auto",
    seed: Seed = 0,
    hold_out: HoldOut = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Save the best trial's network: .pt, .pth, ...")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try structures and recipes together, each by training; the same command goes on."""
    recipe = _recipe(recipe_file, assignments, epochs, teachers)
    plan = StudyPlan(
        start=start, rule=load_rule(rule), is_front=front, trials=trials, minutes=minutes,
        space=chosen_space(space_file, vary, recipe), max_macs=max_macs, seed=study_seed,
        workers=workers, is_pruned=not no_prune, is_reproducible=reproducible, storage=storage,
        ray=ray,
    )  # fmt: skip
    splits = chosen_splits(seed=seed, hold_out=hold_out)
    if (folder / "session.jsonl").exists():
        raise UserError(f"{folder} is a session of the screen: give the study another folder")
    began = time.perf_counter()
    with quiet_stdout():
        from workbench.search import storages
        from workbench.search.study import run_study
        from workbench.surgery.files import check_target, read_model
        from workbench.training.loop import pick_device

        if out is not None:
            check_target(out)
        opened = read_model(model, input_size)
        with TerminalDesk(is_silent=as_json) as desk:
            dataset = opened_data(data, opened.network, splits, desk)
            teller = _Teller(desk)
            run_study(
                folder, SEARCH, plan, (opened.network, opened.state), dataset, recipe,
                pick_device(device), on_trial=teller.tried, on_progress=teller.progressed,
                should_stop=desk.should_stop,
            )  # fmt: skip
        url = storage or storages.default_url(folder, SEARCH)
        found = storages.study_trials(url, storages.study_name(SEARCH))
        told = _best_told(folder, plan, found, dataset, device, out)
    report = _report(found, plan.rule) | {
        "storage": url, "seconds": time.perf_counter() - began, "is_stopped": desk.should_stop(),
        **told, **data_report(dataset),
    }  # fmt: skip
    if as_json:
        print_json(report)
        return
    _print_found(found, plan.rule.name)
    if "hold_out" in told:
        console().print(
            f"the best trial on the hold-out, told only: F1 {told['hold_out']['f1']:.4f}, "
            f"score {told['hold_out_score']:.4f}"
        )
    if out is not None and "out" in told:
        console().print(f"saved {out}")
    if desk.should_stop():
        console().print("stopped: the same command goes on")
    console().print(f"the study is in {url}; for a web page of it: optuna-dashboard '{url}'")


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="DIR|URL", help="A folder, or a storage.")],
    number: Annotated[
        int, typer.Option("--search", min=1, help="The study's number in the folder.")
    ] = SEARCH,
    as_json: Json = False,
) -> None:
    """Show the trials of a study, its front, and which parameters matter."""
    with quiet_stdout():
        from workbench.search import storages

        url = place if "://" in place else storages.default_url(Path(place), number)
        name = storages.study_name(number)
        found = storages.study_trials(url, name)
        weights = storages.importances(url, name)
    if as_json:
        print_json(_report(found, None) | {"storage": url, "importances": weights})
        return
    _print_trials(found)
    _print_found(found, "")
    if weights:
        rows = table("parameter", "importance")
        for parameter, value in weights.items():
            rows.add_row(parameter, f"{value:.3f}")
        console().print(rows)
    else:
        console().print("importances need a few finished trials that differ")


class _Teller:
    """Lines of trials, and the bar of the study."""

    def __init__(self, desk: TerminalDesk) -> None:
        self.desk = desk
        self.best: Trial | None = None

    def tried(self, trial: Trial) -> None:
        """Say what a trial came to, and the best so far."""
        self.best = fronts.best([trial] if self.best is None else [self.best, trial])
        so_far = ""
        if self.best is not None:
            so_far = f"   best {self.best.score:.4f} (trial {self.best.number})"
        self.desk.say(f"trial {trial.number}: {_outcome(trial)}{so_far}")

    def progressed(self, done: int, total: int, doing: str, left_s: float | None) -> None:
        """Move the bar."""
        left = "" if left_s is None else f"  {left_s / 60:.0f} min left"
        self.desk.advance("trials", done, max(total, 1), doing + left)


def _outcome(trial: Trial) -> str:
    made = " ".join(map(edits.text, trial.edits)) or "no edits"
    if trial.evaluation is None or trial.score is None:
        return f"{trial.state}, {trial.reason}   {trial.macs:,} MACs   {made}"
    return (
        f"score {trial.score:.4f}   F1 {trial.evaluation.f1:.4f} on {trial.evaluation.split}   "
        f"{trial.macs:,} MACs   {trial.seconds:.0f} s   {made}"
    )


def _recipe(
    file: Path | None,
    assignments: list[str] | None,
    epochs: int | None,
    teachers: list[str] | None,
) -> Recipe:
    """The recipe of trials: 8 epochs where neither file nor option says more."""
    base = recipes.load(file) if file else Recipe(epochs=8)
    given = recipes.assigned(base, assignments or [])
    return recipes.changed(given, epochs=epochs, teachers=teachers or None)


def _best_told(
    folder: Path,
    plan: StudyPlan,
    found: tuple[Trial, ...],
    data: "Dataset",
    device: str,
    out: Path | None,
) -> dict[str, Any]:
    """The best trial on the hold-out, where there is one, and its network saved."""
    from workbench.search.study import hold_out_of
    from workbench.surgery import files, store
    from workbench.training.loop import pick_device

    best = fronts.best(found)
    if best is None:
        return {}
    told: dict[str, Any] = {}
    model: Model = store.get(folder, best.checkpoint)
    if data.hold_out is not None:
        kept_out = hold_out_of(model, data, pick_device(device))
        told["hold_out"] = msgspec.to_builtins(kept_out)
        told["hold_out_score"] = plan.rule.score(best.macs, kept_out.f1)
    if out is not None:
        files.save(out, *model)
        told["out"] = str(out)
    return told


def _report(found: tuple[Trial, ...], rule: Rule | None) -> dict[str, Any]:
    best = fronts.best(found)
    return {
        "trials": [msgspec.to_builtins(trial) for trial in found],
        "best": None if best is None else best.number,
        "best_score": None if best is None else best.score,
        "front": [trial.number for trial in fronts.front(found)],
        **({} if rule is None else {"rule": rule.name}),
    }


def _print_trials(found: tuple[Trial, ...]) -> None:
    rows = table("trial", "state", "score", "F1", "MACs", "seconds", "edits")
    rows.columns[1].justify = rows.columns[6].justify = "left"
    rows.columns[6].no_wrap = False  # the others stay whole
    rows.columns[6].overflow = "fold"
    for trial in found:
        rows.add_row(
            str(trial.number), trial.state,
            "" if trial.score is None else f"{trial.score:.4f}",
            "" if trial.f1 is None else f"{trial.f1:.4f}",
            f"{trial.macs:,}", f"{trial.seconds:.0f}",
            trial.reason or " ".join(map(edits.text, trial.edits)) or "none",
        )  # fmt: skip
    console().print(rows)


def _print_found(found: tuple[Trial, ...], rule: str) -> None:
    screen = console()
    states = [trial.state for trial in found]
    screen.print(
        f"{states.count('finished')} trials finished, {states.count('pruned')} pruned, "
        f"{states.count('failed')} failed"
    )
    rows = table("front: trial", "MACs", "F1", "score")
    for trial in fronts.front(found):
        rows.add_row(str(trial.number), f"{trial.macs:,}", f"{trial.f1:.4f}", f"{trial.score:.4f}")
    screen.print(rows)
    best = fronts.best(found)
    if best is None:
        screen.print("no trial finished yet")
    else:
        screen.print(f"best{f' ({rule})' if rule else ''}: trial {best.number}, {_outcome(best)}")
        screen.print("F1 of trials is of the validation split, on which they are chosen")
