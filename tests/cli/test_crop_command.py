"""`crop` says what became of every box, and leaves nothing after an error."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """A folder with a photo of noise and an annotation file: two cans, a cup, a crowd."""
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), photo)
    found = {
        "images": [{"id": 3, "file_name": "a.jpg", "width": 300, "height": 200}],
        "annotations": [
            {"id": n, "image_id": 3, "category_id": category, "bbox": bbox, "iscrowd": int(n == 4)}
            for n, category, bbox in (
                (1, 0, [0, 0, 150, 150]), (2, 0, [100, 50, 60, 90]), (3, 1, [10, 10, 40, 40]),
                (4, 1, [0, 0, 300, 200]), (5, 1, [10, 10, 4, 4]),
            )
        ],
        "categories": [{"id": 0, "name": "Drink can"}, {"id": 1, "name": "Paper cup"}],
    }  # fmt: skip
    (tmp_path / "boxes.json").write_text(json.dumps(found))
    return tmp_path


def arguments(boxes: Path, *more: object) -> list[object]:
    return ["crop", boxes / "boxes.json", boxes / "photos", boxes / "out", *more]


def test_crop_is_one_object_in_which_every_box_is_accounted_for(
    run: Callable[..., Any], boxes: Path
) -> None:
    ended = run(*arguments(boxes, "--json"))
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert 0 < found.pop("seconds") < 60
    assert found == {
        "total": 5,
        "written": 3,
        "skipped": {"crowd": 1, "smaller than 16 pixels": 1},
        "classes": {"Drink can": 2, "Paper cup": 1},
        "unused": [],
    }
    written = sorted(path.relative_to(boxes / "out").as_posix() for path in boxes.glob("out/*/*"))
    assert written == ["Drink can/3_1.jpg", "Drink can/3_2.jpg", "Paper cup/3_3.jpg"]


def test_the_shipped_map_and_the_options_reach_the_crops(
    run: Callable[..., Any], boxes: Path
) -> None:
    ended = run(*arguments(boxes, "--map", "taco-9", "--margin", "0", "--min-size", "4", "--json"))
    assert ended.code == 0
    assert ended.json["classes"] == {"Metal": 2, "Paperpack": 2}
    assert ended.json["skipped"] == {"crowd": 1}
    assert "Shoe" in ended.json["unused"]
    assert cv2.imread(str(boxes / "out" / "Metal" / "3_2.jpg")).shape == (90, 60, 3)


def test_crop_for_people_has_classes_reasons_and_the_next_step(
    run: Callable[..., Any], boxes: Path
) -> None:
    (boxes / "map.toml").write_text('"Drink can" = "Metal"\n"Tin" = "Metal"\n')
    ended = run(*arguments(boxes, "--map", boxes / "map.toml"), is_terminal=True)
    assert (ended.code, ended.err) == (0, "")
    for words in (
        "Metal", "skipped 2: category not in the map", "skipped 1: crowd",
        "not among the annotations' categories: Tin", "2 of 5 boxes written to",
        f"--data {boxes / 'out'}",
    ):  # fmt: skip
        assert words in ended.out


REFUSED = {
    "crop {at}/none.json {at}/photos {at}/out": ("no annotation file", "check the path"),
    "crop {at}/boxes.json {at}/none {at}/out": ("no image folder", "check the path"),
    "crop {at}/photos/a.jpg {at}/photos {at}/out": ("is not a COCO file",),
    "crop {at}/boxes.json {at}/photos {at}/photos": ("already holds files", "new or an empty"),
    "crop {at}/boxes.json {at}/photos {at}/none/out": ("folder does not exist", "create it first"),
    "crop {at}/boxes.json {at}/photos {at}/out --map mine": ("mine", "taco-9, or a TOML file"),
    "crop {at}/boxes.json {at}/photos {at}/out --margin nan": ("margin", "0 to 10"),
    "crop {at}/boxes.json {at}/photos {at}/out --min-size 0": ("at least 1 pixel",),
    "crop {at}/boxes.json {at} {at}/out": ("none of the 5 boxes", "missing image: 4"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_cropped_is_one_line_and_changes_nothing(
    line: str, run: Callable[..., Any], listing: Callable[..., set[str]], boxes: Path
) -> None:
    before = listing(boxes)
    ended = run(*line.format(at=boxes).split(), "--json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    for words in REFUSED[line]:
        assert words in ended.err
    assert listing(boxes) == before


def test_a_full_disk_is_one_line_and_no_folder(start: Callable[..., Any], boxes: Path) -> None:
    ended = start(
        *arguments(boxes, "--json"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: cannot write {boxes / 'out'}: no space left")
    assert ended.err.count("\n") == 1
    assert not (boxes / "out").exists()


def test_cropping_needs_no_torch(boxes: Path) -> None:
    code = (
        "import sys; sys.argv = ['workbench', *sys.argv[1:]]\n"
        "from workbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, *map(str, arguments(boxes))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "3 of 5 boxes" in done.stdout
    assert done.stdout.endswith("False\n")
