"""Presets by tensors and by albumentations: many copies of a picture have the same distribution."""

import functools
import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import pytest
from scipy.stats import ks_2samp
from two_ways import COPIES, SIZE, by_tensors, copies, described, one_by_one, picture, ramps

from workbench.training.augmentation.pipelines import PRESETS

ROUNDING = 1.2
"""Grey levels that albumentations may lose: half a one in each of up to three colour steps."""
BY_CHANCE = 1.95 * np.sqrt(2 / COPIES)
"""Distance of two sets of draws from one distribution, kept to in 999 of 1,000 cases."""

LINE = np.linspace(-1, 1, SIZE // 2)
PLANE = np.stack([np.ones((SIZE // 2,) * 2), *np.meshgrid(LINE, LINE)]).reshape(3, -1)


def planes_of(images):
    """Level, slope to the right and slope downwards of each channel's middle, (N, C, 3)."""
    middle = images[:, SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4]
    flat = middle.reshape(len(images), -1, images.shape[3]).transpose(0, 2, 1)
    return flat @ np.linalg.pinv(PLANE)


def features(images):
    """Numbers that tell what was done to `ramps`, whatever else they are on other pictures."""
    planes = planes_of(images)
    found = {
        f"{what} of channel {channel}": planes[:, channel, number]
        for channel in range(images.shape[3])
        for number, what in enumerate(("level", "rise", "fall"))
    }
    found["colour"] = np.ptp(images, axis=3).mean(axis=(1, 2))
    found["contrast"] = images.std(axis=(1, 2, 3))
    found["black pixels"] = (images < 1).all(axis=3).mean(axis=(1, 2))
    return found


def distances(first, second):
    """Distance of each feature's distributions, as a multiple of what chance explains.

    The second's may be moved by what rounding explains. Of a feature that varies by less than
    that, rounding decides the shape: then mean and spread alone are compared.
    """
    first, second = features(first.astype(np.float64)), features(second.astype(np.float64))
    return {name: distance(x, second[name]) for name, x in first.items()}


def distance(x, y):
    moves = np.linspace(-ROUNDING, ROUNDING, 7)
    shape = min(ks_2samp(x, y + by, method="asymp").statistic for by in moves) / BY_CHANCE
    if 0 < x.std() < ROUNDING:
        moments = max(abs(x.mean() - y.mean()) / ROUNDING, abs(x.std() - y.std()) / (0.1 * x.std()))
        return min(shape, moments)
    return shape


def apart(first, second):
    """How far means and spreads of pixels are, as a multiple of chance and rounding."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    means = [x.mean(axis=0) for x in (first, second)]
    errors = [x.std(axis=0) / np.sqrt(len(x)) for x in (first, second)]
    spreads, their_errors = zip(*map(spread, (first, second)), strict=True)
    return max(
        (np.abs(one - other) / (5 * np.hypot(*error) + ROUNDING)).max()
        for (one, other), error in ((means, errors), (spreads, their_errors))
    )


def spread(images):
    """Standard deviation of each pixel, and the standard error of it."""
    centred = images - images.mean(axis=0)
    second, fourth = (centred**2).mean(axis=0), (centred**4).mean(axis=0)
    deviation = np.sqrt(second)
    return deviation, np.sqrt((fourth - second**2) / len(images)) / (2 * deviation + 1e-9)


# Each transform


PARTS = {
    f"{name} {step['__class_fullname__']}": step
    for name in ("shift", "light", "contest", "strong")
    for step in PRESETS[name]["transforms"]
}
[PARTS["erasing"]] = described([A.Erasing(scale=(0.05, 0.4), ratio=(0.4, 2), fill=0, p=0.7)])
[PARTS["holes in pixels"]] = described([A.CoarseDropout((2, 4), (3, 9), (2, 5), fill=0, p=0.7)])
[PARTS["any symmetry"]] = described([A.D4(p=0.7)])


@pytest.fixture(scope="module")
def reference():
    """What albumentations makes of many copies of the ramps, made once for each part."""
    return functools.cache(lambda name: one_by_one([PARTS[name]], copies(ramps()), 2))


@pytest.mark.parametrize("name", PARTS)
def test_a_transform_has_the_same_distribution_either_way(reference, name):
    found = distances(by_tensors([PARTS[name]], copies(ramps()), 1), reference(name))
    assert max(found.values()) < 1, found


def both(low, high):
    return {"x": [low, high], "y": [low, high]}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("light HorizontalFlip", {"p": 0.6}),
        ("light HorizontalFlip", {"__class_fullname__": "VerticalFlip"}),
        ("contest RandomRotate90", {"p": 0.8}),
        ("contest Affine", {"scale": both(0.8, 1.25)}),
        ("contest Affine", {"scale": both(0.75, 1.3)}),
        ("contest Affine", {"keep_ratio": False}),
        ("contest Affine", {"translate_percent": both(-0.17, 0.17)}),
        ("contest Affine", {"rotate": [-4, 4]}),
        ("contest Affine", {"p": 0.9}),
        ("strong Affine", {"rotate": [-20, 25]}),
        ("strong Affine", {"border_mode": cv2.BORDER_CONSTANT}),
        ("contest ColorJitter", {"brightness": [0.75, 1.3]}),
        ("contest ColorJitter", {"contrast": [0.6, 1.4]}),
        ("contest ColorJitter", {"saturation": [0.7, 1.2]}),
        ("contest ColorJitter", {"p": 0.9}),
        ("strong CoarseDropout", {"p": 0.47}),
        ("strong CoarseDropout", {"num_holes_range": [1, 1]}),
        ("strong CoarseDropout", {"hole_width_range": [0.1, 0.2]}),
        ("light RandomBrightnessContrast", {"p": 0.47}),
        ("light RandomBrightnessContrast", {"contrast_limit": [-0.15, 0.2]}),
        ("light RandomBrightnessContrast", {"brightness_limit": [-0.1, 0.2]}),
        ("erasing", {"scale": [0.05, 0.35]}),
        ("any symmetry", {"p": 0.8}),
    ],
)
def test_another_distribution_of_a_transform_is_noticed(reference, name, change):
    found = distances(by_tensors([PARTS[name] | change], copies(ramps()), 1), reference(name))
    assert max(found.values()) > 1, found


# Whole presets


@pytest.fixture(scope="module")
def presets():
    """What albumentations makes of many copies of a picture, made once for each preset."""

    def make(name, channels):
        return one_by_one(PRESETS[name]["transforms"], copies(picture(channels)), 2)

    return functools.cache(make)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["light", "contest", "strong"])
def test_a_preset_has_the_same_distribution_either_way(presets, name, channels):
    found = by_tensors(PRESETS[name]["transforms"], copies(picture(channels)), 1)
    assert apart(found, presets(name, channels)) < 1
    assert max(distances(found, presets(name, channels)).values()) < 1


@pytest.mark.parametrize(
    ("name", "number", "change"),
    [
        ("contest", 3, {"translate_percent": both(-0.17, 0.17)}),
        ("contest", 3, {"rotate": [-15, 15]}),
        ("contest", 3, {"border_mode": cv2.BORDER_REPLICATE}),
        ("contest", 4, {"brightness": [0.6, 1.4]}),
        ("light", 0, {"p": 0.4}),
        ("light", 2, {"brightness_limit": [-0.3, 0.3]}),
        ("strong", 5, {"fill": 255.0}),
    ],
)
def test_another_distribution_of_a_preset_is_noticed(presets, name, number, change):
    steps = list(PRESETS[name]["transforms"])
    steps[number] = steps[number] | change
    found = by_tensors(steps, copies(picture()), 1)
    assert apart(found, presets(name, 3)) > 1
