"""`report`: one page out of the log, nothing from outside, nothing that a name can break out of."""

import html.parser
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessions import edits, log, macs
from sessions.codec import Header, Record
from sessions.events import (
    AnyEvent,
    ClassScore,
    DataOpened,
    Edited,
    Evaluated,
    Evaluation,
    JobFinished,
    JobProgressed,
    JobQueued,
    JobStarted,
    ModelOpened,
    VariantNamed,
)
from sessions.recipe import Recipe
from sessions.score import CONTEST, PRESETS
from workbench.report import charts
from workbench.report.words import edit_words
from workbench.surgery.families import shufflenet

HOSTILE = "<script>alert(1)</script>"
CLASSES = (HOSTILE, 'a"b', "유리")
VOID = {"meta", "link", "br"}


class Page(html.parser.HTMLParser):
    """Reads a page: its text, and whatever a browser would fetch or run."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.outside: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "data", "action", "srcset", "poster", "xlink:href"):
                self.outside.append((tag, name, value or ""))
            assert not name.startswith("on"), (tag, name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.remove(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def found(f1: float, wrong: int) -> Evaluation:
    return Evaluation(
        split="validation", images=30, f1=f1, accuracy=f1, low=f1 - 0.05, high=f1 + 0.05,
        classes=tuple(ClassScore(name, f1, f1, f1, 10) for name in CLASSES),
        confusion=((10 - wrong, wrong, 0), (0, 10, 0), (1, 0, 9)),
    )  # fmt: skip


def events(recipe: Recipe) -> list[AnyEvent]:
    """Opened, measured, a unit off, measured, fine-tuned."""
    network = shufflenet.fresh(units=(2, 2, 2), classes=3)
    off = edits.UnitOff("stage1.unit2")
    cut = edits.apply(network, off)
    sizes = (macs.count(network), macs.count(cut))
    before, between, after = found(0.9, 1), found(0.4, 7), found(0.93, 2)
    return [
        ModelOpened(
            source=f"/models/{HOSTILE}.pt", sha256="ab" * 32, checkpoint="cd" * 32,
            network=network, weights_sha256="ef" * 32, stats={}, macs=sizes[0],
            ptflops_macs=sizes[0], notes=("read as is",),
        ),
        DataOpened(
            source=f"/data/{HOSTILE}", fingerprint="12" * 32, classes=CLASSES, train_images=120,
            val_images=30, size=32,
        ),
        JobQueued(job=1, job_kind="evaluate", variant=0, is_automatic=True),
        JobStarted(job=1, device="cpu", steps=1),
        Evaluated(job=1, evaluation=before),
        JobFinished(job=1, evaluation=before),
        Edited(variant=1, parent=0, edit=off, macs=sizes[1], weights_sha256="34" * 32, exact=True),
        JobQueued(job=2, job_kind="evaluate", variant=1, is_automatic=True),
        Evaluated(job=2, evaluation=between),
        JobFinished(job=2, evaluation=between),
        VariantNamed(variant=1, name=HOSTILE),
        JobQueued(job=3, job_kind="fine-tune", variant=1, result=2, recipe=recipe),
        JobStarted(job=3, device="cpu", steps=20),
        JobProgressed(job=3, phase="training", step=10, steps=20, epoch=1.0, loss=0.7),
        JobProgressed(job=3, phase="training", step=20, steps=20, epoch=2.0, loss=0.3),
        Evaluated(job=3, evaluation=after, epoch=2.0),
        JobFinished(job=3, checkpoint="56" * 32, weights_sha256="78" * 32, evaluation=after),
    ]  # fmt: skip


def write(folder: Path, happened: list[AnyEvent]) -> Path:
    folder.mkdir()
    header = Header(created="2025-01-02T03:04:05+00:00", model_sha256="ab" * 32, seed=3)
    written = log.SessionLog.create(folder, header)
    for number, event in enumerate(happened):
        written.append(Record(number / 4, event))
    written.close()
    return folder


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe(epochs=2, mixup=0.25, pretrain_data=HOSTILE)
    return write(tmp_path_factory.mktemp("report") / "a b", events(recipe))


@pytest.fixture(scope="module")
def written(
    session: Path, run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> str:
    out = tmp_path_factory.mktemp("page") / "report.html"
    ended = run("report", session, "-o", out)
    assert (ended.code, ended.out, ended.err) == (0, f"saved {out}\n", "")
    return out.read_text(encoding="utf-8")


def test_the_page_names_nothing_outside_and_runs_nothing(written: str) -> None:
    page = Page(written)
    assert page.outside == [("link", "href", "data:,")]
    assert not {"script", "iframe", "img", "object", "embed", "form", "base"} & set(page.tags)
    assert "@import" not in written
    assert "url(" not in written


def test_hostile_names_stay_text(written: str) -> None:
    page = Page(written)
    assert "<script>" not in written
    assert f"1 {HOSTILE}" in page.text  # a class
    assert f"“{HOSTILE}”" in page.text  # a variant
    assert f"/data/{HOSTILE}" in page.text
    assert "유리" in page.text


def test_the_page_has_every_part(written: str, session: Path) -> None:
    text = Page(written).text
    for heading in (
        "Before and after", "Score", "F1 and loss", "Variants", "Training", "Do it again",
        "Which classes are taken for which",
    ):  # fmt: skip
        assert heading in text
    assert "0.9000" in text
    assert "0.9300+0.0300" in text
    assert f"{HOSTILE} taken for a&quot;b".replace("&quot;", '"') in text
    assert "stage1.unit2 switched off from v0" in text
    assert "mixup0.25" in text
    assert f"workbench replay {shlex.quote(str(session))} --verify" in text
    assert written.count("<svg") == 3


def test_the_edits_come_as_a_command_that_a_shell_takes(written: str) -> None:
    text = Page(written).text
    command = text[text.index("workbench edit") : text.index("The whole session")]
    words = shlex.split(command)
    assert words == [
        "workbench", "edit", f"/models/{HOSTILE}.pt", "edited.pt", "off:stage1.unit2",
    ]  # fmt: skip


def test_json_tells_the_same_facts(run: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    facts = run("report", session, "--json").json
    assert (facts["opened"], facts["best"], facts["current"]) == (0, 2, 2)
    by_number = {variant["number"]: variant for variant in facts["variants"]}
    assert by_number[2]["score"] == pytest.approx(CONTEST.score(by_number[2]["macs"], 0.93))
    assert by_number[1]["edit"] == "off:stage1.unit2"
    assert by_number[0]["confusion"] == [[9, 1, 0], [0, 10, 0], [1, 0, 9]]
    assert facts["jobs"][0]["changed"] == {
        "epochs": "2", "mixup": "0.25", "pretrain_data": HOSTILE,
    }  # fmt: skip
    assert [round(m["f1"], 2) for m in facts["measurements"]] == [0.9, 0.4, 0.93]
    assert facts["data"]["classes"] == list(CLASSES)
    out = tmp_path / "r.html"
    assert run("report", session, "-o", out, "--json").json == facts
    assert out.exists()


def test_a_session_without_data_says_so(run: Callable[..., Any], tmp_path: Path) -> None:
    folder = write(tmp_path / "s", events(Recipe())[:1])
    out = tmp_path / "report.html"
    assert run("report", folder, "-o", out).code == 0
    text = Page(out.read_text(encoding="utf-8")).text
    for words in (
        "none was open: F1 was not measured", "No F1 was measured", "No job changed weights",
        "Nothing was changed since it was opened",
    ):  # fmt: skip
        assert words in text


REFUSED = {
    "report {at}/none -o {at}/x.html": "is not a session",
    "report {at}/quiet -o {at}/x.html": "the session ended before a model was open",
    "report {session}": "name the page: -o report.html",
    "report {session} -o {at}/none/x.html": "folder does not exist",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_reported_is_one_line(
    line: str, run: Callable[..., Any], session: Path, tmp_path: Path
) -> None:
    write(tmp_path / "quiet", [JobStarted(job=1, device="cpu", steps=2)])
    words = [word.format(at=tmp_path, session=session) for word in line.split()]
    ended = run(*words)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert REFUSED[line] in ended.err
    assert not list(tmp_path.glob("**/*.html"))


def test_a_torn_line_is_told(run: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    content = (session / log.LOG_NAME).read_bytes()
    (tmp_path / log.LOG_NAME).write_bytes(content[:-10])
    out = tmp_path / "report.html"
    ended = run("report", tmp_path, "-o", out)
    assert (ended.code, ended.err) == (0, "note: the last line was cut off and is left out\n")
    assert "cut off" in Page(out.read_text(encoding="utf-8")).text


@pytest.mark.parametrize("rule", PRESETS.values(), ids=PRESETS)
def test_lines_of_equal_score_have_that_score(rule: Any) -> None:
    frame = charts.Frame((200_000.0, 0.3), (1_700_000.0, 0.95))
    drawn = 0
    for score in (-0.05, 0.0, 0.05, 0.1, 0.2, 0.4):
        for piece in charts.iso_line(rule, score, frame):
            for count, f1 in piece:
                drawn += 1
                assert rule.score(round(count), f1) == pytest.approx(score, abs=1e-6)
    assert drawn > 100


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.81, 0.84), (-3.0, 7.0), (1.5e6, 1.7e6), (1.0, 17.0)]
)
def test_ticks_lie_in_the_range_and_are_a_few(low: float, high: float) -> None:
    found = charts.ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)


@pytest.mark.parametrize(
    ("edit", "words"),
    {
        "off:stage1.unit3": "stage1.unit3 switched off",
        "on:stage1.unit3": "stage1.unit3 switched on again",
        "width:stage3=210@taylor": "stage3 cut to 210 channels, by Taylor score",
        "mid:stage2=24": "bottleneck of stage2 cut to 24 channels, by L2 norm",
        "groups:stage3=1": "stage3 in 1 group, by L2 norm",
        "kernel:stage1.unit2=5": "depthwise kernel of stage1.unit2 made 5×5",
        "widen:stage3=300": "stage3 widened to 300 channels",
        "rank:init.conv=2x4": "init.conv decomposed at rank 2×4",
        "rank:init.conv=90%": "init.conv decomposed at rank 90%",
        "head:conv": "classifier made a 1×1 conv",
        "classes:9": "new classifier for 9 classes",
        "input:80": "input size 80×80",
    }.items(),
)
def test_every_edit_has_words(edit: str, words: str) -> None:
    assert edit_words(edits.parse(edit)) == words
