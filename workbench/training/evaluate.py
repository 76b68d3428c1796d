"""Evaluation of a network on a split, with batch norms folded into their convs."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor

from sessions.events import ClassScore, Evaluation
from sessions.network import Network
from workbench.surgery.build import Assembled
from workbench.training.data import Split
from workbench.training.folding import fold

BATCH = 128


def normalised(images: NDArray[np.uint8], network: Network, device: torch.device) -> Tensor:
    """uint8 (N, S, S, C) -> float32 (N, C, S, S) on the device, normalised for the network."""
    n, height, width, channels = images.shape
    # Over whole rows of pixels: broadcasting over three channels alone is ten times slower.
    mean = torch.tensor(network.mean, device=device).repeat(height * width)
    std = torch.tensor(network.std, device=device).repeat(height * width)
    x = torch.from_numpy(images).to(device).view(n, -1).float()
    x.sub_(mean * 255).mul_(1 / (std * 255))
    return x.view(n, height, width, channels).permute(0, 3, 1, 2)


def predict(
    module: Assembled, network: Network, split: Split, device: torch.device
) -> NDArray[np.int64]:
    """The class of every image.

    On a CPU every core runs batches of its own: splitting the small operations of one batch over
    the cores costs more than it gives, and stalls whenever another process needs a core.
    """
    was_training = module.training
    folded = fold(module.eval())

    def classes(start: int) -> Tensor:
        with torch.inference_mode():
            batch = normalised(split.take(slice(start, start + BATCH)), network, device)
            return folded(batch).argmax(dim=1).cpu()

    workers = torch.get_num_threads() if device.type == "cpu" else 1
    starts = range(0, len(split), BATCH)
    with ThreadPoolExecutor(workers, initializer=_one_core) as pool:
        found = torch.cat(list(pool.map(classes, starts)))
    module.train(was_training)
    return found.numpy()


def _one_core() -> None:
    """Holds for the calling thread only."""
    torch.set_num_threads(1)


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
