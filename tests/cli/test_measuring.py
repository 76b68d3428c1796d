"""What evaluate and compare say: on which images, how sure, and whether it is more than noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HELD = ("--split", "hold-out", "--hold-out", "0.2")


@pytest.fixture(scope="module")
def cut(
    tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Any], demo_model: Path
) -> Path:
    """The demo model without two units: far worse."""
    out = tmp_path_factory.mktemp("cut") / "cut.pt"
    assert run("edit", demo_model, out, "off:stage1.unit3", "off:stage2.unit4").code == 0
    return out


@pytest.fixture(scope="module")
def measured(run: Callable[..., Any], demo_model: Path) -> Any:
    """The demo model's report on the validation split."""
    ended = run("evaluate", demo_model, "--data", "digits", "--json")
    assert (ended.code, ended.err) == (0, "")
    return ended.json


def test_evaluate_gives_the_interval_and_the_confusions(measured: Any) -> None:
    assert measured["low"] < measured["f1"] < measured["high"]
    assert [sum(row) for row in measured["confusion"]] == [
        score["support"] for score in measured["classes"]
    ]
    right = sum(row[number] for number, row in enumerate(measured["confusion"]))
    assert right / measured["images"] == pytest.approx(measured["accuracy"])
    assert measured["data"]["splits"]["validation"] == 0.2
    assert measured["data"]["hold_out_images"] == 0


@pytest.mark.parametrize(
    ("options", "split", "images"),
    [
        ((), "validation", 359),
        (("--split", "train"), "train", 1438),
        (HELD, "hold-out", 359),
        (("--hold-out", "0.2"), "validation", 359),
        (("--split", "train", "--hold-out", "0.2"), "train", 1079),
        (("--folds", "5", "--fold", "3"), "validation", 359),
        (("--folds", "10"), "validation", 180),
    ],
)
def test_f1_is_never_told_without_the_images_it_is_of(
    options: tuple[str, ...],
    split: str,
    images: int,
    run: Callable[..., Any],
    demo_model: Path,
) -> None:
    """A figure from images that choices were made on was published as if it were none (9)."""
    line = ("evaluate", demo_model, "--data", "digits", *options)
    found = run(*line, "--json").json
    assert (found["split"], found["images"]) == (split, images)
    told = run(*line).out
    (f1,) = [line for line in told.splitlines() if "macro F1" in line]
    assert f1.endswith(f"{images} {split} images")
    assert f"[{found['low']:.4f}, {found['high']:.4f}]" in f1


def test_training_tells_the_split_of_its_f1_too(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    ended = run(
        "train", demo_model, tmp_path / "out.pt", "--data", "digits", "--epochs", "1",
        "--augmentation", "none",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    for told in (ended.out, ended.err):
        for line in told.splitlines():
            assert "macro F1" not in line or "validation" in line
    assert "macro F1" in ended.out


def test_the_hold_out_is_what_validates_where_nothing_is_held_out(
    run: Callable[..., Any], demo_model: Path, measured: Any
) -> None:
    held = run("evaluate", demo_model, "--data", "digits", *HELD, "--json").json
    assert held["confusion"] == measured["confusion"]
    assert held["f1"] == measured["f1"]


def test_evaluate_for_people_shows_every_class_and_what_it_is_taken_for(
    run: Callable[..., Any], demo_model: Path, measured: Any
) -> None:
    told = run("evaluate", demo_model, "--data", "digits").out
    (at,) = [at for at, line in enumerate(told.splitlines()) if line.startswith("true")]
    rows = told.splitlines()[at + 1 : at + 11]
    assert [row.split()[0] for row in rows] == list("0123456789")
    for row, wanted in zip(rows, measured["confusion"], strict=True):
        assert [0 if cell == "·" else int(cell) for cell in row.split()[1:-1]] == wanted
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--split", "hold-out"), "nothing is held out"),
        (("--hold-out", "0.75"), "less than 90%"),
        (("--hold-out", "20"), "share in 0..1"),
        (("--folds", "5", "--fold", "5"), "fold must be in 0..4"),
        (("--folds", "1"), "2 or more"),
        (("--folds", "500"), "folds or fewer"),
    ],
)
def test_a_division_that_cannot_be_made_is_one_line_that_says_what_can(
    options: tuple[str, ...], says: str, run: Callable[..., Any], demo_model: Path
) -> None:
    for command in (("evaluate", demo_model), ("compare", demo_model, demo_model)):
        ended = run(*command, "--data", "digits", *options, "--json")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("error: ")
        assert ended.err.count("\n") == 1
        assert says in ended.err


