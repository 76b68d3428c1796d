"""Image files of every kind that people have come out as they are seen."""

import struct

import cv2
import encoders
import numpy as np
import pytest

from workbench.training.images.decoding import decoded

SIZE = 16
RED, GREEN, BLUE, WHITE = (200, 20, 20), (20, 200, 20), (20, 20, 200), (255, 255, 255)
PALETTE = [(0, 0, 0), RED, GREEN, BLUE, WHITE]


def halves(left, right, dtype=np.uint8, size=(20, 20)):
    """An image with one value on the left and another one on the right."""
    pixels = np.zeros((*size, *np.shape(left)), dtype)
    pixels[:, : size[1] // 2], pixels[:, size[1] // 2 :] = left, right
    return pixels


def deep(*colour):
    """Eight bits as sixteen."""
    return [257 * value for value in colour]


def assert_halves(content, left, right, tolerance=1):
    """The middles of both halves have these colours, in RGB and in grey."""
    image = decoded(content, SIZE, 3).astype(int)
    assert image.shape == (SIZE, SIZE, 3)
    assert np.abs(image[:, 2:5] - np.array(left)).max() <= tolerance
    assert np.abs(image[:, -5:-2] - np.array(right)).max() <= tolerance
    grey = decoded(content, SIZE, 1)
    assert (grey.shape, grey.dtype) == ((SIZE, SIZE, 1), np.uint8)
    light = np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[:, 2:5] - light @ np.broadcast_to(left, 3)).max() <= tolerance + 2
    assert np.abs(grey[:, -5:-2] - light @ np.broadcast_to(right, 3)).max() <= tolerance + 2


def on_white(colour, alpha):
    """A colour laid over white with an alpha of 0..1."""
    return tuple(round(alpha * value + (1 - alpha) * 255) for value in np.broadcast_to(colour, 3))


# Colours

