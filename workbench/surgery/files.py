"""Model files: reading what users have, writing what they can load anywhere.

Reading never runs code from a file (weights_only) and never trusts it; writing is atomic.
"""

import hashlib
import io
import json
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sessions import edits
from sessions.checking import check
from sessions.network import Network, sized
from workbench.errors import UserError, explain
from workbench.surgery import families
from workbench.surgery.build import State, expected_shapes, try_out
from workbench.surgery.compact import compact

FORMAT = "workbench-model"
SUFFIXES = (".pt", ".pth", ".safetensors")
INPUT_MARK = "features.init_block."
_OPTIONAL = "num_batches_tracked"
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


class ModelFile(msgspec.Struct, frozen=True):
    """A model as read from a file."""

    network: Network
    state: State
    sha256: str
    notes: tuple[str, ...] = ()
    """What was done to open it, in words."""


def read_model(path: Path, input_size: int | None = None) -> ModelFile:
    """Open a model file: a plain or wrapped state_dict, safetensors, or one of ours.

    Args:
        input_size: edge in pixels; None keeps the file's own, or the family's.

    Raises:
        UserError: the file cannot be opened; the message names the next step.
    """
    content = _content(path)
    notes: list[str] = []
    structure, tensors = _tensors(path, content, notes)
    state = _checked(path, tensors, notes)
    if structure is None:
        network = families.describe({name: tuple(value.shape) for name, value in state.items()})
    else:
        network = _structure(path, structure)
    _match(path, network, state)
    if structure is not None:
        try:
            try_out(network, state)
        except ValueError as error:
            raise UserError(f"{path} has a broken structure ({error}): save it again") from None
    if input_size is not None and input_size != network.input_size:
        try:
            network = edits.apply(network, edits.InputSize(input_size))
        except edits.EditError as error:
            raise UserError(f"{path.name}: {error}") from error
    return ModelFile(network, state, hashlib.sha256(content).hexdigest(), tuple(notes))


class Saved(msgspec.Struct, frozen=True):
    """What was written."""

    sha256: str
    bytes: int
    network: Network
    renamed: dict[str, str]
    """Units whose name changed because units before them are off, new name by old."""


def save(path: Path, network: Network, state: State) -> Saved:
    """Write what is on, with its units numbered without gaps, and read it back.

    Raises:
        UserError: unknown suffix, no such folder, no permission, no space: nothing is written;
            or the file does not read back as it was written.
    """
    check_target(path)
    smaller, tensors = compact(network, state)
    content = to_safetensors(smaller, tensors)
    if path.suffix != ".safetensors":
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "network": _json(smaller), "state_dict": tensors}, buffer)
        content = buffer.getvalue()
    write_atomically(path, content)
    again = read_model(path).state
    if again.keys() != tensors.keys() or not all(torch.equal(again[k], tensors[k]) for k in again):
        raise UserError(f"{path} does not read back as it was written: save it elsewhere")
    on = [unit.path for unit in network.units.values() if unit.is_on]
    renamed = {old: new for old, new in zip(on, smaller.units, strict=True) if old != new}
    return Saved(hashlib.sha256(content).hexdigest(), len(content), smaller, renamed)


def check_target(path: Path) -> None:
    """Make sure, before any work, that a model could be saved under this name.

    Raises:
        UserError: unknown suffix, a folder, or no folder to write in.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"cannot save as {path.name!r}: end the name in {', '.join(SUFFIXES)}")
    check_place(path)


def check_place(path: Path) -> None:
    """Make sure that a file could be written under this name.

    Raises:
        UserError: a folder, or no folder to write in.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path}: that is a folder; give a file name")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: the folder does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"cannot write {path}: no permission to write there; choose another place")


def to_safetensors(network: Network, state: State) -> bytes:
    """Structure and weights as the bytes of one safetensors file."""
    # One entry: the order of several is not fixed, and the content names a checkpoint.
    metadata = {FORMAT: _json(network)}
    return safetensors.torch.save({k: v.contiguous() for k, v in state.items()}, metadata)


def stored_network(path: Path, content: bytes) -> Network:
    """The structure beside the weights in the bytes of a safetensors file of ours.

    Raises:
        UserError: it is not one.
    """
    structure, _ = _from_safetensors(path, content)
    if structure is None:
        raise UserError(f"{path} has no structure beside its weights: it is not one of ours")
    return _structure(path, structure)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename.

    Raises:
        UserError: it cannot be written; no partial file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {explain(error)}") from error


def _json(network: Network) -> str:
    return msgspec.json.encode(network).decode()


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path} is a folder without a session: name a model file or a session")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no file {path}: check the path") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not content:
        raise UserError(f"{path} is empty: download or save it again")
    return content


