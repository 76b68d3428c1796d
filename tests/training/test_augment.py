"""Augmentation follows from the seed alone; a pipeline that is of no use is refused in words."""

import json
import os
import subprocess
import sys
from typing import get_args

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import msgspec
import numpy as np
import pytest
import torch

from sessions import edits
from sessions.network import Axis
from sessions.recipe import Augmentation
from workbench.errors import UserError
from workbench.surgery.families import shufflenet
from workbench.training.augmentation import tensor_augment, warping
from workbench.training.augmentation.augment import READ_FILES, Augmenter, built
from workbench.training.augmentation.pipelines import PRESETS
from workbench.training.measuring.evaluate import normalised

CPU = torch.device("cpu")
SIZE, IMAGES = 32, 12


def network(channels=3, size=SIZE):
    made = edits.apply(shufflenet.fresh(units=(1, 1, 1)), edits.InputSize(size))
    if channels == 3:
        return made
    axes = {**made.axes, "image": Axis(channels)}
    return msgspec.structs.replace(made, axes=axes, mean=(0.5,), std=(0.25,))


def batch(channels=3, images=IMAGES):
    shape = (images, SIZE, SIZE, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def as_json(*transforms, **kwargs):
    return json.dumps(A.to_dict(A.Compose(list(transforms), **kwargs)))


PIPELINES = {
    **{name: name for name in PRESETS},
    "own by tensors": as_json(A.D4(), A.Erasing(p=0.5)),
    "own one by one": as_json(A.RandomResizedCrop((SIZE, SIZE), p=1), A.GaussNoise(p=0.5)),
}


# What it gives


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PIPELINES)
def test_images_come_as_the_network_takes_them(name, channels):
    images = batch(channels)
    before = images.copy()
    found = Augmenter(PIPELINES[name], network(channels), CPU)(images, 3)
    wanted = normalised(images, network(channels), CPU)
    assert (found.shape, found.dtype, found.stride()) == (
        wanted.shape, torch.float32, wanted.stride()
    )  # fmt: skip
    assert found.is_contiguous(memory_format=torch.channels_last)
    slack = 1e-4
    assert wanted.min() - slack <= found.min() <= found.max() <= wanted.max() + slack
    assert np.array_equal(images, before)
    assert torch.equal(found, wanted) == (name == "none")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PIPELINES)
def test_images_follow_from_their_seed_alone(name, channels):
    images = batch(channels)
    augmenter = Augmenter(PIPELINES[name], network(channels), CPU)
    wanted = augmenter(images, 5)
    other = augmenter(images, 6)
    torch.manual_seed(123)
    np.random.default_rng(4)
    torch.set_num_threads(2)
    again = augmenter(images, 5)
    assert torch.equal(again, wanted)
    assert torch.equal(Augmenter(PIPELINES[name], network(channels), CPU)(images, 5), wanted)
    assert torch.equal(augmenter(torch.from_numpy(images), 5), wanted)
    assert torch.equal(other, wanted) == (name == "none")


@pytest.mark.parametrize("name", [name for name in PIPELINES if name != "none"])
def test_each_image_is_changed_in_its_own_way(name):
    images = np.repeat(batch(images=1), IMAGES, axis=0)
    found = Augmenter(PIPELINES[name], network(), CPU)(images, 3)
    assert len({image.numpy().tobytes() for image in found}) > 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("name", PRESETS)
def test_an_accelerator_gives_the_same_images(name):
    cuda = torch.device("cuda")
    found = Augmenter(name, network(), cuda)(torch.from_numpy(batch()).to(cuda), 3)
    wanted = Augmenter(name, network(), CPU)(batch(), 3)
    assert found.device.type == "cuda"
    assert found.stride() == wanted.stride()
    assert (found.cpu() - wanted).abs().max() * 0.229 * 255 < 2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["shift", "contest", "strong"])
