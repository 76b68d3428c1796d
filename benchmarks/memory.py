"""Memory over 1,000 edits, each undone: what the engine keeps must not grow."""

import random
import resource
import tempfile
from pathlib import Path

import torch

from sessions import edits
from sessions.commands import Lineage
from workbench.surgery import store
from workbench.surgery.build import build
from workbench.surgery.carry import carry, checked_error
from workbench.surgery.families import shufflenet

CYCLES = 1000
EDITS = (
    "width:stage3=210",
    "mid:stage2=24",
    "groups:stage3=6",
    "off:stage2.unit2",
    "rank:init.conv=2x4",
)


def resident_mb() -> float:
    """Memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    torch.set_num_threads(1)
    network = edits.apply(shufflenet.fresh(classes=9), edits.InputSize(80))
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = store.put(folder, network, build(network).state_dict())
        derive = store.Deriver()
        measured = []
        for cycle in range(CYCLES + 1):
            edit = edits.parse(rng.choice(EDITS))
            at, weights = derive(folder, Lineage(checkpoint))
            checked_error(carry(at, weights, edit), edit)
            derive(folder, Lineage(checkpoint, (edit,)))
            if cycle % (CYCLES // 5) == 0:
                measured.append(resident_mb())
    print(f"memory over {CYCLES} edits and undos, every {CYCLES // 5}: ", end="")
    print(" ".join(f"{value:.0f}" for value in measured), "MB")


if __name__ == "__main__":
    main()
