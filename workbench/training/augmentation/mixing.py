"""Two images of a batch made into one, and their targets with them: mixup and cutmix."""

import math

import numpy as np
import torch
from torch import Tensor

from sessions.recipe import Recipe

STREAM = 0x312
"""Keeps these numbers apart from those of augmentation, where both are seeded alike."""


def mixed(images: Tensor, targets: Tensor, recipe: Recipe, seed: int) -> tuple[Tensor, Tensor]:
    """A batch mixed with a permutation of itself by one share; with both ways on, by either.

    Args:
        images: (N, C, H, W).
        targets: (N, classes), how much each image is of each class.
        seed: everything drawn follows from it.

    Returns:
        New tensors; the given ones where the recipe mixes nothing.
        Source: mixup, Zhang et al. 2018, section 2; cutmix, Yun et al. 2019, section 3.1.
    """
    if not (recipe.mixup or recipe.cutmix):
        return images, targets
    rng = np.random.default_rng((seed, STREAM))
    is_mixup = rng.random() < 0.5 if recipe.mixup and recipe.cutmix else recipe.mixup > 0
    alpha = recipe.mixup if is_mixup else recipe.cutmix
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    if is_mixup:
        return _blended(images, partner, share), _blended(targets, partner, share)
    rows, columns = _box(share, images.shape[2], images.shape[3], rng)
    pasted = images.clone()
    pasted[:, :, rows, columns] = images[:, :, rows, columns][partner]
    covered = (rows.stop - rows.start) * (columns.stop - columns.start)
    return pasted, _blended(targets, partner, 1 - covered / (images.shape[2] * images.shape[3]))


def _blended(values: Tensor, partner: Tensor, share: float) -> Tensor:
    """`share` of each row and the rest of its partner."""
    return values[partner].mul_(1 - share).add_(values * share)


def _box(share: float, height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of the image's form and the rest of its area, cut off at its edges."""
    edge = math.sqrt(1 - share)
    return _span(edge, height, rng), _span(edge, width, rng)


def _span(edge: float, size: int, rng: np.random.Generator) -> slice:
    middle, length = int(rng.integers(size)), int(size * edge)
    return slice(max(middle - length // 2, 0), min(middle - length // 2 + length, size))
