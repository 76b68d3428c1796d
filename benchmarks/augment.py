"""Augmentation of a batch by tensors against albumentations image by image, on the same pipeline.

Batches of 64 at 80x80x3, uint8 to normalised float32 in both. Either way runs on one thread, and
CPU time of that thread is taken, so that other work on the machine matters less. Rounds alternate;
medians of the rounds.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from sessions import edits
from workbench.child import keep_freed_memory
from workbench.surgery.families import shufflenet
from workbench.training.augmentation.augment import Augmenter, built, image_by_image
from workbench.training.augmentation.pipelines import PRESETS
from workbench.training.measuring.evaluate import normalised

SIZE, BATCH, ROUNDS = 80, 64, 15
WANTED = 8000
"""Images/s of `contest` by tensors."""


def images_per_s(augment: Callable[[int], object], batches: int, seed: int) -> float:
    started = time.thread_time()
    for number in range(batches):
        augment(seed * batches + number)
    return batches * BATCH / (time.thread_time() - started)


def main() -> None:
    keep_freed_memory()  # as the trainer does
    torch.set_num_threads(1)
    device = torch.device("cpu")
    network = edits.apply(shufflenet.fresh(), edits.InputSize(SIZE))
    shape = (BATCH, SIZE, SIZE, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    print(f"augmentation, batches of {BATCH} at {SIZE}x{SIZE}x3, one thread, {ROUNDS} rounds")
    for name, preset in PRESETS.items():
        ours, composed = Augmenter(name, network, device), built(preset)
        if not ours.is_batched:
            continue

        def by_tensors(seed: int, augmenter: Augmenter = ours) -> object:
            return augmenter(images, seed)

        def one_by_one(seed: int, composed: object = composed) -> object:
            return normalised(image_by_image(composed, images, seed), network, device)

        rounds = [
            (images_per_s(by_tensors, 8, number), images_per_s(one_by_one, 2, number))
            for number in range(ROUNDS + 1)
        ][1:]  # the first round warms up
        mine, peer = map(statistics.median, zip(*rounds, strict=True))
        best = max(found for found, _ in rounds)
        ratio = statistics.median(a / b for a, b in rounds)
        aim = f" (at least {WANTED} wanted)" if name == "contest" else ""
        print(
            f"  {name:8} {mine:7.0f} images/s, best {best:7.0f}{aim}; "
            f"albumentations {peer:6.0f}   ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
