"""What panels draw, as text: score plane, jobs, events, channels, photos, the legend of curves."""

import pytest
from rich.cells import cell_len

from sessions.score import CONTEST, PRESETS, Rule
from widgets.channel_bars import ChannelRow, ChannelsView, channel_parts, heading
from widgets.class_panel import ClassRow, class_table
from widgets.curves import CurvesView, legend_text, whole_ticks
from widgets.event_list import EventLine, event_parts
from widgets.job_list import JobRow, job_parts
from widgets.photo_grid import Photo, block_height, edge_for, grid_line
from widgets.plane_canvas import Frame
from widgets.plane_drawing import (
    PlanePoint,
    PlaneView,
    f1_of,
    frame_of,
    legend_lines,
    levels,
    macs_labels,
    plane_text,
)


def point(number: int, macs: int, f1: float, **changes: bool) -> PlanePoint:
    return PlanePoint(
        number=number, name="x", macs=macs, f1=f1, score=CONTEST.score(macs, f1), **changes
    )


def plane(*points: PlanePoint, rule: Rule = CONTEST) -> PlaneView:
    return PlaneView(points=points, rule=rule)


OPENED = point(0, 1_688_940, 0.835, is_opened=True, is_front=True)
CURRENT = point(7, 1_083_210, 0.77, is_current=True, is_front=True)
WORSE = point(4, 1_362_480, 0.70)
SIZES = [(76, 18), (114, 30), (190, 50), (30, 9)]


@pytest.mark.parametrize("size", SIZES)
def test_every_point_stands_on_the_plane_with_its_mark_and_its_number(
    size: tuple[int, int],
) -> None:
    lines = plane_text(plane(OPENED, CURRENT, WORSE), 7, *size).plain.split("\n")
    assert len(lines) == size[1]
    assert {len(line) for line in lines} == {size[0]}
    found = {name: next(y for y, x in enumerate(lines) if name in x) for name in ("v0", "v4", "v7")}
    assert found["v0"] < found["v7"] < found["v4"]
    assert "■" in lines[found["v0"]]
    assert "◉v7" in lines[found["v7"]]
    assert "●v4" in lines[found["v4"]]
    assert lines[found["v0"]].index("■") > lines[found["v4"]].index("●")


@pytest.mark.parametrize("rule", PRESETS.values(), ids=PRESETS)
def test_a_line_of_equal_score_runs_where_the_rule_has_that_score(rule: Rule) -> None:
    frame = frame_of(plane(OPENED, point(8, 900_000, 0.3), rule=rule), 114, 40)
    assert frame is not None
    found = 0
    for level in (0.05, 0.1, 0.2, 0.3, 0.45):
        for macs in range(900_000, 1_700_000, 100_000):
            f1 = f1_of(level, macs, rule, frame)
            if f1 is not None:
                assert rule.score(macs, f1) == pytest.approx(level, abs=1e-4)
                assert frame.f1_low <= f1 <= frame.f1_high
                found += 1
    assert found > 10


def test_no_line_runs_where_the_rule_jumps_over_a_score() -> None:
    rule = Rule(name="own", base_macs=10_000_000, base_f1=0.8, halved_from=0.5)
    frame = frame_of(plane(OPENED, point(8, 900_000, 0.3)), 114, 40)
    assert frame is not None
    just_below, just_above = (rule.score(1_000_000, f1) for f1 in (0.49999, 0.5))
    assert f1_of((just_below + just_above) / 2, 1_000_000, rule, frame) is None
    assert f1_of(just_below + 0.05, 1_000_000, rule, frame) is not None


@pytest.mark.parametrize("rule", PRESETS.values(), ids=PRESETS)
def test_lines_of_equal_score_carry_their_scores(rule: Rule) -> None:
    drawn = plane_text(plane(OPENED, CURRENT, WORSE, rule=rule), None, 114, 40).plain
    labels = [word for word in drawn.split() if word[-4:-2] == "0." and word[-2:].isdigit()]
    assert len(labels) >= 3
    assert len(set(labels)) == len(labels)


