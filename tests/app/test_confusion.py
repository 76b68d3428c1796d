"""The heat map of confusions: figures, shades, names of any script, any number of classes."""

from typing import Any

import pytest
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import App

from sessions.events import ClassScore, Evaluation
from widgets.confusion import ConfusionMap, ConfusionView, confusion_text, f1_text, most_frequent
from workbench.screens.confusion import ConfusionScreen

CONTEST = (
    "Battery", "Clothing", "Glass", "Metal", "Paper", "Paperpack", "Plastic", "Plasticbag",
    "Styrofoam",
)  # fmt: skip
WIDE = ("電池", "衣類とても長い名前のクラス", "ガラス", "プラスチックの袋", "cats", "x")


def view(
    classes: tuple[str, ...] = ("glass", "metal", "paper"),
    counts: tuple[tuple[int, ...], ...] = ((30, 8, 2), (1, 9, 0), (0, 0, 0)),
    **changes: Any,
) -> ConfusionView:
    values = {"split": "hold-out", "images": 50, "f1": 0.7834, "interval": (0.742, 0.8213)}
    return ConfusionView(classes=classes, counts=counts, **{**values, **changes})


def many(classes: tuple[str, ...], right: int = 90, wrong: int = 3) -> ConfusionView:
    """Every class is taken for every other this often."""
    sides = range(len(classes))
    return view(classes, tuple(tuple(right if a == b else wrong for b in sides) for a in sides))


def lines(text: Text) -> list[str]:
    return text.plain.splitlines()


def shades(text: Text) -> dict[str, tuple[int, int, int]]:
    """Red, green and blue behind every figure that has a background."""
    found = {}
    for span in text.spans:
        if isinstance(span.style, Style) and span.style.bgcolor is not None:
            color = span.style.bgcolor.get_truecolor()
            found[text.plain[span.start : span.end].strip()] = (color.red, color.green, color.blue)
    return found


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    found = [line.split() for line in lines(confusion_text(view(), 70))]
    assert found[0] == ["true", "╲", "predicted", "glass", "metal", "paper", "found"]
    assert found[1] == ["glass", "30", "8", "2", "75%"]
    assert found[2] == ["metal", "1", "9", "·", "90%"]
    assert found[3] == ["paper", "·", "·", "·", "none"]


def test_a_figure_stands_under_the_name_of_its_class() -> None:
    found = lines(confusion_text(view(), 70))
    where = found[0].index("metal")
    assert found[1][where : where + 5].strip() == "8"
    assert found[2][where : where + 5].strip() == "9"


def test_the_shade_is_green_for_found_and_red_for_taken_and_stronger_for_more() -> None:
    found = shades(confusion_text(view(), 70))
    assert found["30"][1] > found["30"][0]
    assert found["8"][0] > found["8"][1]
    assert found["8"][0] > found["2"][0] > found["2"][1]
    assert found["9"][1] > found["30"][1]
    assert "·" not in found


def test_the_shade_is_of_the_share_of_the_row_not_of_the_number() -> None:
    found = shades(confusion_text(view(("a", "b"), ((500, 100), (3, 7))), 70))
    assert found["3"][0] > found["100"][0]


@pytest.mark.parametrize("count", [2, 3, 6, 9, 12])
@pytest.mark.parametrize("width", [70, 74, 92, 114])
def test_twelve_classes_have_room_in_eighty_columns(count: int, width: int) -> None:
    found = lines(confusion_text(many(tuple(f"class number {n}" for n in range(count))), width))
    assert len(found) == count + 1
    assert len({cell_len(line) for line in found}) == 1
    assert cell_len(found[0]) <= width
    for number, line in enumerate(found[1:]):
        figures = line.split()[-count - 1 : -1]
        assert figures == ["90" if at == number else "3" for at in range(count)]


@pytest.mark.parametrize("width", [40, 50, 70, 100])
def test_names_of_double_width_keep_the_columns_straight(width: int) -> None:
    found = lines(confusion_text(many(WIDE), width))
    assert len({cell_len(line) for line in found}) == 1
    assert cell_len(found[0]) <= width
    starts = {cell_len(line[: line.index("90")]) for line in found[1:]}
    assert len(starts) == len(WIDE)


def test_long_names_end_in_an_ellipsis() -> None:
    found = lines(confusion_text(many(("a very long name of a class", "short")), 42))
    assert found[1].startswith("a very long name… ")
    assert " a very… " in found[0]


def test_columns_whose_short_names_would_be_alike_are_numbered_like_their_rows() -> None:
    found = lines(confusion_text(many(CONTEST), 70))
    assert found[0].split()[-10:] == [*"123456789", "found"]
    assert [line.split()[:2] for line in found[6:9]] == [
        ["6", "Paperpack"], ["7", "Plastic"], ["8", "Plasticbag"],
    ]  # fmt: skip
    wide = lines(confusion_text(many(CONTEST), 114))
    assert " Plastic  Plasticb… " in wide[0]


