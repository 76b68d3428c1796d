"""A few training images as a recipe's augmentation makes them, small enough for a terminal."""

import numpy as np
import torch
from numpy.typing import NDArray

from sessions.network import Network
from sessions.recipe import Recipe
from workbench.training.augmentation.augment import Augmenter
from workbench.training.images.data import Dataset
from workbench.training.images.small import small

CPU = torch.device("cpu")


def draw_samples(
    network: Network, data: Dataset, recipe: Recipe, photos: int, copies: int, edge: int
) -> tuple[tuple[tuple[bytes, ...], ...], tuple[str, ...]]:
    """Rows of RGB images of `edge` pixels, first as they are, then changed; and their classes.

    The photos are of classes in turn, so that as many classes as there is room for are seen.

    Raises:
        UserError: the recipe's pipeline cannot be used.
    """
    train = data.train
    rng = np.random.default_rng(recipe.seed)
    order = rng.permutation(len(train))
    turn = np.empty(len(train), dtype=np.intp)
    for label in range(len(data.classes)):
        of_class = order[train.labels[order] == label]
        turn[of_class] = np.arange(len(of_class))
    where = order[np.lexsort((train.labels[order], turn[order]))][:photos]
    plain = train.take(where)
    augmenter = Augmenter(recipe.augmentation, network, CPU)
    columns = [plain] + [
        _pixels(augmenter(plain, recipe.seed + copy), network) for copy in range(copies)
    ]
    rows = tuple(tuple(small(column[row], edge) for column in columns) for row in range(len(where)))
    return rows, tuple(data.classes[train.labels[index]] for index in where)


def _pixels(images: torch.Tensor, network: Network) -> NDArray[np.uint8]:
    """Normalised (N, C, S, S) back to uint8 (N, S, S, C)."""
    mean = torch.tensor(network.mean).view(-1, 1, 1)
    std = torch.tensor(network.std).view(-1, 1, 1)
    shades = ((images * std + mean) * 255).round().clamp(0, 255)
    return shades.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
