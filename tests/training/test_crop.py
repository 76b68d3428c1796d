"""Every box of an annotation file is cut or counted, under the annotation's class."""

import math
import random

import numpy as np
import pytest
from boxes import Folder, box, error_of, image, pixels, write

from workbench.training.cropping import cutter
from workbench.training.images.data import open_data


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data")


# What is cut


@pytest.mark.parametrize(
    ("bbox", "margin", "rows", "columns"),
    [
        ([20, 10, 30, 40], 0.0, (10, 50), (20, 50)),
        ([20, 10, 30, 40], 0.1, (6, 54), (16, 54)),
        ([20.4, 10.6, 30, 40], 0.0, (10, 51), (20, 51)),
        ([-1, -1, 31, 41], 0.1, (0, 44), (0, 34)),
        ([70, 30, 500, 500], 0.2, (20, 80), (60, 100)),
        ([0, 0, 100, 80], 0.5, (0, 80), (0, 100)),
    ],
)
def test_a_crop_is_the_box_and_its_margin_clipped_at_the_border(
    bbox, margin, rows, columns, folder
):
    photo = pixels(80, 100)
    write(folder.images / "a.png", photo)
    folder.annotate([image(1, "a.png")], [box(7, bbox)])
    done = folder.crop(margin=margin)
    found = folder.written()
    assert list(found) == ["can/1_7.png"]
    np.testing.assert_array_equal(found["can/1_7.png"], photo[slice(*rows), slice(*columns)])
    assert (done.total, done.written, done.skipped, done.classes) == (1, 1, {}, {"can": 1})


def test_a_photo_without_transparency_becomes_a_jpeg_close_to_it(folder):
    rows, columns = np.mgrid[:80, :100].astype(np.uint8)
    photo = np.stack([rows, columns, rows + columns], axis=-1)
    write(folder.images / "a.jpg", photo)
    write(folder.images / "grey.png", photo[..., 0])
    write(folder.images / "deep.png", photo[..., 0].astype(np.uint16) * 256)
    images = [image(n, name) for n, name in enumerate(("a.jpg", "grey.png", "deep.png"))]
    folder.annotate(images, [box(1, [10, 20, 60, 40], n) for n in range(3)])
    folder.crop(margin=0)
    found = folder.written()
    assert sorted(found) == ["can/0_1.jpg", "can/1_1.jpg", "can/2_1.jpg"]
    expected = photo[20:60, 10:70].astype(int)
    assert np.abs(found["can/0_1.jpg"] - expected).mean() < 3
    for name in ("can/1_1.jpg", "can/2_1.jpg"):
        assert np.abs(found[name] - expected[..., 0]).max() <= 3


