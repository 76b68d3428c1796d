"""Options that say how the images of a folder are divided, the same in every command."""

from typing import Annotated

import typer

from sessions.splits import SplitError, SplitName, Splits
from workbench.errors import UserError

Seed = Annotated[int, typer.Option(min=0, help="Of the split into training and validation.")]
SplitChoice = Annotated[
    SplitName, typer.Option("--split", help="The images to measure on; the output names them.")
]
HoldOut = Annotated[
    float,
    typer.Option(
        help="Share of the images that is held out: neither trained on nor chosen on. The same "
        "in every command on a model."
    ),
]
Folds = Annotated[int, typer.Option(help="Parts of cross-validation; 0 has none.")]
Fold = Annotated[int, typer.Option(help="Which of the folds validates, from 0.")]
TrainAll = Annotated[
    bool,
    typer.Option(
        "--train-all", help="Train on the validation images too, with a hold-out to measure."
    ),
]


def chosen_splits(
    *, seed: int, hold_out: float = 0.0, folds: int = 0, fold: int = 0, train_all: bool = False
) -> Splits:
    """The division of images that the options ask for.

    Raises:
        UserError: it is not possible.
    """
    try:
        return Splits(seed=seed, hold_out=hold_out, folds=folds, fold=fold, train_all=train_all)
    except SplitError as error:
        raise UserError(str(error)) from error
