"""Data folders as users have them: layouts, splits, broken images, and the cache."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from workbench.errors import UserError
from workbench.training.images import image_cache
from workbench.training.images.data import open_data
from workbench.training.images.listing import list_folder

SIZE = 16
RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)


def image_bytes(colour=RED, suffix=".png", edge=24, seed=0):
    """A photo-like image of a colour, as the bytes of a file."""
    noise = np.random.default_rng(seed).integers(-15, 15, (edge, edge, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    is_written, content = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert is_written
    return content.tobytes()


def put(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image_bytes() if content is None else content)
    return path


def fill(folder, counts, colours=(RED, GREEN, BLUE), suffix=".png"):
    for (name, count), colour in zip(counts.items(), colours, strict=False):
        for number in range(count):
            content = image_bytes(colour, suffix, seed=number)
            put(folder / name / f"{number:03}{suffix}", content)
    return folder


def opened(folder, **options):
    return open_data(str(folder), options.pop("size", SIZE), **options)


def refusal(folder, **options):
    with pytest.raises(UserError) as caught:
        opened(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def counts(split):
    return np.bincount(split.labels).tolist()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


# Layouts


def test_class_folders_are_split(folder):
    dataset = opened(fill(folder, {"glass": 10, "metal": 5, "paper": 15}))
    assert dataset.classes == ("glass", "metal", "paper")
    assert (counts(dataset.train), counts(dataset.val)) == ([8, 4, 12], [2, 1, 3])
    assert dataset.skipped_count == 0


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_train_and_val_folders_are_taken_as_they_are(folder, val):
    fill(folder / "train", {"glass": 4, "metal": 3})
    fill(folder / val, {"glass": 1, "metal": 2})
    dataset = opened(folder)
    assert dataset.classes == ("glass", "metal")
    assert (counts(dataset.train), counts(dataset.val)) == ([4, 3], [1, 2])


def test_a_class_may_be_missing_in_validation(folder):
    fill(folder / "train", {"glass": 4, "metal": 3})
    fill(folder / "val", {"metal": 2})
    dataset = opened(folder)
    assert dataset.classes == ("glass", "metal")
    assert counts(dataset.val) == [0, 2]


def test_an_archive_unpacked_into_its_own_folder_is_found(folder):
    fill(folder / "trashnet-1.0", {"glass": 4, "metal": 4})
    put(folder / "README.txt", b"hello")
    assert opened(folder).classes == ("glass", "metal")


def test_an_archive_with_a_split_is_found(folder):
    fill(folder / "inner" / "train", {"glass": 4, "metal": 4})
    fill(folder / "inner" / "val", {"glass": 1, "metal": 1})
    assert counts(opened(folder).val) == [1, 1]


def test_images_in_folders_below_a_class_belong_to_it(folder):
    fill(folder, {"glass": 4, "metal": 4})
    put(folder / "glass" / "batch_2" / "deep" / "x.png")
    assert len(list_folder(folder).items) == 9


def test_files_that_are_no_images_and_hidden_ones_are_not_listed(folder):
    fill(folder, {"glass": 4, "metal": 4})
    for name in (".hidden.png", "notes.txt", "Thumbs.db", "a.png.json"):
        put(folder / "glass" / name)
    put(folder / ".cache" / "x.png")
    (folder / "empty").mkdir()
    listing = list_folder(folder)
    assert listing.classes == ("glass", "metal")
    assert len(listing.items) == 8


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".webp", ".tif"])
def test_usual_formats_open(folder, suffix):
    fill(folder, {"glass": 4, "metal": 4}, suffix=suffix.lower())
    for path in folder.rglob(f"*{suffix.lower()}"):
        path.rename(path.with_suffix(suffix))
    dataset = opened(folder)
    assert dataset.skipped_count == 0
    for split in (dataset.train, dataset.val):
        means = split.take(slice(None)).mean(axis=(1, 2))
        assert [(RED, GREEN)[label] for label in split.labels] == [
            tuple(200 if value > 110 else 20 for value in mean) for mean in means
        ]


# Refusals


def test_a_folder_that_is_not_there(folder):
    assert "no data folder" in refusal(folder)


def test_train_beside_a_folder_that_is_no_validation_is_not_taken_for_two_classes(folder):
    fill(folder / "train", {"glass": 4, "metal": 3})
    fill(folder / "extra", {"glass": 1, "metal": 2})
    assert "train" in refusal(folder)


def test_a_file_is_no_data(tmp_path):
    assert "no data folder" in refusal(put(tmp_path / "data.zip", b"PK"))


def test_a_folder_without_images(folder):
    (folder / "glass").mkdir(parents=True)
    (folder / "metal").mkdir()
    assert "no images in class folders" in refusal(folder)


def test_images_without_class_folders(folder):
    put(folder / "a.png")
    assert "one folder a class" in refusal(folder)


def test_a_single_class(folder):
    assert "only one class (glass)" in refusal(fill(folder, {"glass": 6}))


def test_a_class_with_one_image_cannot_be_split(folder):
    message = refusal(fill(folder, {"glass": 6, "metal": 1}))
    assert "'metal' has one usable image" in message


def test_a_class_whose_other_images_are_broken_cannot_be_split(folder):
    fill(folder, {"glass": 6, "metal": 1, "paper": 3})
    put(folder / "metal" / "z.png", b"")
    assert "'metal' has one usable image" in refusal(folder)


def test_a_class_of_broken_images_only(folder):
    fill(folder, {"glass": 6, "metal": 4})
    put(folder / "paper" / "z.png", b"broken")
    assert "'paper' has no usable image" in refusal(folder)


def test_a_validation_class_that_training_does_not_have(folder):
    fill(folder / "train", {"glass": 4, "metal": 3})
    fill(folder / "val", {"glass": 1, "paper": 2})
    assert "validation class 'paper'" in refusal(folder)


def test_a_training_class_of_broken_images_only(folder):
    fill(folder / "train", {"glass": 4})
    put(folder / "train" / "metal" / "x.png", b"broken")
    fill(folder / "val", {"glass": 1, "metal": 2})
    assert "'metal' has no usable training image" in refusal(folder)


def test_a_validation_folder_without_images(folder):
    fill(folder / "train", {"glass": 4, "metal": 3})
    (folder / "val").mkdir()
    assert "has no images" in refusal(folder)


def test_a_validation_folder_of_broken_images_only(folder):
    fill(folder / "train", {"glass": 4, "metal": 3})
    put(folder / "val" / "metal" / "x.png", b"broken")
    assert "no usable validation image" in refusal(folder)


def test_nothing_but_broken_images(folder):
    for name in ("glass", "metal"):
        put(folder / name / "x.png", b"broken")
    assert "none of the 2 images" in refusal(folder)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_channels_that_images_do_not_have(folder, channels):
    assert "images have 1 or 3" in refusal(folder, channels=channels)


# The split


def test_each_class_is_on_either_side_whatever_its_size(folder):
    dataset = opened(fill(folder, {"glass": 2, "metal": 3, "paper": 40}))
    assert (counts(dataset.train), counts(dataset.val)) == ([1, 2, 32], [1, 1, 8])


def test_no_image_is_on_both_sides(folder):
    dataset = opened(fill(folder, {"glass": 10, "metal": 10}))
    rows = np.concatenate((dataset.train.rows, dataset.val.rows))
    assert sorted(rows) == list(range(20))


def test_the_split_follows_its_seed(folder):
    fill(folder, {"glass": 20, "metal": 20})
    first, again, other = (opened(folder, splits=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.val.rows, again.val.rows)
    assert not np.array_equal(first.val.rows, other.val.rows)
    assert counts(first.val) == counts(other.val) == [4, 4]
    assert first.fingerprint == other.fingerprint


def test_the_split_is_the_same_at_another_size(folder):
    fill(folder, {"glass": 20, "metal": 20})
    small, large = opened(folder, size=8), opened(folder, size=32)
    assert np.array_equal(small.val.rows, large.val.rows)
    assert small.fingerprint == large.fingerprint


def test_taking_gives_copies_of_the_rows_of_the_split(folder):
    dataset = opened(fill(folder, {"glass": 10, "metal": 10}))
    taken = dataset.val.take(np.array([1, 0]))
    assert taken.shape == (2, SIZE, SIZE, 3)
    assert np.array_equal(taken[0], dataset.val.take(slice(1, 2))[0])
    taken[:] = 0
    assert dataset.val.take(slice(None)).min() > 0
    assert len(dataset.val) == 4


# Broken images


def cut(content, share=0.5):
    return content[: int(len(content) * share)]


def with_thumbnail(content):
    """A photo as cameras write it: a small JPEG, whole, in its first segment."""
    inner = b"Exif\0\0" + image_bytes(GREEN, ".jpg", 16)
    return content[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + content[2:]


BROKEN = {
    "empty.png": b"",
    "text.jpg": b"<html>404</html>",
    "cut.jpg": cut(image_bytes(suffix=".jpg", edge=96)),
    "cut-late.jpg": cut(image_bytes(suffix=".jpg", edge=96), 0.95),
    "cut-camera.jpg": cut(with_thumbnail(image_bytes(suffix=".jpg", edge=96)), 0.8),
    "cut.png": cut(image_bytes(suffix=".png", edge=96)),
    "cut.webp": cut(image_bytes(suffix=".webp", edge=96)),
    "cut.bmp": cut(image_bytes(suffix=".bmp", edge=96)),
    "header.png": image_bytes()[:20],
    "zeros.jpg": bytes(500),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_left_out_and_counted(folder, name):
    fill(folder, {"glass": 5, "metal": 5})
    put(folder / "glass" / name, BROKEN[name])
    dataset = opened(folder)
    assert dataset.skipped_count == 1
    assert [skip.path for skip in dataset.skipped] == [os.path.join("glass", name)]
    assert dataset.skipped[0].reason
    assert len(dataset.train) + len(dataset.val) == 10


def test_many_broken_images_are_all_counted_and_some_named(folder):
    fill(folder, {"glass": 5, "metal": 5})
    for number in range(30):
        put(folder / "metal" / f"broken-{number:02}.png", b"broken")
    dataset = opened(folder)
    assert dataset.skipped_count == 30
    assert len(dataset.skipped) == image_cache.SKIPPED_LISTED
    assert counts(dataset.train) == [4, 4]


def test_a_link_to_nowhere_is_left_out_and_counted(folder):
    fill(folder, {"glass": 5, "metal": 5})
    (folder / "glass" / "gone.png").symlink_to(folder / "nowhere.png")
    dataset = opened(folder)
    assert [skip.path for skip in dataset.skipped] == [os.path.join("glass", "gone.png")]


def test_a_broken_image_with_a_name_that_is_no_text_is_left_out_and_counted(folder):
    fill(folder, {"glass": 5, "metal": 5})
    name = os.path.join(os.fsencode(folder), b"glass", b"caf\xe9.png")
    try:
        with open(name, "wb") as file:
            file.write(b"broken")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    assert opened(folder).skipped_count == 1


def test_a_broken_image_keeps_the_labels_of_the_others_right(folder):
    fill(folder, {"glass": 6, "metal": 6})
    put(folder / "glass" / "000.png", b"broken")
    put(folder / "metal" / "003.png", b"")
    dataset = opened(folder)
    for split in (dataset.train, dataset.val):
        means = split.take(slice(None)).mean(axis=(1, 2))
        assert (means.argmax(axis=1) == split.labels).all()


# Pixels


def encoded(pixels, suffix=".png"):
    is_written, content = cv2.imencode(suffix, pixels)
    assert is_written
    return content.tobytes()


FORMATS = {
    "grey": encoded(np.full((20, 20), 128, np.uint8)),
    "rgba": encoded(
        np.dstack([np.full((20, 20, 3), 128), np.full((20, 20), 255)]).astype(np.uint8)
    ),
    "16 bit": encoded(np.full((20, 20, 3), 128 * 257, np.uint16)),
    "16 bit grey": encoded(np.full((20, 20), 128 * 257, np.uint16)),
    "jpeg grey": encoded(np.full((20, 20), 128, np.uint8), ".jpg"),
    "one pixel": encoded(np.full((1, 1, 3), 128, np.uint8)),
    "camera": with_thumbnail(encoded(np.full((20, 20, 3), 128, np.uint8), ".jpg")),
    "wide": encoded(np.full((3, 90, 3), 128, np.uint8)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_pixel_decodes_to_the_same_grey(folder, name, channels):
    fill(folder, {"glass": 4, "metal": 4})
    path = put(folder / "odd.png", FORMATS[name])
    image, digest, reason = image_cache._decode(str(path), SIZE, channels)
    assert reason == ""
    assert len(digest) == 32
    assert (image.shape, image.dtype) == ((SIZE, SIZE, channels), np.uint8)
    assert abs(image.astype(int) - 128).max() <= 1


def test_channels_are_in_the_order_red_green_blue(folder):
    dataset = opened(fill(folder, {"a": 4, "b": 4, "c": 4}))
    for split in (dataset.train, dataset.val):
        means = split.take(slice(None)).mean(axis=(1, 2))
        assert (means.argmax(axis=1) == split.labels).all()


def test_digits_are_built_in():
    dataset = open_data("digits", SIZE)
    assert dataset.classes == tuple("0123456789")
    assert len(dataset.train) + len(dataset.val) == 1797
    assert dataset.train.source.shape == (1797, SIZE, SIZE, 3)
    assert dataset.train.source.max() > 200
    grey = open_data("digits", SIZE, channels=1)
    assert grey.train.source.shape == (1797, SIZE, SIZE, 1)
    assert np.array_equal(grey.val.rows, dataset.val.rows)
    assert grey.fingerprint == dataset.fingerprint


# The cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(image_cache.CACHE_ENV, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_decoding(monkeypatch):
    def forbid():
        def fail(path, size, channels):
            raise AssertionError(f"{path} was decoded again")

        monkeypatch.setattr(image_cache, "_decode", fail)

    return forbid


def test_the_second_time_nothing_is_decoded(folder, cache, no_decoding):
    fill(folder, {"glass": 6, "metal": 6})
    put(folder / "glass" / "broken.png", b"broken")
    first = opened(folder)
    no_decoding()
    second = opened(folder)
    assert np.array_equal(first.train.take(slice(None)), second.train.take(slice(None)))
    assert np.array_equal(first.val.labels, second.val.labels)
    assert (first.fingerprint, first.skipped) == (second.fingerprint, second.skipped)
    assert second.skipped_count == 1


def test_another_split_uses_the_same_cache(folder, cache, no_decoding):
    fill(folder, {"glass": 6, "metal": 6})
    opened(folder, splits=1)
    no_decoding()
    assert counts(opened(folder, splits=2).train) == [5, 5]


def grow(folder):
    put(folder / "glass" / "new.png")


def shrink(folder):
    (folder / "glass" / "000.png").unlink()


def repaint(folder):
    path = folder / "glass" / "000.png"
    size = path.stat().st_size
    path.write_bytes(image_bytes(BLUE)[:size].ljust(size, b"\0"))


def rename(folder):
    (folder / "glass" / "000.png").rename(folder / "glass" / "zzz.png")


@pytest.mark.parametrize("change", [grow, shrink, repaint, rename])
def test_a_changed_folder_is_read_again(folder, cache, change):
    fill(folder, {"glass": 6, "metal": 6})
    for path in folder.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    before = opened(folder)
    change(folder)
    assert opened(folder).fingerprint != before.fingerprint


def test_another_size_or_channels_has_a_cache_of_its_own(folder, cache):
    fill(folder, {"glass": 6, "metal": 6})
    shapes = [
        opened(folder, size=size, channels=channels).train.source.shape
        for size, channels in ((16, 3), (20, 3), (16, 1), (16, 3))
    ]
    assert shapes == [(12, 16, 16, 3), (12, 20, 20, 3), (12, 16, 16, 1), (12, 16, 16, 3)]


def test_the_fingerprint_is_of_names_and_contents_wherever_they_are(folder, tmp_path, cache):
    fill(folder, {"glass": 6, "metal": 6})
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(folder, moved)
    assert opened(moved).fingerprint == opened(folder).fingerprint
    put(moved / "metal" / "000.png", image_bytes(BLUE, seed=9))
    assert opened(moved).fingerprint != opened(folder).fingerprint


def test_a_decoding_cut_off_leaves_no_cache_that_looks_whole(folder, cache, monkeypatch):
    fill(folder, {"glass": 6, "metal": 6})
    real, seen = image_cache._decode, []

    def dies(path, size, channels):
        seen.append(path)
        if len(seen) > 5:
            raise KeyboardInterrupt
        return real(path, size, channels)

    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "_decode", dies)
        with pytest.raises(KeyboardInterrupt):
            opened(folder)
    dataset = opened(folder)
    assert len(dataset.train) + len(dataset.val) == 12
    assert dataset.train.take(slice(None)).min() > 0


def test_a_cache_that_cannot_be_written_is_an_error_in_words(folder, tmp_path, monkeypatch):
    fill(folder, {"glass": 6, "metal": 6})
    monkeypatch.setenv(image_cache.CACHE_ENV, str(put(tmp_path / "a-file", b"x")))
    message = refusal(folder)
    assert "cannot cache images" in message
    assert image_cache.CACHE_ENV in message


def test_progress_is_reported_up_to_the_whole(folder, cache):
    fill(folder, {"glass": 70, "metal": 70})
    seen = []
    opened(folder, size=4, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 140)
    assert seen == sorted(seen)
    assert len(seen) >= 3


def test_trashnet_opens_as_it_is_published(shared, tmp_path, cache):
    archive = shared / "data" / "trashnet-96.tar.gz"
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    listing = list_folder(tmp_path / "unpacked")
    assert listing.classes == ("cardboard", "glass", "metal", "paper", "plastic", "trash")
    labels = [item.label for item in listing.items]
    assert np.bincount(labels).tolist() == [403, 501, 410, 594, 482, 137]
