"""Runs a generated module in an interpreter of its own: `python -I alone.py FOLDER NAME`.

Reads FOLDER/inputs.pt, calls NAME.load() and leaves the logits in FOLDER/outputs.pt. Imports
PyTorch and the standard library only, because what it proves is that nothing else is needed.
"""

import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

RUNS, WARM_UP_RUNS, LEAST_RUNS = 50, 5, 5
LONGEST_S = 3.0
"""Measuring stops here once there are LEAST_RUNS."""


def median_ms(run: Callable[[Tensor], object], image: Tensor) -> float:
    """Median time in ms that PyTorch needs for one image on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(WARM_UP_RUNS):
                run(image)
            times: list[float] = []
            while len(times) < LEAST_RUNS or (len(times) < RUNS and sum(times) < LONGEST_S):
                start = time.perf_counter()
                run(image)
                times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times) * 1000


def _main(folder: Path, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load()
    inputs = torch.load(folder / "inputs.pt", weights_only=True)
    with torch.inference_mode():
        torch.save({batch: model(images) for batch, images in inputs.items()}, "outputs.pt")
    image = next(iter(inputs.values()))[:1]
    packages = sorted({imported.partition(".")[0] for imported in sys.modules})
    print(json.dumps({"median_ms": median_ms(model, image), "packages": packages}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
