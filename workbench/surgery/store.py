"""The session's checkpoints: files named by the hash of their content, written once, never changed.

A checkpoint also keeps the weights of off units, so that they can come back.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import msgspec
import safetensors
import safetensors.torch
from torch import Tensor

from sessions.commands import Lineage
from sessions.edits import Classes, Cut, Edit, InputSize
from sessions.log import CHECKPOINTS
from sessions.network import Network
from workbench.errors import UserError, explain
from workbench.surgery.build import State, expected_shapes
from workbench.surgery.carry import Carried, carry
from workbench.surgery.files import stored_network, to_safetensors, write_atomically

CACHED = 8
"""Derived variants kept in memory."""


def put(folder: Path, network: Network, state: State) -> str:
    """Store a network with its weights and return its name.

    Raises:
        UserError: it cannot be written.
    """
    content = to_safetensors(network, state)
    name = hashlib.sha256(content).hexdigest()
    path = _path(folder, name)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {path.parent}: {explain(error)}") from error
        write_atomically(path, content)
    return name


def get(folder: Path, name: str) -> tuple[Network, State]:
    """Read a stored checkpoint.

    Raises:
        UserError: it is missing, or its content is not what its name says.
    """
    path = _path(folder, name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read checkpoint {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != name:
        raise UserError(f"checkpoint {path} is damaged: restore the session from a copy")
    return stored_network(path, content), safetensors.torch.load(content)


def weights_sha256(network: Network, state: State) -> str:
    """A hash over names, shapes and values of everything that is on, batch counters left out."""
    digest = hashlib.sha256()
    for name, shape in sorted(expected_shapes(network).items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name}{shape}".encode())
            digest.update(_bytes(state[name]))
    return digest.hexdigest()


class Deriver:
    """Turns lineages into weights and keeps the latest ones."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[Path, Lineage], tuple[Network, State]] = OrderedDict()

    def __call__(self, folder: Path, lineage: Lineage) -> tuple[Network, State]:
        """The network and weights of a lineage.

        Raises:
            UserError: its checkpoint cannot be read.
        """
        key = (folder, lineage)
        if key not in self._cache:
            if lineage.edits:
                parent = Lineage(lineage.checkpoint, lineage.edits[:-1])
                edit = lineage.edits[-1]
                carried = carry(*self(folder, parent), edit, get_scores(folder, edit))
                self._cache[key] = carried.network, carried.state
            else:
                self._cache[key] = get(folder, lineage.checkpoint)
        self._cache.move_to_end(key)
        self._forget()
        return self._cache[key]

    def remember(self, folder: Path, lineage: Lineage, carried: Carried) -> None:
        """Keep what was just worked out: the next edit mostly starts from it."""
        self._cache[folder, lineage] = carried.network, carried.state
        self._forget()

    def _forget(self) -> None:
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)


def put_scores(folder: Path, scores: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Store channel scores, by criterion and axis, and return their name.

    Raises:
        UserError: they cannot be written.
    """
    content = msgspec.json.encode(scores)
    name = hashlib.sha256(content).hexdigest()
    path = folder / CHECKPOINTS / f"{name}.json"
    if not path.exists():
        write_atomically(path, content)
    return name


def get_scores(folder: Path, edit: Edit) -> dict[str, list[float]] | None:
    """The channel scores that an edit goes by; None where its criterion needs none.

    Raises:
        UserError: they are missing, or their content is not what their name says.
    """
    return named_scores(folder, edit.scores, edit.criterion) if isinstance(edit, Cut) else None


def named_scores(folder: Path, name: str, criterion: str) -> dict[str, list[float]] | None:
    """Stored channel scores by their name; None where that is empty.

    Raises:
        UserError: see `get_scores`.
    """
    if not name:
        return None
    path = folder / CHECKPOINTS / f"{name}.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read scores {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != name:
        raise UserError(f"scores {path} are damaged: restore the session from a copy")
    return msgspec.json.decode(content, type=dict[str, dict[str, list[float]]])[criterion]


class Since(msgspec.Struct, frozen=True):
    """A variant beside what it was edited from."""

    original: tuple[Network, State]
    """The stored checkpoint, at the variant's input size and with its classes."""
    edited: tuple[Network, State]
    orders: dict[str, list[int]]
    """For every axis that changed, the original's channel at each place; -1 for a new one."""

    @property
    def is_edited(self) -> bool:
        """Whether anything was cut since."""
        return self.original[0] != self.edited[0]


def derive_since(folder: Path, lineage: Lineage) -> Since:
    """What became of a stored checkpoint, and where its channels went.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    original = network, state = get(folder, lineage.checkpoint)
    orders: dict[str, list[int]] = {}
    for edit in lineage.edits:
        carried = carry(network, state, edit, get_scores(folder, edit))
        network, state = carried.network, carried.state
        if isinstance(edit, Classes | InputSize):  # other outputs, or other images
            original, orders = (network, state), {}
        for axis, order in carried.orders.items():
            before = orders.get(axis)
            orders[axis] = [c if c < 0 or before is None else before[c] for c in order]
    return Since(original, (network, state), orders)


def _path(folder: Path, name: str) -> Path:
    return folder / CHECKPOINTS / f"{name}.safetensors"


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
