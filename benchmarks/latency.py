"""Key press to repainted screen in a real terminal, while a fine-tune runs on all cores.

For every kind of key the clock runs from the press until the text that answers it is painted. The
peer is what other tools need to know the MACs after a cut: Torch-Pruning's dependency graph and
count, on a ShuffleNet without groups, which it can handle.
"""

import contextlib
import io
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from terminal import Terminal, executable

from sessions import edits, macs
from workbench.surgery.families import shufflenet

PRESSES = 200
FEWER = 60
"""Presses of the keys that change nothing."""
UNIT = "stage1.unit2"
"""Where the cursor is on opening."""
Press = tuple[str, str]
"""Keys, and the text that answers them."""


class Demo:
    """A network in a terminal, with a fine-tune of many epochs."""

    def __init__(self, folder: Path) -> None:
        model = folder / "model.pt"
        new = [executable(), "new", str(model), "--input-size", "32"]
        subprocess.run(new, check=True, capture_output=True)
        self.network = edits.apply(shufflenet.fresh(classes=10), edits.InputSize(32))
        recipe = folder / "recipe.toml"
        recipe.write_text("epochs = 1000\n")
        self.command = [
            executable(), "open", str(model), "--data", "digits", "--recipe", str(recipe),
            "--session", str(folder / "session"),
        ]  # fmt: skip
        self.rng = random.Random(0)

    def measured(self) -> dict[str, list[float]]:
        """Seconds from key press to answer, by kind of key."""
        with Terminal(self.command) as screen:
            screen.wait_for("359 validation")
            screen.send("f")
            screen.wait_for("images/s")
            found = {"move": self.pressed(screen, self.moves(), FEWER)}
            found["toggle"] = self.pressed(screen, self.toggles(), PRESSES)
            screen.send("h")
            screen.wait_for("60×4×4 out")
            found["fold"] = self.pressed(screen, self.folds(), FEWER)
            screen.send("w")
            screen.wait_for("the present value")
            found["width preview"] = self.pressed(screen, self.widths(), FEWER)
            screen.send("\x1b")
            self.idle(screen)
            screen.send("/")
            self.idle(screen)
            found["filter"] = self.pressed(screen, self.filters(), FEWER)
            screen.send("\x1b")
            self.idle(screen)
            screen.send("x")
            screen.send("q")
            screen.wait_for_end(30)
        return found

    def pressed(self, screen: Terminal, presses: Iterator[Press], count: int) -> list[float]:
        """Press one after the other, at no fixed beat."""
        times = []
        for _ in range(count):
            self.idle(screen)
            keys, answer = next(presses)
            screen.text = ""
            started = time.perf_counter()
            screen.send(keys)
            screen.wait_for(answer)
            times.append(time.perf_counter() - started)
        return sorted(times)

    def idle(self, screen: Terminal) -> None:
        """Let things be painted for a while."""
        until = time.perf_counter() + self.rng.uniform(0.05, 0.25)
        while time.perf_counter() < until:
            screen.read(until)

    def moves(self) -> Iterator[Press]:
        """Down and up; the panel tells which unit."""
        while True:
            yield "j", "stage1.unit3"
            yield "k", UNIT

    def toggles(self) -> Iterator[Press]:
        """Off and on; the MACs."""
        off = edits.apply(self.network, edits.UnitOff(UNIT))
        while True:
            yield " ", f"{macs.count(off):,}"
            yield " ", f"{macs.count(self.network):,}"

    def folds(self) -> Iterator[Press]:
        """Folding and unfolding; the arrow."""
        while True:
            yield "h", "▸ stage1"
            yield "l", "▾ stage1"

    def widths(self) -> Iterator[Press]:
        """One legal width down and up; what it would be."""
        while True:
            yield "\x1b[D", "width 57"
            yield "\x1b[C", "the present value"

    def filters(self) -> Iterator[Press]:
        """A letter more and one less; what is hidden."""
        while True:
            yield "u", "/u: "
            yield "n", "/un: "
            yield "\x7f", "/u: "
            yield "\x7f", "stage3"


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
        found = Demo(Path(folder)).measured()
    peer = torch_pruning_s()
    print(
        f"key press to repainted screen, fine-tune on {os.cpu_count()} cores (p99 of 33 ms wanted)"
    )
    for kind, times in found.items():
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99) - 1]
        ratio = f"   ratio to the peer {p50 / peer:.2f}" if kind == "toggle" else ""
        print(f"  {kind:14} p50 {p50 * 1000:5.1f} ms   p99 {p99 * 1000:5.1f} ms{ratio}")
    print(f"  Torch-Pruning graph + count {peer * 1000:.0f} ms")


if __name__ == "__main__":
    main()
