"""Training and evaluation images/s against the usual loop, on the same model and photos.

The usual loop: a DataLoader with worker processes that decodes, resizes, augments and normalises
every image again in every epoch; plain AdamW; evaluation in batches of 64. Both train the same
ShuffleNet x0.25 at 80x80 with the same augmentation and batch size. Runs alternate; medians.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import torch
from photos import photo_folder
from torch import nn
from torch.utils import data as torch_data

from sessions import edits
from sessions.network import Network
from sessions.recipe import Recipe
from workbench.surgery.build import Assembled, build
from workbench.surgery.families import shufflenet
from workbench.training.augmentation.augment import built
from workbench.training.augmentation.pipelines import PRESETS
from workbench.training.images.data import Dataset, open_data
from workbench.training.images.items import Item
from workbench.training.images.listing import list_folder
from workbench.training.loop import Run
from workbench.training.measuring.evaluate import evaluate

SIZE = 80
ROUNDS = 5
BATCH = 64
EVALUATIONS = 4
"""Of ours in a round: one is over too soon to be timed well."""


class UsualDataset(torch_data.Dataset):
    """Decodes a file every time it is asked for."""

    def __init__(self, paths: list[str], labels: list[int], transform: albumentations.Compose):
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = cv2.cvtColor(cv2.imread(self.paths[index]), cv2.COLOR_BGR2RGB)
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        image = self.transform(image=image)["image"]
        return torch.from_numpy(image.transpose(2, 0, 1)), self.labels[index]


def usual_loader(items: list, name: str, *, shuffle: bool) -> torch_data.DataLoader:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    steps = [*built(PRESETS[name]).transforms, albumentations.Normalize(mean, std)]
    dataset = UsualDataset(
        [item.path for item in items], [item.label for item in items],
        albumentations.Compose(steps),
    )  # fmt: skip
    return torch_data.DataLoader(
        dataset, BATCH, shuffle=shuffle, num_workers=2, drop_last=shuffle, persistent_workers=True
    )


def usual_train(module: nn.Module, loader: torch_data.DataLoader) -> float:
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    loss_of = nn.CrossEntropyLoss()
    module.train()
    done, started = 0, time.perf_counter()
    for images, labels in loader:
        loss = loss_of(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        done += len(labels)
    return done / (time.perf_counter() - started)


def usual_evaluate(module: nn.Module, loader: torch_data.DataLoader) -> float:
    module.eval()
    done, started = 0, time.perf_counter()
    predicted = []
    with torch.no_grad():
        for images, labels in loader:
            predicted.append(module(images).argmax(1))
            done += len(labels)
    return done / (time.perf_counter() - started)


class Silent:
    """Hooks that do nothing."""

    def progressed(self, progress: object) -> None:
        """Nothing."""

    def after_batch(self, run: Run) -> bool:
        """Go on."""
        return True

    def epoch_ended(self, run: Run) -> None:
        """Nothing."""


class Usual:
    """The usual loop in a process of its own, so that nothing we set in ours helps it."""

    def __init__(self, train: list[Item], val: list[Item], network: Network) -> None:
        self.network = network
        self.train = usual_loader(train, "light", shuffle=True)
        self.val = usual_loader(val, "none", shuffle=False)

    def measure(self) -> tuple[float, float]:
        """Images/s of an epoch of training and of an evaluation."""
        module = build(self.network)
        return usual_train(module, self.train), usual_evaluate(module, self.val)


def serve_usual(link: Connection, train: list[Item], val: list[Item], network: Network) -> None:
    """Measure whenever asked."""
    usual = Usual(train, val, network)
    while link.recv():
        link.send(usual.measure())


def ours(module: Assembled, network: Network, data: Dataset) -> tuple[float, float]:
    """Images/s of an epoch of training and of evaluations."""
    device = torch.device("cpu")
    run = Run(
        module,
        network,
        data.train,
        Recipe(images_per_epoch=0, epochs=1, augmentation="light"),
        device,
    )
    started = time.perf_counter()
    run.fit(Silent())
    trained = run.steps * run.batch_size / (time.perf_counter() - started)
    started = time.perf_counter()
    for _ in range(EVALUATIONS):
        evaluate(module, network, data.val, data.classes, device)
    return trained, EVALUATIONS * len(data.val) / (time.perf_counter() - started)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("WORKBENCH_CACHE", folder)
        photos, what = photo_folder(Path(folder))
        listing = list_folder(photos)
        data = open_data(str(photos), SIZE)
        network = shufflenet.fresh(classes=len(data.classes))
        network = edits.apply(network, edits.InputSize(SIZE))
        held_out = set(data.val.rows.tolist())
        train = [x for i, x in enumerate(listing.items) if i not in held_out]
        val = [x for i, x in enumerate(listing.items) if i in held_out]
        processes = multiprocessing.get_context("spawn")
        link, other_end = processes.Pipe()
        usual = processes.Process(target=serve_usual, args=(other_end, train, val, network))
        usual.start()
        module = build(network)
        rounds = []
        for _ in range(ROUNDS + 1):
            link.send(True)
            peer = link.recv()  # one after the other: each has the cores to itself
            rounds.append((*ours(module, network, data), *peer))
        link.send(False)
        usual.join()
    print(f"throughput on {what}, {os.cpu_count()} cores, {ROUNDS} rounds, medians")
    figures = list(zip(*rounds[1:], strict=True))  # the first round warms up
    for name, mine, peer, wanted in (
        ("training  ", figures[0], figures[2], 1.4),
        ("evaluation", figures[1], figures[3], 5),
    ):
        ratio = statistics.median(a / b for a, b in zip(mine, peer, strict=True))
        print(
            f"  {name} {statistics.median(mine):7.0f} images/s, "
            f"usual loop {statistics.median(peer):7.0f}   ratio {ratio:.2f} "
            f"(at least {wanted} wanted)"
        )


if __name__ == "__main__":
    main()
