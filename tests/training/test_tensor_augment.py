"""Without chance a batch gives the images of albumentations; with it, everything is as frequent."""

import itertools
import os
from collections import Counter

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare
from two_ways import COPIES, SIZE, by_tensors, copies, one_by_one, picture

from workbench.training.augmentation.pipelines import PRESETS
from workbench.training.augmentation.tensor_augment import batched
from workbench.training.augmentation.tensor_transforms import Draw
from workbench.training.augmentation.warping import PADDING, by_grid, by_opencv

# With nothing left to chance


def affine(scale=1.0, x=0.0, y=0.0, degrees=0.0, **kwargs):
    given = {"border_mode": cv2.BORDER_REFLECT_101, "p": 1.0} | kwargs
    sizes = scale if isinstance(scale, dict) else (scale, scale)
    return A.Affine(
        scale=sizes,
        translate_percent={"x": (x, x), "y": (y, y)},
        rotate=(degrees, degrees),
        **given,
    )


def jitter(**factors):
    still = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0} | factors
    return A.ColorJitter(**{name: (value, value) for name, value in still.items()}, p=1)


def tone(brightness, contrast):
    return A.RandomBrightnessContrast((brightness, brightness), (contrast, contrast), p=1)


SURE = {
    "mirror": [A.HorizontalFlip(p=1)],
    "upside down": [A.VerticalFlip(p=1)],
    "diagonal": [A.Transpose(p=1)],
    "smaller": [affine(0.7)],
    "larger": [affine(1.3)],
    "stretched": [affine({"x": (0.8, 0.8), "y": (1.25, 1.25)})],
    "right": [affine(x=0.2)],
    "down": [affine(y=0.2)],
    "turned": [affine(degrees=25)],
    "turned far": [affine(degrees=-100)],
    "all at once": [affine({"x": (0.8, 0.8), "y": (1.2, 1.2)}, -0.13, 0.21, 15)],
    "flip, then move": [A.HorizontalFlip(p=1), affine(0.9, 0.2, 0.1, 20)],
    "move, then flip": [affine(0.9, 0.2, 0.1, 20), A.HorizontalFlip(p=1)],
    "move between": [A.Transpose(p=1), affine(1.1, 0.2, 0, 20), A.VerticalFlip(p=1)],
    "replicated": [affine(0.6, degrees=20, border_mode=cv2.BORDER_REPLICATE)],
    "reflected": [affine(0.6, degrees=20, border_mode=cv2.BORDER_REFLECT)],
    "black": [affine(0.6, degrees=20, border_mode=cv2.BORDER_CONSTANT)],
    "filled": [affine(0.6, degrees=20, border_mode=cv2.BORDER_CONSTANT, fill=90)],
    "filled, then flipped": [
        affine(0.6, 0.2, border_mode=cv2.BORDER_CONSTANT, fill=90), A.HorizontalFlip(p=1),
    ],
    "lighter": [tone(0.2, 0)],
    "darker": [tone(-0.35, 0)],
    "more contrast": [tone(0, 0.5)],
    "less, and lighter": [tone(0.3, -0.4)],
    "clipped in between": [tone(0.6, 0), tone(-0.5, 0.2)],
    "brightness": [jitter(brightness=1.4)],
    "contrast": [jitter(contrast=0.5)],
    "more contrast about grey": [jitter(contrast=1.8)],
    "saturation": [jitter(saturation=0.4)],
    "more saturation": [jitter(saturation=1.9)],
    "moved, then painted": [affine(0.8), jitter(contrast=1.5), tone(0.1, 0.1)],
    "whole image": [A.CoarseDropout((1, 1), (SIZE, SIZE), (SIZE, SIZE), fill=7, p=1)],
}  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SURE)
def test_without_chance_both_give_the_same_image(name, channels):
    images = picture(channels)[None]
    found, wanted = by_tensors(SURE[name], images), one_by_one(SURE[name], images)
    apart = np.abs(found - wanted)
    is_moved = any(isinstance(step, A.Affine) for step in SURE[name])
    is_painted = any(not isinstance(step, A.DualTransform) for step in SURE[name])
    assert apart.max() <= (0.51 * is_moved + 1.6 * is_painted)
    if not (channels == 1 and "saturation" in name):
        assert np.abs(found - images).mean() > 2