def test_large_numbers_are_rounded_where_they_have_no_room() -> None:
    large = many(tuple(f"{n}" for n in range(12)), right=12_345, wrong=999)
    found = lines(confusion_text(large, 70))
    assert found[1].split()[1:3] == ["12k", "999"]
    assert "12,345" in lines(confusion_text(many(("a", "b"), right=12_345), 70))[1]


def test_without_room_the_most_frequent_confusions_are_told_in_words() -> None:
    found = lines(confusion_text(many(tuple(f"class {n}" for n in range(40))), 70))
    assert found[0] == "class 0 taken for class 1  3 of 207, 1%"


def test_confusions_in_words_come_from_the_most_frequent_on() -> None:
    assert lines(most_frequent(view(), 2)) == [
        "glass taken for metal  8 of 40, 20%",
        "glass taken for paper  2 of 40, 5%",
    ]
    assert most_frequent(view(("a", "b"), ((3, 0), (0, 4))), 2).plain == "Every image is found."


def test_a_name_is_shown_as_it_is_with_brackets_and_never_sends_control_characters() -> None:
    found = confusion_text(many(("[red]x[/]", "a\x1b[31mb\n", "\udce9")), 70).plain
    assert "[red]x[/]" in found
    assert "\x1b" not in found
    assert "a?[31mb?" in found
    assert "\udce9" not in found


def test_f1_has_its_interval_and_says_on_which_images() -> None:
    assert f1_text(view()).plain == "F1 0.7834 [0.74, 0.82] on 50 hold-out images"
    assert f1_text(view(interval=None)).plain == "F1 0.7834 on 50 hold-out images"


def test_an_evaluation_recorded_without_confusions_says_how_to_get_them() -> None:
    old = Evaluation(
        split="validation", images=9, f1=0.5, accuracy=0.5,
        classes=(ClassScore("a", 0.5, 0.5, 0.5, 9),),
    )  # fmt: skip
    assert "e measures them" in confusion_text(ConfusionView.of(old), 70).plain


def test_what_an_evaluation_found_is_what_is_shown() -> None:
    evaluation = Evaluation(
        split="validation", images=9, f1=0.5, accuracy=0.5, low=0.25, high=0.75,
        classes=tuple(ClassScore(name, 0.5, 0.5, 0.5, 9) for name in "ab"),
        confusion=((4, 1), (2, 2)),
    )  # fmt: skip
    assert ConfusionView.of(evaluation) == view(
        ("a", "b"), ((4, 1), (2, 2)), split="validation", images=9, f1=0.5, interval=(0.25, 0.75)
    )


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (80, 16)])
async def test_the_screen_shows_twelve_classes_and_closes_with_its_key(
    size: tuple[int, int],
) -> None:
    # GIVEN
    app: App[None] = App()
    shown = many(tuple(f"c{n}" for n in range(12)))
    async with app.run_test(size=size) as pilot:
        # WHEN
        screen = ConfusionScreen(shown, "of v7 thin")
        app.push_screen(screen)
        await pilot.pause()
        # THEN
        drawn = screen.query_one(ConfusionMap)
        assert drawn.size.height == 13
        assert drawn.size.width <= size[0] * 0.95
        dialog = screen.query_one(".dialog")
        assert dialog.border_title == "Confusions of v7 thin"
        assert (dialog.max_scroll_y == 0) == (size[1] >= 36)
        # WHEN
        await pilot.press("m")
        # THEN
        assert app.screen is not screen


async def test_the_screen_of_a_variant_without_f1_says_so() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = ConfusionScreen(None)
        app.push_screen(screen)
        await pilot.pause()
        assert "e measures it" in str(screen.query_one(ConfusionMap).render())
        await pilot.press("escape")
        assert app.screen is not screen


def test_long_names_are_whole_where_cells_stay_wide() -> None:
    name = "food-and-garden-waste"
    found = lines(confusion_text(many((name, *CONTEST[:8])), 114))
    assert found[1].startswith(f"{name} ")
    words = most_frequent(many((name, "short")), 2, width=80).plain
    assert f"short taken for {name}" in words


def test_without_colours_only_what_is_found_and_the_cursor_are_reversed() -> None:
    text = confusion_text(view(), 70, (0, 2), None)
    reversed_ = {
        text.plain[span.start : span.end].strip()
        for span in text.spans
        if (Style.parse(span.style) if isinstance(span.style, str) else span.style).reverse
    }
    assert reversed_ == {"30", "9", "[2]"}
    bold = {
        text.plain[span.start : span.end].strip()
        for span in text.spans
        if isinstance(span.style, Style) and span.style.bold and not span.style.reverse
    }
    assert bold == {"8", "1"}


def test_shades_are_told_in_words_where_there_is_room() -> None:
    assert f1_text(view(), 114).plain.endswith("green: found, red: taken for another")
    assert f1_text(view(), 74).plain.endswith("green: found, red: not")
    assert f1_text(view(), 50).plain == f1_text(view()).plain
    assert "reversed: found" in f1_text(view(), 114, is_colourless=True).plain
