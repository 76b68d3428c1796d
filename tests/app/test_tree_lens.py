"""The tree through a lens: other conventions of counting, changes against other variants."""

from collections.abc import Callable
from typing import Any

import pytest

from sessions import edits, macs
from sessions.network import Network
from sessions.state import SessionState, Variant
from widgets.layer_panel import LayerPanel
from widgets.network_tree import NetworkTree
from widgets.score_panel import ScorePanel
from workbench.screens import lens
from workbench.screens.lens import Lens


def state_of(*networks: Network, **changes: Any) -> SessionState:
    """Variants that follow from each other; the last one is current."""
    variants = {
        number: Variant(
            number=number, parent=number - 1 if number else None, label=f"step {number}",
            network=network, macs=macs.count(network), is_preparation=number == 0,
        )
        for number, network in enumerate(networks)
    }  # fmt: skip
    return SessionState(variants=variants, current=len(networks) - 1, **changes)


def cut(network: Network, text: str) -> Network:
    return edits.apply(network, edits.parse(text))


@pytest.mark.parametrize("convention", macs.CONVENTIONS)
def test_the_tree_counts_as_the_convention_does(convention: str, network: Network) -> None:
    rows = lens.rows(state_of(network), Lens(convention=convention))
    tops = [row for row in rows if not row.parent]
    assert sum(row.macs for row in tops) == pytest.approx(macs.count(network, convention))
    worth = {row.path: row.worth for row in rows}
    assert worth["stage2.unit2"] == pytest.approx(75_750 / 13_878_369 * 0.8367)


def test_all_conventions_come_round() -> None:
    through, seen = Lens(), []
    for _ in macs.CONVENTIONS:
        seen.append(through.convention)
        through = through.with_next_convention()
    assert seen == list(macs.CONVENTIONS)
    assert through == Lens()


def test_the_header_names_the_convention_unless_it_is_contest(network: Network) -> None:
    state = state_of(network)
    assert lens.note(state, Lens(), ()) == ""
    assert "as thop counts them" in lens.note(state, Lens(convention="thop"), ())


@pytest.mark.parametrize(
    ("path", "convention", "words"),
    [
        (
            "stage1.unit2.dw_bn2",
            "thop",
            ("6,000 MACs by thop, 3,000 by contest", "batch norm input 4×, not 2×: +3,000"),
        ),
        (
            "output.head",
            "fvcore",
            ("2,160 MACs by fvcore, 2,169 by contest", "bias adds not counted: −9"),
        ),
        ("output.head", "torch-pruning", ("2,169 MACs by torch-pruning, as by contest",)),
        (
            "stage2.unit1",
            "thop",
            (
                "104,250 MACs by thop, 98,250 by contest",
                "batch norm input 4×, not 2×: +10,500",
                "average pool input not counted: −6,000",
                "average pool output counted: +1,500",
            ),
        ),
    ],
)
def test_the_difference_to_contest_is_told_term_by_term(
    path: str, convention: str, words: tuple[str, ...], network: Network
) -> None:
    linear = cut(network, "head:linear")
    state = state_of(linear)
    row = next(r for r in lens.rows(state, Lens(convention=convention)) if r.path == path)
    assert lens.explained(linear, row, convention) == words


@pytest.mark.parametrize("convention", macs.CONVENTIONS)
def test_every_row_is_explained_in_full(convention: str, network: Network) -> None:
    off = cut(network, "off:stage2.unit4")
    through = Lens(convention=convention)
    contest = {row.path: row.macs for row in lens.rows(state_of(off), Lens())}
    for row in lens.rows(state_of(off), through):
        first, *parts = lens.explained(off, row, convention)
        told = [int(part.rsplit(" ", 1)[1].replace(",", "").replace("−", "-")) for part in parts]
        assert first.startswith(f"{row.macs:,} MACs by {convention}")
        assert sum(told) == row.macs - contest[row.path]


def test_the_lens_goes_from_opened_to_before_to_nothing(network: Network) -> None:
    state = state_of(network, cut(network, "off:stage1.unit2"))
    opened = Lens().with_next_variant(state)
    before = opened.with_next_variant(state)
    assert (opened.against, before.against) == ("opened", "before")
    assert before.with_next_variant(state) == Lens()
    # GIVEN no step before
    assert opened.with_next_variant(state_of(network)) == Lens()


def test_changes_are_against_the_variant_that_the_lens_names(network: Network) -> None:
    first = cut(network, "off:stage1.unit2")
    second = cut(first, "off:stage2.unit4")
    state = state_of(network, first, second)
    totals = {}
    for against in ("opened", "before", 0, 1, 2):
        rows = lens.rows(state, Lens(against=against))
        changes = [row.change for row in rows if not row.parent]
        totals[against] = sum(change.macs for change in changes if change is not None)
    both = -91_500 - 75_750
    assert totals == {"opened": both, "before": -75_750, 0: both, 1: -75_750, 2: 0}
    same = Lens(against=2)
    assert lens.note(state, same, lens.rows(state, same)) == "± against v2 step 2: nothing differs"
    gone = Lens(against="before")
    alone = state_of(network)
    assert "no step before" in lens.note(alone, gone, lens.rows(alone, gone))
    assert all(row.change is None for row in lens.rows(alone, gone))


async def test_capital_m_changes_the_tree_and_the_layer_but_not_the_score(
    opened_app: Any, shows: Callable[..., str]
) -> None:
    async with opened_app((160, 45)) as (app, pilot):
        score = shows(app.main.query_one(ScorePanel))
        await pilot.press("M")
        await pilot.pause()
        lines = shows(app.main.query_one(NetworkTree)).splitlines()
        assert "MACs as conv-linear counts them" in lines[1]
        unit = next(line for line in lines if "● unit2" in line)
        assert "73,500" in unit
        facts = str(app.main.query_one(LayerPanel).query_one("Static").render())
        assert "73,500 MACs by conv-linear, 91,500 by contest" in facts
        assert "batch norm input not counted: −18,000" in facts
        assert shows(app.main.query_one(ScorePanel)) == score


async def test_capital_d_shows_changes_and_says_against_what(
    opened_app: Any, staged: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("space", "D")
        await pilot.pause()
        tree = app.main.query_one(NetworkTree)
        lines = shows(tree).splitlines()
        assert "±MACs" in lines[0]
        assert lines[1].startswith(" ± against v0 opened")
        assert "−91,500" in next(line for line in lines if "○ unit2" in line)
        assert " = " in next(line for line in lines if "● unit3" in line)
        await pilot.press("D", "D")
        await pilot.pause()
        assert "±" not in shows(tree)


async def test_the_list_of_variants_chooses_one_to_compare_with(
    opened_app: Any, staged: Any, shows: Callable[..., str]
) -> None:
    async with opened_app() as (app, pilot):
        await pilot.press("space", "down", "space")
        await staged.confirm()
        await pilot.press("t", "up")
        await pilot.press("D")
        await pilot.pause()
        await pilot.pause()
        lines = shows(app.main.query_one(NetworkTree)).splitlines()
        assert "against v1 stage1.unit2 off" in lines[1]
        assert "−91,500" in next(line for line in lines if "○ unit3" in line)
