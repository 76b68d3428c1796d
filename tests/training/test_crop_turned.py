"""Boxes lie on the photo as it was annotated: raw, turned by EXIF, or at another size."""

import cv2
import numpy as np
import pytest
from boxes import Folder, box, image, pixels, write


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_opencv_turns_it_where_the_annotations_are_of_that(
    orientation, suffix, folder
):
    name = f"a{suffix}"
    write(folder.images / name, pixels(80, 100, 3), orientation)
    seen = cv2.imread(str(folder.images / name))
    if orientation > 4:
        assert seen.shape[:2] == (100, 80)
    witness = folder.images / "witness.png"  # tells that these annotations are of turned photos
    write(witness, pixels(30, 60), 6)
    height, width = seen.shape[:2]
    folder.annotate(
        [image(1, name, width, height), image(2, "witness.png", 30, 60)],
        [box(1, [10, 20, 50, 40]), box(2, [0, 0, 30, 60], 2)],
    )
    assert folder.crop(margin=0).skipped == {}
    found = folder.written()["can/1_1.jpg"].astype(int)
    expected = seen[20:60, 10:60].astype(int)
    again = cv2.imdecode(
        cv2.imencode(".jpg", seen[20:60, 10:60], [cv2.IMWRITE_JPEG_QUALITY, 95])[1], -1
    )
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_raw_size_that_matches_means_the_raw_photo(orientation, folder):
    photo = pixels(80, 100)
    write(folder.images / "a.png", photo, orientation)
    folder.annotate([image(1, "a.png")], [box(1, [10, 20, 50, 40])])
    folder.crop(margin=0)
    np.testing.assert_array_equal(folder.written()["can/1_1.png"], photo[20:60, 10:60])


@pytest.mark.parametrize(
    ("turned", "raw", "is_turned"), [(2, 1, True), (1, 2, False), (1, 1, False)]
)
def test_a_photo_whose_size_does_not_tell_goes_with_the_majority(turned, raw, is_turned, folder):
    # GIVEN a photo upside down, a square one, and witnesses whose sizes do tell
    photo, square = pixels(80, 100), pixels(64, 64)
    write(folder.images / "a.png", photo, 3)
    write(folder.images / "b.png", square, 6)
    write(folder.images / "c.png", photo, 6)
    images = [image(1, "a.png"), image(2, "b.png", 64, 64)]
    images += [image(10 + n, "c.png", 80, 100) for n in range(turned)]
    images += [image(20 + n, "c.png", 100, 80) for n in range(raw)]
    folder.annotate(images, [box(1, [0, 0, 40, 30], one["id"]) for one in images])
    # WHEN
    done = folder.crop(margin=0)
    # THEN
    seen = (photo[::-1, ::-1], np.rot90(square, -1)) if is_turned else (photo, square)
    found = folder.written()
    assert done.written == len(images)
    np.testing.assert_array_equal(found["can/1_1.png"], seen[0][:30, :40])
    np.testing.assert_array_equal(found["can/2_1.png"], seen[1][:30, :40])


@pytest.mark.parametrize(("width", "height"), [(1000, 800), (50, 40), (1003, 803), (1000.0, 800.0)])
def test_boxes_are_scaled_to_a_photo_of_the_same_aspect(width, height, folder):
    photo = pixels(80, 100)
    write(folder.images / "a.png", photo)
    scale = width / 100
    bbox = [value * scale for value in (10.5, 20.5, 49, 39)]
    folder.annotate([image(1, "a.png", width, height)], [box(1, bbox)])
    folder.crop(margin=0)
    found = folder.written()["can/1_1.png"]
    np.testing.assert_array_equal(found, photo[20:60, 10:60])


def test_a_scaled_photo_can_be_turned_too_and_the_smallest_box_is_in_its_pixels(folder):
    photo = pixels(80, 100)
    write(folder.images / "a.png", photo, 6)
    boxes = [box(1, [100, 200, 500, 400]), box(2, [0, 0, 150, 900])]
    folder.annotate([image(1, "a.png", 800, 1000)], boxes)
    assert folder.crop(margin=0).skipped == {"smaller than 16 pixels": 1}
    turned = np.rot90(photo, -1)
    np.testing.assert_array_equal(folder.written()["can/1_1.png"], turned[20:60, 10:60])


@pytest.mark.parametrize(
    "block",
    [
        b"", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x01\0\x12\x01",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0",
    ],
)  # fmt: skip
def test_broken_tags_are_a_photo_that_stands_upright(block, folder):
    write(folder.images / "a.jpg", pixels(80, 100, 3))
    data = (folder.images / "a.jpg").read_bytes()
    head = b"\xff\xe1" + (len(block) + 8).to_bytes(2, "big") + b"Exif\0\0" + block
    (folder.images / "a.jpg").write_bytes(data[:2] + head + data[2:])
    folder.annotate([image(1, "a.jpg")], [box(1, [0, 0, 40, 40])])
    assert folder.crop().written == 1