def test_the_sampling_of_accelerators_gives_the_same_images(monkeypatch, name, channels):
    images = np.array([cv2.resize(x, (SIZE, SIZE)) for x in batch()[:, :5, :5]])[..., :channels]
    augmenter = Augmenter(name, network(channels), CPU)
    wanted = augmenter(images, 3)
    monkeypatch.setattr(tensor_augment, "warped", warping.by_grid)
    found = augmenter(images, 3)
    assert found.stride() == wanted.stride()
    assert (found - wanted).abs().max() * 0.25 * 255 < 2
    assert not torch.equal(found, wanted)


def test_mixed_precision_leaves_images_alone():
    augmenter = Augmenter("contest", network(), CPU)
    wanted = augmenter(batch(), 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augmenter(batch(), 3), wanted)


# Presets and ways


def test_there_is_a_pipeline_for_every_preset():
    assert tuple(PRESETS) == get_args(Augmentation)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "policy"])
def test_a_preset_is_what_albumentations_makes_of_it(name):
    """So that nothing in it hangs on a default."""
    made = json.loads(json.dumps(built(PRESETS[name]).to_dict()["transform"]["transforms"]))
    assert made == json.loads(json.dumps(PRESETS[name]["transforms"]))


TAKEN = {
    "nothing": [],
    "flip": [A.HorizontalFlip()],
    "any symmetry": [A.D4()],
    "in order": [A.Transpose(), A.Affine(0.9), A.ColorJitter(hue=0), A.CoarseDropout()],
}
NOT_TAKEN = {
    "colour before a move": [A.ColorJitter(hue=0), A.HorizontalFlip()],
    "hole before colour": [A.CoarseDropout(), A.ColorJitter(hue=0)],
    "two moves": [A.Affine(0.9), A.Affine(0.9)],
    "shear": [A.Affine(shear=(0, 5))],
    "pixels": [A.Affine(translate_px=(0, 5))],
    "balanced": [A.Affine((0.5, 2), balanced_scale=True)],
    "fitted": [A.Affine(fit_output=True)],
    "cubic": [A.Affine(interpolation=2)],
    "wrapped": [A.Affine(border_mode=3)],
    "coloured border": [A.Affine(fill=(1, 2, 3))],
    "hue": [A.ColorJitter()],
    "by mean": [A.RandomBrightnessContrast(brightness_by_max=False)],
    "safe": [A.RandomBrightnessContrast(ensure_safe_range=True)],
    "random fill": [A.CoarseDropout(fill="random")],
    "whiter than white": [A.Affine(fill=300)],
    "one of": [A.OneOf([A.HorizontalFlip()])],
    "a turn of its own": [A.Rotate()],
}


@pytest.mark.parametrize("name", TAKEN | NOT_TAKEN)
def test_only_what_tensors_do_alike_goes_through_tensors(name):
    steps = (TAKEN | NOT_TAKEN)[name]
    found = Augmenter(as_json(*steps), network(), CPU)
    assert found.is_batched == (name in TAKEN)
    assert not Augmenter(as_json(*steps, A.Blur()), network(), CPU).is_batched


def test_a_pipeline_that_is_skipped_at_times_is_skipped_whole():
    augmenter = Augmenter(as_json(A.VerticalFlip(p=1), A.Posterize(1, p=1), p=0.5), network(), CPU)
    plain = normalised(batch(images=40), network(), CPU)
    is_plain = (augmenter(batch(images=40), 1) == plain).flatten(1).all(dim=1)
    assert not augmenter.is_batched
    assert 8 < is_plain.sum() < 32


