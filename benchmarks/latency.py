"""Key press to repainted MACs in a real terminal, while a fine-tune runs on all cores.

A unit is switched off and on; the clock runs from the key press until the new MACs are painted.
The peer is what other tools need for the same answer: Torch-Pruning's dependency graph and count,
on a ShuffleNet without groups, which it can handle.
"""

import contextlib
import io
import os
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from terminal import Terminal, executable

from sessions import edits, macs
from workbench.surgery.families import shufflenet

PRESSES = 200
UNIT = "stage1.unit2"
"""Where the cursor is on opening."""


def measured_presses(folder: Path) -> list[float]:
    """Seconds from key press to repainted MACs, while the demo fine-tunes."""
    model = folder / "model.pt"
    new = [executable(), "new", str(model), "--input-size", "32"]
    subprocess.run(new, check=True, capture_output=True)
    network = edits.apply(shufflenet.fresh(classes=10), edits.InputSize(32))
    off = edits.apply(network, edits.UnitOff(UNIT))
    shown = (f"{macs.count(network):,}", f"{macs.count(off):,}")
    recipe = folder / "recipe.toml"
    recipe.write_text("epochs = 1000\n")
    command = [
        executable(), "open", str(model), "--data", "digits", "--recipe", str(recipe),
        "--session", str(folder / "session"),
    ]  # fmt: skip
    times = []
    rng = random.Random(0)
    with Terminal(command) as screen:
        screen.wait_for("359 validation")
        screen.send("f")
        screen.wait_for("images/s")
        for press in range(PRESSES):
            until = time.perf_counter() + rng.uniform(0.05, 0.25)
            while time.perf_counter() < until:
                screen.read(until)
            screen.text = ""
            started = time.perf_counter()
            screen.send(" ")
            screen.wait_for(shown[(press + 1) % 2])
            times.append(time.perf_counter() - started)
        screen.send("x")
        screen.send("q")
        screen.wait_for_end(30)
    return times


def torch_pruning_s() -> float:
    """Seconds that Torch-Pruning needs for its graph and a count, median of several."""
    import torch
    import torch_pruning

    from workbench.surgery.build import build

    network = edits.apply(shufflenet.fresh(groups=1, classes=10), edits.InputSize(32))
    example = torch.randn(1, 3, 32, 32)
    times = []
    for _ in range(9):
        module = build(network)
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            torch_pruning.DependencyGraph().build_dependency(module, example_inputs=example)
            torch_pruning.utils.count_ops_and_params(module, example)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        times = sorted(measured_presses(Path(folder)))
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99) - 1]
    peer = torch_pruning_s()
    print(f"key press to repainted MACs, {PRESSES} presses, fine-tune on {os.cpu_count()} cores")
    print(f"  p50 {p50 * 1000:.1f} ms   p99 {p99 * 1000:.1f} ms (below 50 ms wanted)")
    print(f"  Torch-Pruning graph + count {peer * 1000:.0f} ms   ratio {p50 / peer:.2f}")


if __name__ == "__main__":
    main()
