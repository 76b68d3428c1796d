"""Losses of (N, K) logits against (N, K) target probabilities, which may be soft.

What a loss is made of are plain functions; `make_loss` puts them together as a recipe asks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sessions.recipe import Recipe

SMALLEST_NORM = 1e-4
"""Shorter embeddings are not stretched to length 1, so that no gradient becomes huge."""


def make_loss(recipe: Recipe, counts: Tensor) -> nn.Module:
    """The loss of a recipe: takes logits and target probabilities, returns a scalar.

    `arcface` is cross entropy here: the logits that it takes come from `arcface`.

    Args:
        counts: training images of each class, (K,).
    """
    return _Loss(recipe, counts)


class _Loss(nn.Module):
    """Smoothing and class weights are for cross entropy and focal; soft F1 has its own balance."""

    weights: Tensor | None
    shift: Tensor

    def __init__(self, recipe: Recipe, counts: Tensor) -> None:
        super().__init__()
        self.recipe = recipe
        weights = balanced_weights(counts) if recipe.class_weights == "balanced" else None
        self.register_buffer("weights", weights, persistent=False)
        shift = recipe.logit_adjustment * log_prior(counts)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch; in evaluation mode without logit adjustment."""
        logits = _precise(logits)
        targets = targets.to(logits.dtype)
        if self.training and self.recipe.logit_adjustment:
            logits = logits + self.shift.to(logits.dtype)
        match self.recipe.loss:
            case "soft-f1":
                return soft_f1_loss(logits, targets)
            case "focal":
                return self._focal(logits, targets)
            case "f1-focal":
                share = self.recipe.f1_share
                focal = self._focal(logits, targets)
                return share * soft_f1_loss(logits, targets) + (1 - share) * focal
        weights = None if self.weights is None else self.weights.to(logits.dtype)
        return F.cross_entropy(
            logits, targets, weights, label_smoothing=self.recipe.label_smoothing
        )

    def _focal(self, logits: Tensor, targets: Tensor) -> Tensor:
        targets = smoothed(targets, self.recipe.label_smoothing)
        return focal_loss(logits, targets, self.recipe.focal_gamma, self.weights)


def balanced_weights(counts: Tensor) -> Tensor:
    """N / (K * count) for each class, so that the mean over images is 1.

    K counts the classes with images; a class without any has weight 0.
    """
    counts = counts.float()
    has_images = counts > 0
    weights = counts.sum() / (has_images.sum() * counts.clamp(min=1))
    return torch.where(has_images, weights, 0.0)


def log_prior(counts: Tensor) -> Tensor:
    """Log frequency of each class; one without images counts as if it had one."""
    counts = counts.float()
    return (counts.clamp(min=1) / counts.sum().clamp(min=1)).log()


def smoothed(targets: Tensor, share: float) -> Tensor:
    """Targets with a share of them spread evenly over all classes, as cross entropy does it."""
    return targets * (1 - share) + share / targets.shape[1]


def focal_loss(
    logits: Tensor, targets: Tensor, gamma: float, weights: Tensor | None = None
) -> Tensor:
    """Cross entropy in which each class's term is scaled by (1 - p)^gamma; the mean over images.

    Weights multiply the terms, and the mean is still over images, as in torch's cross entropy of
    probabilities. Source: T. Lin et al., Focal loss, arXiv:1708.02002, equation 5.
    """
    log_p = F.log_softmax(logits, dim=1)
    # Where p is 1 up to rounding, the power has an infinite slope for gammas below 1.
    rest = (1 - log_p.exp()).clamp(min=torch.finfo(logits.dtype).eps)
    terms = targets * rest**gamma * log_p
    if weights is not None:
        terms = terms * weights.to(logits.dtype)
    return -terms.sum(dim=1).mean()


def soft_f1_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - macro F1 of the batch, with probabilities in place of decisions.

    Of each class: 2 sum(p t) / (sum p + sum t). Classes that no image of the batch has any target
    of are left out: their F1 would be 0 whatever the network says.
    """
    p = logits.softmax(dim=1)
    f1 = 2 * (p * targets).sum(dim=0) / (p.sum(dim=0) + targets.sum(dim=0)).clamp(min=1e-12)
    occurs = (targets.sum(dim=0) > 0).to(f1.dtype)
    return 1 - (f1 * occurs).sum() / occurs.sum().clamp(min=1)


def arcface(
    embedding: Tensor, weight: Tensor, targets: Tensor, scale: float, margin: float
) -> Tensor:
    """Logits scale * cos(theta + margin * target), theta between embedding and class weight.

    Soft targets turn by their share of the margin, so that a mixed image asks a part of it of each
    of its classes. Where theta + margin would pass pi, and the cosine rise again, it is
    cos(theta) - margin * sin(margin) instead, which keeps falling.
    Source: J. Deng et al., ArcFace, arXiv:1801.07698, equation 3, and its published code.

    Args:
        embedding: input of the head, (N, D).
        weight: of the head, (K, D) or (K, D, 1, 1); its bias takes no part.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        x = F.normalize(_precise(embedding), eps=SMALLEST_NORM)
        rows = F.normalize(weight.flatten(1).to(x.dtype), eps=SMALLEST_NORM)
        cos = F.linear(x, rows).clamp(-1, 1)
        angle = margin * targets.to(x.dtype)
        sin = (1 - cos.square()).clamp(min=torch.finfo(x.dtype).eps).sqrt()
        turned = cos * angle.cos() - sin * angle.sin()
        is_beyond = cos < -angle.cos()
        return scale * torch.where(is_beyond, cos - angle * angle.sin(), turned)


def plain_weight(weight: Tensor, scale: float) -> Tensor:
    """The ordinary head after training with ArcFace: of its shape, to be used without a bias.

    Rows of length `scale`: an image's logits are the cosines, times scale, times the length of its
    embedding, so that its class is the one with the largest cosine.
    """
    return scale * F.normalize(weight.detach(), dim=1, eps=SMALLEST_NORM)


def _precise(x: Tensor) -> Tensor:
    """At least 32 bits: sums over half-precision probabilities lose too much."""
    return x if x.dtype == torch.float64 else x.float()
