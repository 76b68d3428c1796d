"""Low-rank forms of a layer's weights: two factors by SVD, three by Tucker-2.

Sources: M. Jaderberg et al., arXiv:1405.3866 (low rank); Y.-D. Kim et al., arXiv:1511.06530
(Tucker-2 with ranks from VBMF); S. Nakajima et al., JMLR 14 (2013), Global analytic solution of
fully-observed variational Bayesian matrix factorization.
"""

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from sessions import decomposing
from sessions.edits import EditError, Rank
from sessions.network import Layer, Network
from workbench.surgery.build import State

Matrix = NDArray[np.float64]
ITERATIONS = 10
"""Of the alternating improvement of Tucker factors."""
AUTO = "auto"


class Factors(msgspec.Struct, frozen=True):
    """The weights that take a layer's place."""

    parts: State
    """By the names of the new layers."""
    rebuilt: Tensor
    """What they multiply to, in the shape of the old weight."""
    kept: float
    """Share of the squared weights that is in it, 0..1."""


def factored(network: Network, state: State, layer: Layer, ranks: tuple[int, ...]) -> Factors:
    """Decompose a layer's weight.

    Args:
        ranks: one per group for 1x1 convs and linear layers; of input and output for larger ones.
    """
    weight = state[f"{layer.key}.weight"]
    values = weight.double().numpy()
    if layer.kernel == 1:
        parts, rebuilt = _svd(values, network.groups(layer), ranks[0])
    else:
        parts, rebuilt = _tucker(values, *ranks)
    names = [f"{layer.key}_{name}.weight" for name in decomposing.factor_names(layer)]
    made: State = {
        name: torch.from_numpy(part).to(weight.dtype).contiguous()
        for name, part in zip(names, parts, strict=True)
    }
    last = names[-1].removesuffix(".weight")
    if f"{layer.key}.bias" in state:
        made[f"{last}.bias"] = state[f"{layer.key}.bias"]
    total = float(np.square(values).sum())
    lost = float(np.square(values - rebuilt).sum())
    kept = 1.0 - lost / total if total else 1.0
    return Factors(made, torch.from_numpy(rebuilt).to(weight.dtype), kept)