def test_crops_are_a_data_folder(folder):
    folder.annotate(
        [image(n, f"{n}.jpg") for n in range(4)],
        [box(n, [0, 0, 40, 40], n % 4, 1 + n // 4) for n in range(8)],
    )
    for n in range(4):
        write(folder.images / f"{n}.jpg", pixels(80, 100, 3))
    folder.crop()
    data = open_data(str(folder.out), 32)
    assert data.classes == ("can", "cup")
    assert len(data.train) + len(data.val) == 8


@pytest.mark.parametrize("where", ["Metal/Glass", "a/b/c/d/Paper", "."])
def test_the_class_is_the_annotation_s_wherever_the_photos_lie(where, tmp_path):
    folder = Folder(tmp_path / where / "data" / "cup")
    write(folder.images / "cup" / "1" / "a.png", pixels(80, 100))
    folder.annotate([image(1, "cup/1/a.png")], [box(1, [0, 0, 40, 40])])
    assert folder.crop().classes == {"can": 1}
    assert list(folder.written()) == ["can/1_1.png"]


def test_a_photo_is_decoded_once_and_names_are_stable_and_unique(folder, monkeypatch):
    # GIVEN boxes in any order, two of them with the same number
    boxes = [box(n, [n, n, 30, 30], 1 + n % 2) for n in (1, 2, 3, 4)] + [box(3, [0, 0, 20, 20], 2)]
    folder.annotate([image(1, "a.png"), image(2, "b\\c.png")], boxes)
    write(folder.images / "a.png", pixels(80, 100))
    write(folder.images / "b" / "c.png", pixels(80, 100))
    calls, real = [], cutter.decoded
    monkeypatch.setattr(cutter, "decoded", lambda content: calls.append(1) or real(content))
    # WHEN
    done = folder.crop()
    # THEN
    names = {"1_2.png", "1_4.png", "2_1.png", "2_3.png", "2_3_2.png"}
    assert set(folder.written()) == {f"can/{name}" for name in names}
    assert done.written == 5
    assert len(calls) == 2


def test_progress_counts_photos(folder):
    folder.annotate(
        [image(n, "a.png") for n in range(5)], [box(n, [0, 0, 40, 40], n) for n in range(5)]
    )
    write(folder.images / "a.png", pixels(80, 100))
    told = []
    folder.crop(progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)]


# What is skipped


NAN, INF = math.nan, math.inf
REASONS = {
    "crowd": box(1, [0, 0, 40, 40], iscrowd=1),
    "unknown image": box(1, [0, 0, 40, 40], photo=9),
    "unknown category": box(1, [0, 0, 40, 40], category=9),
    "box without area": box(1, [10, 10, 0, 40]),
    "box outside the image": box(1, [100, 10, 40, 40]),
    "smaller than 16 pixels": box(1, [10, 10, 15.9, 60]),
    "image outside the folder": box(1, [0, 0, 40, 40], photo=2),
    "missing image": box(1, [0, 0, 40, 40], photo=3),
    "unreadable image": box(1, [0, 0, 40, 40], photo=4),
    "image of another size": box(1, [0, 0, 40, 40], photo=5),
    "image without a size": box(1, [0, 0, 40, 40], photo=6),
}
MORE = [
    ("box without four numbers", {"bbox": [NAN, 0, 40, 40]}),
    ("box without four numbers", {"bbox": [0, 0, INF, 40]}),
    ("box without four numbers", {"bbox": [0, 0, 40, None]}),
    ("box without four numbers", {"bbox": [0, 0, 40]}),
    ("box without four numbers", {"bbox": []}),
    ("box without four numbers", {"bbox": None}),
    ("box without area", {"bbox": [10, 10, -5, 40]}),
    ("box without area", {"bbox": [1e308, 10, 40, 40]}),
    ("box outside the image", {"bbox": [-50, 10, 50, 40]}),
    ("box outside the image", {"bbox": [-1e308, 0, 1e308, 40]}),
    ("smaller than 16 pixels", {"bbox": [90, 10, 40, 40]}),
    ("smaller than 16 pixels", {"bbox": [0, 1, 1e-300, 40], "iscrowd": None}),
    ("missing image", {"image_id": 7}),
    ("missing image", {"image_id": 8}),
    ("missing image", {"image_id": 10}),
    ("unreadable image", {"image_id": 11}),
    ("image outside the folder", {"image_id": 12}),
    ("image without a size", {"image_id": 13}),
]
IMAGES = [
    image(1, "a.png"),
    image(2, "../secret.png"),
    image(3, "none.png"),
    image(4, "text.png"),
    image(5, "square.png"),
    image(6, "a.png", 0),
    image(7, "x" * 5000 + ".png"),
    image(8, "nul\0.png"),
    image(10, ""),
    image(11, "short.jpg"),
    image(12, "/etc/passwd"),
    image(13, "a.png", NAN),
]


@pytest.fixture
def mixed(folder):
    """A folder with one of everything that cannot be cut."""
    write(folder.images / "a.png", pixels(80, 100))
    write(folder.root / "secret.png", pixels(80, 100))
    (folder.images / "text.png").write_text("this is no photo")
    write(folder.images / "square.png", pixels(80, 80))
    write(folder.images / "short.jpg", pixels(80, 100, 3))
    whole = (folder.images / "short.jpg").read_bytes()
    (folder.images / "short.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.mark.parametrize(
    ("reason", "one"),
    [
        *REASONS.items(),
        *((reason, REASONS["crowd"] | {"iscrowd": 0} | more) for reason, more in MORE),
    ],
)
def test_what_cannot_be_cut_is_counted_by_its_reason(reason, one, mixed):
    mixed.annotate(IMAGES, [box(0, [0, 0, 40, 40]), one])
    done = mixed.crop()
    assert (done.total, done.written, done.skipped) == (2, 1, {reason: 1})
    assert list(mixed.written()) == ["can/1_0.png"]


def test_every_box_is_accounted_for_whatever_is_in_the_file(mixed):
    # GIVEN boxes of every kind, drawn with edges far in and out of the photo
    rng = random.Random(3)
    edges = [0, 1, -1, 15.99, 16, 80, 99.5, 100, 1e9, -1e9, NAN, INF, -INF, None, 33.3]
    kinds = [*REASONS.values(), *(REASONS["crowd"] | {"iscrowd": 0} | more for _, more in MORE)]
    boxes = [rng.choice(kinds) | {"id": n} for n in range(200)]
    boxes += [box(n, [rng.choice(edges) for _ in range(4)], rng.randint(0, 14)) for n in range(600)]
    boxes += [box(n, [rng.uniform(-20, 90) for _ in range(4)], 1) for n in range(300)]
    mixed.annotate(IMAGES, boxes)
    # WHEN
    done = mixed.crop()
    # THEN
    files = mixed.written()
    assert done.total == 1100 == done.written + sum(done.skipped.values())
    assert done.written == sum(done.classes.values()) == len(files)
    assert 50 < done.written < 500
    assert all(min(found.shape[:2]) >= 16 for found in files.values())


def test_where_nothing_can_be_cut_the_reasons_are_the_error(mixed):
    mixed.annotate(IMAGES, [REASONS["crowd"], REASONS["missing image"], REASONS["crowd"]])
    assert error_of(mixed) == "none of the 3 boxes can be cut (crowd: 2, missing image: 1)"


def test_the_smallest_box_is_an_option_and_is_measured_before_the_margin(folder):
    write(folder.images / "a.png", pixels(80, 100))
    folder.annotate([image(1, "a.png")], [box(n, [10, 10, n, 60]) for n in (7, 8, 9)])
    assert folder.crop(min_size=8, margin=1).skipped == {"smaller than 8 pixels": 1}
