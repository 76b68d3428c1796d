"""TACO's own annotations, with images of the listed sizes that are made when they are read."""

import json
import math
import tomllib
from collections import Counter

import numpy as np
import pytest

from workbench.training.cropping import coco, cutter
from workbench.training.cropping.crop import crop


@pytest.fixture
def taco(shared, tmp_path, monkeypatch):
    """TACO's annotations, with images of the listed sizes that are made when they are read.

    A photo's file holds its size, a crop's file the size of the crop.
    """
    file = shared / "data" / "taco-annotations.json"
    found = json.loads(file.read_bytes())
    for one in found["images"]:
        path = tmp_path / "photos" / one["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{one['height']} {one['width']}")

    def blank(content: bytes) -> np.ndarray:
        height, width = map(int, content.split())
        return np.broadcast_to(np.uint8(90), (height, width, 3))

    def size(crop: np.ndarray) -> tuple[str, bytes]:
        return ".jpg", f"{crop.shape[0]} {crop.shape[1]}".encode()

    monkeypatch.setattr(cutter, "decoded", blank)
    monkeypatch.setattr(cutter, "_encoded", size)
    return file, found, tmp_path


@pytest.mark.parametrize("class_map", [None, "taco-9"])
def test_all_4784_boxes_of_taco_are_accounted_for(class_map, taco):
    # GIVEN
    file, found, folder = taco
    classes = None if class_map is None else coco.load_map(class_map)
    # WHEN
    done = crop(file, folder / "photos", folder / "out", class_map=classes)
    # THEN
    sizes = {one["id"]: (one["width"], one["height"]) for one in found["images"]}
    names = {one["id"]: one["name"] for one in found["categories"]}
    expected: Counter[tuple[str, int, int]] = Counter()
    for one in found["annotations"]:
        name = names[one["category_id"]]
        folder_name = name if classes is None else classes.get(name)
        (x, y, w, h), (width, height) = one["bbox"], sizes[one["image_id"]]
        left, right = max(x, 0), min(x + w, width)
        top, bottom = max(y, 0), min(y + h, height)
        if folder_name is None or right - left < 16 or bottom - top < 16:
            continue
        more = 0.1 * max(right - left, bottom - top)
        rows = math.ceil(min(bottom + more, height)) - math.floor(max(top - more, 0))
        columns = math.ceil(min(right + more, width)) - math.floor(max(left - more, 0))
        expected[folder_name, rows, columns] += 1
    written = Counter(
        (path.parent.name, *map(int, path.read_text().split()))
        for path in (folder / "out").rglob("*.jpg")
    )
    assert done.total == 4784 == done.written + sum(done.skipped.values())
    assert written == expected
    assert done.classes == Counter(name for name, _, _ in expected.elements())
    if class_map:
        assert (done.written, len(done.classes), done.unused) == (3537, 9, ())
        assert done.skipped == {"category not in the map": 1228, "smaller than 16 pixels": 19}
    else:
        assert (done.written, done.skipped) == (4682, {"smaller than 16 pixels": 102})


def test_the_map_of_taco_has_nine_classes_and_names_what_it_leaves_out(shared):
    classes = coco.load_map("taco-9")
    assert set(classes.values()) == {
        "Battery", "Clothing", "Glass", "Metal", "Paper", "Paperpack", "Plastic", "Plasticbag",
        "Styrofoam",
    }  # fmt: skip
    found = json.loads((shared / "data" / "taco-annotations.json").read_bytes())
    names = {one["name"] for one in found["categories"]}
    assert set(classes) <= names
    text = " ".join(coco.MAPS["taco-9"].read_text().replace("#", "").split())
    for name in names - set(classes):
        assert name in text.split("two materials:")[1]
    assert tomllib.loads(coco.MAPS["taco-9"].read_text()) == classes
