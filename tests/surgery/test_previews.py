"""What an edit would keep: told one by one, with every command first; the fates of channels."""

import random
from collections import deque

import numpy as np
import pytest
import torch

from sessions import edits, reshaping
from sessions.commands import ApplyEdit, DescribeCuts, Lineage
from sessions.edits import EditError, Groups, Kernel, Mid, Rank, Widen, Width
from sessions.events import CUT, KEPT, MOVED, CommandFailed, CutDescribed, Edited
from workbench.engine import Engine
from workbench.surgery import decompose, store
from workbench.surgery.build import build
from workbench.surgery.carry import carry
from workbench.surgery.fates import channel_fates
from workbench.surgery.wiring import in_channels


class Scripted:
    """A channel on which each look at the queue finds the next thing of a list."""

    def __init__(self, *script):
        self.script, self.sent = deque(script), []

    @property
    def is_parent_gone(self):
        return not self.script

    def poll(self):
        return self.script.popleft()

    def next(self):
        while self.script and self.script[0] is None:
            self.script.popleft()
        return self.script.popleft() if self.script else None

    def send(self, event):
        self.sent.append(event)


@pytest.fixture
def told(network, state, tmp_path):
    """Runs an engine on a list of commands and looks; gives what it sent."""
    lineage = Lineage(store.put(tmp_path, network, state))

    def cuts(*wanted, checkpoint=lineage.checkpoint):
        return DescribeCuts(
            folder=str(tmp_path), variant=4, lineage=Lineage(checkpoint), edits=wanted
        )

    def edit(wanted):
        return ApplyEdit(folder=str(tmp_path), variant=5, parent=4, lineage=lineage, edit=wanted)

    def run(*script):
        channel = Scripted(*script)
        Engine(channel).serve()
        return channel.sent

    return cuts, edit, run


WIDTHS = [Width("stage3", value) for value in (237, 234, 231, 228)]


def test_cuts_are_described_in_order_and_as_the_edit_itself_would_be(told):
    cuts, edit, run = told
    sent = run(cuts(*WIDTHS), None, None, None, None, edit(WIDTHS[1]))
    assert [event.edit for event in sent] == [*WIDTHS, WIDTHS[1]]
    assert all(isinstance(event, CutDescribed) and event.variant == 4 for event in sent[:4])
    made = sent[-1]
    assert isinstance(made, Edited)
    assert (sent[1].kept, sent[1].kept_layers, sent[1].exact) == (
        made.kept, made.kept_layers, made.exact,
    )  # fmt: skip


def test_a_newer_question_takes_the_place_of_an_older_one(told):
    cuts, _, run = told
    newer = Mid("stage2.unit2", 27)
    sent = run(cuts(*WIDTHS), None, cuts(newer), None, None, None)
    assert [event.edit for event in sent] == [WIDTHS[0], newer]


def test_an_edit_waits_for_one_cut_at_most_and_ends_the_question(told):
    cuts, edit, run = told
    sent = run(cuts(*WIDTHS), None, edit(WIDTHS[3]), None, None, None)
    assert [type(event) for event in sent] == [CutDescribed, Edited]


def test_an_empty_question_ends_the_one_before(told):
    cuts, _, run = told
    sent = run(cuts(*WIDTHS), None, cuts(), None, None)
    assert len(sent) == 1


def test_a_cut_that_would_be_refused_says_why_and_the_rest_goes_on(told):
    cuts, _, run = told
    sent = run(cuts(Width("stage3", 1), WIDTHS[0]), None, None)
    assert "come from the stage before" in sent[0].reason
    assert sent[1].reason == ""


def test_without_weights_one_failure_is_told_for_all(told):
    cuts, _, run = told
    sent = run(cuts(*WIDTHS, checkpoint="00" * 32), None, None, None)
    assert [type(event) for event in sent] == [CommandFailed]


def whole(network, fates, axis):
    """The fates of any axis, those with parts included; axes that are not told of stay."""
    parts = network.axes[axis].parts
    if parts:
        return "".join(whole(network, fates, part) for part in parts)
    return fates.get(axis, KEPT * network.width(axis))


def test_between_channels_that_are_kept_in_their_groups_every_connection_is(random_network):
    rng, tried = random.Random(5), 0
    for _ in range(30):
        network = random_network(rng)
        name = rng.choice(("width", "mid"))
        stages = [stage.path for stage in network.stages if not stage.is_plain]
        target = rng.choice(stages)
        value = rng.choice(reshaping.options(network, name, target))
        torch.manual_seed(0)
        state = build(network).state_dict()
        try:
            carried = carry(network, state, edits.parse(f"{name}:{target}={value}"))
        except EditError:
            continue
        found = channel_fates(network, carried.network, carried.orders)
        fates = {axis.axis: axis.fates for axis in found}
        for axis in found:
            gone = network.width(axis.axis) - carried.network.width(axis.axis)
            assert axis.fates.count(CUT) == gone
        places = in_channels(network)
        for _, layer in network.layers():
            if layer.kind != "conv" or f"{layer.key}.weight" not in state:
                continue
            weight, masked = (s[f"{layer.key}.weight"].numpy() for s in (state, carried.masked))
            rows, columns = weight.shape[:2]
            groups = network.groups(layer)
            block = np.arange(rows) // (rows // groups)
            channels = places[layer.path][block[:, None] * columns + np.arange(columns)]
            out, into = (
                np.array(list(whole(network, fates, axis))) == KEPT
                for axis in (layer.out_axis, layer.in_axis)
            )
            stays = out[:, None] & into[channels]
            assert (weight[stays] == masked[stays]).all()
            tried += stays.sum()
    assert tried > 1000


def test_channels_that_swap_their_groups_have_moved_and_no_others(network):
    order = list(range(network.width("stage2.unit2.mid")))
    order[0], order[-1] = order[-1], order[0]
    (found,) = channel_fates(network, network, {"stage2.unit2.mid": order})
    assert found.fates == MOVED + KEPT * (len(order) - 2) + MOVED
    assert found.groups == 3


def test_channels_behind_others_that_go_move_though_their_order_stays(network, state):
    carried = carry(network, state, Width("stage1", network.width("stage1") - 12))
    found = {f.axis: f for f in channel_fates(network, carried.network, carried.orders)}
    assert next(iter(found)) == "stage1.new"  # what is cut comes first
    assert found["stage1.new"].fates.count(CUT) == 12
    assert MOVED in found["stage2.new"].fates
    assert CUT not in found["stage2.new"].fates


@pytest.mark.parametrize(
    "edit", [Groups("stage3.unit2", 1), Kernel("stage2.unit2", 5), Widen("stage2.unit2", 36)]
)
def test_where_nothing_is_lost_no_channel_moves(network, state, edit):
    carried = carry(network, state, edit)
    assert carried.exact
    assert channel_fates(network, carried.network, carried.orders) == ()


def test_of_weights_that_are_all_zero_the_least_rank_keeps_any_share(network, state):
    path = "stage3.unit2.expand_conv3"
    key = next(x.key for _, x in network.layers() if x.path == path)
    state[f"{key}.weight"].zero_()
    for rule in ("90%", "100%", "auto"):
        assert decompose.chosen(network, state, Rank(path, rule=rule)).ranks == (1,)
