"""The panels beside the tree: what has room in them, and what they say of costs, scans, classes."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.text import Text
from textual.app import App

from sessions import edits
from sessions.codec import Record
from sessions.events import (
    AnyEvent,
    ClassScore,
    EditRequested,
    Evaluated,
    Evaluation,
    JobFinished,
    JobProgressed,
    JobQueued,
    JobStarted,
    LayerStats,
)
from sessions.measured import Cost
from sessions.network import Network
from sessions.recipe import Recipe
from sessions.replay import Timeline
from sessions.searching import Measured, ScanPlan
from sessions.state import Search, SessionState
from widgets import curves
from widgets.curves import Curves, CurvesView
from widgets.histogram import HistogramView, histogram_text
from widgets.layer_panel import LayerPanel, LayerView
from workbench.screens import lens, panel_views, views
from workbench.screens.lens import Lens

STATS = LayerStats(900, 0.0, 0.1, 0.02, -0.5, 0.5, (1, 4, 9, 30, 9, 4, 1))


def view(facts: int, **changes: Any) -> LayerView:
    lines = tuple(f"fact {number}" for number in range(1, facts))
    return LayerView(title="fact 0", lines=lines, stats=STATS, stats_of="unit2.conv", **changes)


def lines_of(app: App[None]) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


class Alone(App[None]):
    """A panel with the whole terminal."""

    def __init__(self, panel: LayerPanel | Curves, *, has_border: bool = False) -> None:
        super().__init__()
        self.panel = panel
        if has_border:
            panel.styles.border = ("round", "white")

    def compose(self) -> Any:
        yield self.panel


@pytest.mark.parametrize("facts", [5, 6, 9])
@pytest.mark.parametrize(
    "size", [(46, 5), (46, 8), (46, 9), (46, 10), (46, 13), (74, 22), (80, 6), (114, 6)], ids=str
)
async def test_facts_and_the_caption_of_the_histogram_have_room(
    size: tuple[int, int], facts: int
) -> None:
    app = Alone(LayerPanel())
    async with app.run_test(size=size) as pilot:
        app.panel.view = view(facts)
        await pilot.pause()
        shown = lines_of(app)
        text = "\n".join(shown)
        named = [number for number in range(facts) if f"fact {number}" in text]
        assert len(named) == facts or f"… {facts - len(named)} more" in text
        if size[1] < 8 and size[0] < 64:
            assert "weights" not in text
            return
        assert "weights of unit2.conv" in text
        if size[0] >= 80:
            assert all(line[42:45].strip() == "" for line in shown)
        elif size[1] >= 10:
            last = max(n for n, line in enumerate(shown) if "fact" in line or "more" in line)
            assert shown[last + 1].strip() == ""


@pytest.mark.parametrize("height", range(3, 9))
def test_two_series_are_both_drawn_however_low_the_histogram_is(height: int) -> None:
    then = msgspec.structs.replace(STATS, histogram=(9, 9, 1, 1, 1, 9, 9))
    drawn = histogram_text(HistogramView(STATS, then, "conv", "opened"), 40, height)
    assert len(drawn.plain.split("\n")) == height
    plot = drawn.split("\n")[: height - 1 - (height > 3)]
    styles = {str(span.style) for line in plot for span in line.spans} | {
        str(line.style) for line in plot
    }
    assert any("yellow" in style for style in styles)
    assert any("cyan" in style for style in styles)


MARKED = CurvesView(
    tuple((float(at), 0.5 + at / 100) for at in range(8)),
    ((0.5, 0.9), (1.0, 0.8)),
    (1.0,),
    ((2.0, 0.52, "raw"), (3.0, 0.53, "batch norm"), (4.0, 0.54, "fitted")),
)


@pytest.mark.parametrize(
    ("size", "has_border"),
    [((48, 9), True), ((76, 20), True), ((80, 6), False), ((80, 15), False)],
    ids=["stacked", "tall", "tab", "tall tab"],
)
async def test_the_legend_of_the_curves_is_whole(size: tuple[int, int], has_border: bool) -> None:
    app = Alone(Curves(), has_border=has_border)
    async with app.run_test(size=size) as pilot:
        app.panel.view = MARKED
        await pilot.pause()
        shown = lines_of(app)
        assert any("│ cut  raw  batch norm  fitted" in line for line in shown)
        assert not any("…" in line for line in shown)
        app.panel.view = CurvesView(MARKED.f1, MARKED.loss)
        await pilot.pause(curves.REDRAW_S * 1.2)
        assert not any("batch norm" in line for line in lines_of(app))


@pytest.mark.parametrize("height", [7, 8, 9, 12])
async def test_a_single_f1_lies_on_the_line_of_its_figure(height: int) -> None:
    app = Alone(Curves())
    async with app.run_test(size=(46, height)) as pilot:
        app.panel.view = CurvesView(((0.0, 0.8351),), ())
        await pilot.pause()
        line = next(line for line in lines_of(app) if "●" in line)
        assert line.split("┤")[0].strip() == "0.835"


async def test_the_last_values_of_a_job_are_drawn_without_another_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(curves, "REDRAW_S", 0.2)
    app = Alone(Curves())
    async with app.run_test(size=(46, 9)) as pilot:
        for last in range(2, 6):
            app.panel.view = CurvesView(MARKED.f1[:last], ())
        await pilot.pause(0.4)
        ticks = next(line for line in reversed(lines_of(app)) if line.strip())
        assert ticks.split() == ["0", "2", "4"]


def after(*happened: AnyEvent) -> SessionState:
    records = [Record(float(number), event) for number, event in enumerate(happened)]
    return Timeline(records).state_at(len(records))


def found(f1: float) -> Evaluation:
    score = ClassScore("glass", f1, f1, f1, 90)
    return Evaluation(split="validation", images=90, f1=f1, accuracy=f1, classes=(score,))


@pytest.fixture
def start(events: dict[str, Callable[..., Any]], network: Network) -> list[AnyEvent]:
    return [
        events["model"](network),
        events["data"](classes=tuple("abcdefghi")),
        JobQueued(job=1, job_kind="evaluate", variant=0),
        JobStarted(job=1, device="cpu", steps=1),
        Evaluated(job=1, evaluation=found(0.8)),
        JobFinished(job=1, evaluation=found(0.8)),
    ]


RUNNING = (
    JobQueued(job=2, job_kind="fine-tune", variant=0, result=2, recipe=Recipe(epochs=4)),
    JobStarted(job=2, device="cpu", steps=40),
    JobProgressed(job=2, phase="training", step=15, steps=40, epoch=1.5, loss=0.4),
)


def test_the_opened_model_is_not_compared_with_itself_while_a_job_runs(
    start: list[AnyEvent],
) -> None:
    running = views.score_view(after(*start, *RUNNING))
    assert running is not None
    assert (running.opened, running.before) == (None, None)
    live = views.score_view(
        after(*start, *RUNNING, Evaluated(job=2, evaluation=found(0.7), epoch=1.0))
    )
    assert live is not None
    assert live.opened is not None
    assert (live.opened.f1, live.now.f1) == (0.8, 0.7)


def facts_of(state: SessionState, **changes: Any) -> tuple[str, ...]:
    row = next(r for r in lens.rows(state, Lens()) if r.path == "stage1.unit3")
    row = msgspec.structs.replace(row, **changes)
    return lens.layer_view(views.layer_view(state, row), state, row, Lens()).lines


def cost(raw: float | None, recovered: float | None = None, **changes: Any) -> Cost:
    return Cost(
        raw=raw, recovered=recovered, recovered_by="batch norm", measured_from=0, measured_by=1,
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "is_old", "words"),
    [
        (cost(-0.2228, -0.0632), False, "measured: costs 0.0632 F1 (as cut 0.2228)"),
        (cost(-0.2228, -0.0632), True, "in v0 it cost 0.0632 F1 (as cut 0.2228)"),
        (cost(-0.0632), False, "measured: costs 0.0632 F1"),
        (cost(0.002), True, "in v0 it gained 0.0020 F1"),
        (cost(-0.03, 0.002), False, "as cut, before batch norm, it cost 0.0300"),
        (cost(None, -0.04, search=2, images=505), False, "by scan 2: 505 images, batch norm anew"),
    ],
    ids=["now", "earlier", "only as cut", "gain", "gain once measured anew", "scan"],
)
def test_what_a_unit_was_measured_to_cost_in_words(
    of: Cost, is_old: bool, words: str, start: list[AnyEvent]
) -> None:
    lines = facts_of(after(*start), cost=of, is_cost_old=is_old)
    assert lines[-1] == words
    assert "pays off if it costs less than 0.0055 F1" in lines
    assert max(map(len, lines)) <= 46


def test_the_best_cuts_of_a_stage_stand_under_their_titles_and_say_of_how_many(
    start: list[AnyEvent],
) -> None:
    def tried(f1: float, *changes: edits.Edit) -> Measured:
        macs = 1_688_940 if not changes else 1_400_000
        return Measured(
            edits=changes, macs=macs, f1=f1, low=f1, high=f1, loss=1 - f1, images=64
        )  # fmt: skip

    measured = (
        tried(0.8),
        tried(0.794, edits.Groups("stage2", 6)),
        tried(0.803, edits.Mid("stage2.unit2", 15)),
        tried(0.7, edits.Width("stage2", 60)),
    )
    plan = ScanPlan(candidates=tuple(found.edits for found in measured))
    scan = Search(number=1, variant=0, plan=plan, recipe=Recipe(), measured=measured)
    state = msgspec.structs.replace(after(*start), searches={1: scan})
    row = next(r for r in lens.rows(state, Lens()) if r.path == "stage2")
    title, *lines = lens.layer_view(views.layer_view(state, row), state, row, Lens()).lines[-3:]
    assert title.split() == ["best", "2", "of", "3,", "scan", "1", "of", "v0", "cost", "worth"]
    assert lines[0].split() == ["unit2", "bottleneck", "15", "−.0030", ".0174"]
    assert lines[1].split() == ["groups", "6", ".0060", ".0174"]
    assert {len(line) for line in (title, *lines)} == {41}


def test_an_off_unit_says_in_one_line_what_it_saves(start: list[AnyEvent]) -> None:
    off = EditRequested(variant=1, parent=0, edit=edits.UnitOff("stage1.unit3"))
    lines = facts_of(after(*start, off))
    assert "off: saves 91,500 MACs; space: on again" in lines


def test_the_histogram_of_a_stage_names_the_unit_of_its_layer(start: list[AnyEvent]) -> None:
    state = after(*start)
    rows = {row.path: row for row in lens.rows(state, Lens())}
    assert views.layer_view(state, rows["stage3"]).stats_of == "unit4.expand_conv3"
    assert views.layer_view(state, rows["stage3.unit4"]).stats_of == "expand_conv3"


def test_the_classes_say_why_they_have_no_f1(
    start: list[AnyEvent], events: dict[str, Any], network: Network
) -> None:
    off = EditRequested(variant=1, parent=0, edit=edits.UnitOff("stage1.unit3"))
    assert panel_views.class_word(SessionState()) == "No F1 by class: no model is open yet."
    assert panel_views.class_word(after(*start)) == ""
    word = panel_views.class_word(after(*start, off))
    assert word == "v1 has no F1 by class yet (not measured: press e)"
    no_data = panel_views.class_word(after(events["model"](network)))
    assert no_data.startswith("v0 has no F1 by class yet (no data")


def test_the_legend_alone_begins_with_its_first_sign() -> None:
    drawn = curves.legend_text(MARKED, 44, "")
    assert isinstance(drawn, Text)
    assert drawn.plain == "│ cut  raw  batch norm  fitted"
