"""Pixels of one image file, at the size of a network's input.

Every kind comes out as people see it: turned upright, see-through over white, 16 bits scaled to 8,
an animation's first frame. One that would take too much memory is refused before it is decoded.
"""

import contextlib
import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.training.images.exif import orientation, turned
from workbench.training.images.image_header import Header, Unreadable, read_header

MEMORY_LIMIT = 3 << 28
"""Bytes that decoding one image may take: an ordinary photo of 134 million pixels."""
LARGE = 1 << 27
"""Bytes from which on images are decoded one after the other."""
_BAND = 1 << 18
"""Pixels that are laid over white at once."""

Pixels = NDArray[Any]
"""(H, W), (H, W, 3) or (H, W, 4) of 8 or 16 bits."""

_one_large = threading.RLock()
cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # what cannot be decoded is counted and named, not told on stderr


def decoded(content: bytes, size: int, channels: int) -> NDArray[np.uint8]:
    """The image (S, S, C) in a file's content, in RGB or grey.

    Raises:
        Unreadable: it is left out, and why.
    """
    header = read_header(content)
    if header.memory > MEMORY_LIMIT:
        raise Unreadable(f"too large: {header.width} x {header.height} pixels")
    with large(header.memory):
        small = _resized(_pixels(content, header, channels), size)
    image = _with_channels(_eight_bit(small).astype(np.uint8, copy=False), channels)
    return np.ascontiguousarray(turned(image, orientation(content)))


def large(memory: int) -> contextlib.AbstractContextManager[object]:
    """Lets threads take so much memory one after the other, where it is much."""
    return _one_large if memory > LARGE else contextlib.nullcontext()


def _pixels(content: bytes, header: Header, channels: int) -> Pixels:
    """The opaque pixels as they are stored: not yet upright, in BGR or grey, 8 or 16 bits."""
    if not header.is_plain:
        flags = cv2.IMREAD_UNCHANGED
    elif channels == 1 or header.channels == 1:
        flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    else:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = _decode(content, flags)
    if pixels is None:
        raise Unreadable("damaged or cut short")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise Unreadable(f"pixels of {pixels.dtype}")
    if header.is_negative:
        np.subtract(np.iinfo(pixels.dtype).max, pixels, out=pixels)
    if header.clear_grey is not None and pixels.ndim == 2:
        pixels[pixels == header.clear_grey] = np.iinfo(pixels.dtype).max
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        _lay_over_white(pixels, is_premultiplied=header.alpha == "premultiplied")
    return pixels


def _decode(content: bytes, flags: int) -> Pixels | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None


def _lay_over_white(pixels: Pixels, *, is_premultiplied: bool) -> None:
    """Blend the colours in place; a band at a time, so that it takes no memory to speak of."""
    white = np.uint32(np.iinfo(pixels.dtype).max)
    rows = max(1, _BAND // pixels.shape[1])
    for start in range(0, len(pixels), rows):
        band = pixels[start : start + rows]
        alpha = band[..., 3:].astype(np.uint32)
        if alpha.min() == white:
            continue
        colours = band[..., :3].astype(np.uint32)
        if not is_premultiplied:
            colours = (colours * alpha + white // 2) // white
        band[..., :3] = np.minimum(colours + (white - alpha), white)


def _resized(pixels: Pixels, size: int) -> Pixels:
    """Shrink by area what is too large, then enlarge what is too small, each side by itself."""
    height, width = pixels.shape[:2]
    small = (min(width, size), min(height, size))
    if small != (width, height):
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    if small != (size, size):
        pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_CUBIC)
    return pixels


def _eight_bit(pixels: Pixels) -> Pixels:
    return (pixels + np.uint32(128)) // 257 if pixels.dtype == np.uint16 else pixels


def _with_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """(S, S, C) in RGB or grey, from grey, BGR or BGR with an alpha that is spent."""
    if image.ndim == 2:
        return np.repeat(image[..., None], channels, axis=2)
    has_alpha = image.shape[2] == 4
    if channels == 1:
        grey = cv2.cvtColor(image, cv2.COLOR_BGRA2GRAY if has_alpha else cv2.COLOR_BGR2GRAY)
        return np.asarray(grey, np.uint8)[..., None]
    order = cv2.COLOR_BGRA2RGB if has_alpha else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(image, order), np.uint8)