def test_the_cliff_of_the_rule_is_drawn_and_named_where_it_is_in_sight() -> None:
    shown = plane_text(plane(OPENED, point(8, 1_100_000, 0.3)), None, 80, 24).plain
    assert "below F1 0.5 the score jumps up" in shown
    assert "jumps" not in plane_text(plane(OPENED, CURRENT), None, 80, 24).plain


def test_a_single_point_and_too_small_a_plane_are_no_error() -> None:
    assert "v7" in plane_text(plane(CURRENT), 7, 76, 18).plain
    assert "too small" in plane_text(plane(CURRENT), 7, 15, 4).plain


def test_a_hundred_points_at_one_place_keep_the_selected_one_in_sight() -> None:
    points = [point(number, 1_083_210, 0.77) for number in range(100)]
    assert "v42" in plane_text(plane(*points), 42, 76, 18).plain


def test_the_selected_point_is_told_in_one_style() -> None:
    text = plane_text(plane(point(0, 900_000, 0.8), point(3, 1_083_210, 0.77)), 3, 76, 18)
    styles = {str(span.style) for span in text.spans if text.plain[span.start] in "v3●◉"}
    assert "bold reverse" in styles
    assert not any("reverse" in style for style in styles - {"bold reverse"})


@pytest.mark.parametrize("width", [30, 54, 76, 116])
@pytest.mark.parametrize("macs", [(1_093_000, 1_690_000), (430_000, 445_000)])
def test_two_places_are_named_below_the_plane(width: int, macs: tuple[int, int]) -> None:
    drawn = plane_text(plane(*(point(n, x, 0.8) for n, x in enumerate(macs))), 0, width, 18)
    axis = drawn.plain.splitlines()[-1].removesuffix("MACs").split()
    assert len(axis) >= 2


def test_a_legend_has_as_many_lines_as_it_may_and_no_item_in_part() -> None:
    items = (("★", "best score"), ("◆", "best for its MACs"), ("●", "other"))
    assert legend_lines(items, 40) == ["★ best score  ◆ best for its MACs"]
    assert legend_lines(items, 40, 2) == ["★ best score  ◆ best for its MACs", "● other"]
    assert legend_lines(items, 9) == ["● other"]


def test_levels_are_round_and_lie_between_the_ends() -> None:
    assert levels(0.061, 0.319, 6) == pytest.approx((0.1, 0.15, 0.2, 0.25, 0.3))
    assert levels(1.0, 1.0, 6) == ()


def row(**changes: object) -> JobRow:
    values = {"number": 1, "kind": "fine-tune", "status": "running", "variant": "v8 → v9"}
    return JobRow(**{**values, **changes})  # type: ignore[arg-type]


def line(parts: tuple[tuple[str, str], ...]) -> str:
    return "".join(text for text, _ in parts)


@pytest.mark.parametrize("width", [75, 115])
def test_a_job_is_told_with_progress_f1_and_time(width: int) -> None:
    running = line(job_parts(row(share=0.44, left_s=61.0), width))
    assert "▶ running" in running
    assert "44%" in running
    assert "1:01 left" in running
    done = line(job_parts(row(status="finished", f1=0.476, seconds=8.63), width))
    assert "✓ done" in done
    assert "F1 .476" in done
    assert "8.6 s" in done
    waiting = line(job_parts(row(status="queued"), width))
    assert "waiting" in waiting
    assert "%" not in waiting


def test_why_a_job_failed_ends_in_an_ellipsis_where_it_has_no_room() -> None:
    shown = line(job_parts(row(status="failed", reason="the loss is " + "no number " * 9), 80))
    assert cell_len(shown) <= 80
    assert shown.endswith("…")


