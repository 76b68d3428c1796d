"""Image files byte by byte, of kinds that OpenCV reads and does not write. Pixels are in RGB."""

import struct
import zlib

import cv2
import numpy as np

PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Colour types of PNG by the number of channels."""
WEBP_ALPHA, WEBP_MOVES, WEBP_EXIF = 0x10, 0x02, 0x08


def opencv(pixels, suffix, *options):
    """A file as OpenCV writes it."""
    order = {1: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[
        1 if pixels.ndim == 2 else pixels.shape[2]
    ]
    turned = pixels if order is None else cv2.cvtColor(pixels, order)
    is_written, content = cv2.imencode(suffix, turned, options)
    assert is_written
    return content.tobytes()


def chunk(name, content):
    whole = name + content
    return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))


def png(pixels, *, palette=None, clear=None, later=(), before=b""):
    """Grey, grey with alpha, RGB, RGBA, or indices into a palette; later frames make it move."""
    height, width = pixels.shape[:2]
    depth = pixels.dtype.itemsize * 8
    kind = 3 if palette is not None else PNG_KINDS[1 if pixels.ndim == 2 else pixels.shape[2]]
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), before]
    if later:
        parts.append(chunk(b"acTL", struct.pack(">II", 1 + len(later), 0)))
    if palette is not None:
        parts.append(chunk(b"PLTE", np.array(palette, np.uint8).tobytes()))
    if clear is not None:
        parts.append(chunk(b"tRNS", clear))
    frame = struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)
    if later:
        parts.append(chunk(b"fcTL", struct.pack(">I", 0) + frame))
    parts.append(chunk(b"IDAT", _rows(pixels)))
    for number, pixels_then in enumerate(later):
        parts.append(chunk(b"fcTL", struct.pack(">I", 2 * number + 1) + frame))
        parts.append(chunk(b"fdAT", struct.pack(">I", 2 * number + 2) + _rows(pixels_then)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def _rows(pixels):
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(len(pixels), -1)
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))


def gif(palette, *frames, clear=None):
    """Frames of indices into a palette of 256 colours; `clear` is the see-through index."""
    height, width = frames[0].shape
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0xF7, 0, 0), colours.tobytes()]
    for frame in frames:
        is_clear = clear is not None
        parts.append(b"!\xf9\x04" + struct.pack("<BHBB", 4 | is_clear, 10, clear or 0, 0))
        parts.append(b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08")
        data = _uncompressed_lzw(frame.ravel().tolist())
        for start in range(0, len(data), 255):
            block = data[start : start + 255]
            parts.append(bytes([len(block)]) + block)
        parts.append(b"\0")
    return b"".join(parts) + b";"


def _uncompressed_lzw(values):
    """Codes of nine bits, the table cleared before they would grow to ten."""
    codes = []
    for start in range(0, len(values), 200):
        codes += [256, *values[start : start + 200]]
    bits = sum(code << 9 * place for place, code in enumerate([*codes, 257]))
    return bits.to_bytes((9 * (len(codes) + 1) + 7) // 8, "little")


def cmyk_jpeg(inks, *, adobe=True):
    """A JPEG of one block of a colour; Adobe writes inks as 255 less their amount."""
    stored = [255 - ink for ink in inks] if adobe else inks
    bits = ""
    for value in stored:
        level = 8 * (value - 128)
        length = abs(level).bit_length()
        bits += (
            f"{length:04b}"
            + (f"{level if level > 0 else level + 2**length - 1:0{length}b}" if length else "")
            + "0"
        )
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    parts = [b"\xff\xd8"]
    if adobe:
        parts.append(segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)))
    parts.append(segment(0xDB, b"\0" + b"\1" * 64))
    planes = b"".join(bytes([number, 0x11, 0]) for number in range(4))
    parts.append(segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + planes))
    parts.append(segment(0xC4, b"\0" + bytes([0, 0, 0, 12]) + bytes(12) + bytes(range(12))))
    parts.append(segment(0xC4, b"\x10" + bytes([1]) + bytes(15) + b"\0"))
    tables = b"".join(bytes([number, 0]) for number in range(4))
    parts.append(segment(0xDA, b"\4" + tables + b"\0\x3f\0"))
    return b"".join(parts) + data + b"\xff\xd9"


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def tiff(pixels, *, number=1, photometric=None, extra=None, bits=None, height=None):
    """One strip without compression; `number` is the sample format, `extra` the kind of alpha."""
    rows, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    if photometric is None:
        photometric = 1 if samples < 3 else 2
    bits = bits or pixels.dtype.itemsize * 8
    data = pixels.tobytes()
    tags = {
        256: width, 257: height or rows, 258: [bits] * samples, 259: 1, 262: photometric, 273: 8,
        277: samples, 278: rows, 279: len(data), 339: [number] * samples,
    }  # fmt: skip
    if extra is not None:
        tags[338] = extra
    start = 8 + len(data) + len(data) % 2
    after = start + 2 + 12 * len(tags) + 4
    entries, tail = b"", b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, list):
            packed = struct.pack(f"<{len(value)}H", *value)
            if len(packed) > 4:
                packed, tail = struct.pack("<I", after + len(tail)), tail + packed
            entries += struct.pack("<HHI", tag, 3, len(value)) + packed.ljust(4, b"\0")
        else:
            entries += struct.pack("<HHII", tag, 4, 1, value)
    head = b"II*\0" + struct.pack("<I", start) + data.ljust(start - 8, b"\0")
    return head + struct.pack("<H", len(tags)) + entries + bytes(4) + tail


def riff(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp(size, flags, *parts):
    """An extended WebP of these parts."""
    width, height = ((side - 1).to_bytes(3, "little") for side in size)
    head = riff(b"VP8X", bytes([flags, 0, 0, 0]) + width + height)
    return (
        b"RIFF"
        + struct.pack("<I", 4 + len(head + b"".join(parts)))
        + b"WEBP"
        + head
        + b"".join(parts)
    )


def webp_part(pixels):
    """The pixels of a lossless WebP without its head."""
    return opencv(pixels, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101)[12:]


def moving_webp(*frames):
    height, width = frames[0].shape[:2]
    size = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    moves = [
        riff(b"ANMF", bytes(6) + size + (100).to_bytes(3, "little") + b"\2" + webp_part(frame))
        for frame in frames
    ]
    return webp((width, height), WEBP_MOVES, riff(b"ANIM", bytes(6)), *moves)


def with_orientation(content, suffix, size, orientation):
    """The file with an EXIF block that says how it is to be turned."""
    tags = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + bytes(7)
    if suffix == ".jpg":
        return content[:2] + segment(0xE1, b"Exif\0\0" + tags) + content[2:]
    if suffix == ".png":
        return content[:33] + chunk(b"eXIf", tags) + content[33:]
    return webp(size, WEBP_EXIF, content[12:], riff(b"EXIF", tags))