def test_an_unknown_split_is_a_usage_error_with_the_known_ones(
    run: Callable[..., Any], demo_model: Path
) -> None:
    ended = run("evaluate", demo_model, "--data", "digits", "--split", "test")
    assert ended.code == 2
    assert "hold-out" in ended.err


def test_compare_finds_a_real_difference_of_f1_on_the_images_it_names(
    run: Callable[..., Any], demo_model: Path, cut: Path
) -> None:
    line = ("compare", demo_model, cut, "--data", "digits", *HELD)
    found = run(*line, "--json").json
    paired, before, after = found["paired"], found["before"], found["after"]
    assert before["split"] == after["split"] == "hold-out"
    assert paired["f1_difference"] == pytest.approx(after["f1"] - before["f1"])
    assert paired["f1_low"] < paired["f1_difference"] < paired["f1_high"] < 0
    assert (paired["verdict"], paired["looks"]) == ("a real difference", 1)
    assert before["f1_low"] < before["f1"] < before["f1_high"]
    told = run(*line).out
    assert "a real difference" in told
    assert "of 359 hold-out images" in told
    assert "looks" not in told


def test_a_model_does_not_differ_from_itself(run: Callable[..., Any], demo_model: Path) -> None:
    line = ("compare", demo_model, demo_model, "--data", "digits")
    found = run(*line, "--json").json["paired"]
    assert (found["f1_low"], found["f1_high"], found["verdict"]) == (0.0, 0.0, "within noise")
    assert "within noise" in run(*line).out


def test_a_clear_difference_takes_a_part_of_the_images(
    run: Callable[..., Any], demo_model: Path, cut: Path
) -> None:
    line = ("compare", demo_model, cut, "--data", "digits", "--sequential")
    found = run(*line, "--json").json
    paired = found["paired"]
    assert (paired["images"], paired["of"]) == (72, 359)
    assert (paired["looks"], paired["planned_looks"]) == (1, 5)
    assert paired["verdict"] == "a real difference"
    assert paired["f1_difference"] == pytest.approx(found["after"]["f1"] - found["before"]["f1"])
    assert "took 72 of 359 images" in run(*line).out
    other = run(*line, "--seed", "1", "--json").json["paired"]
    assert (other["images"], other["verdict"]) == (72, "a real difference")


def test_without_a_difference_all_images_are_taken(
    run: Callable[..., Any], demo_model: Path
) -> None:
    line = ("compare", demo_model, demo_model, "--data", "digits", "--sequential", "--json")
    found = run(*line).json["paired"]
    assert (found["images"], found["looks"], found["verdict"]) == (359, 5, "within noise")


def test_a_second_student_of_the_residual_is_told_with_the_first(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.pt"
    trained = run(
        "train", demo_model, second, "--data", "digits", "--epochs", "1", "--augmentation", "none",
        "--teacher", demo_model, "--set", f"residual_of={demo_model}",
        "--set", "images_per_epoch=0", "--json",
    ).json  # fmt: skip
    line = ("evaluate", second, "--data", "digits", "--json")
    both, alone = run(*line, "--with", demo_model).json, run(*line).json
    assert trained["f1"] == both["f1"] != alone["f1"]
    assert trained["macs"] == both["macs"] == 2 * alone["macs"]
