"""Writes a network in a form that needs no workbench, reads it back and compares the two.

A file gets its name only after what was read back has given the logits of the network.
"""

import keyword
import sys
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from sessions.network import Network
from workbench.errors import UserError
from workbench.surgery import files
from workbench.surgery.build import State, build
from workbench.surgery.compact import compact
from workbench.surgery.exporting import alone, portable
from workbench.surgery.exporting.forms import FORMS, PLAIN, Form, weights_path
from workbench.surgery.exporting.parity import Parity, check_finite, compare
from workbench.surgery.exporting.staging import staged

RANDOM_IMAGES = 16
SUFFIXES = (".onnx", ".pt2", ".py", *files.SUFFIXES)


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and how it compares."""

    form: str
    network: Network
    """Without off units, as in the file."""
    files: dict[str, int]
    """Bytes by path."""
    parity: tuple[Parity, ...]
    built_ms: float
    """Median time of one image on one thread, of the network that the file was made of."""
    exported_ms: float
    """The same, of the file."""
    runtime: str
    """What ran the file."""
    note: str
    """What whoever gets the file has to know."""


def check_target(out: Path, *, is_plain: bool = False) -> Form:
    """Make sure, before any work, that a file of this name could be made.

    Raises:
        UserError: unknown suffix, a form that is not for it, packages that are not installed, a
            name that Python cannot import, a folder, or no folder to write in.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"cannot export to {out.name!r}: end the name in {', '.join(SUFFIXES)}")
    if is_plain and out.suffix not in files.SUFFIXES:
        raise UserError(f"--plain is for {', '.join(files.SUFFIXES)}: leave it out")
    files.check_place(out)
    if out.suffix == ".onnx":
        portable.check_onnx()
    if out.suffix == ".py":
        _check_module_name(out)
        files.check_place(weights_path(out))
    return FORMS[out.suffix + (PLAIN if is_plain else "")]


def check_spares(out: Path, model: Path) -> None:
    """Make sure that the weights of an exported module do not replace the model they come from.

    Raises:
        UserError: they would.
    """
    weights = weights_path(out)
    if out.suffix == ".py" and weights.exists() and model.exists() and weights.samefile(model):
        raise UserError(f"{out.name} would write its weights over {model}: give another name")


def export(
    out: Path,
    network: Network,
    state: State,
    *,
    is_plain: bool = False,
    images: Tensor | None = None,
) -> Exported:
    """Write what is on in the form that the suffix names, read it back and compare.

    Args:
        is_plain: a state_dict in upstream's naming instead of a file of ours.
        images: (N, C, S, S), normalised, to compare on besides random ones.

    Raises:
        UserError: see `check_target`; the network has no such form; it cannot be written; or what
            was read back puts out something else. Nothing is left of it then.
    """
    form = check_target(out, is_plain=is_plain)
    smaller, tensors = compact(network, state)
    module = build(network, state)
    batches = {"random": _random_images(network)} | ({} if images is None else {"data": images})
    with torch.inference_mode():
        expected = {inputs: module(batch) for inputs, batch in batches.items()}
    check_finite(expected)
    with staged(out) as folder:
        form.write(folder / out.name, smaller, tensors)
        ran = form.run(folder / out.name, batches)
        parity = tuple(compare(x, expected[x], ran.logits[x]) for x in batches)
        sizes = {str(out.with_name(x.name)): x.stat().st_size for x in sorted(folder.iterdir())}
    return Exported(
        form=form.name,
        network=smaller,
        files=sizes,
        parity=parity,
        built_ms=alone.median_ms(module, batches["random"][:1]),
        exported_ms=ran.median_ms,
        runtime=ran.runtime,
        note=form.note,
    )


def _random_images(network: Network) -> Tensor:
    shape = (RANDOM_IMAGES, network.input_channels, network.input_size, network.input_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _check_module_name(out: Path) -> None:
    name = out.stem
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"Python cannot import {out.name!r}: name it net.py, for example")
    if name in sys.stdlib_module_names or name in ("torch", "numpy"):
        raise UserError(f"{out.name} would hide Python's own {name}: name it net.py, for example")
