"""Evaluation of a network on a split, with batch norms folded into their convs.

Every figure carries the name of its split: F1 on images that choices were made on says so.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sessions.events import ClassScore, Evaluation
from sessions.network import Network
from sessions.splits import VALIDATION, SplitName
from workbench.errors import UserError
from workbench.surgery.build import Assembled
from workbench.training.images.data import Dataset, Split
from workbench.training.measuring.folding import fold
from workbench.training.measuring.resampling import cells_of, f1_interval

Logits = Callable[[Tensor], Tensor]
"""Images (N, C, S, S) as the network takes them to logits (N, K)."""
BATCH = 128
MATRIX_CLASSES = 50
"""Of more classes no confusion matrix is kept: it would swell the session."""


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
    module: Assembled,
    network: Network,
    split: Split,
    device: torch.device,
    added: Logits | None = None,
) -> NDArray[np.int64]:
    """The class of every image; with `added` by the sum of its logits and the module's."""
    batches = image_batches(split, network, device)
    found = mapped(module, batches, device, lambda x: x.argmax(dim=1).cpu(), added)
    return torch.cat(found).numpy()


def image_batches(
    split: Split, network: Network, device: torch.device
) -> list[Callable[[], Tensor]]:
    """What gives the images of a split, normalised, (N, C, S, S) each, a batch at a time."""

    def batch(start: int) -> Tensor:
        return normalised(split.take(slice(start, start + BATCH)), network, device)

    return [partial(batch, start) for start in range(0, len(split), BATCH)]


def mapped(
    module: Assembled,
    batches: Sequence[Callable[[], Tensor]],
    device: torch.device,
    of_logits: Callable[[Tensor], Tensor],
    added: Logits | None = None,
) -> list[Tensor]:
    """What a function of logits (N, K) makes of those of every batch, in evaluation mode.

    On a CPU every core runs batches of its own: splitting the small operations of one batch over
    the cores costs more than it gives, and stalls whenever another process needs a core.

    Args:
        module: folded for this.
        batches: each gives images as the module takes them, so that few are held at a time.
        device: that the batches are on.
        of_logits: called in several threads.
        added: logits of the same images to add.
    """
    was_training = module.training
    folded = fold(module.eval())

    def run(batch: Callable[[], Tensor]) -> Tensor:
        with torch.inference_mode():
            images = batch()
            logits = folded(images)
            if added is not None:
                logits = logits + added(images)
            return of_logits(logits)

    workers = torch.get_num_threads() if device.type == "cpu" else 1
    with ThreadPoolExecutor(workers, initializer=_one_core) as pool:
        found = list(pool.map(run, batches))
    module.train(was_training)
    return found


def _one_core() -> None:
    """Holds for the calling thread only."""
    torch.set_num_threads(1)


def judge(
    module: Assembled,
    network: Network,
    data: Dataset,
    device: torch.device,
    name: SplitName | None = None,
    added: Logits | None = None,
) -> Evaluation:
    """Evaluate on a split of the data, or on the one that jobs tell F1 of.

    Raises:
        UserError: the data has no such split.
    """
    name = name or data.judge
    return evaluate(module, network, data.part(name), data.classes, device, name, added)


def evaluate(
    module: Assembled,
    network: Network,
    split: Split,
    classes: tuple[str, ...],
    device: torch.device,
    name: str = VALIDATION,
    added: Logits | None = None,
) -> Evaluation:
    """Macro F1 with its interval, accuracy, and the scores of each class.

    Macro F1 is the mean over the classes that occur among labels or predictions, as in
    scikit-learn's f1_score(average="macro").

    Raises:
        UserError: the split has no images.
    """
    if not len(split):
        raise UserError(f"there are no {name} images to measure F1 on: hold some out")
    predicted = predict(module, network, split, device, added)
    return score_predictions(split.labels, predicted, classes, name)


def score_predictions(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: tuple[str, ...],
    name: str = VALIDATION,
) -> Evaluation:
    """The evaluation that these predictions, of one image or more, give."""
    size = len(classes)
    matrix = np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
    hits, support, guessed = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    f1 = _ratio(2 * hits, support + guessed)
    low, high = f1_interval(cells_of(size, labels, predicted))
    columns = (f1, _ratio(hits, guessed), _ratio(hits, support), support)
    return Evaluation(
        split=name,
        images=len(labels),
        f1=float(f1[support + guessed > 0].mean()),
        accuracy=float(hits.sum() / len(labels)),
        classes=tuple(map(ClassScore, classes, *(column.tolist() for column in columns))),
        low=low,
        high=high,
        confusion=tuple(map(tuple, matrix.tolist())) if size <= MATRIX_CLASSES else (),
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Elementwise; 0 of nothing is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