def test_presets_that_tensors_do_import_no_albumentations():
    code = """
import sys, torch, numpy
from workbench.surgery.families import shufflenet
from workbench.training.augmentation import tensor_augment, warping
from workbench.training.augmentation.augment import Augmenter
for name in ("none", "shift", "light", "contest", "strong"):
    augmenter = Augmenter(name, shufflenet.fresh(), torch.device("cpu"))
    assert augmenter.is_batched
    augmenter(numpy.zeros((2, 224, 224, 3), numpy.uint8), 1)
assert "albumentations" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_flips_one_by_one_are_drawn_apart():
    """albumentations gives every transform the same seed, so that both flips go together."""
    steps = A.HorizontalFlip(), A.VerticalFlip(), A.Posterize(7, p=1)
    images = np.repeat(batch(images=1), 200, axis=0)
    augmenter = Augmenter(as_json(*steps), network(), CPU)
    assert not augmenter.is_batched
    assert len({image.numpy().tobytes() for image in augmenter(images, 3)}) == 4


# What is refused


def described(*steps):
    return json.dumps({"transform": {"__class_fullname__": "Compose", "transforms": list(steps)}})


def step(name, /, **parameters):
    return {"__class_fullname__": name, "p": 1.0, **parameters}


REFUSED = {
    "a word": ("lihgt", "neither one of none, shift"),
    "not JSON": ("{", "neither one of"),
    "no pipeline": ('{"a": 1}', "neither one of"),
    "a list": ('{"transform": [1]}', "neither one of"),
    "deep": ('{"transform": ' * 9999 + "1" + "}" * 9999, "neither one of"),
    "unknown": (described(step("Explode")), "'Explode' is no transform"),
    "a module": (described(step("os.system")), "'os.system' is no transform"),
    "its module": (described(step("albumentations.os.system")), "'system' is no transform"),
    "code": (described(step("Lambda", name="x")), "'Lambda' is no transform"),
    "registered, not one": (described(step("BboxParams")), "'BboxParams' is no transform"),
    "inside": (described(step("OneOf", transforms=[step("Explode")])), "'Explode'"),
    "no name": (described({"p": 1}), "__class_fullname__"),
    "name of another type": (described({"__class_fullname__": 5}), "cannot build"),
    "no step": (described("HorizontalFlip"), "cannot build"),
    "not a list": (
        json.dumps({"transform": step("Compose", transforms=5)}), "cannot build",
    ),
    "misspelt": (described(step("Affine", scael=2)), "'scael' are not valid for transform Affine"),
    "range": (described(step("Affine", scale="large")), "cannot build"),
    "chance": (described(step("HorizontalFlip") | {"p": 7}), "cannot build"),
    "size": (as_json(A.Resize(16, 16)), "turns an image of 32x32x3 uint8 into 16x16x3 uint8"),
    "size at times": (as_json(A.RandomCrop(8, 8, p=0.5)), "turns an image"),
    "type": (as_json(A.Normalize()), "into 32x32x3 float32.*leave out"),
    "tensor": (as_json(A.ToTensorV2()), "into a Tensor"),
    "channels": (as_json(A.ToGray(1, p=1)), "into 32x32 uint8"),
    "too large a crop": (as_json(A.RandomCrop(64, 64, p=1)), "fails on an image of 32x32x3"),
    "boxes": (as_json(A.RandomSizedBBoxSafeCrop(32, 32, p=1)), "fails on an image"),
    "others' images": (as_json(A.Mosaic(p=1)), "fails on|turns an"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_pipeline_of_no_use_is_refused_in_one_line(name):
    pipeline, said = REFUSED[name]
    with pytest.raises(UserError, match=said) as caught:
        Augmenter(pipeline, network(), CPU)
    assert str(caught.value).startswith("augmentation: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450


@pytest.mark.parametrize("name", READ_FILES)
def test_a_transform_that_reads_files_is_refused(name, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    files = {"reference_images": [str(tmp_path / "a.png")], "font_path": str(tmp_path / "a.png")}
    with pytest.raises(UserError, match=f"{name} reads files"):
        Augmenter(described(step(name, **files)), network(), CPU)


def test_colour_alone_is_refused_for_grey_images():
    pipeline = as_json(A.ChannelDropout(p=1))
    assert not Augmenter(pipeline, network(), CPU).is_batched
    with pytest.raises(UserError, match="fails on an image of 32x32x1 uint8"):
        Augmenter(pipeline, network(1), CPU)


def test_a_size_that_changes_too_rarely_to_be_tried_is_refused_when_it_does():
    augmenter = Augmenter(as_json(A.RandomCrop(8, 8, p=0.003)), network(), CPU)
    with pytest.raises(UserError, match="turns an image of 32x32x3 uint8 into 8x8x3 uint8"):
        augmenter(batch(images=5000), 1)
