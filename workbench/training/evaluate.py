"""Evaluation of a network on a split, with batch norms folded into their convs."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sessions.events import ClassScore, Evaluation
from sessions.network import Network
from workbench.surgery.build import Assembled
from workbench.training.data import Split

BATCH = 32
"""Small enough for the caches of a laptop's cores, where evaluation is fastest."""


def normalised(images: NDArray[np.uint8], network: Network, device: torch.device) -> Tensor:
    """uint8 (N, S, S, C) -> float32 (N, C, S, S) on the device, normalised for the network."""
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
    mean = torch.tensor(network.mean, device=device).view(1, -1, 1, 1)
    std = torch.tensor(network.std, device=device).view(1, -1, 1, 1)
    return x.sub_(mean * 255).div_(std * 255)


def predict(
    module: Assembled, network: Network, split: Split, device: torch.device
) -> NDArray[np.int64]:
    """The class of every image."""
    folded = fold(module)
    found = []
    with torch.inference_mode():
        for start in range(0, len(split), BATCH):
            batch = normalised(split.take(slice(start, start + BATCH)), network, device)
            found.append(folded(batch).argmax(dim=1))
    return torch.cat(found).cpu().numpy()


def evaluate(
    module: Assembled,
    network: Network,
    split: Split,
    classes: tuple[str, ...],
    device: torch.device,
    name: str = "validation",
) -> Evaluation:
    """Macro F1, accuracy and the scores of each class.

    Macro F1 is the mean over the classes that occur among labels or predictions, as in
    scikit-learn's f1_score(average="macro").
    """
    predicted = predict(module, network, split, device)
    return score_predictions(split.labels, predicted, classes, name)


def score_predictions(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: tuple[str, ...],
    name: str = "validation",
) -> Evaluation:
    """The evaluation that these predictions give."""
    numbers = list(range(len(classes)))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=numbers, zero_division=0.0
    )
    occurs = np.isin(numbers, labels) | np.isin(numbers, predicted)
    return Evaluation(
        split=name,
        images=len(labels),
        f1=float(f1[occurs].mean()),
        accuracy=float((labels == predicted).mean()),
        classes=tuple(
            ClassScore(class_name, float(f), float(p), float(r), int(n))
            for class_name, f, p, r, n in zip(classes, f1, precision, recall, support, strict=True)
        ),
    )


def paired_test(a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]) -> dict[str, int | float]:
    """Exact McNemar test on the same images: how likely a difference this large is by chance."""
    from scipy.stats import binomtest

    only_a = int((a_right & ~b_right).sum())
    only_b = int((b_right & ~a_right).sum())
    differ = only_a + only_b
    return {
        "images": len(a_right),
        "only_a_right": only_a,
        "only_b_right": only_b,
        "p_value": float(binomtest(only_a, differ).pvalue) if differ else 1.0,
    }


def fold(module: Assembled) -> Assembled:
    """A copy for evaluation in which each batch norm is folded into the conv before it."""
    folded = copy.deepcopy(module).eval()
    for block in folded.blocks:
        kept: list[nn.Module] = []
        for layer in block.branch:
            last = kept[-1] if kept else None
            if isinstance(layer, nn.BatchNorm2d) and isinstance(last, nn.Conv2d):
                kept[-1] = fuse_conv_bn_eval(last, layer)
            else:
                kept.append(layer)
        block.branch = kept
    return folded
