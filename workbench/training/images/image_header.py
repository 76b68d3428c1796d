"""What the first bytes of an image file tell of its pixels: how many, how deep, how see-through.

Read before decoding, so that a file whose pixels would fill the memory is refused unopened, and
a kind whose colours OpenCV would get wrong is decoded in a way of its own, or refused in words.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

JPEG: Final = b"\xff\xd8"
PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame."""
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG markers that no length follows."""
_OTHERS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF"}
_TIFF_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}


class Unreadable(Exception):
    """Why a file is left out, as few words for the user."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The pixels of an image file as they will be decoded."""

    width: int
    height: int
    channels: int = 3
    bits: int = 8
    """Of a channel: 8 or 16."""
    alpha: Literal["none", "straight", "premultiplied"] = "none"
    clear_grey: int | None = None
    """The one grey level that is see-through, at this depth."""
    is_negative: bool = False
    """Whether 0 is white."""
    working: int = 0
    """Bytes a pixel that the decoder keeps beside the image while it works."""

    @property
    def memory(self) -> int:
        """Bytes that decoding takes at its peak; OpenCV copies the image once it is decoded."""
        image = self.channels * self.bits // 8
        return self.width * self.height * (image + max(image, self.working))

    @property
    def is_plain(self) -> bool:
        """Whether it is 8 bits deep and opaque, as nearly all are."""
        return self.bits == 8 and self.alpha == "none" and self.clear_grey is None


def read_header(content: bytes) -> Header:
    """What is known of the pixels before decoding.

    Raises:
        Unreadable: this is no image, one of a kind that is not read, or one that was cut short.
    """
    if not content:
        raise Unreadable("empty file")
    try:
        header = _reader(content)(content)
    except (struct.error, IndexError, ValueError) as error:
        raise Unreadable("cut short") from error
    if header.width < 1 or header.height < 1:
        raise Unreadable("no pixels")
    return header


def _reader(content: bytes) -> Callable[[bytes], Header]:
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp
    if content[4:8] == b"ftyp" and content[8:12] in _OTHERS:
        raise Unreadable(f"format not supported ({_OTHERS[content[8:12]]})")
    for start, reader in _READERS.items():
        if content.startswith(start):
            return reader
    raise Unreadable("not a readable image")


def _jpeg(content: bytes) -> Header:
    frame, is_adobe, at = None, False, 2
    while True:
        at = content.index(b"\xff", at)
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        at += 1
        if marker in (0xD9, 0xDA):  # the end, or pixels
            break
        if marker in _ALONE:
            continue
        (length,) = struct.unpack_from(">H", content, at)
        if marker in _FRAMES:
            frame = marker, *struct.unpack_from(">BHHB", content, at + 2)
        is_adobe |= marker == 0xEE and content[at + 2 : at + 7] == b"Adobe"
        at += length
    if content.rfind(b"\xff\xd9", at) < 0:
        raise Unreadable("cut short")
    if frame is None:
        raise Unreadable("not a readable image")
    kind, _, height, width, channels = frame
    if channels == 4 and not is_adobe:
        raise Unreadable("CMYK without Adobe's mark, so that black and white may be exchanged")
    working = 2 * channels if kind in _PROGRESSIVE else 0
    return Header(width=width, height=height, channels=min(channels, 3), working=working)


