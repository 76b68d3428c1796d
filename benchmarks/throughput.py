"""Training and evaluation images/s against the usual loop, on the same model and photos.

The usual loop: a DataLoader with worker processes that decodes, resizes, augments and normalises
every image again in every epoch; plain AdamW; evaluation in batches of 64. Both train the same
ShuffleNet x0.25 at 80x80 with the same augmentation and batch size. Runs alternate; medians.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import torch
from photos import photo_folder
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sessions import edits
from sessions.recipe import Recipe
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training.augment import pipeline
from workbench.training.data import open_data
from workbench.training.evaluate import evaluate
from workbench.training.listing import list_folder
from workbench.training.loop import Run

SIZE = 80
ROUNDS = 5
BATCH = 64


class UsualDataset(Dataset):
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


def usual_loader(items: list, name: str, *, shuffle: bool) -> DataLoader:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    steps = [*pipeline(name).transforms, albumentations.Normalize(mean, std)]
    dataset = UsualDataset(
        [item.path for item in items], [item.label for item in items],
        albumentations.Compose(steps),
    )  # fmt: skip
    return DataLoader(
        dataset, BATCH, shuffle=shuffle, num_workers=2, drop_last=shuffle, persistent_workers=True
    )


def usual_train(module: nn.Module, loader: DataLoader) -> float:
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


def usual_evaluate(module: nn.Module, loader: DataLoader) -> float:
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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("WORKBENCH_CACHE", folder)
        photos, what = photo_folder(Path(folder))
        listing = list_folder(photos)
        data = open_data(str(photos), SIZE)
        network = shufflenet.fresh(classes=len(data.classes))
        network = edits.apply(network, edits.InputSize(SIZE))
        device = torch.device("cpu")
        held_out = set(data.val.rows.tolist())
        items = {
            "train": [x for i, x in enumerate(listing.items) if i not in held_out],
            "val": [x for i, x in enumerate(listing.items) if i in held_out],
        }
        train_loader = usual_loader(items["train"], "light", shuffle=True)
        val_loader = usual_loader(items["val"], "none", shuffle=False)
        module = build(network)
        figures: dict[str, list[float]] = {"train": [], "usual": [], "eval": [], "usual eval": []}
        for round_number in range(ROUNDS + 1):
            run = Run(module, network, data.train, Recipe(epochs=1), device)
            started = time.perf_counter()
            run.fit(Silent())
            ours = run.steps * run.batch_size / (time.perf_counter() - started)
            usual = usual_train(build(network), train_loader)
            started = time.perf_counter()
            for _ in range(4):
                evaluate(module, network, data.val, data.classes, device)
            ours_eval = 4 * len(data.val) / (time.perf_counter() - started)
            usual_eval = usual_evaluate(module, val_loader)
            if round_number:  # the first one warms up
                for name, value in zip(
                    figures, (ours, usual, ours_eval, usual_eval), strict=True
                ):  # fmt: skip
                    figures[name].append(value)
    median = {name: statistics.median(values) for name, values in figures.items()}
    pairs = {
        "training": [a / b for a, b in zip(figures["train"], figures["usual"], strict=True)],
        "evaluation": [
            a / b for a, b in zip(figures["eval"], figures["usual eval"], strict=True)
        ],
    }  # fmt: skip
    print(f"throughput on {what}, {os.cpu_count()} cores, {ROUNDS} rounds, medians")
    print(
        f"  training    {median['train']:7.0f} images/s, usual loop {median['usual']:7.0f}", end=""
    )
    print(f"   ratio {statistics.median(pairs['training']):.2f} (at least 1.3 wanted)")
    print(f"  evaluation  {median['eval']:7.0f} images/s, usual loop", end="")
    print(f" {median['usual eval']:7.0f}", end="")
    print(f"   ratio {statistics.median(pairs['evaluation']):.2f} (at least 4 wanted)")


if __name__ == "__main__":
    main()
