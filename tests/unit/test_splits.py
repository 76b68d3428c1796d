"""What divisions of images can be asked for, and that evaluations of before still read."""

import math

import msgspec
import pytest

from sessions.events import Evaluation
from sessions.splits import SplitError, Splits


def test_the_usual_division_is_a_fifth_for_validation_and_nothing_held_out() -> None:
    assert Splits() == Splits(
        seed=0, validation=0.2, hold_out=0.0, folds=0, fold=0, train_all=False
    )


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({}, 0.2),
        ({"hold_out": 0.2}, 0.4),
        ({"hold_out": 0.2, "folds": 4}, 0.4),
        ({"folds": 2}, 0.5),
        ({"hold_out": 0.8, "train_all": True}, 0.8),
        ({"validation": 0.89}, 0.89),
    ],
)
def test_what_is_left_for_training(values: dict[str, float], taken: float) -> None:
    assert Splits(**values).taken == pytest.approx(taken)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"seed": -1}, "seed"),
        ({"validation": 0.0}, "validation must be a share"),
        ({"validation": 1.0}, "validation must be a share"),
        ({"validation": math.nan}, "validation must be a share"),
        ({"hold_out": -0.1}, "hold-out must be a share"),
        ({"hold_out": math.nan}, "hold-out must be a share"),
        ({"hold_out": 20.0}, "hold-out must be a share"),
        ({"folds": 1}, "2 or more"),
        ({"folds": -5}, "2 or more"),
        ({"folds": 5, "fold": 5}, "fold must be in 0..4, not 5"),
        ({"folds": 5, "fold": -1}, "fold must be in 0..4"),
        ({"fold": 1}, "0 where there are no folds"),
        ({"folds": 5, "train_all": True}, "no fold out"),
        ({"hold_out": 0.7}, "less than 90%"),
        ({"validation": 0.9}, "less than 90%"),
        ({"hold_out": 0.8, "folds": 2}, "less than 90%"),
        ({"hold_out": 0.95, "train_all": True}, "less than 90%"),
    ],
)
def test_a_division_that_cannot_be_made_is_refused_with_what_can(
    values: dict[str, float], says: str
) -> None:
    with pytest.raises(SplitError, match=says):
        Splits(**values)  # type: ignore[arg-type]


def test_a_division_reads_back_as_it_was_written() -> None:
    splits = Splits(seed=3, hold_out=0.1, folds=4, fold=2)
    assert msgspec.json.decode(msgspec.json.encode(splits), type=Splits) == splits


def test_a_division_that_cannot_be_made_is_not_read_either() -> None:
    with pytest.raises(msgspec.ValidationError, match="fold must be"):
        msgspec.json.decode(b'{"folds":2,"fold":2}', type=Splits)


def test_an_evaluation_recorded_before_intervals_reads_without_one() -> None:
    line = b'{"split":"validation","images":7,"f1":0.5,"accuracy":0.5,"classes":[]}'
    found = msgspec.json.decode(line, type=Evaluation)
    assert (found.low, found.high, found.interval, found.confusion) == (None, None, None, ())


def test_an_evaluation_keeps_its_interval_and_confusions() -> None:
    found = Evaluation(
        split="hold-out", images=3, f1=0.5, accuracy=0.5, classes=(), low=0.25, high=0.75,
        confusion=((1, 2), (0, 0)),
    )  # fmt: skip
    again = msgspec.json.decode(msgspec.json.encode(found), type=Evaluation)
    assert again == found
    assert again.interval == (0.25, 0.75)
