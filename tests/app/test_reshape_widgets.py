"""What the reshape dialog and the layer panel draw: strips, channel maps, histograms, as text."""

import pytest

from sessions.events import LayerStats
from sessions.state import SessionState, Variant
from widgets.channel_map import AxisMap, MapView, counts, line_starts, map_text
from widgets.histogram import HistogramView, bin_layout, histogram_text, rebinned
from widgets.value_strip import (
    StripValue,
    StripView,
    bar_cells,
    cell_width,
    first_shown,
    shown_count,
    strip_text,
    value_at,
)
from workbench.screens.cuts import whole_percent
from workbench.screens.weights import before


def strip(count: int, at: int) -> StripView:
    return StripView(
        tuple(StripValue(str(100 + n), 1000 + n, str(n), n == count - 1) for n in range(count)), at
    )


def stats(low: float, high: float, histogram: tuple[int, ...]) -> LayerStats:
    return LayerStats(
        count=sum(histogram), mean=0.0, std=0.1, near_zero=0.0, low=low, high=high,
        histogram=histogram,
    )  # fmt: skip


@pytest.mark.parametrize("width", [30, 72, 200])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_the_strip_keeps_the_chosen_value_in_sight_and_fits(width: int, count: int) -> None:
    first = 0
    for at in (*range(count), *reversed(range(count))):
        view = strip(count, at)
        first = first_shown(view, first, width)
        assert first <= at < first + shown_count(view, width)
        lines = strip_text(view, first, width).plain.split("\n")
        assert all(len(line.rstrip()) <= width for line in lines)
        assert str(100 + at) in lines[0]
        is_whole = shown_count(view, width) == count
        assert ("…" in lines[0]) == (not is_whole)


def test_the_strip_scrolls_only_where_the_chosen_value_would_leave() -> None:
    view = strip(40, 20)
    first = first_shown(view, 15, 72)
    assert first_shown(strip(40, 21), first, 72) == first
    assert first_shown(strip(40, 0), first, 72) == 0


def test_a_click_anywhere_in_the_strip_is_the_value_drawn_there() -> None:
    view = strip(40, 20)
    first = first_shown(view, 12, 72)
    line = strip_text(view, first, 72).plain.split("\n")[0]
    for index in range(first, first + shown_count(view, 72)):
        x = line.index(view.values[index].value)
        assert value_at(view, first, 72, x) == index
        assert value_at(view, first, 72, x + 2) == index
    assert value_at(view, first, 72, 0) is None
    assert value_at(strip(3, 0), 0, 72, 71) is None


def test_the_present_value_is_marked_without_colour() -> None:
    line = strip_text(strip(3, 0), 0, 72).plain.split("\n")[0]
    assert line.count("•") == 1
    assert "•102" in line
    assert cell_width(strip(3, 0)) == 5


def test_bars_grow_from_the_least_macs_to_the_most() -> None:
    assert bar_cells(10, 10, 20) == [" ", "▁"]
    assert bar_cells(20, 10, 20) == ["█", "█"]
    assert bar_cells(15, 10, 20) == ["▁", "█"]
    assert bar_cells(10, 10, 10) == [" ", "▁"]


def test_only_what_loses_nothing_keeps_a_hundred_percent() -> None:
    assert [whole_percent(share) for share in (1.0, 0.9999, 0.005, 0.0)] == ["100", "99", "0", "0"]


@pytest.mark.parametrize("fates", ["k" * 120, "kmc" * 40, "c" * 7, "k"])
@pytest.mark.parametrize("groups", [1, 3, 120])
@pytest.mark.parametrize("width", [24, 72])
def test_every_channel_is_drawn_once_and_in_order(fates: str, groups: int, width: int) -> None:
    axis = AxisMap("bottleneck", fates, groups if len(fates) % groups == 0 else 1)
    lines = map_text(MapView((axis,)), width, 400).plain.split("\n")[1:-1]
    drawn = "".join(line[5:] for line in lines).replace(" ", "")
    assert drawn == fates.replace("k", "█").replace("m", "▒").replace("c", "·")
    assert all(len(line) <= width for line in lines)
    starts = line_starts(axis, width - 5)
    assert [int(line[:4]) for line in lines] == [start + 1 for start in starts]


def test_what_does_not_fit_ends_in_an_ellipsis_and_is_counted_above() -> None:
    axis = AxisMap("channels of init", "k" * 500 + "c" * 20)
    lines = map_text(MapView((axis,)), 40, 5).plain.split("\n")
    assert len(lines) == 5
    assert all(len(line) <= 40 for line in lines[:-1])
    assert lines[-2].endswith("…")
    wide = map_text(MapView((axis,)), 72, 5).plain.split("\n")
    assert wide[0] == "channels of init: 500 of 520 stay, 20 go"


def test_groups_begin_lines_only_where_there_is_room_for_that() -> None:
    axis = AxisMap("channels", "k" * 120, 3)
    aligned = map_text(MapView((axis,)), 72, 5).plain.split("\n")
    assert [line[:4] for line in aligned[1:-1]] == ["   1", "  41", "  81"]
    low = map_text(MapView((axis,)), 72, 4).plain.split("\n")
    assert sum(line.count("█") for line in low[1:-1]) == 120
    assert "…" not in "".join(low)


