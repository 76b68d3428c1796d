"""What is told of channels is what a cut does: the same criterion, the same channels taken."""

import numpy as np
import pytest

from sessions import edits, reshaping
from sessions.edits import EditError
from workbench.screens import panel_views
from workbench.surgery.carry import carry
from workbench.surgery.channels import describe


def test_the_channels_said_to_go_are_those_that_the_cut_takes(published, random_state):
    network = published()
    state = random_state(network, 5)
    for path in ("stage2.unit4", "stage3"):
        target = panel_views.channel_targets(network, path)[0]
        cut = panel_views.next_cut(target, "l1", "")
        assert cut is not None
        found = describe(network, state, target.axis, "l1", cut)
        order = carry(network, state, cut).orders[target.axis]
        assert len(found.importance) == target.width
        assert np.mean(found.importance) == pytest.approx(1.0)
        assert set(found.taken) | set(order) == set(range(target.width))
        assert not set(found.taken) & set(order)
        assert found.taken


def test_without_a_cut_there_is_importance_alone(published, random_state):
    network = published()
    found = describe(network, random_state(network, 5), "image", "l2", None)
    assert len(found.importance) == 3
    assert found.taken == ()


def test_measured_scores_are_taken_as_they_are(published, random_state):
    network = published()
    target = panel_views.channel_targets(network, "stage2.unit4")[0]
    scores = {target.axis: [float(at) for at in range(target.width)]}
    found = describe(network, random_state(network, 5), target.axis, "taylor", None, scores)
    assert np.argsort(found.importance).tolist() == list(range(target.width))


def test_a_cut_that_is_not_legal_is_refused(published, random_state):
    network = published()
    with pytest.raises(EditError):
        describe(network, random_state(network, 5), "image", "l2", edits.Mid("stage2.unit4", 7))


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("stage2.unit4", ["bottleneck of stage2.unit4", "channels of stage2"]),
        ("stage2.unit4.expand_conv3", ["channels of stage2", "bottleneck of stage2.unit4"]),
        ("stage2.unit4.dw_conv2", ["bottleneck of stage2.unit4", "channels of stage2"]),
        ("init", ["channels of init"]),
        ("output", []),
    ],
)
def test_the_channels_behind_a_row_come_nearest_first(published, path, titles):
    found = panel_views.channel_targets(published(), path)
    assert [target.title for target in found] == titles


def test_a_stage_has_its_own_channels_and_the_bottlenecks_of_its_units(published):
    network = published()
    found = panel_views.channel_targets(network, "stage2")
    assert found[0].title == "channels of stage2"
    assert len(found) == 1 + len(network.stages[2].units)
    for target in found:
        legal = reshaping.options(network, target.edit, target.target)
        now = reshaping.value(network, target.edit, target.target)
        assert target.value == max(value for value in legal if value < now)
