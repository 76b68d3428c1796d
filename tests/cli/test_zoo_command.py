"""`workbench zoo`: the list, fetching, comparing candidates, and input sizes."""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from weights_server import WeightsServer, published, zipped

from sessions import macs
from sessions.edits import Classes, InputSize, apply
from sessions.evaluation import Evaluation
from sessions.recipe import Recipe
from sessions.score import load_rule
from sessions.splits import Splits
from workbench.cli.zoo_tables import print_entries
from workbench.search.zoo import Entry, Plan
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.zoo import catalogue, store
from workbench.zoo.catalogue import PUBLISHED, Published

QUICK = (
    "--epochs", 1, "--set", "images_per_epoch=0", "--set", "batch_size=8",
    "--set", "recover_images=16",
)  # fmt: skip
STRUCTURE = shufflenet.fresh(3, 0.25, (1, 1, 1), classes=5)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no proxy."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", store.URL_ENV):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "models"


@pytest.fixture(scope="module")
def weights() -> bytes:
    """A checkpoint of a small network of five classes, as a state_dict."""
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.save(build(STRUCTURE).state_dict(), buffer)
    return buffer.getvalue()


@pytest.fixture
def tiny(weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Published:
    """That network as one of the zoo."""
    network = published(weights)
    monkeypatch.setitem(catalogue.PUBLISHED, network.name, network)
    monkeypatch.setitem(catalogue._BY_SHA1, network.sha1, network)
    return network


@pytest.fixture
def server(tiny: Published, weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with WeightsServer(zipped(**{tiny.file_name: weights})).running() as running:
        monkeypatch.setenv(store.URL_ENV, running.address)
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 30 photos each, 40 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 190)):
        (folder / label).mkdir()
        for number in range(30):
            image = rng.normal(level, 30, (40, 40, 3)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / label / f"{number}.png"), image)
    return folder


def test_the_list_has_every_network_at_the_size_asked_for(
    run: Callable[..., Any], models: Path
) -> None:
    models.mkdir(parents=True)
    (models / PUBLISHED["shufflenet_g3_wd4"].file_name).write_bytes(b"x")
    found = run("zoo", "list", "--input-size", 80, "--classes", 9, "--json").json
    assert [row["name"] for row in found["networks"]] == list(PUBLISHED)
    row = next(row for row in found["networks"] if row["name"] == "shufflenet_g3_wd4")
    # The contest's network with a linear head, whose 9 bias adds the contest's tool counts.
    assert row["macs"] == {"contest": 1_688_949, "conv-linear": 1_467_600}
    assert (row["params"], row["top1_error"]) == (67_071, 61.74)
    assert row["file"] == str(models / "shufflenet_g3_wd4-3653-6abdd65e.pth")
    assert [row["file"] for row in found["networks"]].count(None) == len(PUBLISHED) - 1


def test_the_list_says_what_its_columns_are_of(run: Callable[..., Any]) -> None:
    ended = run("zoo", "list")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[2].split() == [
        "shufflenet_g3_wd4", "3", "0.25", "305,902", "12,686,608", "11,009,808",
        "61.74", "%", "36.53", "%", "no",
    ]  # fmt: skip
    assert "MACs at 224 pixels and 1000 classes" in ended.out


def test_a_size_that_no_network_takes_is_one_line(run: Callable[..., Any]) -> None:
    ended = run("zoo", "list", "--input-size", 0)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


def test_get_fetches_checks_and_copies(
    run: Callable[..., Any], server: WeightsServer, tiny: Published, tmp_path: Path, weights: bytes
) -> None:
    ended = run("zoo", "get", tiny.name, "--out", tmp_path / "mine.pth", "--json")
    assert ended.code == 0
    assert ended.json == {
        "name": tiny.name, "file": str(tmp_path / "mine.pth"), "sha1": tiny.sha1,
        "bytes": len(weights),
    }  # fmt: skip
    assert (tmp_path / "mine.pth").read_bytes() == weights
    assert run("inspect", tmp_path / "mine.pth", "--json").json["classes"] == 5
    (listed,) = (x for x in run("cache", "--json").json["networks"] if x["name"] == tiny.name)
    assert listed["bytes"] == len(weights)
    assert f"network {tiny.name} removed" in run("cache", "--clear").out
    assert run("cache", "--json").json["networks"] == []


