"""What the reshape dialog offers: legal values only, each with the figures that the edit gives."""

import msgspec
import pytest

from sessions import edits, macs, offers
from sessions.edits import Cut, EditError, Rank
from sessions.events import Evaluation
from sessions.score import CONTEST
from sessions.state import Variant

F1 = 0.7


def variant(network, f1=F1):
    found = None if f1 is None else Evaluation(
        split="validation", images=9, f1=f1, accuracy=f1, classes=()
    )  # fmt: skip
    return Variant(
        number=0, parent=None, label="opened", network=network, macs=macs.count(network),
        evaluation=found,
    )  # fmt: skip


ROWS = {
    "stage3": {"width", "mid", "groups", "kernel"},
    "stage2.unit4": {"mid", "groups", "kernel", "widen"},
    "stage2.unit4.compress_conv1": {"groups", "rank"},
    "stage2.unit4.expand_conv3": {"groups", "rank"},
    "stage2.unit4.dw_conv2": {"kernel"},
    "stage2.unit4.dw_bn2": set(),
    "stage1.unit1.avgpool": set(),
    "init": {"width", "rank"},
    "init.conv": {"rank"},
    "output.head": {"rank"},
    "nowhere": set(),
}


@pytest.mark.parametrize("path", ROWS)
def test_a_row_offers_what_can_be_changed_of_it(published, path):
    found = offers.offers(published(), path)
    assert {offer.name for offer in found} == ROWS[path]


@pytest.mark.parametrize("path", [path for path, names in ROWS.items() if names])
def test_every_value_can_be_applied_and_has_its_own_figures(published, path):
    network = published()
    base = variant(network)
    for offer in offers.offers(network, path):
        for preview in offers.previews(base, offer, CONTEST):
            if preview.edit is None:
                assert preview.value == str(offer.now)
                assert preview.change == 0
                continue
            count = macs.count(edits.apply(network, preview.edit))
            assert (preview.macs, preview.change) == (count, count - base.macs)
            assert preview.score == CONTEST.score(count, F1)
            assert preview.worth == CONTEST.break_even(base.macs - count)
            assert edits.parse(edits.text(preview.edit)) == preview.edit


def test_cuts_carry_the_criterion_that_was_chosen(published):
    network = published()
    (width, *_) = offers.offers(network, "stage3")
    for preview in offers.previews(variant(network), width, CONTEST, "fpgm"):
        assert preview.edit is None or (
            isinstance(preview.edit, Cut) and preview.edit.criterion == "fpgm"
        )


def test_both_ranks_of_a_larger_kernel_shrink_together(published):
    network = published()
    (rank,) = offers.offers(network, "init.conv")
    found = [preview.edit for preview in offers.previews(variant(network), rank, CONTEST)]
    assert found[0] == Rank("init.conv", (1, 1))
    assert found[-1] == Rank("init.conv", (3, 6))


def test_without_an_f1_there_is_no_score(published):
    network = published()
    (width, *_) = offers.offers(network, "stage3")
    assert all(p.score is None for p in offers.previews(variant(network, None), width, CONTEST))


def test_a_decomposed_layer_offers_no_rank_of_its_own(published):
    network = edits.apply(published(), Rank("init.conv", (2, 4)))
    assert offers.offers(network, "init.conv") == ()
    with pytest.raises(EditError, match=r"init\.conv_"):
        edits.apply(network, Rank("init.conv", (2, 4)))


def test_where_units_differ_their_values_are_marked_and_every_one_is_an_edit(published):
    network = edits.apply(published(), edits.Mid("stage2.unit4", 24))
    (mid,) = (offer for offer in offers.offers(network, "stage2") if offer.name == "mid")
    assert (mid.is_mixed, mid.present) == (True, (24, 30))
    found = offers.previews(variant(network), mid, CONTEST)
    assert [preview.value for preview in found if preview.is_present] == ["24"]
    assert all(preview.edit is not None for preview in found)
    same = next(preview for preview in found if preview.value == "24")
    assert same.change < 0  # the other units are cut to it


def test_values_that_agree_are_one_and_no_edit(published):
    (mid,) = (offer for offer in offers.offers(published(), "stage2") if offer.name == "mid")
    found = offers.previews(variant(published()), mid, CONTEST)
    assert (mid.is_mixed, mid.present) == (False, (30,))
    assert [preview.value for preview in found if preview.edit is None] == ["30"]


def test_a_criterion_on_images_takes_the_scores_that_were_measured(published):
    measured = msgspec.structs.replace(variant(published()), scores="fa" * 32)
    (width, *_) = offers.offers(published(), "stage3")
    for criterion, scores in (("taylor", "fa" * 32), ("l2", "")):
        first = offers.previews(measured, width, CONTEST, criterion)[0]
        assert first.edit.scores == scores


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("init", "channels of init"),
        ("stage3.new", "channels that stage3 adds"),
        ("stage2.unit4.mid", "bottleneck of stage2.unit4"),
    ],
)
def test_an_axis_is_named_by_whose_channels_it_has(published, axis, words):
    assert axis in published().axes
    assert offers.axis_title(published(), axis) == words
