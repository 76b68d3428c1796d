"""Reads one photo and writes its crops: which way up it is, what size, what format."""

import math
import os
from pathlib import Path, PurePosixPath

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.training.cropping import coco
from workbench.training.images import exif

JPEG_QUALITY = 95
LARGEST_JPEG = 65_500
CHANNELS = (1, 3, 4)
ASPECT_TOLERANCE = 0.01
"""Share by which an image scaled to whole pixels may differ from the annotations' aspect."""

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of the annotated size."""
Pixels = NDArray[np.uint8]


class Box(msgspec.Struct, frozen=True):
    """A box to cut."""

    corners: Corners
    folder: str
    stem: str
    """Name of the crop's file, without its suffix."""


class Photo(msgspec.Struct, frozen=True):
    """An image and all its boxes: it is decoded once."""

    image: coco.Image
    boxes: list[Box]


class Cut(msgspec.Struct, frozen=True):
    """What became of a photo's boxes."""

    reasons: list[str]
    """One a box: why it was left out, empty where it was written."""
    vote: int = 0
    """1 where the annotations are of the photo as EXIF turns it, -1 where of the raw one."""


class Cutter(msgspec.Struct, frozen=True):
    """How to cut; one for all photos and threads."""

    images: Path
    out: Path
    margin: float
    """Added on each side, as a share of the box's longer side."""
    min_size: int
    """Shorter side in pixels below which a box is left out."""

    def cut(self, photo: Photo, is_turned: bool | None = None) -> Cut | None:
        """Cut a photo's boxes; None where it must be known first whether others are turned.

        Raises:
            OSError: a crop cannot be written.
        """
        path = image_path(self.images, photo.image.file_name)
        if path is None:
            return _none(photo, "image outside the folder")
        if not os.path.isfile(path):
            return _none(photo, "missing image")
        content = _content(path)
        orientation = exif.orientation(content)
        if is_turned is None and _is_open(photo.image, orientation):
            return None
        pixels = decoded(content)
        if pixels is None:
            return _none(photo, "unreadable image")
        turned = exif.turned(pixels, orientation)
        view = _fitting(photo.image, [turned, pixels] if is_turned else [pixels, turned])
        if view is None:
            return _none(photo, "image of another size")
        vote = 0
        if turned.shape != pixels.shape:
            vote = 1 if view is turned else -1
        return Cut([self._write(view, photo.image, box) for box in photo.boxes], vote)

    def _write(self, pixels: Pixels, image: coco.Image, box: Box) -> str:
        """Why the box is left out, empty where it was written."""
        height, width = pixels.shape[:2]
        across, down = width / image.width, height / image.height
        left, right = (min(max(x * across, 0.0), width) for x in box.corners[::2])
        top, bottom = (min(max(y * down, 0.0), height) for y in box.corners[1::2])
        if min(right - left, bottom - top) < self.min_size:
            return f"smaller than {self.min_size} pixels"
        added = self.margin * max(right - left, bottom - top)
        rows = slice(max(math.floor(top - added), 0), min(math.ceil(bottom + added), height))
        columns = slice(max(math.floor(left - added), 0), min(math.ceil(right + added), width))
        suffix, data = _encoded(pixels[rows, columns])
        folder = self.out / box.folder
        folder.mkdir(exist_ok=True)
        (folder / (box.stem + suffix)).write_bytes(data)
        return ""


def image_path(images: Path, file_name: str) -> str | None:
    """Where an image is, None where its name leads out of the folder."""
    inner = PurePosixPath(file_name.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts:
        return None
    return os.path.join(images, inner)


def decoded(content: bytes) -> Pixels | None:
    """The raw pixels, BGR, (H, W) or (H, W, 3 or 4), not turned; None where not readable."""
    if content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content[-65536:]:
        return None  # cut short: OpenCV would fill the rest with grey
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # also where there is nothing
        return None
    if image is None or (image.ndim == 3 and image.shape[2] not in CHANNELS):
        return None
    if image.dtype == np.uint16:
        return (image.astype(np.uint16) >> 8).astype(np.uint8)
    return image.astype(np.uint8, copy=False) if image.dtype == np.uint8 else None


def _none(photo: Photo, reason: str) -> Cut:
    return Cut([reason] * len(photo.boxes))


def _content(path: str) -> bytes:
    """The file, nothing where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _is_open(image: coco.Image, orientation: int) -> bool:
    """Whether the photo has the same size turned and raw, so that the size does not tell."""
    return orientation in (2, 3, 4) or (orientation > 4 and image.width == image.height)


def _fitting(image: coco.Image, views: list[Pixels]) -> Pixels | None:
    """The first view of the annotated size, or else of its aspect: then the boxes are scaled."""
    for view in views:
        if view.shape[:2] == (image.height, image.width):
            return view
    for view in views:
        height, width = view.shape[:2]
        expected = height * image.width / image.height
        if abs(width - expected) <= max(ASPECT_TOLERANCE * width, 1.0):
            return view
    return None


def _encoded(pixels: Pixels) -> tuple[str, bytes]:
    """The suffix and the file: PNG with transparency, JPEG without."""
    pixels = np.ascontiguousarray(pixels)
    has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
    if has_alpha or max(pixels.shape[:2]) > LARGEST_JPEG:
        return ".png", cv2.imencode(".png", pixels)[1].tobytes()
    made = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return ".jpg", made.tobytes()
