"""Every command does what it says, and --json is one object on stdout and nothing else."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JOURNEY = (
    ((), (4, 8, 4), "conv", 1_688_940),
    (("off:stage2.unit8", "off:stage3.unit4"), (4, 7, 3), "linear", 1_515_459),
    (("off:stage2.unit7",), (4, 6, 3), "conv", 1_439_700),
    (("off:stage1.unit4", "off:stage2.unit6"), (3, 5, 3), "conv", 1_272_450),
    (("off:stage1.unit3", "off:stage3.unit3"), (2, 5, 2), "conv", 1_083_210),
    (("off:stage2.unit5",), (2, 4, 2), "conv", 1_007_460),
)
"""The published steps: what each switches off, the units then left, the head, the MACs."""
CONVENTIONS = {
    "contest": 1_688_949,
    "conv-linear": 1_467_600,
    "ptflops-aten": 1_467_609,
    "torchinfo": 1_473_729,
    "fvcore": 1_667_940,
    "ptflops": 1_800_219,
    "ptflops-all": 1_888_329,
    "torch-pruning": 1_777_059,
    "thop": 1_869_540,
    "flop-counter": 2_935_200,
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Any]) -> Path:
    """An untrained network of the published structure, made by the command for it."""
    path = tmp_path_factory.mktemp("published") / "published.pt"
    ended = run("new", path, "--classes", "9", "--input-size", "80", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["units"] == [4, 8, 4]
    assert ended.json["params"] == 67_071
    return path


def test_inspect_gives_units_every_convention_and_statistics(
    run: Callable[..., Any], demo_model: Path
) -> None:
    ended = run("inspect", demo_model, "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert found["units"] == [4, 8, 4]
    assert (found["classes"], found["input_size"]) == (10, 32)
    assert set(found["macs"]) == set(CONVENTIONS)
    assert found["ptflops_macs"] == found["macs"]["contest"] == 256_402
    weighted = [layer for layer in found["layers"] if layer["kind"] in ("conv", "depthwise")]
    assert len(weighted) == 1 + 3 * 16
    assert all(0 < layer["std"] < 10 for layer in weighted)
    assert all(0 <= layer["near_zero"] <= 1 for layer in weighted)
    assert sum(layer["macs"] for layer in found["layers"]) == 256_402
    assert sum(layer["params"] for layer in found["layers"]) == found["params"]


def test_inspect_counts_what_the_tools_count(run: Callable[..., Any], published: Path) -> None:
    assert run("inspect", published, "--json").json["macs"] == CONVENTIONS


def test_inspect_for_people_shows_every_unit_and_the_total(
    run: Callable[..., Any], published: Path
) -> None:
    ended = run("inspect", published)
    assert (ended.code, ended.err) == (0, "")
    for words in ("stage3.unit4", "compress_conv1", "total 1,688,949 MACs", "ptflops"):
        assert words in ended.out
    assert "[bold]" not in ended.out


def test_inspect_at_another_size_counts_for_that_size(
    run: Callable[..., Any], demo_model: Path
) -> None:
    found = run("inspect", demo_model, "--input-size", "64", "--json").json
    assert found["input_size"] == 64
    assert found["macs"]["contest"] > 3 * 256_402


def test_edit_reports_what_it_did_step_by_step(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.pt"
    ended = run("edit", demo_model, out, "off:stage1.unit3", "off:stage2.unit4", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert (found["macs_before"], found["macs_after"]) == (256_402, 229_642)
    assert found["ptflops_macs"] == 229_642
    assert [step["macs"] for step in found["edits"]] == [241_762, 229_642]
    assert found["exact"]
    assert found["renamed"]["stage1.unit4"] == "stage1.unit3"
    again = run("inspect", out, "--json").json
    assert again["units"] == [3, 7, 4]
    assert again["macs"]["contest"] == 229_642
    assert again["sha256"] == found["sha256"]
    assert out.stat().st_size == found["bytes"]


def check_journey(run: Callable[..., Any], model: Path, folder: Path) -> None:
    """Go the published way from this file on, turning units off step by step."""
    start: list[str] = ["input:80", "classes:9"]
    for number, (off, units, head, macs) in enumerate(JOURNEY):
        out = folder / f"step{number}.pt"
        ended = run("edit", model, out, *start, *off, f"head:{head}", "--json")
        assert ended.code == 0, ended.err
        assert ended.json["macs_after"] == ended.json["ptflops_macs"] == macs
        assert tuple(ended.json["units"]) == units
        model, start = out, []


def test_the_published_journey_of_a_new_network(
    run: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    check_journey(run, published, tmp_path)


def test_the_published_journey_of_the_imagenet_weights(
    run: Callable[..., Any], shared: Path, tmp_path: Path
) -> None:
    check_journey(run, shared / "models" / "shufflenet_g3_wd4.pth", tmp_path)


def test_the_published_result_opens_with_its_macs(run: Callable[..., Any], shared: Path) -> None:
    found = run(
        "inspect", shared / "models" / "ShuffleNet_final.pt", "--input-size", "80", "--json"
    )
    assert found.json["units"] == [2, 5, 2]
    assert found.json["macs"]["contest"] == 1_083_210
    assert found.json["params"] == 34_422


@pytest.mark.parametrize(
    ("macs", "f1", "score"),
    [(1_083_210, 0.6149, 0.3431), (1_688_940, 0.6220, 0.3783), (1_688_940, 0.5320, 0.4859)],
)
def test_score_gives_the_published_scores(
    macs: int, f1: float, score: float, run: Callable[..., Any]
) -> None:
    found = run("score", "--macs", macs, "--f1", f1, "--json").json
    assert found["score"] == pytest.approx(score, abs=5e-5)
    assert found["macs_term"] + found["f1_term"] == pytest.approx(found["score"])
    assert run("score", "--macs", macs, "--f1", f1).out.startswith(f"{score:.4f}")


def test_score_by_a_rule_of_ones_own(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("base_macs = 1000\nbase_f1 = 0.8\n")
    found = run("score", "--macs", 500, "--f1", 0.4, "--rule", tmp_path / "mine.toml", "--json")
    assert found.json["score"] == pytest.approx(1.0)
    assert found.json["rule"] == "mine"


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Any], demo_model: Path
) -> tuple[Path, dict[str, Any]]:
    """The demo model cut by two units and trained for an epoch: the file and the report."""
    folder = tmp_path_factory.mktemp("trained")
    cut, out = folder / "cut.pt", folder / "trained.safetensors"
    assert run("edit", demo_model, cut, "off:stage1.unit3", "off:stage2.unit4").code == 0
    (folder / "recipe.toml").write_text('epochs = 1\naugmentation = "none"\nlearning_rate = 2e-3\n')
    ended = run("train", cut, out, "--data", "digits", "--recipe", folder / "recipe.toml", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == [
        "cut.pt", "recipe.toml", "trained.safetensors",
    ]  # fmt: skip
    return out, ended.json


def test_what_train_reports_is_what_evaluate_finds_in_the_file(
    trained: tuple[Path, dict[str, Any]], run: Callable[..., Any]
) -> None:
    out, reported = trained
    ended = run("evaluate", out, "--data", "digits", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert found["f1"] == pytest.approx(reported["f1"], abs=1e-9)
    assert found["f1"] > 0.6
    assert found["images"] == reported["images"] == 359
    assert found["macs"] == reported["macs"] == 229_642
    assert found["score"] == pytest.approx(reported["score"])
    assert [score["name"] for score in found["classes"]] == [str(n) for n in range(10)]
    assert reported["recipe"]["epochs"] == 1
    assert found["data"]["fingerprint"] == reported["data"]["fingerprint"]


def test_compare_sets_both_models_side_by_side_with_a_paired_test(
    trained: tuple[Path, dict[str, Any]], run: Callable[..., Any], demo_model: Path
) -> None:
    out, reported = trained
    ended = run("compare", demo_model, out, "--data", "digits", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert found["before"]["units"] == [4, 8, 4]
    assert found["after"]["units"] == [3, 7, 4]
    assert found["after"]["f1"] == pytest.approx(reported["f1"], abs=1e-9)
    assert found["before"]["macs"] - found["after"]["macs"] == 256_402 - 229_642
    paired = found["paired"]
    assert paired["images"] == 359
    assert 0 <= paired["p_value"] <= 1
    difference = round((found["before"]["accuracy"] - found["after"]["accuracy"]) * 359)
    assert paired["only_a_right"] - paired["only_b_right"] == difference


def test_compare_without_data_is_structure_alone(
    trained: tuple[Path, dict[str, Any]], run: Callable[..., Any], demo_model: Path
) -> None:
    out, _ = trained
    ended = run("compare", demo_model, out)
    assert (ended.code, ended.err) == (0, "")
    assert "-26,760 (-10.4%)" in ended.out
    assert "f1" not in ended.out.split()


def test_training_that_was_interrupted_writes_nothing_and_goes_on_later(
    script: list[str], start: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    # GIVEN a run that has finished its first epoch
    out = tmp_path / "out.pt"
    resume = tmp_path / "out.pt.resume"
    line = [
        "train", demo_model, out, "--data", "digits", "--epochs", "2", "--augmentation", "none",
    ]  # fmt: skip
    with subprocess.Popen(
        [*script, *map(str, line), "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not resume.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        # WHEN
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=120)
    # THEN
    assert process.returncode == 1, complained
    assert said == ""
    assert complained.startswith("error: stopped at epoch ")
    assert "--resume" in complained
    assert complained.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.pt.resume"]
    # WHEN it goes on
    ended = start(*line, "--resume")
    # THEN
    assert ended.code == 0, ended.err
    assert "going on from step" in ended.err
    assert "epoch 2" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.pt"]


def test_the_headless_demo_is_one_verified_object(
    demo_run: tuple[Path, Any],
) -> None:
    folder, ended = demo_run
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert found["verified"] is True
    assert found["verification"]["is_verified"] is True
    assert (found["macs_before"], found["macs_after"]) == (256_402, 229_642)
    assert found["f1_cut"] < found["f1_recovered"] < found["f1_after"]
    assert found["session"] == str(folder)
    assert Path(found["saved"]).is_file()


def test_verify_rebuilds_every_variant_of_the_recorded_session(
    demo_run: tuple[Path, Any], run: Callable[..., Any]
) -> None:
    folder, _ = demo_run
    before = (folder / "session.jsonl").read_bytes()
    ended = run("replay", folder, "--verify", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["is_verified"]
    assert ended.json["data"] == "same"
    checks = ended.json["checks"]
    assert {check["what"] for check in checks} == {"MACs", "weights", "F1"}
    assert len(checks) >= 5 + 5 + 4
    assert all(check["is_equal"] for check in checks)
    assert (folder / "session.jsonl").read_bytes() == before


def _wrong_macs(folder: Path) -> None:
    log = folder / "session.jsonl"
    log.write_text(log.read_text().replace('"macs":241762', '"macs":241763'))


def _wrong_weights(folder: Path) -> None:
    lines = (folder / "session.jsonl").read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if '"kind":"edited"' in line)
    event = json.loads(lines[number])
    event["event"]["weights_sha256"] = "0" * 64
    lines[number] = json.dumps(event, separators=(",", ":"))
    (folder / "session.jsonl").write_text("\n".join(lines) + "\n")


def _wrong_f1(folder: Path) -> None:
    lines = (folder / "session.jsonl").read_text().splitlines()
    for number, line in enumerate(lines):
        if '"kind":"evaluated"' in line:
            event = json.loads(line)
            event["event"]["evaluation"]["f1"] = 0.5
            lines[number] = json.dumps(event, separators=(",", ":"))
    (folder / "session.jsonl").write_text("\n".join(lines) + "\n")


def _damaged_checkpoint(folder: Path) -> None:
    path = next(iter(sorted((folder / "checkpoints").iterdir())))
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def _missing_checkpoint(folder: Path) -> None:
    next(iter(sorted((folder / "checkpoints").iterdir()))).unlink()


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (_wrong_macs, ("variant 1, MACs", "recorded 241763", "rebuilt 241762")),
        (_wrong_weights, ("variant 1, weights", "recorded 000000")),
        (_wrong_f1, ("F1", "recorded 0.5")),
        (_damaged_checkpoint, ("checkpoint", "is damaged", "restore")),
        (_missing_checkpoint, ("cannot read checkpoint",)),
    ],
)
def test_verify_finds_what_was_changed_and_says_so_in_one_line(
    tamper: Callable[[Path], None],
    words: tuple[str, ...],
    demo_run: tuple[Path, Any],
    run: Callable[..., Any],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "session"
    shutil.copytree(demo_run[0], folder)
    tamper(folder)
    ended = run("replay", folder, "--verify", "--json")
    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    for word in words:
        assert word in ended.err
    assert not ended.out or not ended.json["is_verified"]


def test_verify_of_a_session_that_never_opened_has_nothing_to_compare(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "session.jsonl").write_text(
        '{"format":"workbench-session","version":1,"created":"","model_sha256":"","seed":0}\n'
    )
    ended = run("replay", tmp_path, "--verify", "--json")
    assert ended.code == 1
    assert ended.err.startswith("error: nothing to compare")


def test_a_recorded_session_can_be_drawn_without_a_terminal(
    demo_run: tuple[Path, Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "screen.svg"
    ended = run("screenshot", demo_run[0], "-o", out, "--size", "100x30")
    assert ended.code == 0, ended.err
    picture = out.read_text()
    assert picture.startswith("<svg")
    assert "229,642" in picture


@pytest.mark.parametrize("name", ["[old]", "x[b]y"])
def test_names_with_brackets_are_printed_as_they_are(
    name: str, run: Callable[..., Any], demo_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / name / "out.pt"
    out.parent.mkdir()
    ended = run("edit", demo_model, out, "off:stage1.unit3")
    assert ended.code == 0
    assert str(out) in ended.out.replace("\n", "")


def test_help_lists_every_command_and_version_is_one_line(run: Callable[..., Any]) -> None:
    text = run("--help").out
    for command in ("open", "demo", "replay", "inspect", "edit", "evaluate", "train", "compare"):
        assert command in text
    assert run("--version").out.startswith("workbench ")