def test_axes_that_only_follow_the_one_that_is_cut_are_counted_below_it() -> None:
    cut, moved = AxisMap("stage3", "k" * 90 + "c" * 30, 3), AxisMap("stage2", "k" * 50 + "m" * 10)
    lines = map_text(MapView((cut, moved)), 72, 5).plain.split("\n")
    assert lines[0] == "stage3: 90 of 120 stay, 30 go"
    assert lines[3] == "… and stage2: 60 of 60 stay, 10 in another group"


def test_several_axes_have_a_line_each_and_the_rest_is_counted() -> None:
    axes = tuple(AxisMap(f"bottleneck of unit{n}", "k" * 24 + "c" * 6, 3) for n in range(8))
    lines = map_text(MapView(axes), 72, 5).plain.split("\n")
    assert len(lines) == 5
    assert lines[0].endswith("6 go")
    assert lines[3] == "… and 5 more: 120 of 150 stay, 30 go"
    assert "more" not in map_text(MapView(axes), 72, 9).plain


def test_the_counts_of_fates_in_words() -> None:
    assert counts("kkk") == "3 of 3 stay"
    assert counts("kmc") == "2 of 3 stay, 1 in another group, 1 goes"


@pytest.mark.parametrize("bins", [1, 7, 40])
def test_rebinning_keeps_all_the_weights(bins: int) -> None:
    for one in (
        stats(-0.5, 0.5, (1, 4, 9, 4, 1)),
        stats(0.2, 0.2, (0, 0, 5, 0)),
        stats(-1, 1, (3,)),
    ):
        shares = rebinned(one, -1.0, 1.0, bins)
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= 0


def test_rebinning_puts_values_where_they_were_counted() -> None:
    assert rebinned(stats(0.0, 1.0, (1, 3)), 0.0, 2.0, 4) == pytest.approx([0.25, 0.75, 0, 0])
    assert rebinned(stats(0.0, 1.0, (1, 3)), 0.0, 1.0, 1) == pytest.approx([1.0])
    # a counted bin over two drawn ones is divided among them by overlap
    assert rebinned(stats(0.0, 3.0, (2, 1)), 0.0, 3.0, 3) == pytest.approx([4 / 9, 1 / 3, 2 / 9])


def test_bins_are_never_finer_than_the_coarser_counts() -> None:
    fine, coarse = stats(-1, 1, (1,) * 40), stats(-1, 1, (1,) * 10)
    for width in range(1, 200):
        bins, cell = bin_layout([fine, coarse], -1, 1, width)
        assert bins <= 10
        assert bins * cell <= width


def test_the_overlay_tells_its_series_apart_without_colour() -> None:
    now, then = stats(-1, 1, (0, 0, 10, 0)), stats(-1, 1, (2, 2, 2, 4))
    high = histogram_text(HistogramView(now, then, "conv", "opened"), 40, 12).plain
    assert "█ now" in high
    assert "○ opened" in high
    assert high.count("○") > 3
    low = histogram_text(HistogramView(now, then, "conv", "opened"), 40, 6).plain
    assert "above: now" in low
    assert "below: opened" in low
    assert len(low.split("\n")) == 6
    alone = histogram_text(HistogramView(now, None, "conv", "as opened"), 40, 6).plain
    assert "○" not in alone
    assert alone.endswith("weights of conv, as opened")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 2), (34, 4), (70, 30)])
def test_the_histogram_fits_its_room(width: int, height: int) -> None:
    view = HistogramView(stats(-1, 1, (1,) * 40), stats(-2, 1, (1, 5) * 20), "conv", "opened")
    lines = histogram_text(view, width, height).plain.split("\n")
    assert len(lines) == height
    assert all(len(line) <= max(width, 12) for line in lines)


def test_weights_are_compared_with_the_opened_model_or_where_they_first_were(network) -> None:
    old, new = stats(-1, 1, (1, 2)), stats(-1, 1, (2, 1))

    def variant(number: int, **found: LayerStats) -> Variant:
        return Variant(
            number=number, parent=number - 1 if number else None, label="", network=network,
            macs=1, stats=found, is_preparation=number == 0,
        )  # fmt: skip

    variants = {
        0: variant(0, a=old, b=old),
        1: variant(1, a=old, b=old, c=old),
        2: variant(2, a=new, b=old, c=new, d=new),
    }
    state = SessionState(variants=variants, current=2)
    assert before(state, "a") == {"before": old, "before_name": "opened"}
    assert before(state, "b") == {"before": None, "before_name": "as opened"}
    assert before(state, "c") == {"before": old, "before_name": "v1, the step before"}
    assert before(state, "d") == {"before": None, "before_name": "new"}
    opened = SessionState(variants=variants, current=0)
    assert before(opened, "a") == {"before": None, "before_name": ""}