@pytest.mark.parametrize("words", ["went to v3", "이름 " * 60])
def test_an_event_is_a_time_and_words_within_the_width(words: str) -> None:
    shown = line(event_parts(EventLine(3725.0, words), 60))
    assert shown.split()[0] == "1h02m"
    assert cell_len(shown) <= 60
    assert shown.endswith("…") == (cell_len(words) > 51)


def test_channels_that_a_cut_takes_are_named_beside_their_bars() -> None:
    rows = (ChannelRow(3, 0.5, 0.25, True), ChannelRow(1, 1.5, None, False))
    view = ChannelsView.of(rows)
    taken, kept = (line(channel_parts(view, at, 74)) for at in (0, 1))
    assert taken.split()[0] == "3"
    assert taken.endswith("cut")
    assert kept.split()[0] == "1"
    assert "cut" not in kept
    assert kept[:30].count("█") == 3 * taken[:30].count("█") + 2  # eighths
    assert "—" in kept
    assert "importance" in heading(74)


def test_small_activations_are_written_with_more_digits() -> None:
    view = ChannelsView.of((ChannelRow(1, 1.0, 0.0123, False),))
    assert "0.0123" in line(channel_parts(view, 0, 74))


def test_photos_stand_side_by_side_over_their_words() -> None:
    photos = tuple(Photo(bytes(16 * 16 * 3), (f"유리/{n}.jpg", "is 유리")) for n in range(3))
    height = block_height(photos, 16)
    assert height == 8 + 2 + 1
    lines = [grid_line(photos, 16, 40, y).text for y in range(2 * height)]
    assert lines[8].index("유리/1.jpg") > lines[8].index("유리/0.jpg")
    assert cell_len(lines[8][: lines[8].index("유리/1.jpg")]) == 18
    assert "유리/2.jpg" in lines[19]


@pytest.mark.parametrize("width", [20, 70, 114, 190])
def test_a_photo_is_never_wider_than_there_is_room_for(width: int) -> None:
    assert 16 <= edge_for(width) <= min(width, 32)


def test_the_legend_names_the_letters_and_the_lines_that_are_drawn() -> None:
    rungs = ((1.0, 0.5, "raw"), (2.0, 0.6, "batch norm"), (3.0, 0.6, "raw"))
    view = CurvesView(((0.0, 0.5),), (), (0.0,), rungs)
    assert legend_text(view, 60, "F1").plain == "F1  │ cut  raw  batch norm"
    assert legend_text(view, 14, "F1").plain == "F1  │ cut …"
    assert legend_text(CurvesView((), ()), 60, "F1").plain == "F1"


def test_measurements_have_whole_numbers_none_twice() -> None:
    points = tuple((float(at), 0.5) for at in range(10))
    assert whole_ticks(points) == [0, 4, 9]
    assert whole_ticks(points[:2]) == [0, 1]
    assert whole_ticks(points[:1]) == [0]


def drawn(rows: tuple[ClassRow, ...], width: int, height: int) -> list[str]:
    from rich.console import Console

    console = Console(width=width)
    with console.capture() as capture:
        console.print(class_table(rows, width, height))
    return capture.get().splitlines()


def test_classes_show_the_change_since_the_step_before_where_there_is_room() -> None:
    rows = (ClassRow("glass", 0.5, -0.25, 9, 0.125), ClassRow("metal", 0.75, 0.5, 9, -0.0625))
    wide = drawn(rows, 70, 6)
    assert wide[0].split() == ["F1", "±", "opened", "±", "before", "images"]
    assert wide[1].split()[-3:] == ["−0.250", "+0.125", "9"]
    assert drawn(rows, 36, 6)[1].split()[-2:] == ["−0.250", "9"]
    assert drawn(rows, 70, 2)[0].split()[-3:] == ["−0.250", "n", "9"]


@pytest.mark.parametrize("width", [60, 120, 200, 300])
def test_a_plane_of_any_width_has_labels_of_macs(width: int) -> None:
    frame = Frame.around([1_000_000, 1_688_220], [0.7, 0.84], width, 30)
    assert frame is not None
    assert len(macs_labels(frame, width)) >= 2