INDICES = halves(1, 2)
OPAQUE = {
    "grey PNG": (encoders.png(halves(40, 200)), 40, 200),
    "grey PNG of 16 bits": (encoders.png(halves(40 * 257, 200 * 257, np.uint16)), 40, 200),
    "PNG of 16 bits": (
        encoders.png(halves(deep(*RED), deep(*GREEN), np.uint16)),
        RED,
        GREEN,
    ),
    "palette PNG": (encoders.png(INDICES, palette=PALETTE), RED, GREEN),
    "GIF": (encoders.gif(PALETTE, INDICES), RED, GREEN),
    "BMP": (encoders.opencv(halves(RED, GREEN), ".bmp"), RED, GREEN),
    "TIFF": (encoders.tiff(halves(RED, GREEN)), RED, GREEN),
    "grey TIFF": (encoders.tiff(halves(40, 200)), 40, 200),
    "grey TIFF whose 0 is white": (encoders.tiff(halves(40, 200), photometric=0), 215, 55),
    "TIFF of 16 bits": (
        encoders.tiff(halves(deep(*RED), deep(*GREEN), np.uint16)), RED, GREEN
    ),
    "TIFF of 16 bits whose 0 is white": (
        encoders.tiff(halves(40 * 257, 200 * 257, np.uint16), photometric=0),
        215,
        55,
    ),
    "CMYK TIFF": (
        encoders.tiff(halves((0, 255, 255, 0), (255, 0, 255, 0)), photometric=5),
        (255, 0, 0), (0, 255, 0),
    ),
    "CMYK JPEG": (encoders.cmyk_jpeg((0, 200, 100, 50)), (205, 44, 125), (205, 44, 125)),
    "white CMYK JPEG": (encoders.cmyk_jpeg((0, 0, 0, 0)), 255, 255),
    "black CMYK JPEG": (encoders.cmyk_jpeg((0, 0, 0, 255)), 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", OPAQUE)
def test_opaque_colours_are_as_they_are_seen(name):
    assert_halves(*OPAQUE[name], tolerance=2)


def test_sixteen_bits_are_rounded_to_eight():
    content = encoders.png(halves(40 * 257 + 200, 200 * 257 - 200, np.uint16))
    assert decoded(content, 20, 1)[0, ::19].ravel().tolist() == [41, 199]


CLEAR = {
    "PNG with alpha": (encoders.png(halves((*RED, 128), (*GREEN, 0))), RED, 128 / 255, WHITE),
    "grey PNG with alpha": (encoders.png(halves((40, 128), (200, 0))), 40, 128 / 255, WHITE),
    "PNG of 16 bits with alpha": (
        encoders.png(halves(deep(*RED, 128), [0, 0, 0, 0], np.uint16)),
        RED,
        128 / 255,
        WHITE,
    ),
    "palette PNG with alpha": (
        encoders.png(INDICES, palette=PALETTE, clear=bytes([255, 128, 0])), RED, 128 / 255, WHITE
    ),
    "PNG with a clear colour": (
        encoders.png(halves(RED, GREEN), clear=struct.pack(">HHH", *GREEN)), RED, 1, WHITE
    ),
    "PNG with a clear grey": (
        encoders.png(halves(40, 0), clear=struct.pack(">H", 0)), 40, 1, WHITE
    ),
    "PNG of 16 bits with a clear grey": (
        encoders.png(halves(40 * 257, 3, np.uint16), clear=struct.pack(">H", 3)), 40, 1, WHITE
    ),
    "GIF with a clear index": (encoders.gif(PALETTE, INDICES, clear=2), RED, 1, WHITE),
    "WebP with alpha": (
        encoders.opencv(halves((*RED, 128), (*GREEN, 0)), ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        RED, 128 / 255, WHITE,
    ),
    "BMP with alpha": (
        encoders.opencv(halves((*RED, 128), (*GREEN, 0)), ".bmp"), RED, 128 / 255, WHITE
    ),
    "TIFF with alpha": (
        encoders.tiff(halves((*RED, 128), (*GREEN, 0)), extra=2), RED, 128 / 255, WHITE
    ),
    "TIFF of 16 bits with alpha": (
        encoders.tiff(halves(deep(*RED, 128), [0, 0, 0, 0], np.uint16), extra=2),
        RED, 128 / 255, WHITE,
    ),
    "TIFF multiplied by alpha": (
        encoders.tiff(halves((100, 10, 10, 128), (0, 0, 0, 0)), extra=1),
        (199, 20, 20), 128 / 255, WHITE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAR)
def test_what_is_see_through_lies_over_white(name):
    content, colour, alpha, right = CLEAR[name]
    assert_halves(content, on_white(colour, alpha), right, tolerance=2)


def test_a_bitmap_whose_fourth_byte_means_nothing_is_opaque():
    content = bytearray(encoders.opencv(halves((*RED, 0), (*GREEN, 0)), ".bmp"))
    struct.pack_into("<I", content, 66, 0)  # no mask of alpha
    assert_halves(bytes(content), RED, GREEN)


FIRST, LATER = halves(RED, GREEN), halves(BLUE, BLUE)
MOVING = {
    "GIF": encoders.gif(PALETTE, INDICES, halves(3, 3)),
    "WebP": encoders.moving_webp(FIRST, LATER),
    "PNG": encoders.png(FIRST, later=[LATER]),
}


@pytest.mark.parametrize("name", MOVING)
def test_of_an_animation_the_first_frame_is_taken(name):
    assert_halves(MOVING[name], RED, GREEN)


# Turned photos

STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
"""How a camera stores an upright image under each orientation: 6 is turned a quarter to the left,
so that showing it takes a quarter to the right."""


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_photos_are_turned_upright(orientation, suffix, is_grey):
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :32], upright[:16, 32:], upright[16:, :32], upright[16:, 32:] = PALETTE[1:]
    stored = np.ascontiguousarray(STORED[orientation](upright))
    assert stored.shape[:2] == ((32, 64) if orientation < 5 else (64, 32))
    if is_grey and suffix != ".webp":
        stored = cv2.cvtColor(stored, cv2.COLOR_RGB2GRAY)
    options = {".jpg": (cv2.IMWRITE_JPEG_QUALITY, 100), ".webp": (cv2.IMWRITE_WEBP_QUALITY, 101)}
    content = encoders.opencv(stored, suffix, *options.get(suffix, ()))
    content = encoders.with_orientation(content, suffix, stored.shape[1::-1], orientation)
    image = decoded(content, SIZE, 1 if is_grey else 3).astype(int)
    wanted = cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY)[..., None] if is_grey else upright
    for row, column in ((4, 4), (4, 12), (12, 4), (12, 12)):
        assert np.abs(image[row, column] - wanted[2 * row, 4 * column]).max() <= 8


def test_a_see_through_photo_is_turned_too():
    stored = np.rot90(halves((*RED, 255), (*GREEN, 0)))
    content = encoders.with_orientation(encoders.png(stored), ".png", stored.shape[:2], 6)
    assert_halves(content, RED, WHITE)


# Shapes


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 50), (50, 1), (2, 3), (1, 4000), (4000, 1), (20000, 2)]
)
def test_small_and_narrow_images_are_stretched(size):
    image = decoded(encoders.png(np.full((*size, 3), RED, np.uint8)), SIZE, 3)
    assert image.shape == (SIZE, SIZE, 3)
    assert np.abs(image.astype(int) - RED).max() <= 1


def test_a_narrow_image_is_averaged_along_its_long_side():
    stripes = np.zeros((2, 8000), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(decoded(encoders.png(stripes), SIZE, 1).astype(int) - 100).max() <= 1