def _tensors(
    path: Path, content: bytes, notes: list[str]
) -> tuple[str | None, Mapping[str, object]]:
    """The structure, where the file stores one, and its mapping of tensors."""
    if content[8:9] == b"{" and not content.startswith(b"PK"):
        return _from_safetensors(path, content)
    try:
        value = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(_refused(path, str(error))) from None
    except Exception as error:
        is_ours = content[:2] in (b"PK", b"\x80\x02")
        kind = "damaged or cut short" if is_ours else "not a PyTorch checkpoint"
        raise UserError(
            f"{path} is {kind}: download it again, or save it again with "
            "torch.save(model.state_dict(), ...)"
        ) from error
    structure = None
    if isinstance(value, Mapping) and value.get("format") == FORMAT:
        structure = value.get("network")
        if not isinstance(structure, str):
            raise UserError(f"{path} has no structure beside its weights: save it again")
    return structure, _unwrapped(path, value, notes)


def _refused(path: Path, message: str) -> str:
    if found := _GLOBAL.search(message):
        return (
            f"{path} holds Python objects ({found[1]}), which could run code when loaded: "
            "save the weights alone with torch.save(model.state_dict(), ...)"
        )
    return (
        f"{path} is not a PyTorch checkpoint: save one with torch.save(model.state_dict(), ...) "
        "or as .safetensors"
    )


def _from_safetensors(path: Path, content: bytes) -> tuple[str | None, Mapping[str, object]]:
    try:
        tensors = safetensors.torch.load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}): download or save it again"
        ) from None
    return metadata.get(FORMAT), tensors


def _unwrapped(path: Path, value: object, notes: list[str]) -> Mapping[str, object]:
    for _ in range(4):
        if not isinstance(value, Mapping):
            break
        if value and all(isinstance(item, Tensor) for item in value.values()):
            return value
        inner = [
            (name, item)
            for name, item in value.items()
            if isinstance(item, Mapping)
            and any(isinstance(x, Tensor | Mapping) for x in item.values())
        ]
        preferred = ("state_dict", "model", "model_state_dict", "net", "ema", "weights")
        inner.sort(key=lambda found: preferred.index(found[0]) if found[0] in preferred else 99)
        if not inner:
            break
        name, value = inner[0]
        if name != "state_dict":
            notes.append(f"weights found under {name!r}")
    raise UserError(
        f"{path} holds no state_dict: save one with torch.save(model.state_dict(), ...)"
    )


def _checked(path: Path, tensors: Mapping[str, object], notes: list[str]) -> State:
    """Plain float32 tensors without name prefixes.

    Raises:
        UserError: something in it is no usable tensor, or is not finite.
    """
    names = [name for name in tensors if isinstance(name, str)]
    mark = next((name for name in names if INPUT_MARK in name), "")
    prefix = mark[: mark.find(INPUT_MARK)]
    if prefix:
        notes.append(f"name prefix {prefix!r} taken off")
    state: State = {}
    broken = []
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f"{path}: {name!r} is not a named tensor")
        if value.layout != torch.strided or value.is_complex() or value.is_quantized:
            raise UserError(
                f"{path}: {name} is sparse, complex or quantized; dense floats are needed"
            )
        if value.is_floating_point():
            value = value.to(torch.float32)
            if not bool(torch.isfinite(value).all()):
                broken.append(name)
        state[name.removeprefix(prefix)] = value.detach().contiguous()
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise UserError(
            f"{path} holds NaN or infinite values in {broken[0]}{more}: take an earlier checkpoint"
        )
    return state


def _structure(path: Path, structure: str) -> Network:
    try:
        network = msgspec.json.decode(structure, type=Network)
        check(network)
        return sized(network, network.input_size)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} has a broken structure ({error}): save it again") from None


def _match(path: Path, network: Network, state: State) -> None:
    """Make sure that the tensors are those of the network, and fill in optional ones."""
    expected = expected_shapes(network)
    for name in expected:
        if name.endswith(_OPTIONAL):
            state.setdefault(name, torch.tensor(0))
    missing = sorted(expected.keys() - state.keys())
    extra = sorted(state.keys() - expected.keys())
    if missing or extra:
        what = f"{missing[0]} is missing" if missing else f"{extra[0]} is not part of it"
        raise UserError(f"{path} is not a whole {network.family} checkpoint: {what}")
    for name, shape in expected.items():
        if tuple(state[name].shape) != shape:
            raise UserError(f"{path}: {name} has shape {tuple(state[name].shape)}, not {shape}")