def test_get_without_a_network_is_one_line(
    run: Callable[..., Any], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run("zoo", "get", "shufflenet_g1_wd4", "--base-url", "http://127.0.0.1:9")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: cannot reach 127.0.0.1:9: connection refused: check")
    assert ended.err.count("\n") == 1
    assert str(models) in ended.err


def test_get_of_a_wrong_file_is_one_line_and_leaves_nothing(
    run: Callable[..., Any], server: WeightsServer, tiny: Published, models: Path
) -> None:
    server.content = zipped(**{tiny.file_name: b"other"})
    ended = run("zoo", "get", tiny.name)
    assert ended.code == 1
    wrong = hashlib.sha1(b"other").hexdigest()[:8]
    assert f"SHA-1 {wrong}, published {tiny.sha1[:8]}" in ended.err
    assert ended.err.count("\n") == 1
    assert {path.suffix for path in models.iterdir()} <= {".lock"}


def test_compare_ranks_files_folders_and_names(
    run: Callable[..., Any],
    server: WeightsServer,
    tiny: Published,
    photos: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "junk.pth").write_bytes(b"junk")
    run("new", folder / "small.pth", "--units", "1,1,1", "--groups", 1)
    ended = run(
        "zoo", "compare", folder, tiny.name, "--data", photos, "--input-size", 32, *QUICK, "--json"
    )
    assert ended.code == 0
    found = ended.json
    *measured, junk = found["candidates"]
    assert (found["split"], found["head_epochs"], found["recipe"]["epochs"]) == ("validation", 1, 1)
    assert {Path(row["name"]).name for row in measured} == {"small.pth", tiny.name}
    assert [row["score"] for row in measured] == sorted(row["score"] for row in measured)
    assert all(row["head"]["images"] == row["full"]["images"] == 12 for row in measured)
    row = next(row for row in measured if row["name"] == tiny.name)
    fitted = apply(apply(STRUCTURE, InputSize(32)), Classes(2))
    assert (row["macs"], row["top1_error"]) == (macs.count(fitted), 60.0)
    assert "not a PyTorch checkpoint" in junk["reason"]
    assert (junk["score"], junk["macs"]) == (None, None)


def test_compare_prints_a_table_the_reasons_and_the_points(
    run: Callable[..., Any], server: WeightsServer, tiny: Published, photos: Path, tmp_path: Path
) -> None:
    run("new", tmp_path / "small.pth", "--units", "1,2,1", "--groups", 1)
    ended = run(
        "zoo", "compare", tmp_path / "small.pth", tiny.name, "./none.pth",
        "--data", photos, "--input-size", 32, *QUICK,
    )  # fmt: skip
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split("  ")[0] == ""
    assert "F1 head" in lines[0]
    assert (lines[1].split()[0], lines[2].split()[0]) == ("A", "B")
    assert lines[3].split() == ["./none.pth", "none"]
    assert "./none.pth: no file ./none.pth: check the path" in lines
    assert any(line.startswith("macro F1 on 12 validation images; epochs: ") for line in lines)
    plot = lines[next(i for i, line in enumerate(lines) if "F1 after the full" in line) :]
    assert any("A" in line.partition("┤")[2] for line in plot)
    assert any("B" in line.partition("┤")[2] for line in plot)
    assert "1 of 3: " in ended.err


def test_compare_with_nothing_that_opens_fails_but_says_why(
    run: Callable[..., Any], photos: Path
) -> None:
    ended = run("zoo", "compare", "shufflenet_g9", "--data", photos)
    assert ended.code == 1
    assert "shufflenet_g9: no network 'shufflenet_g9' in the zoo: did you mean" in ended.out


def test_compare_without_data_is_one_line(run: Callable[..., Any], demo_model: Path) -> None:
    ended = run("zoo", "compare", demo_model, "--data", "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("error: no data folder nowhere")


def test_sizes_measures_each_and_says_what_is_enlarged(
    run: Callable[..., Any], server: WeightsServer, tiny: Published, photos: Path
) -> None:
    ended = run("zoo", "sizes", tiny.name, "--data", photos, "--sizes", "48,24", *QUICK)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert (lines[1].split()[0], lines[2].split()[0]) == ("24", "48*")
    assert lines[3] == "* above the photos' own 40 pixels: they are enlarged"
    fitted = apply(apply(STRUCTURE, InputSize(24)), Classes(2))
    assert lines[1].split()[1] == f"{macs.count(fitted):,}"
    assert any("input size in pixels" in line for line in lines)


def test_sizes_in_json_are_in_order(
    run: Callable[..., Any], server: WeightsServer, tiny: Published, photos: Path
) -> None:
    found = run(
        "zoo", "sizes", tiny.name, "--data", photos, "--sizes", "48,24,24", *QUICK, "--json"
    ).json
    assert [(row["input_size"], row["is_enlarged"]) for row in found["sizes"]] == [
        (24, False), (48, True),
    ]  # fmt: skip
    assert found["own_size"] == 40
    assert all(row["full"]["split"] == "validation" for row in found["sizes"])


@pytest.mark.parametrize("text", ["a", "32,", "0,32"])
def test_sizes_that_are_none_are_one_line(
    run: Callable[..., Any], demo_model: Path, text: str
) -> None:
    ended = run("zoo", "sizes", demo_model, "--data", "digits", "--sizes", text)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: --sizes takes ")


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_figure_is_cut_short_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    found = Evaluation(
        split="validation", images=505, f1=0.7689, accuracy=0.8, classes=(), low=0.724, high=0.809
    )
    entry = Entry(
        name="a/rather/long/way/to/a/folder/shufflenet_g8_w1.pth", published="shufflenet_g8_w1",
        top1_error=34.06, input_size=224, macs=148_527_592, params=2_434_768, head=found,
        full=found, score=10.7432, seconds=1234,
    )  # fmt: skip
    plan = Plan(
        data="photos", splits=Splits(), recipe=Recipe(), head_epochs=1, rule=load_rule("contest")
    )
    print_entries([entry], plan)
    out = capsys.readouterr().out
    assert "…" not in out
    for figure in ("148,527,592", "2,434,768", "34.06 %", "0.7689", "10.7432", "1234"):
        assert figure in out
    assert ("0.724-0.809" in out) == (columns >= 120)
    if columns >= 80:
        table = out.partition("macro F1 on")[0]
        assert max(map(len, table.splitlines())) <= max(columns, 90)
