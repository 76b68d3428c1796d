"""Random changes of training images: presets, and pipelines that albumentations reads.

A pipeline is data throughout, in albumentations' serialisation, so that a preset exists once.
Where it is made of common transforms alone, whole batches go through tensors; any other goes image
by image through albumentations, which is imported for that alone, since it takes a second.
"""

import os
import random
import warnings
from typing import TYPE_CHECKING

import cv2
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sessions.network import Network
from workbench.errors import UserError
from workbench.training.augmentation.pipelines import PRESETS
from workbench.training.augmentation.tensor_augment import BatchedPipeline, Described, batched
from workbench.training.measuring.evaluate import normalised

if TYPE_CHECKING:
    import albumentations as A

cv2.setNumThreads(1)

TRIES = 16
"""Images that a pipeline must get right before it is used."""
READ_FILES = ("FDA", "HistogramMatching", "PixelDistributionAdaptation", "TextImage")
"""Transforms that need files beside the pipeline's own text."""


class Augmenter:
    """Augments batches for one network on one device.

    Args:
        pipeline: a preset's name, or a pipeline as `albumentations.to_dict` gives it, as JSON.

    Raises:
        UserError: it cannot be built, or does not give images of the network's size and type.
    """

    def __init__(self, pipeline: str, network: Network, device: torch.device) -> None:
        self.network = network
        self.device = device
        self._batched = _batched(PRESETS[pipeline]) if pipeline in PRESETS else None
        if self._batched is None:
            described = PRESETS[pipeline] if pipeline in PRESETS else _decoded(pipeline)
            self._composed = built(described)
            self._try_out()
            self._batched = _batched(self._composed.to_dict()["transform"])
        as_planes = (-1, 1, 1)
        self._mean = torch.tensor(network.mean, device=device).view(as_planes) * 255
        self._factor = 1 / (torch.tensor(network.std, device=device).view(as_planes) * 255)

    @property
    def is_batched(self) -> bool:
        """Whether whole batches go through tensors."""
        return self._batched is not None

    def __call__(self, images: NDArray[np.uint8] | Tensor, seed: int) -> Tensor:
        """uint8 (N, S, S, C) -> new float32 (N, C, S, S) as from `normalised`, on the device.

        The same for the same images and seed, whatever came before.

        Raises:
            UserError: the pipeline fails on an image.
        """
        if self._batched is None:
            arrays = images.cpu().numpy() if isinstance(images, Tensor) else images
            changed = image_by_image(self._composed, arrays, seed)
            return normalised(changed, self.network, self.device)
        with torch.autocast(self.device.type, enabled=False):
            pixels = self._batched(torch.as_tensor(images).to(self.device), seed)
        pixels.sub_(self._mean).mul_(self._factor)
        n, channels, height, width = pixels.shape
        layout = torch.empty((n, height, width, channels), device=self.device)
        return layout.permute(0, 3, 1, 2).copy_(pixels)

    def _try_out(self) -> None:
        size, channels = self.network.input_size, self.network.input_channels
        shape = (TRIES, size, size, channels)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        image_by_image(self._composed, noise, 0)


def image_by_image(
    composed: "A.Compose", images: NDArray[np.uint8], seed: int
) -> NDArray[np.uint8]:
    """A new batch (N, S, S, C) in which every image went through the pipeline.

    Raises:
        UserError: the pipeline fails on one, or changes its shape or type.
    """
    # One stream for all transforms: set_random_seed gives each the same, and flips go together.
    composed.set_random_state(np.random.default_rng(seed), random.Random(seed))
    try:
        changed = [composed(image=image)["image"] for image in images]
    except Exception as error:
        raise UserError(
            f"augmentation: the pipeline fails on an image of {_form(images[0])}: {_line(error)}"
        ) from error
    wanted = _form(images[0])
    for image in changed:
        if (found := _form(image)) != wanted:
            raise UserError(
                f"augmentation: the pipeline turns an image of {wanted} into {found}: leave out "
                "what changes size or type, training normalises by itself"
            )
    return np.stack(changed)


def built(described: Described) -> "A.Compose":
    """The pipeline as albumentations makes it from its own classes alone.

    Raises:
        UserError: it cannot, or a transform needs code or files.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    try:
        _check_names(described)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = albumentations.from_dict({"transform": described})
            composed = (
                found
                if isinstance(found, albumentations.Compose)
                else albumentations.Compose([found])
            )
        composed.strict = True  # refuses parameters that a transform does not have
        composed.strict = False
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"augmentation: albumentations {albumentations.__version__} cannot build the "
            f"pipeline: {_line(error)}"
        ) from error
    return composed


def _check_names(step: Described) -> None:
    """Names must be of albumentations' transforms: whatever else is registered is not for files."""
    from albumentations.core.composition import BaseCompose
    from albumentations.core.serialization import SERIALIZABLE_REGISTRY, shorten_class_name
    from albumentations.core.transforms_interface import BasicTransform

    name = shorten_class_name(step["__class_fullname__"])
    kind = SERIALIZABLE_REGISTRY.get(name)
    is_ours = kind is not None and kind.__module__.startswith("albumentations.")
    if not is_ours or not issubclass(kind, BasicTransform | BaseCompose):
        raise UserError(f"augmentation: {name!r} is no transform that a file can describe")
    if name in READ_FILES:
        raise UserError(f"augmentation: {name} reads files: a pipeline must be whole by itself")
    for child in step.get("transforms", ()):
        _check_names(child)


def _batched(described: Described) -> BatchedPipeline | None:
    is_plain = described["__class_fullname__"] == "Compose" and described["p"] >= 1
    return batched(described["transforms"]) if is_plain else None


def _decoded(pipeline: str) -> Described:
    try:
        found = msgspec.json.decode(pipeline, type=dict[str, object])["transform"]
        return msgspec.convert(found, dict[str, object])
    except (msgspec.DecodeError, KeyError, RecursionError) as error:
        raise UserError(
            f"augmentation: neither one of {', '.join(PRESETS)} nor a pipeline as "
            f"albumentations.to_dict gives it: {_line(error)}"
        ) from error


def _form(image: object) -> str:
    if not isinstance(image, np.ndarray):
        return f"a {type(image).__name__}"
    return f"{'x'.join(map(str, image.shape))} {image.dtype}"


def _line(error: Exception) -> str:
    """What an error says, in one line that is not too long."""
    said = [line.strip() for line in str(error).splitlines()]
    kept = " ".join(line for line in said if line and "further information" not in line)
    kept = f"{type(error).__name__}: {kept}" if isinstance(error, KeyError) or not kept else kept
    return kept if len(kept) <= 300 else f"{kept[:300]}..."
