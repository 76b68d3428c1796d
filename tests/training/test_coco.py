"""Annotation files and maps are never trusted: one line, and nothing outside OUT."""

import json
import math

import pytest
from boxes import CATEGORIES, Folder, box, error_of, image, pixels, write

from workbench.errors import UserError
from workbench.training.cropping import coco


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data")


# Names of folders


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Glass bottle", "Glass bottle"), ("Plastic bag & wrapper", "Plastic bag & wrapper"),
        ("../../evil", "_.._evil"), ("/etc/cron.d", "_etc_cron.d"), ("..", "_"), ("", "_"),
        ("a\\b:c", "a_b_c"), (".hidden", "hidden"), ("nul\0and\nline", "nul_and_line"),
        ("trailing. .", "trailing"), ("\ud800", "_"), ("é" * 500, "é" * 60), ("  ", "_"),
        ("train", "train_"), ("C:\\Windows", "C__Windows"), ("~root", "~root"), ("-rf", "-rf"),
    ],
)  # fmt: skip
def test_a_category_is_one_folder_in_out_whatever_its_name(name, expected, folder):
    write(folder.images / "a.png", pixels(80, 100))
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])], [{"id": 1, "name": name}])
    if "\ud800" in name:  # JSON's decoder refuses it before anybody makes a folder of it
        assert "not a COCO file" in error_of(folder)
        assert coco.folder_name(name) == expected
        return
    before = set(folder.root.parent.rglob("*"))
    assert folder.crop().classes == {expected: 1}
    assert len(expected.encode()) <= 240
    made = set(folder.root.parent.rglob("*")) - before
    assert made == {folder.out, folder.out / expected, folder.out / expected / "1_1.png"}


@pytest.mark.parametrize(("one", "other"), [("a/b", "a:b"), ("Can", "can"), ("é", "e\u0301")])
def test_two_categories_with_one_folder_are_an_error_that_names_them(one, other, folder):
    write(folder.images / "a.png", pixels(80, 100))
    names = [{"id": 1, "name": one}, {"id": 2, "name": other}]
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])], names)
    said = error_of(folder)
    for words in (repr(one), repr(other), "share the folder", "--map"):
        assert words in said
    # A map tells them apart, or puts them together:
    assert folder.crop(class_map={one: "x", other: "x"}).classes == {"x": 1}


def test_a_map_joins_categories_and_the_others_are_counted(folder):
    names = [{"id": n, "name": name} for n, name in enumerate(("can", "tin", "cup"))]
    write(folder.images / "a.png", pixels(80, 100))
    boxes = [box(n, [0, 0, 40, 40], 1, n % 3) for n in range(6)]
    folder.annotate([image(1, "a.png")], boxes, names)
    done = folder.crop(class_map={"can": "Metal", "tin": "Metal", "spoon": "Metal"})
    assert done.classes == {"Metal": 4}
    assert done.skipped == {"category not in the map": 2}
    assert done.unused == ("spoon",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ("empty", '"Drink can" = "Metal"')),
        ("not toml", ("not a map",)),
        ('Drink.can = "Metal"', ("not a map", "Expected `str`")),
        ('"can" = 3', ("not a map", "Expected `str`")),
        ('"can" = "../up"', ("'../up' cannot be a folder", "call it '_up'")),
        ('"can" = ""', ("cannot be a folder",)),
        ('"can" = "train"', ("cannot be a folder", "train_")),
        ('"can" = "Metal"\n"cup" = "metal"', ("'Metal' and 'metal'", "share the folder")),
        ("x = " + "[" * 100_000, ("not a map",)),
    ],
)
def test_a_map_that_cannot_be_used_is_one_line(content, says, tmp_path):
    path = tmp_path / "map.toml"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        coco.load_map(str(path))
    assert "\n" not in str(caught.value)
    for words in says:
        assert words in str(caught.value)


def test_a_map_that_is_not_there_or_fits_nothing_names_what_there_is(folder):
    with pytest.raises(UserError, match=r"cannot read map mine .* use taco-9, or a TOML file"):
        coco.load_map("mine")
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])])
    assert "'can', 'cup'" in error_of(folder, class_map={"tin": "Metal"})


# Hostile annotations


WHOLE = {"images": [image(1, "a.png")], "annotations": [box(1, [0, 0, 40, 40])]}
WHOLE["categories"] = CATEGORIES
HOSTILE = {
    "nothing": b"",
    "no JSON": b"\x89PNG\r\n",
    "a list": b"[]",
    "null": b"null",
    "no images": json.dumps(WHOLE | {"images": None}).encode(),
    "an image without a name": json.dumps(WHOLE | {"images": [{"id": 1}]}).encode(),
    "boxes as a dict": json.dumps(WHOLE | {"annotations": {"1": []}}).encode(),
    "a box without a photo": json.dumps(WHOLE | {"annotations": [{"id": 1}]}).encode(),
    "a box of words": json.dumps(WHOLE | {"annotations": [box(1, ["a", 0, 4, 4])]}).encode(),
    "a category with a number": json.dumps(WHOLE | {"categories": [{"id": 1, "name": 3}]}).encode(),
    "a number as a word": json.dumps(WHOLE | {"annotations": [box("1", [0, 0, 4, 4])]}).encode(),
    "deep": b'{"images":' + b"[" * 200_000,
    "deep where it is skipped": b'{"info":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep and NaN": b'{"x": NaN, "info":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a number too long": b'{"x": NaN, "images": [{"id": ' + b"9" * 5000 + b"}]}",
    "a box beyond any float": json.dumps(
        WHOLE | {"annotations": [box(1, [math.nan, 10**400, 4, 4])]}
    ).encode(),
    "no UTF-8": json.dumps(WHOLE).encode().replace(b"can", b"\xff\xfe"),
    "cut short": json.dumps(WHOLE).encode()[:-40],
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_annotations_that_are_none_are_one_line(content, folder):
    folder.file.write_bytes(content)
    said = error_of(folder)
    assert said.startswith(f"{folder.file} is not a COCO file with images, annotations and")
    assert len(said) < 400


def test_annotations_that_say_nothing_or_two_things_are_refused(folder):
    folder.annotate([], [])
    assert "no annotations" in error_of(folder)
    folder.annotate([image(1, "a.png"), image(1, "b.png")], [box(1, [0, 0, 4, 4])])
    assert "two of image 1" in error_of(folder)
    twice = [{"id": 1, "name": "can"}, {"id": 1, "name": "cup"}]
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 4, 4])], twice)
    assert "two of category 1" in error_of(folder)
    folder.file.unlink()
    assert "check the path" in error_of(folder)
    folder.file.mkdir()
    assert "check the path" in error_of(folder)


def test_a_file_too_large_for_annotations_is_refused_before_it_is_read(folder, monkeypatch):
    with open(folder.file, "wb") as file:
        file.truncate(coco.LARGEST_BYTES + 1)
    assert "larger than 4 GiB" in error_of(folder)


def test_a_byte_order_mark_and_fields_of_other_tools_are_no_harm(folder):
    write(folder.images / "a.png", pixels(80, 100))
    more = WHOLE | {"info": {"x": [1, {}]}, "scene_annotations": []}
    folder.file.write_bytes(b"\xef\xbb\xbf" + json.dumps(more).encode())
    assert folder.crop().written == 1