def _png(content: bytes) -> Header:
    width, height, depth, kind = struct.unpack_from(">IIBB", content, 16)
    if depth not in (1, 2, 4, 8, 16):
        raise Unreadable("not a readable image")
    clear, is_moving = None, False
    for chunk, data, length in _png_chunks(content):
        if chunk == b"tRNS":
            clear = content[data : data + length]
        is_moving |= chunk == b"acTL"
    clear_grey = None
    if clear is not None and kind == 0:
        (level,) = struct.unpack(">H", clear)
        clear_grey = level if depth == 16 else level * (255 // (2**depth - 1))
    is_clear = kind in (4, 6) or (clear is not None and kind in (2, 3))
    return Header(
        width=width,
        height=height,
        channels=4 if is_clear else 1 if kind == 0 else 3,
        bits=max(depth, 8),
        alpha="straight" if is_clear else "none",
        clear_grey=clear_grey,
        working=12 if is_moving else 0,
    )


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each part; OpenCV reserves whatever length one claims to have."""
    chunk, at = b"", len(PNG)
    while chunk != b"IEND":
        length, chunk = struct.unpack_from(">I4s", content, at)
        if at + 12 + length > len(content):
            raise Unreadable("cut short")
        yield chunk, at + 8, length
        at += 12 + length


def _gif(content: bytes) -> Header:
    width, height = struct.unpack_from("<HH", content, 6)
    return Header(width=width, height=height, channels=4, alpha="straight", working=5)


def _bmp(content: bytes) -> Header:
    (size,) = struct.unpack_from("<I", content, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", content, 18)
        return Header(width=width, height=height)
    width, height, _, bits = struct.unpack_from("<iiHH", content, 18)
    is_clear = bits == 32 and size >= 56 and struct.unpack_from("<I", content, 66)[0] != 0
    return Header(
        width=width,
        height=abs(height),
        channels=4 if is_clear else 3,
        alpha="straight" if is_clear else "none",
    )


def _webp(content: bytes) -> Header:
    kind, is_moving = content[12:16], False
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
        is_clear, is_moving = bool(content[20] & 0x10), bool(content[20] & 0x02)
    elif kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", content, 21)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        is_clear = bool(packed >> 28 & 1)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
        is_clear = False
    return Header(
        width=width,
        height=height,
        channels=4 if is_clear else 3,
        alpha="straight" if is_clear else "none",
        working=8 if is_moving else 4,
    )


def _tiff(content: bytes) -> Header:
    tags = _tiff_tags(content)
    bits, colours, samples = tags.get(258, 1), tags.get(262, 1), tags.get(277, 1)
    extra, number = tags.get(338), tags.get(339, 1)
    if number == 3:
        raise Unreadable("floating point pixels, which have no white: save it with 8 or 16 bits")
    if number == 2 or bits not in (1, 2, 4, 8, 16):
        kind = "signed " if number == 2 else ""
        raise Unreadable(f"pixels of {kind}{bits} bits: save it with 8 or 16")
    if bits == 16 and colours > 2:
        raise Unreadable("16 bits in other colours than RGB: save it as RGB")
    if samples not in (1, 3, 4) or (samples == 4 and colours == 2 and extra not in (1, 2)):
        raise Unreadable(f"{samples} channels: save it as RGB")
    is_clear = samples == 4 and colours == 2
    is_straight = bits == 16 and extra == 2  # libtiff multiplies 8 bits by alpha itself
    return Header(
        width=tags.get(256, 0),
        height=tags.get(257, 0),
        channels=max(samples, 3),
        bits=max(bits, 8),
        alpha="none" if not is_clear else "straight" if is_straight else "premultiplied",
        is_negative=bits == 16 and colours == 0,
        working=samples + 4 if bits <= 8 else 0,
    )


def _tiff_tags(content: bytes) -> dict[int, int]:
    """The first number of each tag of the first page."""
    order = "<" if content.startswith(b"II") else ">"
    (version,) = struct.unpack_from(f"{order}H", content, 2)
    is_big = version == 43
    offset, count, entry = ("Q", "Q", "HHQ") if is_big else ("I", "H", "HHI")
    (start,) = struct.unpack_from(order + offset, content, 8 if is_big else 4)
    (entries,) = struct.unpack_from(order + count, content, start)
    at = start + struct.calcsize(order + count)
    tags = {}
    for _ in range(entries):
        tag, kind, values = struct.unpack_from(order + entry, content, at)
        where = at + struct.calcsize(order + entry)
        at = where + struct.calcsize(order + offset)
        if size := _TIFF_SIZES.get(kind):
            if values * struct.calcsize(size) > at - where:
                (where,) = struct.unpack_from(order + offset, content, where)
            (tags[tag],) = struct.unpack_from(order + size, content, where)
    return tags


_READERS: dict[bytes, Callable[[bytes], Header]] = {
    JPEG: _jpeg,
    PNG: _png,
    b"GIF8": _gif,
    b"BM": _bmp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"II+\0": _tiff,
    b"MM\0+": _tiff,
}
