"""What widgets write, as text: numbers, bars, rows, tables, lines."""

import io
import re

import pytest
from rich.console import Console, RenderableType

from sessions import edits, macs
from sessions.network import Network
from sessions.score import CONTEST, PRESETS
from sessions.state import Variant
from widgets import numbers
from widgets.class_panel import ClassRow, class_table
from widgets.job_line import JobView, job_text
from widgets.layer_panel import fitting, stats_lines
from widgets.rows import Row, tree_rows
from widgets.score_panel import Figures, ScoreView, score_text


def drawn(what: RenderableType, width: int = 80) -> list[str]:
    """The lines that a renderable comes to at a width, spaces at the end left out."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(what)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(
    ("share", "width", "expected"),
    [
        (0.0, 4, "    "),
        (1.0, 4, "████"),
        (0.5, 4, "██  "),
        (0.125, 1, "▏"),
        (0.40, 5, "██   "),
        (0.97, 2, "██"),
        (0.0001, 4, "▏   "),
        (-1.0, 3, "   "),
        (7.0, 3, "███"),
    ],
)
def test_a_bar_is_as_long_as_its_share_and_never_longer_than_its_width(
    share: float, width: int, expected: str
) -> None:
    assert numbers.bar(share, width) == expected


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (1234, ",d", "+1,234"),
        (-91500, ",d", "−91,500"),
        (0, ",d", "±0"),
        (-0.0, ".4f", "±0.0000"),
        (0.00004, ".4f", "±0.0000"),
        (-0.00006, ".4f", "−0.0001"),
        (0.5, ".3f", "+0.500"),
    ],
)
def test_a_change_has_a_sign_and_zero_has_both(value: float, form: str, expected: str) -> None:
    assert numbers.signed(value, form) == expected


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(0.614, 3, ".614"), (1.0, 3, "1.000"), (0.0, 3, ".000"), (0.99996, 4, "1.0000")],
)
def test_a_ratio_has_no_leading_zero(value: float, digits: int, expected: str) -> None:
    assert numbers.ratio(value, digits) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, "0%"), (0.004, "<1%"), (0.054, "5%"), (0.996, "100%"), (1, "100%")],
)
def test_a_share_is_whole_percent(share: float, expected: str) -> None:
    assert numbers.percent(share) == expected


@pytest.mark.parametrize("share", [0.00001, 0.0049999, 0.005, 0.0050001])
def test_a_small_share_is_never_written_as_nothing(share: float) -> None:
    assert numbers.percent(share) != "0%"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ""),
        (0, "0:00"),
        (42.4, "0:42"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599, "59:59"),
        (3599.9, "1h00m"),
        (7380, "2h03m"),
    ],
)
def test_a_duration_is_minutes_and_seconds_or_hours_and_minutes(
    seconds: float | None, expected: str
) -> None:
    assert numbers.duration(seconds) == expected


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("stage1", 6, "stage1"), ("stage1", 5, "stag…"), ("stage1", 1, "…"), ("", 3, "")],
)
def test_a_shortened_text_ends_in_an_ellipsis(text: str, width: int, expected: str) -> None:
    assert numbers.shortened(text, width) == expected


def test_nothing_is_wider_than_no_width() -> None:
    assert numbers.shortened("stage1", 0) == ""


def rows_of(network: Network, opened: Network) -> dict[str, Row]:
    variant = Variant(
        number=0, parent=None, label="opened", network=network, macs=macs.count(network)
    )
    return {row.path: row for row in tree_rows(variant, opened, CONTEST)}


def test_rows_come_in_running_order_with_their_place_in_the_tree(network: Network) -> None:
    rows = rows_of(network, network)
    paths = list(rows)
    assert [path for path in paths if rows[path].depth == 0] == [
        "init", "stage1", "stage2", "stage3", "output",
    ]  # fmt: skip
    assert paths.index("stage1") < paths.index("stage1.unit1") < paths.index("stage2")
    assert paths.index("stage1.unit1") < paths.index("stage1.unit1.dw_conv2")
    assert rows["stage1.unit1.dw_conv2"].parent == "stage1.unit1"
    assert sum(row.level == "unit" and bool(row.unit) for row in rows.values()) == 16


def test_rows_carry_the_published_macs_shares_and_worth(network: Network) -> None:
    rows = rows_of(network, network)
    assert [rows[path].macs for path in ("init", "stage1", "stage2", "stage3", "output")] == [
        288_000, 379_200, 628_500, 388_920, 4_320,
    ]  # fmt: skip
    unit = rows["stage2.unit2"]
    assert unit.macs == 75_750
    assert unit.share == pytest.approx(75_750 / 1_688_940)
    assert unit.worth == pytest.approx(75_750 / 13_878_369 * 0.8367)
    assert (unit.mid, unit.groups, unit.output) == (30, 3, "120×5×5")
    assert sum(rows[path].share for path in rows if rows[path].depth == 0) == pytest.approx(1)


def test_a_downsampling_unit_is_marked_and_worth_nothing(network: Network) -> None:
    row = rows_of(network, network)["stage2.unit1"]
    assert row.is_downsampling
    assert not row.is_removable
    assert row.worth is None


def test_an_off_unit_stays_as_a_row_but_counts_for_nothing(network: Network) -> None:
    off = edits.apply(network, edits.UnitOff("stage2.unit2"))
    rows = rows_of(off, network)
    unit = rows["stage2.unit2"]
    assert (unit.is_on, unit.is_changed, unit.share) == (False, True, 0.0)
    assert unit.macs == 75_750
    assert not rows["stage2.unit2.dw_conv2"].is_on
    assert rows["stage2"].macs == 628_500 - 75_750
    assert rows["stage2"].is_changed
    assert not rows["stage1"].is_changed


def test_worth_follows_the_score_rule(network: Network) -> None:
    variant = Variant(number=0, parent=None, label="", network=network, macs=macs.count(network))
    smooth = {row.path: row for row in tree_rows(variant, network, PRESETS["smooth"])}
    assert smooth["stage1.unit2"].worth == pytest.approx(91_500 / 13_863_553 * 0.8342)


def view(**changes: object) -> ScoreView:
    values: dict[str, object] = {
        "now": Figures(1_362_480, 0.812, 0.1277),
        "opened": Figures(1_688_940, 0.835, 0.1319),
        "before": Figures(1_438_230, 0.816, 0.1283),
        "rule": "contest",
        "f1_notes": ("505 validation images", "validation"),
    }
    return ScoreView(**{**values, **changes})  # type: ignore[arg-type]


def test_the_score_has_both_changes_of_every_figure() -> None:
    lines = score_text(view(), 120, is_low=False).plain.splitlines()
    assert lines[0].split() == ["now", "since", "opened", "last", "step"]
    assert lines[1].split() == ["MACs", "1,362,480", "−326,460", "−19%", "−75,750"]
    assert lines[2].split() == ["F1", "0.8120", "−0.0230", "−0.0040", "505", "validation", "images"]
    assert lines[3].split()[:4] == ["score", "0.1277", "−0.0042", "−0.0006"]
    assert "lower is better" in lines[3]
    assert "contest" in lines[3]


def test_the_figures_of_the_score_end_under_each_other_and_their_titles() -> None:
    lines = score_text(view(), 120, is_low=False).plain.splitlines()
    ends = [[match.end() for match in re.finditer(r"\S+(?: \S+)?", line)][1:4] for line in lines]
    assert ends[2] == ends[3]
    assert ends[1][1] == ends[2][1] == lines[0].index("since opened") + len("since opened")
    assert ends[1][2] == ends[2][2] == lines[0].index("last step") + len("last step")


def test_the_low_score_has_its_titles_in_the_cells_and_no_more_lines() -> None:
    lines = score_text(view(), 120, is_low=True).plain.splitlines()
    assert len(lines) == 3
    assert "opened −326,460 −19%" in lines[0]
    assert "step −75,750" in lines[0]


@pytest.mark.parametrize("width", [76, 78, 80])
def test_the_low_score_keeps_its_figures_and_cuts_its_notes(width: int) -> None:
    lines = score_text(view(), width, is_low=True).plain.splitlines()
    assert max(map(len, lines)) <= width
    for number, words in enumerate((("MACs", "−326,460 −19%", "−75,750"), ("F1", "−0.0230"))):
        assert all(word in lines[number] for word in words)
    assert lines[2].startswith("score ")
    assert "−0.0042" in lines[2]


def test_large_figures_stay_apart() -> None:
    large = view(
        now=Figures(1_362_480_000, 0.812, 98.2), opened=Figures(4_688_940_000, 0.835, 337.9)
    )
    line = score_text(large, 120, is_low=True).plain.splitlines()[0]
    assert line.split() == ["MACs", "1,362,480,000", "opened", "−3,326,460,000", "−71%", "step",
                            "+1,361,041,770"]  # fmt: skip


def test_unmeasured_figures_are_dashes_without_changes() -> None:
    unmeasured = view(now=Figures(1_362_480, None, None), f1_notes=("measuring …",))
    lines = score_text(unmeasured, 120, is_low=False).plain.splitlines()
    assert lines[2].split() == ["F1", "—", "measuring", "…"]
    assert lines[3].split()[:2] == ["score", "—"]


def test_a_negative_score_has_a_true_minus() -> None:
    lines = score_text(view(now=Figures(1, 0.98, -0.0546)), 120, is_low=False).plain.splitlines()
    assert "−0.0546" in lines[3]


@pytest.mark.parametrize("is_low", [False, True], ids=["titled", "low"])
@pytest.mark.parametrize("width", [78, 120])
def test_the_interval_of_f1_stands_before_the_note_and_moves_no_figure(
    width: int, is_low: bool
) -> None:
    plain = score_text(view(), width, is_low=is_low).plain.splitlines()
    measured = view(interval=(0.7751, 0.8444))
    lines = score_text(measured, width, is_low=is_low).plain.splitlines()
    at = 1 if is_low else 2
    assert len(lines[at]) <= width
    note = "[0.78, 0.84] validation" if width == 78 else "[0.78, 0.84] 505 validation images"
    figures, end = lines[at].split("−0.0040")
    assert end == f"  {note}"
    assert plain[at].startswith(figures)
    assert lines[:at] + lines[at + 1 :] == plain[:at] + plain[at + 1 :]


def test_a_column_without_figures_has_no_title() -> None:
    lines = score_text(view(before=None), 120, is_low=False).plain.splitlines()
    assert lines[0].split() == ["now", "since", "opened"]


def test_better_is_green_and_worse_is_red() -> None:
    text = score_text(view(), 120, is_low=False)
    colors = {}
    for span in text.spans:
        colors[text.plain[span.start : span.end]] = str(span.style)
    assert "green" in colors["−326,460 −19%"]
    assert "red" in colors["−0.0230"]
    assert "green" in colors["−0.0042"]


def classes(count: int) -> tuple[ClassRow, ...]:
    return tuple(
        ClassRow(f"class{number}", 0.9 - number / 100, 0.01 * (number - 2), 10 + number)
        for number in range(count)
    )


def test_classes_are_listed_from_the_worst_on() -> None:
    title, *lines = drawn(class_table(classes(4), 60, 10), 60)
    assert title.split() == ["F1", "±", "opened", "images"]
    assert [line.split()[0] for line in lines] == ["class3", "class2", "class1", "class0"]
    assert lines[0].split()[2:] == [".870", "+0.010", "13"]
    assert lines[1].split()[2:] == [".880", "±0.000", "12"]


def test_the_change_of_f1_has_a_title_even_where_not_all_classes_fit() -> None:
    lines = drawn(class_table(classes(9), 46, 5), 46)
    assert lines[0].split() == ["F1", "±", "opened", "images"]
    assert lines[-1] == "and 6 better"
    assert len(lines) == 5
    for line in lines[1:-1]:
        assert len(line.rstrip()) == len(lines[0].rstrip())


def test_classes_without_room_are_counted() -> None:
    lines = drawn(class_table(classes(9), 60, 4), 60)
    assert len(lines) == 4
    assert [line.split()[0] for line in lines[:3]] == ["class8", "class7", "class6"]
    assert lines[3] == "and 6 better"


def test_a_class_name_is_shown_as_it_is_even_with_brackets() -> None:
    rows = (ClassRow("[old] cats", 0.5, None, 3), ClassRow("dogs [/b]", 0.6, None, 3))
    lines = drawn(class_table(rows, 60, 2), 60)
    assert lines[0].startswith("[old] cats")
    assert lines[1].startswith("dogs [/b]")


def test_a_long_class_name_leaves_room_for_its_figures() -> None:
    row = ClassRow("a class with a very long name", 0.5, -0.25, 3)
    line = drawn(class_table((row,), 45, 1), 45)[0]
    assert line.startswith("a class with a … ")
    assert line.split()[-4:] == [".500", "−0.250", "n", "3"]


def running(**changes: object) -> JobView:
    values: dict[str, object] = {
        "name": "fine-tune",
        "detail": "v7 epoch 3/10 loss 0.512",
        "share": 0.25,
        "images_per_s": 1812.4,
        "left_s": 42.0,
    }
    return JobView(**{**values, **changes})  # type: ignore[arg-type]


def test_the_job_line_tells_what_runs_how_far_and_how_long() -> None:
    text = job_text(running(queue="evaluate"), 120).plain
    assert text.startswith("▶ fine-tune v7 epoch 3/10 loss 0.512  █████───────────────")
    assert text.endswith(" 25%  1,812 images/s  0:42 left  then evaluate")


def test_the_job_line_of_a_narrow_terminal_still_tells_the_time_left() -> None:
    text = job_text(running(), 78).plain
    assert text[:78].rstrip().endswith("0:42 left")


def test_a_bar_that_just_began_is_as_wide_as_one_that_is_full() -> None:
    lengths = {len(job_text(running(share=share), 120).plain) for share in (0.1, 0.5, 0.99)}
    assert len(lengths) == 1


def test_the_job_line_without_a_job_is_its_message_shortened() -> None:
    text = job_text(JobView(message="ready · " + "x" * 100), 40)
    assert len(text.plain) == 40
    assert text.plain.endswith("…")


def test_what_searches_begins_with_no_dot_where_there_is_a_gap() -> None:
    wide = job_text(running(search="scan 8/41"), 118).plain
    assert wide.endswith("  scan 8/41")
    assert "·" not in wide
    narrow = job_text(running(search="scan 8/41", detail="x" * 60), 78).plain
    assert len(narrow) == 78
    assert narrow.endswith("scan 8/41")


def test_a_warning_is_not_written_like_a_hint() -> None:
    hint = job_text(JobView(message="ready"), 40)
    warning = job_text(JobView(message="NOT SAVED", is_warning=True), 40)
    assert hint.style != warning.style


def test_statistics_in_words(network: Network) -> None:
    from sessions.events import LayerStats

    stats = LayerStats(
        count=1200, mean=-0.0012, std=0.158, near_zero=0.041, low=-0.5, high=0.46, histogram=(1,)
    )
    assert stats_lines(stats, "60×20×1×1") == (
        "weights 60×20×1×1: 1,200, near zero 4.1%",
        "std 0.158, mean −0.001, −0.50 to 0.46",
    )
    assert stats_lines(stats)[0] == "1,200 weights, near zero 4.1%"


FACTS = ("a title", "a fact that is longer than a line", "a short one")


@pytest.mark.parametrize(
    ("height", "free", "expected"),
    [
        (6, 1, ["a title", "a fact that is", "longer than a line", "a short one"]),
        (4, 1, ["a title", "a fact that is lo…", "a short one"]),
        (4, 0, ["a title", "a fact that is", "longer than a line", "a short one"]),
        (3, 1, ["a title", "a fact that is lo…", "a short one"]),
        (2, 0, ["a title", "… 2 more"]),
    ],
)
def test_facts_are_never_cut_without_a_sign(height: int, free: int, expected: list[str]) -> None:
    assert fitting(FACTS, 18, height, free=free) == expected
