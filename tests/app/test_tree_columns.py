"""The columns of the tree as text: which fit, what stands in them, what the header says."""

from typing import Any

import msgspec
import pytest

from sessions import edits, macs
from sessions.events import LayerStats
from sessions.measured import Cost
from sessions.network import Network
from sessions.score import CONTEST
from sessions.state import Variant
from widgets import tree_columns
from widgets.rows import Change, Row, tree_rows
from widgets.tree_columns import COLUMNS, NAMES, cell, header, layout, scale


@pytest.fixture
def rows(network: Network, events: dict[str, Any]) -> tuple[Row, ...]:
    stats = events["model"](network).stats
    variant = Variant(
        number=0, parent=None, label="", network=network, macs=macs.count(network), stats=stats
    )
    return tree_rows(variant, network, CONTEST)


def row(**changes: Any) -> Row:
    values: dict[str, Any] = {
        "path": "stage1.unit2", "parent": "stage1", "level": "unit", "name": "unit2",
        "has_children": True, "unit": "stage1.unit2", "output": "60×10×10", "width": 60,
        "mid": 15, "groups": 3, "macs": 91_500, "share": 0.05, "params": 915, "std": 0.25,
        "worth": 0.0055,
    }  # fmt: skip
    return Row(**{**values, **changes})


def text(name: str, of: Row) -> str:
    column = next(column for column in COLUMNS if column.name == name)
    drawn = "".join(piece for piece, _ in cell(column, of, tree_columns.Scale()))
    assert len(drawn) == column.width
    return drawn.strip()


def names(width: int, rows: tuple[Row, ...], chosen: tuple[str, ...] = ()) -> list[str]:
    return [column.name for column in layout(width, scale(rows), chosen).columns]


def test_more_width_shows_more_columns_and_never_hides_one(rows: tuple[Row, ...]) -> None:
    before: set[str] = set()
    for width in range(20, 200):
        shown = layout(width, scale(rows))
        found = {column.name for column in shown.columns}
        assert before <= found
        used = 1 + shown.name_width + sum(column.width + 1 for column in shown.columns)
        assert used <= width or not found
        before = found
    assert before == set(NAMES) - {"cost", "kept"}


def test_chosen_columns_stand_in_the_order_of_the_choice(rows: tuple[Row, ...]) -> None:
    assert names(80, rows, ("std", "macs", "worth")) == ["std", "macs", "worth"]
    assert names(50, rows, ("output", "params", "macs", "groups")) == ["output", "params", "groups"]


def test_a_column_without_a_value_is_left_out_even_if_chosen(rows: tuple[Row, ...]) -> None:
    assert names(200, rows, ("cost", "kept", "macs")) == ["macs"]
    cost = Cost(raw=-0.02, recovered=None, measured_from=0, measured_by=1)
    measured = (msgspec.structs.replace(rows[0], cost=cost, kept=0.5), *rows[1:])
    assert names(200, measured, ("cost", "kept", "macs")) == ["cost", "kept", "macs"]


def test_figures_that_need_more_room_get_it(rows: tuple[Row, ...]) -> None:
    large = (msgspec.structs.replace(rows[0], macs=138_000_000_000), *rows[1:])
    column = next(c for c in layout(120, scale(large)).columns if c.name == "macs")
    assert "".join(piece for piece, _ in cell(column, large[0], scale(large))) == "138,000,000,000"


def test_the_header_names_each_column_over_it_and_marks_the_sorted_one(
    rows: tuple[Row, ...],
) -> None:
    shown = layout(90, scale(rows))
    for sort, mark in (("macs", "▼MACs"), ("std", "▲std"), ("worth", "▼worth F1")):
        assert mark in header(shown, sort, is_compared=False)
    plain = header(shown, "", is_compared=False)
    assert "▼" not in plain
    assert len(plain) == 1 + shown.name_width + sum(column.width + 1 for column in shown.columns)
    end = plain.index("MACs") + len("MACs")
    assert header(shown, "macs", is_compared=True)[: end + 1].endswith("▼±MACs ")


def test_a_cell_of_the_header_is_found_by_its_place(rows: tuple[Row, ...]) -> None:
    shown = layout(90, scale(rows))
    line = header(shown, "", is_compared=False)
    for column in shown.columns:
        at = line.index(f" {column.title}") + 1
        assert tree_columns.column_at(shown, at) == column.name
    assert tree_columns.column_at(shown, 3) == ""


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("macs", {}, "91,500"),
        ("macs", {"is_on": False}, "off"),
        ("width", {}, "60"),
        ("groups", {"groups": None}, ""),
        ("worth", {}, ".0055"),
        ("worth", {"worth": None}, "needed"),
        ("kept", {"kept": 0.613}, "61.3%"),
        ("kept", {"kept": 1.0}, "100%"),
        ("macs", {"change": Change(-3000, 0, 0, False)}, "−3,000"),
        ("params", {"change": Change(-3000, 0, 0, False)}, "="),
        ("width", {"change": Change(-3000, 0, -12, False)}, "−12"),
        ("width", {"width": None, "change": Change(0, 0, 0, True)}, ""),
    ],
)
def test_what_stands_in_a_cell(name: str, changes: dict[str, Any], expected: str) -> None:
    assert text(name, row(**changes)) == expected