def kept_by_rank(network: Network, state: State, layer: Layer) -> list[float]:
    """Share of the squared weights that every rank keeps, from rank 1 to the full one, 0..1.

    Of the input's rank where the kernel is not 1, the output's being full.
    """
    values = state[f"{layer.key}.weight"].double().numpy()
    groups = network.groups(layer)
    blocks = values.reshape(groups, len(values) // groups, *values.shape[1:])
    energy = sum(np.square(np.linalg.svd(_sides(block)[0], compute_uv=False)) for block in blocks)
    total = float(np.sum(energy))
    return [float(e) / total if total else 1.0 for e in np.cumsum(energy)]


def chosen(network: Network, state: State, edit: Rank) -> Rank:
    """The edit with its ranks worked out by its rule: auto (VBMF), or a share of kept energy.

    Raises:
        EditError: the layer cannot be decomposed, or the rule is none.
    """
    if not edit.rule:
        return edit
    layer = decomposing.decomposable(network, edit.layer)
    values = state[f"{layer.key}.weight"].double().numpy()
    groups = network.groups(layer)
    blocks = values.reshape(groups, len(values) // groups, *values.shape[1:])
    ranks = []
    for side, full in enumerate(decomposing.full_ranks(network, layer)):
        matrices = [_sides(block)[side] for block in blocks]
        if edit.rule == AUTO:
            rank = max(_vbmf_rank(matrix) for matrix in matrices)
        else:
            rank = _rank_for(matrices, _share(edit.rule))
        ranks.append(min(max(rank, 1), full))
    return Rank(edit.layer, tuple(ranks))


def _sides(block: Matrix) -> list[Matrix]:
    """A weight as matrices with its inputs, and its outputs, as rows."""
    if block.ndim == 2 or block.shape[2] == 1:
        return [block.reshape(block.shape[:2])]
    return [
        np.moveaxis(block, 1, 0).reshape(block.shape[1], -1),
        block.reshape(block.shape[0], -1),
    ]


def _svd(values: Matrix, groups: int, rank: int) -> tuple[list[Matrix], Matrix]:
    tail = (1,) * (values.ndim - 2)
    inner, outer, rebuilt = [], [], []
    for block in values.reshape(groups, len(values) // groups, -1):
        u, s, v = np.linalg.svd(block, full_matrices=False)
        root = np.sqrt(s[:rank])
        outer.append(u[:, :rank] * root)
        inner.append(root[:, None] * v[:rank])
        rebuilt.append(outer[-1] @ inner[-1])
    parts = [np.concatenate(inner), np.concatenate(outer)]
    shaped = [part.reshape(*part.shape, *tail) for part in parts]
    return shaped, np.concatenate(rebuilt).reshape(values.shape)


def _tucker(values: Matrix, in_rank: int, out_rank: int) -> tuple[list[Matrix], Matrix]:
    rows, columns = values.shape[:2]
    u_in = _leading(_sides(values)[0], in_rank)
    for _ in range(ITERATIONS):
        thin = np.einsum("oihw,ir->orhw", values, u_in)
        u_out = _leading(thin.reshape(rows, -1), out_rank)
        thin = np.einsum("oihw,or->irhw", values, u_out)
        u_in = _leading(thin.reshape(columns, -1), in_rank)
    core = np.einsum("oihw,or,is->rshw", values, u_out, u_in)
    rebuilt = np.einsum("rshw,or,is->oihw", core, u_out, u_in)
    return [u_in.T[:, :, None, None], core, u_out[:, :, None, None]], rebuilt


def _leading(matrix: Matrix, rank: int) -> Matrix:
    return np.linalg.svd(matrix, full_matrices=rank > min(matrix.shape))[0][:, :rank]


def _share(rule: str) -> float:
    try:
        share = float(rule.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not rule.endswith("%") or not 0 < share <= 1:
        raise EditError(f"rank {rule!r} is neither a number, nor auto, nor a share like 90%")
    return share


def _rank_for(matrices: list[Matrix], share: float) -> int:
    energy = sum(np.square(np.linalg.svd(m, compute_uv=False)) for m in matrices)
    if not np.any(energy):  # nothing is there to keep
        return 1
    reached = np.cumsum(energy) / float(np.sum(energy))
    return int(np.searchsorted(reached, share - 1e-12)) + 1


def _vbmf_rank(matrix: Matrix) -> int:
    """The rank above the noise: analytic empirical variational Bayes (Nakajima et al., 2013)."""
    small, large = sorted(matrix.shape)
    alpha = small / large
    tau = 2.5129 * np.sqrt(alpha)
    squares = np.square(np.linalg.svd(matrix, compute_uv=False))
    if not squares.any():
        return 1
    edge = (1 + tau) * (1 + alpha / tau)
    most = max(int(np.ceil(small / (1 + alpha))) - 1, 1)
    tail = squares[most:].mean() / large if most < small else 0.0
    low = max(squares[min(most, small - 1)] / (large * edge), tail, 1e-12 * squares[0])
    high = squares.sum() / (small * large)

    def objective(variance: float) -> float:
        x = squares / (large * variance)
        above, below = x[x > edge], x[x <= edge]
        t = 0.5 * (above - (1 + alpha) + np.sqrt(np.square(above - (1 + alpha)) - 4 * alpha))
        cost = np.sum(below - np.log(below)) + np.sum(above - t) + np.sum(np.log((t + 1) / above))
        return float(cost + alpha * np.sum(np.log(t / alpha + 1)))

    if not low < high:
        return int((squares > large * edge * high).sum())
    variance = minimize_scalar(objective, bounds=(low, high), method="bounded").x
    return int((squares > large * edge * variance).sum())