@pytest.mark.parametrize("fill", [0.0, 120.0])
@pytest.mark.parametrize("border", PADDING)
def test_the_sampling_of_accelerators_is_that_of_opencv(border, fill):
    draw = Draw(3, 40)
    step = batched(
        A.to_dict(
            A.Compose(
                [
                    A.Affine(
                        (0.5, 1.5), (-0.4, 0.4), rotate=(-180, 180), border_mode=border, p=1,
                    )
                ]
            )
        )["transform"]["transforms"]
    ).geometry[0]  # fmt: skip
    images = torch.from_numpy(np.repeat(picture()[None], 40, axis=0))
    sources = step.sources(draw, SIZE)
    ours, theirs = (f(images, sources, border, fill) for f in (by_grid, by_opencv))
    assert (ours - theirs).abs().max() < 0.51
    assert ours.shape == theirs.shape == (40, 3, SIZE, SIZE)


# How often

P_VALUE = 1e-3
SYMMETRIES = {
    f"{'mirrored ' * is_mirrored}{90 * turns}": lambda x, m=is_mirrored, k=turns: np.rot90(
        x[:, ::-1] if m else x, k
    )
    for is_mirrored in (False, True)
    for turns in range(4)
}


def symmetries_of(found):
    """How often each symmetry of the picture is among images; every image has to be one."""
    names = {f(picture()).tobytes(): name for name, f in SYMMETRIES.items()}
    counts = Counter(names[np.ascontiguousarray(x).astype(np.uint8).tobytes()] for x in found)
    return [counts[name] for name in SYMMETRIES]


SYMMETRIC = {
    "mirror": ([A.HorizontalFlip(p=0.3)], (0.7, 0, 0, 0, 0.3, 0, 0, 0)),
    "upside down": ([A.VerticalFlip(p=0.3)], (0.7, 0, 0, 0, 0, 0, 0.3, 0)),
    "diagonal": ([A.Transpose(p=0.3)], (0.7, 0, 0, 0, 0, 0.3, 0, 0)),
    "turn": ([A.RandomRotate90(p=0.6)], (0.55, 0.15, 0.15, 0.15, 0, 0, 0, 0)),
    "any": ([A.D4(p=0.8)], (0.3, *[0.1] * 7)),
    "both flips": (
        [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)],
        (0.25, 0, 0.25, 0, 0.25, 0, 0.25, 0),
    ),
    "contest": (PRESETS["contest"]["transforms"][:3], (0.125,) * 8),
}


@pytest.mark.parametrize("way", [by_tensors, one_by_one])
@pytest.mark.parametrize("name", SYMMETRIC)
def test_flips_and_turns_are_exact_and_as_frequent_as_they_should_be(name, way):
    transforms, shares = SYMMETRIC[name]
    counts = symmetries_of(way(transforms, copies(picture())))
    expected = np.array(shares) * COPIES
    assert all(count == 0 for count, e in zip(counts, expected, strict=True) if e == 0)
    possible = expected > 0
    assert chisquare(np.array(counts)[possible], expected[possible]).pvalue > P_VALUE


def test_flips_that_go_together_would_be_noticed():
    """As they do where each transform gets the same seed, which albumentations itself does."""
    transform = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)], seed=0)
    counts = symmetries_of([transform(image=image)["image"] for image in copies(picture())])
    assert [count > 0 for count in counts] == [True, False, True, *[False] * 5]


def test_colours_change_in_any_order():
    def grey(x):
        return (x * (0.299, 0.587, 0.114)).sum(axis=2, keepdims=True)

    changes = {
        "brightness": lambda x: x * 1.7,
        "contrast": lambda x: x * 2.5 - 1.5 * grey(x).mean(),
        "saturation": lambda x: x * 2.5 - 1.5 * grey(x),
    }
    possible = []
    for order in itertools.permutations(changes.values()):
        image = picture().astype(float)
        for change in order:
            image = change(image).clip(0, 255)
        possible.append(image)
    steps = [jitter(brightness=1.7, contrast=2.5, saturation=2.5)]
    found = by_tensors(steps, copies(picture()))
    is_order = [np.abs(found - image).max(axis=(1, 2, 3)) < 1e-2 for image in possible]
    assert (np.sum(is_order, axis=0) == 1).all()
    assert chisquare(np.sum(is_order, axis=1)).pvalue > P_VALUE


PARTS = [
    (name, step)
    for name in ("shift", "light", "contest", "strong")
    for step in PRESETS[name]["transforms"]
    if step["__class_fullname__"] not in ("HorizontalFlip", "VerticalFlip", "RandomRotate90")
]


@pytest.mark.parametrize(
    ("name", "step"), PARTS, ids=[f"{name}-{step['__class_fullname__']}" for name, step in PARTS]
)
def test_each_transform_of_a_preset_is_applied_as_often_as_it_says(name, step):
    changed = int((by_tensors([step], copies(picture())) != picture()).any(axis=(1, 2, 3)).sum())
    almost_sure = 0.9995  # a drawn scale of 1, without a shift
    assert binomtest(changed, COPIES, min(step["p"], almost_sure)).pvalue > P_VALUE
