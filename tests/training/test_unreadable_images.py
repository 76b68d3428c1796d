"""Image files that cannot be used: left out, counted and named with a reason, at no great cost."""

import contextlib
import os
import struct
import subprocess
import sys

import cv2
import encoders
import numpy as np
import pytest

from workbench.errors import UserError
from workbench.training.images import decoding, image_cache
from workbench.training.images.data import open_data
from workbench.training.images.decoding import decoded
from workbench.training.images.image_header import Unreadable, read_header
from workbench.training.images.listing import SKIPPED_LISTED, UNSUPPORTED, list_folder

SIZE = 16


def photo(height=60, width=80):
    """Smooth and without symmetry, so that files are small and any wrong part shows."""
    small = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def reason(content):
    with pytest.raises(Unreadable) as caught:
        decoded(content, SIZE, 3)
    assert "\n" not in str(caught.value)
    return str(caught.value)


PHOTO = photo()
PNG, JPEG = encoders.png(PHOTO), encoders.opencv(PHOTO, ".jpg")
PROGRESSIVE = encoders.opencv(PHOTO, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
CMYK, BMP = encoders.cmyk_jpeg((0, 0, 0, 0)), encoders.opencv(PHOTO, ".bmp")
GIF = encoders.gif([(0, 0, 0), (200, 20, 20)], np.eye(20, dtype=np.uint8))

# Kinds of pixels

REASONS = {
    "empty": (b"", "empty file"),
    "text": (b"<html>404</html>", "not a readable image"),
    "signature alone": (PNG[:8], "cut short"),
    "no pixels": (PNG[:16] + bytes(8) + PNG[24:], "no pixels"),
    "AVIF": (b"\0\0\0\x1cftypavif" + bytes(40), "format not supported (AVIF)"),
    "HEIC": (b"\0\0\0\x1cftypheic" + bytes(40), "format not supported (HEIC)"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a readable image"),
    "CMYK of unknown sign": (encoders.cmyk_jpeg((0, 0, 0, 0), adobe=False), "Adobe"),
    "float": (encoders.tiff(np.ones((4, 4), np.float32), number=3), "floating point"),
    "32 bits": (encoders.tiff(np.ones((4, 4), np.uint32)), "32 bits"),
    "signed": (encoders.tiff(np.ones((4, 4), np.int16), number=2), "signed 16 bits"),
    "12 bits": (encoders.tiff(np.ones((4, 4), np.uint16), bits=12), "12 bits"),
    "five channels": (encoders.tiff(np.ones((4, 4, 5), np.uint8)), "5 channels"),
    "a fourth colour": (encoders.tiff(np.ones((4, 4, 4), np.uint8), extra=0), "4 channels"),
    "grey with alpha in TIFF": (encoders.tiff(np.ones((4, 4, 2), np.uint8), extra=2), "2 channels"),
    "CMYK of 16 bits": (encoders.tiff(np.ones((4, 4, 4), np.uint16), photometric=5), "16 bits"),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_read_says_why(name):
    content, wanted = REASONS[name]
    assert wanted in reason(content)


HUGE = {
    "PNG": PNG[:16] + struct.pack(">II", 50_000, 50_000) + PNG[24:],
    "GIF": GIF[:6] + struct.pack("<HH", 65_000, 65_000) + GIF[10:],
    "BMP": BMP[:18] + struct.pack("<ii", 40_000, -40_000) + BMP[26:],
    "WebP": encoders.webp((16_384, 16_384), 0, encoders.webp_part(PHOTO)),
    "TIFF": encoders.tiff(PHOTO, height=2**31),
    "JPEG": CMYK.replace(struct.pack(">HHB", 8, 8, 4), struct.pack(">HHB", 65_500, 65_500, 4)),
}


@pytest.mark.parametrize("name", HUGE)
def test_an_image_that_would_fill_the_memory_is_refused_before_it_is_decoded(name, monkeypatch):
    monkeypatch.setattr(decoding.cv2, "imdecode", None)
    assert reason(HUGE[name]).startswith("too large: ")


def test_the_limit_is_above_what_cameras_take():
    taken = struct.pack(">HHB", 8_700, 11_600, 4)
    header = read_header(CMYK.replace(struct.pack(">HHB", 8, 8, 4), taken))
    assert (header.width, header.height) == (11_600, 8_700)
    assert header.memory < decoding.MEMORY_LIMIT


@pytest.mark.parametrize("part", [b"IDAT", b"IEND"])
def test_a_part_that_claims_gigabytes_is_refused_before_it_is_decoded(part, monkeypatch):
    monkeypatch.setattr(decoding.cv2, "imdecode", None)
    at = PNG.index(part)
    assert reason(PNG[: at - 4] + struct.pack(">I", 2**31 - 1) + PNG[at:]) == "cut short"


def test_large_images_are_decoded_one_after_the_other(tmp_path):
    code = (
        "import resource, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from workbench.training.images.decoding import decoded\n"
        "content = open(sys.argv[1], 'rb').read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    list(pool.map(lambda _: decoded(content, 16, 3), range(4)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    path = tmp_path / "large.jpg"
    path.write_bytes(encoders.opencv(np.zeros((5_000, 5_000, 3), np.uint8), ".jpg"))
    expected = read_header(path.read_bytes()).memory
    assert expected > decoding.LARGE
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert int(ran.stdout) * 1024 < 1.5 * expected


# Damage

WHOLE = {
    ".png": PNG,
    ".jpg": JPEG,
    "progressive.jpg": PROGRESSIVE,
    ".webp": encoders.opencv(PHOTO, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "lossy.webp": encoders.opencv(PHOTO, ".webp"),
    ".gif": GIF,
    ".bmp": BMP,
    ".tif": encoders.tiff(PHOTO),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_was_cut_anywhere_is_left_out_or_whole(name):
    content = WHOLE[name]
    whole = decoded(content, SIZE, 3)
    left_out = 0
    for end in {*range(0, len(content), len(content) // 40), len(content) - 40}:
        try:
            image = decoded(content[:end], SIZE, 3)
        except Unreadable:
            left_out += 1
        else:
            assert np.array_equal(image, whole), end
    assert left_out >= 40


@pytest.mark.parametrize("content", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
def test_a_photo_with_a_film_behind_it_is_whole(content):
    film = np.random.default_rng(0).integers(0, 255, 200_000, dtype=np.uint8).tobytes()
    film = film.replace(b"\xff\xd9", b"\0\0")
    assert np.array_equal(decoded(content + film, SIZE, 3), decoded(content, SIZE, 3))


@pytest.mark.parametrize("name", WHOLE)
def test_random_damage_is_left_out_or_decoded_and_never_an_error(name):
    rng = np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(WHOLE[name])
        for at in rng.integers(0, min(len(content), 200), rng.integers(1, 6)):
            content[at] = rng.integers(0, 256)
        with contextlib.suppress(Unreadable):
            assert decoded(bytes(content), SIZE, 3).shape == (SIZE, SIZE, 3)


# In folders


@pytest.fixture
def folder(tmp_path):
    """Two classes of four images."""
    for name in ("glass", "metal"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "data" / name / f"{number}.png").write_bytes(PNG)
    return tmp_path / "data"


def skipped(folder):
    dataset = open_data(str(folder), SIZE)
    assert len(dataset.train) + len(dataset.val) == 8
    assert dataset.skipped_count == len(dataset.skipped)
    return {skip.path: skip.reason for skip in dataset.skipped}


@pytest.mark.parametrize("suffix", sorted(UNSUPPORTED))
def test_other_formats_are_counted_and_named(folder, suffix):
    name = f"x{suffix.upper()}"
    (folder / "glass" / name).write_bytes(b"x")
    assert skipped(folder) == {os.path.join("glass", name): f"format not supported ({suffix})"}


def test_what_is_left_out_is_told_again_from_the_cache_and_when_it_changes(folder):
    (folder / "glass" / "x.heic").write_bytes(b"x")
    assert len(skipped(folder)) == len(skipped(folder)) == 1
    (folder / "glass" / "y.heic").write_bytes(b"x")
    assert len(skipped(folder)) == 2


def test_many_files_of_other_formats_are_all_counted_and_some_named(folder):
    for number in range(30):
        (folder / "metal" / f"{number}.heic").touch()
    listing = list_folder(folder)
    assert (listing.skipped_count, len(listing.skipped)) == (30, SKIPPED_LISTED)
    dataset = open_data(str(folder), SIZE)
    assert (dataset.skipped_count, len(dataset.skipped)) == (30, SKIPPED_LISTED)


def test_a_class_of_other_formats_alone_is_not_dropped_in_silence(folder):
    (folder / "paper").mkdir()
    (folder / "paper" / "x.heic").touch()
    with pytest.raises(UserError, match="class 'paper' has no usable image"):
        open_data(str(folder), SIZE)


def test_a_folder_of_other_formats_alone_says_so(tmp_path):
    for name in ("glass", "metal"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.heic").touch()
    with pytest.raises(UserError, match=r"format not supported \(\.heic\).*convert"):
        list_folder(tmp_path)


def test_what_is_no_file_and_what_is_too_large_to_read_is_left_out(folder):
    os.mkfifo(folder / "glass" / "pipe.jpg")
    (folder / "glass" / "folder.jpg").symlink_to(folder / "metal")
    with open(folder / "glass" / "large.bmp", "wb") as file:
        file.truncate(10**12)  # a hole, which takes no room
    assert skipped(folder) == {
        os.path.join("glass", "pipe.jpg"): "not a file",
        os.path.join("glass", "folder.jpg"): "not a file",
        os.path.join("glass", "large.bmp"): "too large: 1.0 TB",
    }


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "__MACOSX", "@eaDir"])
def test_folders_that_programs_add_are_not_looked_into(folder, name):
    (folder / "glass" / name).mkdir()
    (folder / "glass" / name / "0.png").write_bytes(PNG)
    assert len(list_folder(folder).items) == 8


def test_a_class_folder_that_may_not_be_read_is_counted(folder, monkeypatch):
    real = os.scandir

    def refuses(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    (folder / "glass" / "deep").mkdir()
    monkeypatch.setattr(os, "scandir", refuses)
    assert skipped(folder) == {os.path.join("glass", "deep"): "Permission denied"}


def test_an_image_that_is_deleted_while_others_are_decoded_is_left_out(folder, monkeypatch):
    real = image_cache._decode

    def deletes(path, size, channels):
        if path.endswith(os.path.join("glass", "0.png")):
            os.unlink(folder / "metal" / "3.png")
        return real(path, size, channels)

    (folder / "metal" / "9.png").write_bytes(PNG)
    monkeypatch.setattr(image_cache.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(image_cache, "_decode", deletes)
    assert skipped(folder) == {os.path.join("metal", "3.png"): "No such file or directory"}
