"""What stages put out on the way to the logits, and classifiers on it that live for training only.

The modules stay as they are: their units are run one by one from outside.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from sessions.network import Network, Unit
from workbench.surgery.build import Assembled, Block, joined

EMBEDDING = "embedding"
"""Names the input of the head among features."""
COPYING = (
    nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
)  # fmt: skip
"""Modules that leave their input as it is and put out a tensor of their own."""

Criterion = Callable[[Tensor, Tensor], Tensor]


def run_with_features(
    module: Assembled, network: Network, images: Tensor, wanted: Collection[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits, and what was wanted on the way, in one pass.

    Args:
        wanted: paths of stages for their outputs, (N, C, S, S); `embedding` for the head's input,
            flattened to (N, D).

    Raises:
        KeyError: something wanted is neither.
    """
    unknown = set(wanted) - {stage.path for stage in network.stages} - {EMBEDDING}
    if unknown:
        raise KeyError(f"no stage {', '.join(sorted(unknown))}")
    found: dict[str, Tensor] = {}
    blocks = iter(module.blocks)
    is_kept = False
    x = images
    for stage in network.stages:
        for unit in stage.units:
            if not unit.is_on:
                continue
            block = next(blocks)
            if is_kept and not _leaves_input(block):
                x = x.clone()
            is_kept = False
            if EMBEDDING in wanted and network.head in unit.branch:
                x = _through_head(block, unit.branch.index(network.head), x, found)
            else:
                x = block(x)
        if stage.path in wanted:
            found[stage.path] = x
            is_kept = True
    return x, found


def inner_stages(network: Network) -> dict[str, Unit]:
    """The stages between stem and head by path, each with the unit whose output is the stage's."""
    found = {}
    for stage in network.stages:
        on = [unit for unit in stage.units if unit.is_on]
        has_head = any(network.head in unit.branch for unit in on)
        if on and not stage.is_plain and not has_head:
            found[stage.path] = on[-1]
    return found


class AuxiliaryHeads(nn.Module):
    """A classifier on each inner stage: global average pool and a linear layer.

    Apart from the network, so that nothing of them is saved or exported with it.
    """

    def __init__(self, network: Network, seed: int) -> None:
        super().__init__()
        units = inner_stages(network)
        self.stages = tuple(units)
        """What `run_with_features` has to be asked for."""
        self.heads = nn.ModuleList(
            nn.Linear(network.width(unit.out_axis), network.classes) for unit in units.values()
        )
        draw_weights(self, seed)

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits of every classifier, by stage."""
        return {
            stage: head(features[stage].mean(dim=(2, 3)))
            for stage, head in zip(self.stages, self.heads, strict=True)
        }

    def loss(self, features: dict[str, Tensor], targets: Tensor, criterion: Criterion) -> Tensor:
        """The sum of the classifiers' losses; 0 where there is no inner stage."""
        losses = [criterion(logits, targets) for logits in self(features).values()]
        return torch.stack(losses).sum() if losses else targets.new_zeros(())


def draw_weights(module: nn.Module, seed: int) -> None:
    """Fresh weights for every conv and linear layer, the same for the same seed.

    Uniform within 1 / sqrt(inputs), as torch draws them, but from a generator of their own.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                reach = layer.weight[0].numel() ** -0.5
                drawn = torch.rand(layer.weight.shape, generator=generator) * 2 - 1
                layer.weight.copy_(drawn * reach)
                if layer.bias is not None:
                    layer.bias.zero_()


def _through_head(block: Block, place: int, x: Tensor, found: dict[str, Tensor]) -> Tensor:
    """Run the head's unit and keep what goes into the head."""

    def head(x: Tensor) -> Tensor:
        found[EMBEDDING] = x.flatten(1)
        out: Tensor = block.branch[place](x)
        return out

    branch: list[Callable[[Tensor], Tensor]] = [*block.branch]
    branch[place] = head
    return joined(x, branch, block.shortcut, block.tail, block.join)


def _leaves_input(block: Block) -> bool:
    """Whether nothing that a unit does in place can reach its input."""
    first = [block.branch[:1], *([block.shortcut[:1]] if block.shortcut else [])]
    return all(step and isinstance(step[0], COPYING) for step in first)
