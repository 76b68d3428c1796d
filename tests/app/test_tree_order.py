"""Which rows of the tree are shown, and in which order."""

from typing import Any

import pytest

from sessions import edits, macs
from sessions.network import Network
from sessions.score import CONTEST
from sessions.state import Variant
from widgets.rows import Row, compared, tree_rows
from widgets.tree_order import children_of, filtered, unknown_words, visible


def cut_down(network: Network) -> Network:
    for text in ("off:stage2.unit4", "mid:stage1.unit2=9", "rank:stage3.unit2.expand_conv3=4"):
        network = edits.apply(network, edits.parse(text))
    return network


@pytest.fixture
def rows(network: Network, events: dict[str, Any]) -> tuple[Row, ...]:
    """The published network, with a unit off, one cut and a layer decomposed."""
    cut = cut_down(network)
    stats = events["model"](network).stats
    variant = Variant(
        number=0, parent=None, label="", network=cut, macs=macs.count(cut), stats=stats
    )
    return tree_rows(variant, network, CONTEST)


STAGES = ["init", "stage1", "stage2", "stage3", "output"]


def paths(found: list[Row]) -> list[str]:
    return [row.path for row in found]


def test_only_what_is_unfolded_is_shown(rows: tuple[Row, ...]) -> None:
    children = children_of(rows)
    assert paths(visible(children, set())) == STAGES
    shown = paths(visible(children, {"stage1", "stage1.unit2"}))
    assert shown[1:5] == ["stage1", "stage1.unit1", "stage1.unit2", "stage1.unit2.compress_conv1"]
    assert shown[-3:] == STAGES[2:]
    assert len(visible(children, {row.path for row in rows})) == len(rows)


def test_a_fold_inside_a_folded_row_is_not_shown(rows: tuple[Row, ...]) -> None:
    assert paths(visible(children_of(rows), {"stage1.unit2"})) == STAGES


def test_siblings_are_sorted_inside_their_parent(rows: tuple[Row, ...]) -> None:
    shown = visible(children_of(rows, "macs"), {"stage1", "stage2", "stage3"})
    tops = [row for row in shown if not row.parent]
    assert tops[0].path == "stage2"
    assert [row.macs for row in tops] == sorted((row.macs for row in tops), reverse=True)
    units = [row.path for row in shown if row.parent == "stage1"]
    assert units == ["stage1.unit1", "stage1.unit3", "stage1.unit4", "stage1.unit2"]


def test_what_is_off_has_no_macs_to_sort_by(rows: tuple[Row, ...]) -> None:
    assert children_of(rows, "macs")["stage2"][-1].path == "stage2.unit4"


def test_low_stds_come_first_and_rows_without_one_last(rows: tuple[Row, ...]) -> None:
    layers = children_of(rows, "std")["stage1.unit2"]
    stds = [row.std for row in layers]
    known = [std for std in stds if std is not None]
    assert known == sorted(known)
    assert stds[len(known) :] == [None] * (len(stds) - len(known))


def test_changes_are_sorted_by_their_size(rows: tuple[Row, ...], network: Network) -> None:
    variant = Variant(number=0, parent=None, label="", network=network, macs=1)
    against = compared(rows, tree_rows(variant, network, CONTEST))
    first = children_of(against, "macs")["stage2"][0]
    assert (first.path, first.change and first.change.macs) == ("stage2.unit4", -75_750)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("unit4", ["stage1.unit4", "stage2.unit4", "stage3.unit4"]),
        ("stage?.unit3", ["stage1.unit3", "stage2.unit3", "stage3.unit3"]),
        ("STAGE2.UNIT7", ["stage2.unit7"]),
        (":off", ["stage2.unit4"]),
        (":o", ["stage2.unit4"]),
        (":decomposed", ["stage3.unit2"]),
        (":edited", ["stage1.unit2", "stage2.unit4", "stage3.unit2"]),
        (":edited stage1", ["stage1.unit2"]),
        ("*_in", ["stage3.unit2.expand_conv3_in"]),
    ],
)
def test_a_filter_leaves_matches_and_their_parents(
    text: str, matches: list[str], rows: tuple[Row, ...]
) -> None:
    found = filtered(rows, text)
    assert found.first == matches[0]
    left = [row for row in rows if row.path in found.paths]
    inside = [row.path for row in left if any(row.path.startswith(f"{m}.") for m in matches)]
    above = {row.path for row in left if any(m.startswith(f"{row.path}.") for m in matches)}
    assert [row.path for row in left if row.path not in {*inside, *above}] == matches
    assert found.parents == above


def test_the_inside_of_a_match_follows_the_folds(rows: tuple[Row, ...]) -> None:
    found = filtered(rows, "unit4")
    shown = visible(children_of(rows), found.parents, found.paths)
    assert paths(shown) == [
        "stage1", "stage1.unit4", "stage2", "stage2.unit4", "stage3", "stage3.unit4",
    ]  # fmt: skip
    more = visible(children_of(rows), found.parents | {"stage2.unit4"}, found.paths)
    assert "stage2.unit4.dw_conv2" in paths(more)


def test_a_filter_that_matches_nothing_leaves_nothing(rows: tuple[Row, ...]) -> None:
    found = filtered(rows, "stage9")
    assert (found.paths, found.first) == (frozenset(), "")
    assert visible(children_of(rows), set(), found.paths) == []


def test_a_word_that_means_nothing_is_told(rows: tuple[Row, ...]) -> None:
    assert unknown_words(":of conv") == ()
    assert unknown_words(":frozen conv") == (":frozen",)
    assert filtered(rows, ":frozen").paths == frozenset()


def test_rows_are_compared_with_those_of_another_variant(
    rows: tuple[Row, ...], network: Network
) -> None:
    variant = Variant(number=0, parent=None, label="", network=network, macs=1)
    before = tree_rows(variant, network, CONTEST)
    changes = {row.path: row.change for row in compared(rows, before)}
    by_path = {row.path: row for row in rows}
    off, cut, same = (changes[p] for p in ("stage2.unit4", "stage1.unit2", "stage1.unit3"))
    assert off is not None
    assert cut is not None
    assert same is not None
    assert (off.macs, off.is_equal) == (-75_750, False)
    assert off.params == -by_path["stage2.unit4"].params
    assert cut.macs == by_path["stage1.unit2"].macs - 91_500
    assert (same.macs, same.params, same.width, same.is_equal) == (0, 0, 0, True)
    new = changes["stage3.unit2.expand_conv3_in"]
    assert new is not None
    assert new.macs == by_path["stage3.unit2.expand_conv3_in"].macs
    narrower = changes["stage1.unit2.compress_conv1"]
    assert narrower is not None
    assert narrower.width == -6
    tops = [changes[path] for path in STAGES]
    total = macs.count(cut_down(network)) - macs.count(network)
    assert sum(change.macs for change in tops if change is not None) == total
