"""The forms in which a network is handed on: how each is written, and how what was written runs."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from sessions.network import Network, sized
from workbench.errors import UserError
from workbench.surgery import families, files
from workbench.surgery.build import State, build, expected_shapes
from workbench.surgery.exporting import alone, portable, standalone
from workbench.surgery.exporting.parity import Batches
from workbench.surgery.families.upstream import obstacles

PLAIN = "plain"
OURS = ("workbench", "widgets", "sessions")
LONGEST_S = 300
REASONS_LISTED = 3


class Ran(msgspec.Struct, frozen=True):
    """What an exported file put out."""

    logits: dict[str, Tensor]
    median_ms: float
    runtime: str


class Form(msgspec.Struct, frozen=True):
    """One way of handing a network on."""

    name: str
    write: Callable[[Path, Network, State], None]
    """Writes a network without off units; may write more files into the same folder."""
    run: Callable[[Path, Batches], Ran]
    """Reads back what was written, and runs it."""
    note: str
    """What whoever gets the file has to know."""


def weights_path(module: Path) -> Path:
    """The file with the weights of an exported module; not OUT.pt, which may be the model."""
    return module.with_suffix(".weights.pt")


def _write_onnx(path: Path, network: Network, state: State) -> None:
    files.write_atomically(path, portable.onnx_bytes(network, state))


def _write_program(path: Path, network: Network, state: State) -> None:
    files.write_atomically(path, portable.program_bytes(network, state))


def _write_module(path: Path, network: Network, state: State) -> None:
    weights = weights_path(path)
    text = standalone.source(network, path.stem, weights.name)
    files.write_atomically(weights, _torch_bytes(standalone.weights(network, state)))
    files.write_atomically(path, text.encode())


def _write_ours(path: Path, network: Network, state: State) -> None:
    files.save(path, network, state)


def _write_plain(path: Path, network: Network, state: State) -> None:
    shapes = expected_shapes(network)
    reasons = obstacles(network) or _other_network(network, families.describe(shapes))
    if reasons:
        more = f"; and {len(reasons) - REASONS_LISTED} more" if reasons[REASONS_LISTED:] else ""
        raise UserError(
            f"there is no plain file of this network: {'; '.join(reasons[:REASONS_LISTED])}{more}: "
            "export to .py, or without --plain"
        )
    # Copies: a tensor that is a part of a larger one would be stored with all of it.
    plain = {name: state[name].detach().clone().contiguous() for name in shapes}
    is_torch = path.suffix != ".safetensors"
    files.write_atomically(path, _torch_bytes(plain) if is_torch else safetensors.torch.save(plain))


def _other_network(network: Network, described: Network) -> list[str]:
    """What a plain file would be taken for, where that is not the network."""
    again = msgspec.structs.replace(
        sized(described, network.input_size), mean=network.mean, std=network.std
    )
    if again == network:
        return []
    layers = zip(network.layers(), again.layers(), strict=False)
    first = next((mine.path for (_, mine), (_, theirs) in layers if mine != theirs), "its depth")
    return [f"it would be read as another network, from {first} on"]


def _torch_bytes(tensors: State) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def _run_onnx(path: Path, batches: Batches) -> Ran:
    import onnxruntime

    return _ran(portable.open_onnx(path), batches, f"onnxruntime {onnxruntime.__version__}")


def _run_program(path: Path, batches: Batches) -> Ran:
    return _ran(portable.open_program(path), batches, f"torch.export {torch.__version__}")


def _run_checkpoint(path: Path, batches: Batches) -> Ran:
    size = next(iter(batches.values())).shape[-1]
    opened = files.read_model(path, size)
    return _ran(build(opened.network, opened.state), batches, f"torch {torch.__version__}")


def _ran(run: Callable[[Tensor], Tensor], batches: Batches, runtime: str) -> Ran:
    with torch.inference_mode():
        logits = {inputs: run(images) for inputs, images in batches.items()}
    image = next(iter(batches.values()))[:1]
    return Ran(logits, alone.median_ms(run, image), runtime)


def _run_module(path: Path, batches: Batches) -> Ran:
    """In an interpreter and a folder of its own, where nothing of this project is at hand."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (path, weights_path(path)):
            shutil.copy(file, folder)
        (folder / "inputs.pt").write_bytes(_torch_bytes(dict(batches)))
        report = _alone(folder, path.stem)
        logits = torch.load(folder / "outputs.pt", weights_only=True)
    ours = [package for package in OURS if package in report["packages"]]
    if ours:
        raise UserError(f"the module imports {', '.join(ours)}: nothing was kept")
    return Ran(logits, report["median_ms"], f"torch {torch.__version__}, python -I")


def _alone(folder: Path, module: str) -> dict[str, Any]:
    environment = {name: x for name, x in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [sys.executable, "-I", alone.__file__, str(folder), module],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"the module did not run within {LONGEST_S} s: nothing was kept") from None
    if done.returncode:
        last = (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise UserError(f"the module does not run by itself ({last[:100]}): nothing was kept")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


_OWN = Form("workbench file", _write_ours, _run_checkpoint, "the workbench opens it")
_PLAIN = Form(
    "plain state_dict",
    _write_plain,
    _run_checkpoint,
    "tensors in pytorchcv's naming; input size, mean and std are not in the file",
)
FORMS = {
    ".onnx": Form(
        "ONNX",
        _write_onnx,
        _run_onnx,
        f"{portable.INPUT} in, {portable.OUTPUT} out, any batch size; input size, classes, mean "
        "and std are in its metadata",
    ),
    ".pt2": Form(
        "ExportedProgram",
        _write_program,
        _run_program,
        f"torch.export.load(path).module() with torch {torch.__version__}; other versions may "
        "refuse it",
    ),
    ".py": Form(
        "Python module",
        _write_module,
        _run_module,
        "import load and normalise from it; it needs torch and the weights beside it, nothing else",
    ),
    **dict.fromkeys(files.SUFFIXES, _OWN),
    **{suffix + PLAIN: _PLAIN for suffix in files.SUFFIXES},
}
"""By suffix; plain ones by suffix and PLAIN."""
