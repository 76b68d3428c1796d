"""Factors: the least possible error, ranks by energy and by variational Bayes, no bias invented."""

import numpy as np
import pytest
import torch

from sessions import decomposing
from sessions.edits import EditError, Rank
from workbench.surgery import decompose
from workbench.surgery.build import build
from workbench.surgery.carry import carry, checked_error

GROUPED = "stage3.unit2.expand_conv3"


@pytest.mark.parametrize("path", [GROUPED, "stage1.unit1.compress_conv1", "output.head"])
@pytest.mark.parametrize("rank", [1, 3])
def test_the_error_is_the_least_that_a_rank_allows(network, state, path, rank):
    layer = decomposing.decomposable(network, path)
    found = decompose.factored(network, state, layer, (rank,))
    weight = state[f"{layer.key}.weight"].double().numpy()
    blocks = weight.reshape(network.groups(layer), -1, weight.shape[1])
    values = [np.linalg.svd(block, compute_uv=False) for block in blocks]
    least = sum(np.square(v[rank:]).sum() for v in values)
    lost = np.square(weight - found.rebuilt.double().numpy()).sum()
    assert lost == pytest.approx(least, rel=1e-4)
    assert found.kept == pytest.approx(1 - least / np.square(weight).sum())


@pytest.mark.parametrize("path", [GROUPED, "output.head", "init.conv"])
def test_what_ranks_keep_rises_to_all(network, state, path):
    layer = decomposing.decomposable(network, path)
    kept = decompose.kept_by_rank(network, state, layer)
    assert kept == sorted(kept)
    assert kept[-1] == pytest.approx(1)
    if layer.kernel == 1:
        for rank, share in enumerate(kept, start=1):
            found = decompose.factored(network, state, layer, (rank,))
            assert found.kept == pytest.approx(share)


@pytest.mark.parametrize("share", [50, 90, 99])
@pytest.mark.parametrize("path", [GROUPED, "output.head"])
def test_a_share_takes_the_least_rank_that_keeps_it(network, state, path, share):
    layer = decomposing.decomposable(network, path)
    (rank,) = decompose.chosen(network, state, Rank(path, rule=f"{share}%")).ranks
    kept = [0.0, *decompose.kept_by_rank(network, state, layer)]
    assert kept[rank] >= share / 100
    assert kept[rank - 1] < share / 100


@pytest.mark.parametrize("rule", ["0%", "101%", "half", "x%"])
def test_a_rule_that_is_none_is_refused(network, state, rule):
    with pytest.raises(EditError, match="neither a number"):
        decompose.chosen(network, state, Rank(GROUPED, rule=rule))


@pytest.mark.parametrize(("rows", "columns", "planted"), [(80, 60, 5), (60, 80, 12), (240, 40, 3)])
def test_variational_bayes_finds_the_planted_rank(rows, columns, planted):
    rng = np.random.default_rng(rows)
    signal = rng.normal(size=(rows, planted)) @ rng.normal(size=(planted, columns))
    noisy = signal + 0.3 * rng.normal(size=(rows, columns))
    assert abs(decompose._vbmf_rank(noisy) - planted) <= 1


def test_pure_noise_has_no_rank_to_speak_of():
    noise = np.random.default_rng(0).normal(size=(120, 90))
    assert decompose._vbmf_rank(noise) <= 1


def test_tucker_at_full_rank_is_the_layer(network, state):
    layer = decomposing.decomposable(network, "init.conv")
    full = decomposing.full_ranks(network, layer)
    found = decompose.factored(network, state, layer, full)
    assert found.kept == pytest.approx(1)
    assert torch.allclose(found.rebuilt, state["features.init_block.conv.weight"], atol=1e-6)


@pytest.mark.parametrize(
    "edit", [Rank("init.conv", (2, 4)), Rank(GROUPED, (8,)), Rank("output.head", (3,))]
)
def test_no_bias_is_invented_and_none_is_lost(network, state, edit):
    """A published script left a random bias on the last 1x1 conv after Tucker."""
    carried = carry(network, state, edit)
    assert checked_error(carried, edit) < 1e-5
    layer = decomposing.decomposable(network, edit.layer)
    biases = [k for k in carried.state if k.startswith(layer.key) and k.endswith(".bias")]
    if layer.has_bias:
        assert biases == [f"{layer.key}_out.bias"]
        assert torch.equal(carried.state[biases[0]], state[f"{layer.key}.bias"])
    else:
        assert biases == []
    module = build(carried.network, carried.state)
    assert {k for k in module.state_dict() if k.endswith(".bias")} <= carried.state.keys()


def test_other_layers_are_left_alone(network, state):
    carried = carry(network, state, Rank(GROUPED, (8,)))
    for name, value in state.items():
        if not name.startswith("features.stage3.unit2.expand_conv3."):
            assert torch.equal(carried.state[name], value)
