"""What a training step minimises: the recipe's loss, its teachers and its auxiliary classifiers.

Everything here lives beside the network and is gone after training; what a loss leaves in the
classifier (ArcFace) is brought into the network's own form by `finished`.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sessions.network import Network
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import Assembled, State
from workbench.training.distillation import FirstStudent, Teachers
from workbench.training.features import (
    EMBEDDING,
    AuxiliaryHeads,
    run_with_features,
)
from workbench.training.images.data import Split
from workbench.training.losses import arcface, make_loss, plain_weight

Teacher = tuple[Network, State]


class Objective(nn.Module):
    """Called with a batch, it runs the network and gives the loss. Its parameters are trained."""

    def __init__(
        self,
        module: Assembled,
        network: Network,
        train: Split,
        recipe: Recipe,
        device: torch.device,
        teachers: Sequence[Teacher] = (),
        first: FirstStudent | None = None,
    ) -> None:
        super().__init__()
        if first is not None and recipe.loss == "arcface":
            raise UserError("arcface has no logits to add to: use another loss with residual_of")
        self.first = first
        """A first student, whose residual the network learns."""
        # In a list, so that the network's tensors are not taken for the objective's own.
        self._module = [module]
        self.network, self.recipe = network, recipe
        counts = np.bincount(train.labels, minlength=network.classes)
        self.loss = make_loss(recipe, torch.from_numpy(counts)).to(device)
        self.auxiliary = (
            AuxiliaryHeads(network, recipe.seed).to(device) if recipe.auxiliary else None
        )
        self.teachers = Teachers(teachers, network, recipe, device) if teachers else None
        if self.teachers is not None and recipe.teacher_images == "plain":
            self.teachers.precompute(train)
        self._wanted = set(self.auxiliary.stages) if self.auxiliary is not None else set()
        if self.teachers is not None:
            self._wanted |= set(self.teachers.stages)
        if self.changes_head:
            self._wanted.add(EMBEDDING)
        self._hook: torch.utils.hooks.RemovableHandle | None = None

    @property
    def changes_head(self) -> bool:
        """Whether the classifier has another meaning while it is trained."""
        return self.recipe.loss == "arcface"

    def __enter__(self) -> None:
        """Drop out before the classifier, as long as training lasts."""
        if self.recipe.dropout and not self.changes_head:
            head = self._module[0].get_submodule(self.network.head.key)
            self._hook = head.register_forward_pre_hook(self._dropped_out)

    def __exit__(self, *exc: object) -> None:
        if self._hook is not None:
            self._hook.remove()

    def forward(self, images: Tensor, targets: Tensor, where: NDArray[np.intp]) -> Tensor:
        """The loss of a batch.

        Args:
            images: (N, C, S, S)
            targets: (N, classes), probabilities.
            where: the rows of the training split that the images were made from.
        """
        module = self._module[0]
        logits, features = run_with_features(module, self.network, images, self._wanted)
        if self.first is not None:
            logits = logits + self.first.logits(images)
        if self.changes_head:
            embedding = F.dropout(features[EMBEDDING], self.recipe.dropout, module.training)
            loss: Tensor = self.loss(self._cosines(embedding, targets), targets)
            logits = self._cosines(embedding, torch.zeros_like(targets))  # no margin for teachers
        else:
            loss = self.loss(logits, targets)
        if self.auxiliary is not None:
            loss = loss + self.recipe.auxiliary * self.auxiliary.loss(features, targets, self.loss)
        if self.teachers is not None:
            share = self.recipe.distill
            loss = (1 - share) * loss + share * self.teachers.loss(logits, images, where)
            if self.recipe.features:
                loss = loss + self.recipe.features * self.teachers.feature_loss(features, images)
        return loss

    def _cosines(self, embedding: Tensor, targets: Tensor) -> Tensor:
        weight = self._module[0].get_submodule(self.network.head.key).get_parameter("weight")
        scale, margin = self.recipe.arcface_scale, self.recipe.arcface_margin
        return arcface(embedding, weight, targets, scale, margin)

    def finished(self, state: State) -> State:
        """The network's weights in the form that it has without this objective."""
        if not self.changes_head:
            return state
        key = self.network.head.key
        weight = state[f"{key}.weight"]
        changed = {f"{key}.weight": plain_weight(weight, self.recipe.arcface_scale)}
        if self.network.head.has_bias:
            changed[f"{key}.bias"] = torch.zeros_like(state[f"{key}.bias"])
        return state | changed

    def _dropped_out(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (F.dropout(inputs[0], self.recipe.dropout, training=module.training), *inputs[1:])
