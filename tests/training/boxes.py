"""Small folders of photos and COCO annotations, and what was cropped from them."""

import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.errors import UserError
from workbench.training.cropping.crop import Cropped, crop

CATEGORIES = [{"id": 1, "name": "can"}, {"id": 2, "name": "cup"}]


def pixels(height: int, width: int, channels: int = 4) -> np.ndarray:
    """An image whose pixels all differ from their neighbours."""
    rows, columns = np.mgrid[:height, :width]
    planes = [rows % 251, columns % 241, (3 * rows + 7 * columns) % 255]
    if channels == 4:
        planes.append(np.full_like(rows, 200))
    return np.stack(planes, axis=-1).astype(np.uint8)


def write(path: Path, image: np.ndarray, orientation: int = 1) -> None:
    """A lossless photo with transparency (.png) or a JPEG, with an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(path.suffix, image)[1].tobytes()
    tags = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + b"\0" * 7
    if path.suffix == ".jpg" and orientation != 1:
        block = b"Exif\0\0" + tags
        data = data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]
    if path.suffix == ".png" and orientation != 1:
        chunk = b"eXIf" + tags
        chunk = len(tags).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        data = data[:33] + chunk + data[33:]
    path.write_bytes(data)


def image(number: int, name: str, width: Any = 100, height: Any = 80) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": width, "height": height}


def box(number: int, bbox: Any, photo: int = 1, category: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": photo, "category_id": category, "bbox": bbox, **more}


class Folder:
    """Photos and annotations in a folder of their own."""

    def __init__(self, root: Path) -> None:
        self.root, self.images, self.out = root, root / "photos", root / "out"
        self.file = root / "boxes.json"
        self.images.mkdir(parents=True)

    def annotate(self, images: list[Any], boxes: list[Any], categories: Any = None) -> None:
        found = {"images": images, "annotations": boxes, "categories": categories or CATEGORIES}
        self.file.write_text(json.dumps(found))

    def crop(self, **options: Any) -> Cropped:
        return crop(self.file, self.images, self.out, **options)

    def written(self) -> dict[str, np.ndarray]:
        """Every file below `out`, by name, as OpenCV reads it."""
        found = (path for path in self.out.rglob("*") if path.is_file())
        return {
            path.relative_to(self.out).as_posix(): cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            for path in found
        }


def error_of(folder, **options):
    with pytest.raises(UserError) as caught:
        folder.crop(**options)
    assert "\n" not in str(caught.value)
    assert not folder.out.exists()
    return str(caught.value)
