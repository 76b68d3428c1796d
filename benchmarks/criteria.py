"""What edits keep, and F1 right after repair: orders searched for against channels left in place.

A ShuffleNet that was fine-tuned on the photos before is cut once for each criterion. No training
follows: F1 is that of the validation split after the least-squares repair.
Usage: criteria.py MODEL DATA
"""

import sys
from pathlib import Path

import torch

from sessions import edits
from sessions.edits import Cut
from workbench.surgery.build import build
from workbench.surgery.carry import carry
from workbench.surgery.files import read_model
from workbench.training.images.data import open_data
from workbench.training.importance import measure
from workbench.training.machine import sparing_a_core
from workbench.training.measuring.evaluate import evaluate
from workbench.training.repair import repair

EDITS = ("groups:stage3=6", "width:stage3=210")


def main() -> None:
    model = read_model(Path(sys.argv[1]))
    network, state = model.network, model.state
    data = open_data(sys.argv[2], network.input_size)
    device = torch.device("cpu")
    scores = measure(network, state, data.train, seed=0)
    assert scores is not None

    def f1(edited: object, weights: object) -> float:
        module = build(edited, weights)
        return evaluate(module, edited, data.val, data.classes, device).f1

    print(f"{'edit':20}{'criterion':12}{'order':>10}{'kept':>8}{'F1 raw':>9}{'repaired':>10}")
    print(f"{'none':50}{f1(network, state):9.4f}")
    for text in EDITS:
        for criterion in edits.CRITERIA:
            edit = edits.parse(text, criterion)
            assert isinstance(edit, Cut)
            for is_arranged in (False, True):
                carried = carry(
                    network, state, edit, scores.get(criterion), is_arranged=is_arranged
                )
                with sparing_a_core():
                    repaired = repair(
                        (network, state), (carried.network, carried.state), carried.orders,
                        data.train, seed=0,
                    )  # fmt: skip
                order = "searched" if is_arranged else "in place"
                raw, after = (f1(carried.network, x) for x in (carried.state, repaired))
                print(
                    f"{text:20}{criterion:12}{order:>10}{carried.kept_share:8.4f}"
                    f"{raw:9.4f}{after:10.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
