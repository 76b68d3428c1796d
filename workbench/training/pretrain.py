"""A start without labels: the trunk learns to put enough into its last map to redraw the image.

An auto-encoder: the trunk is what stands before the head's pooling; the decoder behind it is small,
lives for this alone, and draws the image at a quarter of its size.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sessions.network import Layer, Network, Unit
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import Assembled, Block, units_on
from workbench.training.features import draw_weights
from workbench.training.images.data import Split
from workbench.training.measuring.evaluate import normalised
from workbench.training.optimizers import by_decay
from workbench.training.schedules import rate

REDUCTION = 4
"""Edge of an image to that of its reconstruction."""
WIDEST, NARROWEST = 64, 16
"""Channels of the decoder's first and of its last blocks."""
CELLS = 8
"""Masked are cells of a grid of this many by this many."""
POOLING = ("global_pool", "avg_pool", "flatten")


def pretrain(
    module: Assembled,
    network: Network,
    images: Split,
    recipe: Recipe,
    device: torch.device,
    after_batch: Callable[[int, int], bool] = lambda done, total: True,
    masked: float = 0.0,
) -> bool:
    """Train the trunk for the recipe's `pretrain_epochs`; the head and the labels take no part.

    Args:
        images: as they are; nothing augments them.
        after_batch: called with (images done, images in all); False ends it.
        masked: share of each image that is blanked in the input, to be filled in.

    Returns:
        Whether it ran to its end. The module is in evaluation mode in any case.

    Raises:
        UserError: fewer than two images, or the error is not finite.
    """
    if not recipe.pretrain_epochs:
        return True
    if len(images) < 2:
        raise UserError("pretraining needs two images or more: add some, or set pretrain_epochs=0")
    module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder = AutoEncoder(module, network, recipe.seed).to(device)
    module.train()
    try:
        return _train(encoder, images, recipe, device, after_batch, masked)
    finally:
        module.eval()


class AutoEncoder(nn.Module):
    """Images to their reconstructions; only the decoder is registered, the trunk stays outside."""

    def __init__(self, module: Assembled, network: Network, seed: int) -> None:
        super().__init__()
        self.network = network
        self.trunk, axis, edge = _trunk(module, network)
        size = max(network.input_size // REDUCTION, 1)
        self.size = size
        self.decoder = _decoder(network.width(axis), edge, size, network.input_channels)
        draw_weights(self.decoder, seed)

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of normalised images."""
        x = images
        for step in self.trunk:
            x = step(x)
        out: Tensor = self.decoder(x)
        return out

    def target(self, images: Tensor) -> Tensor:
        """What the reconstruction is to be."""
        return F.adaptive_avg_pool2d(images, self.size)

    def learned(self) -> list[nn.Parameter]:
        """The parameters of trunk and decoder."""
        return [p for step in self.trunk for p in _parameters(step)] + list(self.parameters())


def _train(
    encoder: AutoEncoder,
    images: Split,
    recipe: Recipe,
    device: torch.device,
    after_batch: Callable[[int, int], bool],
    masked: float,
) -> bool:
    batch = min(recipe.batch_size, len(images))
    per_epoch = len(images) // batch
    steps = per_epoch * recipe.pretrain_epochs
    learned = encoder.learned()
    optimizer = torch.optim.AdamW(by_decay(learned, recipe), fused=True)
    for step in range(steps):
        epoch, within = divmod(step, per_epoch)
        if within == 0:
            order = np.random.default_rng((recipe.seed, epoch)).permutation(len(images))
        where = order[within * batch : (within + 1) * batch]
        x = normalised(images.take(where), encoder.network, device)
        seen = _masked(x, masked, (recipe.seed, epoch, within)) if masked else x
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate(recipe, step, steps, per_epoch)
        loss = F.mse_loss(encoder(seen), encoder.target(x))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(learned, recipe.clip_norm)
        optimizer.step()
        is_last = step + 1 == steps
        is_broken = is_last and not all(bool(torch.isfinite(p).all()) for p in learned)
        if is_broken or not math.isfinite(loss.item()):
            raise UserError(
                f"pretraining broke off in epoch {(step + 1) / per_epoch:.1f}, its error or weights"
                f" became infinite: lower the learning rate ({recipe.learning_rate:g})"
            )
        if not after_batch((step + 1) * batch, steps * batch) and not is_last:
            return False
    return True


def _masked(images: Tensor, share: float, seed: tuple[int, ...]) -> Tensor:
    """Images with cells of a grid blanked, in each image others."""
    drawn = np.random.default_rng(seed).random((len(images), 1, CELLS, CELLS), dtype=np.float32)
    keep = (torch.from_numpy(drawn) >= share).to(images)
    return images * F.interpolate(keep, size=images.shape[-2:], mode="nearest")


def _trunk(module: Assembled, network: Network) -> tuple[list[nn.Module], str, int]:
    """What runs before the head's pooling; the axis and the edge in pixels of what it puts out."""
    steps: list[nn.Module] = []
    last: Layer | Unit | None = None
    for unit, block in zip(units_on(network), module.blocks, strict=True):
        if network.head not in unit.branch:
            steps.append(block)
            last = unit
            continue
        for layer, step in zip(unit.branch, block.branch, strict=True):
            if layer.kind in POOLING or layer == network.head:
                break
            steps.append(step)
            last = layer
        break
    assert last is not None  # every network has a unit before its head
    return steps, last.out_axis, last.out_size


def _parameters(step: nn.Module) -> Iterator[nn.Parameter]:
    """A block keeps its modules in plain lists, so that torch does not find them."""
    parts = [*step.branch, *step.shortcut, *step.tail] if isinstance(step, Block) else [step]
    for part in parts:
        yield from part.parameters()


def _decoder(width: int, size: int, target: int, channels: int) -> nn.Sequential:
    """Blocks that double the edge up to the target, and a conv that makes the image."""
    now = WIDEST
    layers: list[nn.Module] = [nn.Conv2d(width, now, 1)]
    while True:
        size, after = min(2 * size, target), max(now // 2, NARROWEST)
        layers += [
            nn.Upsample(size=(size, size), mode="bilinear"),
            nn.Conv2d(now, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
        now = after
        if size == target:
            return nn.Sequential(*layers, nn.Conv2d(now, channels, 3, padding=1))
