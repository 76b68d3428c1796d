"""Which way up a photo is, read from the EXIF block of JPEG, PNG and WebP files.

Never fails: what cannot be read is upright.
"""

import struct

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"


def orientation(content: bytes) -> int:
    """The EXIF orientation of an image file, 1 to 8; 1 where it has none."""
    try:
        return _from_tiff(_tiff(content))
    except struct.error:
        return UPRIGHT


def turned(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The image (H, W, ...) as people see it; from orientation 5 on, height and width change."""
    match orientation:
        case 2:
            return image[:, ::-1]
        case 3:
            return image[::-1, ::-1]
        case 4:
            return image[::-1]
        case 5:
            return image.swapaxes(0, 1)
        case 6:
            return np.rot90(image, -1)
        case 7:
            return image[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return np.rot90(image)
        case _:
            return image


def _tiff(content: bytes) -> bytes:
    """The block of tags, empty where there is none."""
    if content.startswith(b"\xff\xd8"):
        return _in_jpeg(content)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_chunks(content, 8, ">I4s", b"eXIf")
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _in_chunks(content, 12, "<4sI", b"EXIF").removeprefix(_EXIF)
    return b""


def _in_jpeg(content: bytes) -> bytes:
    at = 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", content, at)
        if mark != 0xFF or kind == 0xDA:  # the pixels begin
            return b""
        if kind == 0xE1 and content[at + 4 : at + 10] == _EXIF:
            return content[at + 10 : at + 2 + length]
        at += 2 + length


def _in_chunks(content: bytes, at: int, head: str, wanted: bytes) -> bytes:
    while True:
        one, other = struct.unpack_from(head, content, at)
        kind, length = (one, other) if isinstance(one, bytes) else (other, one)
        if kind == wanted:
            return content[at + 8 : at + 8 + length]
        is_png = head.startswith(">")
        at += 8 + length + (4 if is_png else length % 2)


def _from_tiff(block: bytes) -> int:
    order = "<" if block.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    (entries,) = struct.unpack_from(f"{order}H", block, start)
    for number in range(entries):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, start + 2 + 12 * number)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
