"""The optimiser that a recipe asks for."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sessions.recipe import Recipe


def make_optimizer(
    module: nn.Module, objective: nn.Module, recipe: Recipe
) -> torch.optim.Optimizer:
    """The recipe's optimiser; weight decay is for conv and linear weights only, as usual."""
    groups = by_decay([*module.parameters(), *objective.parameters()], recipe)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    is_nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=is_nesterov, fused=True
    )


def by_decay(parameters: Sequence[nn.Parameter], recipe: Recipe) -> list[dict[str, Any]]:
    """Groups of an optimiser: conv and linear weights decay, biases and batch norms do not."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
