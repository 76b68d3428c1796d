"""Batch-norm recovery: running statistics re-estimated on the edited network, weights unchanged."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from sessions.network import Network
from sessions.recipe import Recipe
from workbench.surgery.build import Assembled
from workbench.training.augmentation.augment import Augmenter
from workbench.training.images.data import Split


def reestimate(
    module: Assembled,
    network: Network,
    train: Split,
    recipe: Recipe,
    device: torch.device,
    after_batch: Callable[[int, int], bool] = lambda done, total: True,
) -> bool:
    """Replace every batch norm's mean and variance by those over augmented training images.

    Args:
        after_batch: called with (images done, images in all); False ends it early.

    Returns:
        Whether it ran to its end; if not, the module's statistics are not usable.
    """
    total = min(len(train), recipe.recover_images)
    return reestimate_on(module, batches(network, train, recipe, device), total, after_batch)


def batches(
    network: Network, train: Split, recipe: Recipe, device: torch.device
) -> Iterator[Tensor]:
    """The augmented training images that batch norm is measured on, (N, C, S, S) each.

    The same for the same recipe.
    """
    order = np.random.default_rng(recipe.seed).permutation(len(train))[: recipe.recover_images]
    augmenter = Augmenter(recipe.augmentation, network, device)
    for start in range(0, len(order), recipe.batch_size):
        where = np.sort(order[start : start + recipe.batch_size])
        if len(where) < 2 and start:
            break  # one image has no variance of its own
        yield augmenter(train.take(where), recipe.seed + start)


def reestimate_on(
    module: Assembled,
    images: Iterable[Tensor],
    total: int,
    after_batch: Callable[[int, int], bool] = lambda done, total: True,
    on_output: Callable[[Tensor], object] = lambda output: None,
) -> bool:
    """Replace every batch norm's mean and variance by those over batches of images.

    Args:
        images: (N, C, S, S) each, as the network takes them.
        total: images in all.
        after_batch: see `reestimate`.
        on_output: called with what the module puts out for each batch.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch: the plain average over all batches
    module.train()
    is_whole, done = True, 0
    with torch.no_grad():
        for batch in images:
            on_output(module(batch))
            done += len(batch)
            if not after_batch(done, total):
                is_whole = False
                break
    module.eval()
    for norm, value in zip(norms, momentum, strict=True):
        norm.momentum = value
    return is_whole
