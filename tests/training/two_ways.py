"""A pipeline by tensors and by albumentations, on pictures that show what it did."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import torch

from workbench.training.augmentation.augment import image_by_image
from workbench.training.augmentation.tensor_augment import batched

SIZE = 24
COPIES = 3000


def picture(channels=3):
    """Smooth, with edges, without any symmetry, and nowhere near black or white."""
    coarse = np.random.default_rng(1).integers(50, 200, (6, 6, channels), dtype=np.uint8)
    image = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    image = image.reshape(SIZE, SIZE, channels)
    image[2:9, 3:6] //= 2
    return image


def ramps():
    """Red rises to the right, green downwards, blue nowhere."""
    rise = np.linspace(40, 200, SIZE).round()
    red, green = np.meshgrid(rise, rise)
    return np.stack([red, green, np.full_like(red, 90)], axis=-1).astype(np.uint8)


def copies(image):
    return np.repeat(image[None], COPIES, axis=0)


def described(transforms):
    """Transforms of albumentations in its serialisation; those in it already as they are."""
    if isinstance(transforms[0], dict):
        return transforms
    return A.to_dict(A.Compose(transforms))["transform"]["transforms"]


def by_tensors(transforms, images, seed=0):
    """(N, S, S, C) in 0..255."""
    pipeline = batched(described(transforms))
    assert pipeline is not None
    return pipeline(torch.from_numpy(images), seed).permute(0, 2, 3, 1).numpy()


def one_by_one(transforms, images, seed=0):
    if isinstance(transforms[0], dict):
        transforms = [A.from_dict({"transform": step}) for step in transforms]
    return image_by_image(A.Compose(transforms), images, seed)
