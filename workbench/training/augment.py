"""Named albumentations pipelines over uint8 batches, the same images for the same seed."""

import os
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import albumentations as A

cv2.setNumThreads(1)


def pipeline(name: str) -> "A.Compose":
    """The pipeline of a preset: none, shift (keeps left and right), light, strong.

    The first call takes seconds: it imports albumentations, which evaluation does not need.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    fill = {"border_mode": cv2.BORDER_REFLECT_101}
    shift = A.Affine(
        scale=(0.9, 1.1), translate_percent=(-0.08, 0.08), rotate=(-10, 10), p=0.8, **fill
    )
    move = A.Affine(
        scale=(0.85, 1.2), translate_percent=(-0.08, 0.08), rotate=(-20, 20), p=0.6, **fill
    )
    colour = A.RandomBrightnessContrast(0.2, 0.2, p=0.4)
    presets: dict[str, list[A.BasicTransform]] = {
        "none": [],
        "shift": [shift],
        "light": [A.HorizontalFlip(p=0.5), move, colour],
        "strong": [
            A.HorizontalFlip(p=0.5),
            A.VerticalFlip(p=0.3),
            A.RandomRotate90(p=0.3),
            move,
            colour,
            A.HueSaturationValue(10, 20, 10, p=0.3),
            A.CoarseDropout(hole_height_range=(0.1, 0.3), hole_width_range=(0.1, 0.3), p=0.3),
        ],
    }
    return A.Compose(presets[name])


def augmented(transform: "A.Compose", images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """A new batch (N, S, S, C) in which every image went through the pipeline."""
    if not transform.transforms:
        return np.ascontiguousarray(images)
    transform.set_random_seed(seed)
    return np.stack([transform(image=image)["image"] for image in images])
