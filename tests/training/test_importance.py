"""Channel scores measured on images: what the loss does not hang on scores nothing."""

import numpy as np
import pytest
import torch

from sessions import edits
from workbench.errors import UserError
from workbench.surgery import store
from workbench.surgery.build import build
from workbench.surgery.carry import carry, checked_error
from workbench.surgery.families import shufflenet
from workbench.training.images.data import Split
from workbench.training.importance import measure

DEAD = 2


@pytest.fixture
def network():
    made = shufflenet.fresh(units=(2, 2, 2), classes=4)
    return edits.apply(made, edits.InputSize(32))


@pytest.fixture
def state(network):
    torch.manual_seed(5)
    return build(network).state_dict()


@pytest.fixture
def train():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (64, 32, 32, 3), dtype=np.uint8)
    return Split(images, np.arange(64), rng.integers(0, 4, 64))


def test_every_axis_and_channel_has_a_score(network, state, train):
    found = measure(network, state, train, seed=0)
    wanted = {
        name: axis.width
        for name, axis in network.axes.items()
        if not axis.parts and name not in ("image", "classes")
    }
    for by_axis in found.values():
        assert {name: len(values) for name, values in by_axis.items()} == wanted
        assert all(min(values) >= 0 and max(values) > 0 for values in by_axis.values())


def test_a_channel_that_leads_nowhere_scores_nothing_by_taylor(network, state, train):
    key = "features.stage2.unit2.expand_conv3.weight"
    weight = state[key].clone()
    width, groups = network.width("stage2.unit2.mid"), 3
    place = [p for i in range(width // groups) for p in range(i, width, width // groups)]
    at = place.index(DEAD)  # behind the shuffle
    rows = slice(at // (width // groups) * 40, (at // (width // groups) + 1) * 40)
    weight[rows, at % (width // groups)] = 0
    found = measure(network, state | {key: weight}, train, seed=0)
    scores = found["taylor"]["stage2.unit2.mid"]
    assert scores[DEAD] == 0
    untouched = measure(network, state, train, seed=0)["taylor"]["stage2.unit2.mid"]
    assert untouched[DEAD] > 0
    assert sum(value > 0 for value in scores) > len(scores) // 2


def test_a_silent_channel_scores_nothing_by_activation(network, state, train):
    key = "features.stage1.unit2.compress_bn1"
    muted = {name: state[f"{key}.{name}"].clone() for name in ("weight", "bias")}
    for value in muted.values():
        value[DEAD] = 0
    muted = {f"{key}.{name}": value for name, value in muted.items()}
    scores = measure(network, state | muted, train, seed=0)["activation"]["stage1.unit2.mid"]
    assert scores[DEAD] == 0
    assert sorted(scores)[1] > 0


def test_it_can_be_ended_and_is_the_same_again(network, state, train):
    assert measure(network, state, train, 0, lambda done, total: done < 32) is None
    assert measure(network, state, train, seed=3) == measure(network, state, train, seed=3)


def test_a_cut_by_measured_scores_is_derived_again_from_the_session(
    tmp_path, network, state, train
):
    name = store.put(tmp_path, network, state)
    scores = store.put_scores(tmp_path, measure(network, state, train, seed=0))
    edit = edits.Mid("stage2.unit2", 15, criterion="taylor", scores=scores)
    measured = store.get_scores(tmp_path, edit)
    carried = carry(network, state, edit, measured)
    assert checked_error(carried, edit) < 1e-5
    again = store.derive_since(tmp_path, store.Lineage(name, (edit,)))
    for key, value in carried.state.items():
        assert torch.equal(again.edited[1][key], value)


def test_damaged_scores_are_refused(tmp_path, network, state, train):
    store.put(tmp_path, network, state)
    scores = store.put_scores(tmp_path, {"taylor": {"init": [1.0]}})
    (path,) = tmp_path.glob("*/*.json")
    path.write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        store.get_scores(tmp_path, edits.Mid("x", 1, criterion="taylor", scores=scores))
