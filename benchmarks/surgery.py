"""A width edit, from the command to the engine's answer, checked against the masked original.

The model is the ImageNet checkpoint where the shared data lies, a fresh ShuffleNet elsewhere. The
peer is Torch-Pruning's dependency graph and pruning of a stage's channels on a ShuffleNet
without groups, which it can handle, of the same depth and at least the same parameters.
"""

import asyncio
import contextlib
import copy
import io
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch_pruning
from photos import SHARED

from sessions import edits, macs
from sessions.commands import ApplyEdit, Lineage, OpenModel
from sessions.events import Edited, ModelOpened
from workbench.processes import Child
from workbench.surgery import carry, files
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet

ROUNDS = 100
REMOVED = 30
"""Channels that the peer takes from stage 3."""
SIZE = 80
EDITS = ("width:stage3=210", "mid:stage2.unit4=24", "groups:stage3=6", "off:stage2.unit4")


async def edit_times(model: Path, folder: Path) -> dict[str, list[float]]:
    """Seconds from command to answer, by edit."""
    answers: asyncio.Queue[object] = asyncio.Queue()
    engine = Child("engine", folder / "engine.log", answers.put_nowait)
    await engine.send(OpenModel(path=str(model), folder=str(folder), input_size=SIZE))
    opened = await answers.get()
    assert isinstance(opened, ModelOpened), opened
    found: dict[str, list[float]] = {}
    for text in EDITS:
        command = ApplyEdit(
            folder=str(folder), variant=1, parent=0, lineage=Lineage(opened.checkpoint),
            edit=edits.parse(text),
        )  # fmt: skip
        for number in range(ROUNDS + 5):
            started = time.perf_counter()
            await engine.send(command)
            answer = await answers.get()
            taken = time.perf_counter() - started
            assert isinstance(answer, Edited), answer
            if number >= 5:  # the first ones warm up
                found.setdefault(text, []).append(taken)
    await engine.close()
    return found


def peer_times() -> tuple[list[float], list[float], str]:
    """Seconds that Torch-Pruning needs, for graph and prune alone and for the whole job; on what.

    The whole job is what an edit here does: a copy that may fail, the channels chosen by their
    importance, and a run of both networks on the images of our check.
    """
    network = edits.apply(
        shufflenet.fresh(groups=1, width=0.35, classes=1000), edits.InputSize(SIZE)
    )
    example = torch.randn(1, 3, SIZE, SIZE)
    images = torch.randn(carry.CHECK_IMAGES, 3, carry.CHECK_SIZE, carry.CHECK_SIZE)
    prune = torch_pruning.prune_conv_out_channels
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    bare, whole = [], []
    for _ in range(21):
        original = build(network)
        started = time.perf_counter()
        module = copy.deepcopy(original)
        copied = time.perf_counter()
        conv = module.get_submodule("features.stage3.unit2.expand_conv3")
        with contextlib.redirect_stdout(io.StringIO()):
            graph = torch_pruning.DependencyGraph().build_dependency(module, example)
            group = graph.get_pruning_group(conv, prune, idxs=range(conv.out_channels))
        traced = time.perf_counter()
        chosen = importance(group).argsort()[:REMOVED].tolist()
        ranked = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            graph.get_pruning_group(conv, prune, idxs=chosen).prune()
        pruned = time.perf_counter()
        with torch.inference_mode():
            original(images), module(images)
        whole.append(time.perf_counter() - started)
        bare.append(pruned - ranked + traced - copied)
    what = f"{macs.count(network):,} MACs, {network.total_parameters():,} parameters, no groups"
    return bare, whole, what


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = SHARED / "models" / "shufflenet_g3_wd4.pth"
        if not model.exists():
            model = folder / "fresh.pt"
            network = shufflenet.fresh(classes=1000)
            files.save(model, network, build(network).state_dict())
        found = asyncio.run(edit_times(model, folder / "session"))
    bare, whole, what = peer_times()
    print(f"edits of {model.name} at {SIZE}, {ROUNDS} rounds, command to answer")
    for text, times in found.items():
        ordered = sorted(times)
        p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99) - 1]
        ratios = "   ".join(f"{p50 / statistics.median(peer):.2f}" for peer in (bare, whole))
        print(f"  {text:22} p50 {p50 * 1000:5.1f} ms   p99 {p99 * 1000:5.1f} ms   ratios {ratios}")
    print("  p50 and p99 below 50 ms and ratios below 1 wanted of the width edit")
    print(f"  Torch-Pruning, the same width edit on {what}:")
    print(f"    graph + prune {statistics.median(bare) * 1000:.1f} ms")
    print(f"    with copy, importance and check {statistics.median(whole) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
