"""An edit is made whole or not at all."""

import pytest
import torch

from sessions import edits
from sessions.edits import EditError
from workbench.surgery import carry as carrying
from workbench.surgery import reshape, wiring


def same(found, wanted):
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


class Fault(Exception):
    pass


def faulty(*args, **kwargs):
    raise Fault


FAULTS = [
    (edits, "apply"),
    (reshape, "axis_scores"),
    (wiring.Wiring, "plain"),
    (wiring.Wiring, "best"),
    (wiring.Wiring, "kept"),
    (reshape._Carrier, "_conv"),
    (reshape._Carrier, "_norm"),
    (reshape._Carrier, "_depthwise"),
    (carrying, "run"),
]


@pytest.mark.parametrize(("owner", "name"), FAULTS)
@pytest.mark.parametrize("text", ["mid:stage3=48", "mid:stage2=24", "groups:stage3=6"])
def test_a_fault_at_any_step_changes_nothing(monkeypatch, network, state, owner, name, text):
    kept_network, kept = network, {k: v.clone() for k, v in state.items()}
    edit = edits.parse(text)
    monkeypatch.setattr(owner, name, faulty)
    with pytest.raises(Fault):
        carrying.checked_error(carrying.carry(network, state, edit), edit)
    monkeypatch.undo()
    assert network == kept_network
    assert same(state, kept)
    assert carrying.checked_error(carrying.carry(network, state, edit), edit) < 1e-5


@pytest.mark.parametrize("name", ["factored", "_svd"])
def test_a_fault_in_a_decomposition_changes_nothing(monkeypatch, network, state, name):
    kept = {k: v.clone() for k, v in state.items()}
    monkeypatch.setattr(carrying.decompose, name, faulty)
    with pytest.raises(Fault):
        carrying.carry(network, state, edits.parse("rank:output.head=2"))
    assert same(state, kept)


def test_a_result_that_is_wrong_is_refused(monkeypatch, network, state):
    """Weights that were carried to the wrong places do not get past the check."""
    kept = {k: v.clone() for k, v in state.items()}
    real = reshape._Carrier._conv

    def wrong(self, layer, after):
        parts, masked = real(self, layer, after)
        return {k: v.flip(0) for k, v in parts.items()}, masked

    monkeypatch.setattr(reshape._Carrier, "_conv", wrong)
    edit = edits.parse("mid:stage2=24")
    with pytest.raises(EditError, match="not made, for its check failed"):
        carrying.checked_error(carrying.carry(network, state, edit), edit)
    assert same(state, kept)


@pytest.mark.parametrize(
    "text", ["width:stage3=180", "mid:stage2=24", "groups:stage3=6", "rank:output.head=2"]
)
def test_weights_that_are_no_numbers_are_refused_with_the_way_back(network, state, text):
    for value in state.values():
        if value.is_floating_point():
            value.view(-1)[0] = float("nan")
    with pytest.raises(EditError, match=r"not finite numbers.*variant from before"):
        carrying.carry(network, state, edits.parse(text))


def test_a_rank_of_a_unit_whose_weights_are_gone_is_refused(network, state):
    off = edits.apply(network, edits.parse("off:stage2.unit2"))
    left = {k: v for k, v in state.items() if not k.startswith("features.stage2.unit2")}
    layer = off.units["stage2.unit2"].branch[0].path
    with pytest.raises(EditError, match="no weights in this file"):
        carrying.carry(off, left, edits.parse(f"rank:{layer}=2"))