@pytest.mark.parametrize(
    ("raw", "recovered", "is_old", "expected"),
    [
        (-0.0123, None, False, ".0123"),
        (-0.4, -0.0123, False, ".0123"),
        (-0.0123, -0.4, True, "v0 .0123"),
        (0.002, None, False, "−.0020"),
        (0.0, None, False, ".0000"),
        (0.00001, None, False, ".0000"),
    ],
)
def test_what_a_unit_was_measured_to_cost(
    raw: float, recovered: float | None, is_old: bool, expected: str
) -> None:
    cost = Cost(raw=raw, recovered=recovered, measured_from=0, measured_by=1)
    assert text("cost", row(cost=cost, is_cost_old=is_old)) == expected


def test_the_cost_of_a_late_variant_is_as_wide_as_it_needs(rows: tuple[Row, ...]) -> None:
    cost = Cost(raw=-0.0123, recovered=None, measured_from=104, measured_by=105)
    found = (row(cost=cost, is_cost_old=True), *rows)
    column = next(c for c in layout(200, scale(found)).columns if c.name == "cost")
    assert "".join(piece for piece, _ in cell(column, found[0], scale(found))) == "v104 .0123"


def stats(histogram: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> LayerStats:
    return LayerStats(sum(histogram), 0.0, 0.1, 0.0, low, high, histogram)


def test_the_sparkline_is_as_high_as_the_bins_are_full() -> None:
    assert tree_columns.sparkline((stats((0, 1, 8, 4)),), 4) == " ▂█▅"
    assert tree_columns.sparkline((stats((1, 1, 100_000)),), 3) == "▁▁█"
    assert tree_columns.sparkline((), 4) == "    "


def test_weights_of_several_layers_share_one_scale() -> None:
    narrow, wide = stats((5, 5), -0.1, 0.1), stats((1, 1, 1, 1), -1.0, 1.0)
    assert tree_columns.sparkline((narrow, wide), 4) == "▂██▂"
    assert tree_columns.sparkline((stats((3,), 0.5, 0.5),), 4) == "  █ "


def test_the_label_leaves_room_for_the_letter_and_says_when_it_is_shortened() -> None:
    long = row(level="layer", unit="", has_children=False, name="expand_conv3_out", path="x")
    assert tree_columns.label(long, 20, is_open=False) == "      expand_co…_out"
    edited = msgspec.structs.replace(long, is_changed=True)
    assert tree_columns.label(edited, 20, is_open=False) == "      expand_c…_out "
    assert tree_columns.label(edited, 24, is_open=False) == "      expand_conv3_out  "
    down = row(is_downsampling=True)
    assert tree_columns.label(down, 20, is_open=True) == "  ▾ ● unit2 ↓       "
    assert [tree_columns.letter(found) for found in (long, edited)] == [" ", "E"]
    assert tree_columns.letter(msgspec.structs.replace(edited, is_decomposed=True)) == "D"


def test_rows_of_an_edited_network_have_their_letters(network: Network) -> None:
    cut = network
    for change in ("off:stage2.unit4", "mid:stage1.unit2=9", "rank:stage3.unit2.expand_conv3=4"):
        cut = edits.apply(cut, edits.parse(change))
    variant = Variant(number=0, parent=None, label="", network=cut, macs=macs.count(cut))
    found = {r.path: tree_columns.letter(r) for r in tree_rows(variant, network, CONTEST)}
    lettered = {path: letter for path, letter in found.items() if letter != " "}
    assert {path: lettered.pop(path) for path in ("stage1", "stage2", "stage3")} == {
        "stage1": "E", "stage2": "E", "stage3": "D",
    }  # fmt: skip
    assert lettered.pop("stage2.unit4") == "E"
    assert lettered.pop("stage3.unit2") == "D"
    assert {path for path in lettered if path.startswith("stage3")} == {
        "stage3.unit2.expand_conv3_in", "stage3.unit2.expand_conv3_out",
    }  # fmt: skip
    assert all(path.startswith(("stage1.unit2", "stage3.unit2")) for path in lettered)
