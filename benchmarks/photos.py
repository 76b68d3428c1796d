"""Photos for benchmarks: TrashNet where the shared data lies, drawn ones elsewhere."""

import os
import tarfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("WORKBENCH_SHARED", ROOT.parent / "shared"))


def photo_folder(work: Path) -> tuple[Path, str]:
    """A folder of photos in class folders, and what they are."""
    archive = SHARED / "data" / "trashnet-96.tar.gz"
    target = work / "photos"
    if archive.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
        return target, "TrashNet (2,527 photos of 96x96)"
    rng = np.random.default_rng(0)
    for label in range(6):
        folder = target / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(400):
            small = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            photo = cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{number}.jpg"), photo)
    return target, "2,400 drawn photos of 96x96"
