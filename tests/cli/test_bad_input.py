"""Every mistake of a user ends with one line that names the next step, and changes nothing."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HEADER = '{"format":"workbench-session","version":1,"created":"","model_sha256":"","seed":0}\n'
RULE_LINE = (
    '{"t":0.1,"event":{"kind":"rule-chosen",'
    '"rule":{"name":"contest","base_macs":13878369,"base_f1":0.8367}}}\n'
)
EDIT_LINE = (
    '{"t":0.2,"event":{"kind":"edited","variant":2,"parent":1,'
    '"edit":{"type":"off","unit":"stage1.unit2"},"macs":1,"weights_sha256":"","exact":true}}\n'
)


class Trap:
    """Unpickling it creates a file: what a hostile checkpoint could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Path:
    """A folder with one of everything that cannot be used."""
    folder = tmp_path_factory.mktemp("bad")
    _write_models(folder, demo_model)
    _write_data(folder)
    _write_sessions(folder)
    (folder / "field.toml").write_text("epoch = 3\n")
    (folder / "range.toml").write_text("epochs = 0\n")
    (folder / "kind.toml").write_text('epochs = "many"\n')
    (folder / "rule.toml").write_text("base_macs = 0\nbase_f1 = 0.8\n")
    return folder


def _write_models(folder: Path, demo_model: Path) -> None:
    import safetensors.torch
    import torch

    weights = safetensors.torch.load_file(demo_model)
    torch.save(weights, folder / "good.pt")
    whole = (folder / "good.pt").read_bytes()
    (folder / "empty.pt").write_bytes(b"")
    (folder / "short.pt").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "short.safetensors").write_bytes(demo_model.read_bytes()[:-1000])
    (folder / "text.pt").write_text("these are not weights\n" * 20)
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), folder / "module.pt")
    torch.save({"state_dict": Trap(folder / "sprung")}, folder / "trap.pt")
    (folder / "trap-plain.pt").write_bytes(pickle.dumps(Trap(folder / "sprung"), protocol=2))
    torch.save(torch.nn.Conv2d(3, 8, 3).state_dict(), folder / "other.pt")
    torch.save([1, 2, 3], folder / "list.pt")
    broken = {name: value.clone() for name, value in weights.items()}
    broken["output.weight"].view(-1)[3] = float("nan")
    torch.save(broken, folder / "nan.pt")
    torch.save({k: v for k, v in weights.items() if "dw_conv2" not in k}, folder / "part.pt")


def _write_data(folder: Path) -> None:
    (folder / "no-images" / "cats").mkdir(parents=True)
    (folder / "no-images" / "cats" / "readme.txt").write_text("no image")
    _write_images(folder / "one-image" / "cats", 4)
    _write_images(folder / "one-image" / "dogs", 1)
    _write_images(folder / "one-class" / "cats", 4)
    for part, names in (("train", ("cats", "dogs")), ("val", ("cats", "dogs", "newts"))):
        for name in names:
            _write_images(folder / "stranger" / part / name, 3)


def _write_images(folder: Path, count: int) -> None:
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    for number in range(count):
        image = np.full((12, 12, 3), 40 * number + 20, dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)


def _write_sessions(folder: Path) -> None:
    for name, lines in {
        "broken-middle": HEADER + RULE_LINE + '{"t":0.2,"event":{"kin\n' + RULE_LINE,
        "wrong-fields": HEADER + RULE_LINE + '{"t":0.2,"event":{"kind":"edited"}}\n',
        "newer": HEADER.replace('"version":1', '"version":99') + RULE_LINE,
        "orphan": HEADER + RULE_LINE + EDIT_LINE,
        "no-model": HEADER + RULE_LINE,
        "not-a-log": "hello\n",
        "empty-log": "",
    }.items():
        (folder / name).mkdir()
        (folder / name / "session.jsonl").write_text(lines)
        (folder / name / "lock").touch()  # as every session that was open once has


class Case(NamedTuple):
    """A command line, `{bad}` and so on filled in, and words that its error has to have."""

    line: str
    says: tuple[str, ...]
    is_terminal: bool = False


CASES = {
    "missing file": Case("inspect {bad}/nothing.pt", ("no file", "nothing.pt", "check the path")),
    "empty file": Case("inspect {bad}/empty.pt", ("is empty", "download or save it again")),
    "truncated pt": Case("inspect {bad}/short.pt", ("cut short", "download")),
    "truncated safetensors": Case(
        "inspect {bad}/short.safetensors", ("not a whole safetensors", "download or save it again")
    ),
    "text file": Case("inspect {bad}/text.pt", ("not a", "torch.save(model.state_dict()")),
    "pickled module": Case(
        "inspect {bad}/module.pt",
        ("could run code", "torch.nn.modules", "torch.save(model.state_dict()"),
    ),
    "a list": Case("inspect {bad}/list.pt", ("no state_dict", "torch.save(model.state_dict()")),
    "unknown architecture": Case(
        "inspect {bad}/other.pt", ("unknown architecture", "weight", "this opens ShuffleNet v1")
    ),
    "half a checkpoint": Case("inspect {bad}/part.pt", ("dw_conv2.weight is missing",)),
    "NaN in a tensor": Case(
        "inspect {bad}/nan.pt", ("NaN", "output.weight", "take an earlier checkpoint")
    ),
    "folder as model": Case("inspect {bad}", ("is a folder", "name a model file")),
    "unknown convention": Case(
        "inspect {demo} --convention mine", ("no convention 'mine'", "use contest")
    ),
    "input size out of range": Case("inspect {demo} --input-size 4", ("input:4", "input:8")),
    "no data folder": Case(
        "evaluate {demo} --data {bad}/nowhere", ("no data folder", "name a folder of images")
    ),
    "data without images": Case(
        "evaluate {demo} --data {bad}/no-images", ("no images", "one folder a class")
    ),
    "one class": Case("evaluate {demo} --data {bad}/one-class", ("only one class", "cats")),
    "a class with one image": Case(
        "evaluate {demo} --data {bad}/one-image",
        ("'dogs' has one usable image", "add images or remove the class"),
    ),
    "validation class without training images": Case(
        "evaluate {demo} --data {bad}/stranger",
        ("validation class 'newts'", "add it under train/"),
    ),
    "other number of classes": Case(
        "evaluate {nine} --data digits", ("9 classes", "10", "edit classes:10 first")
    ),
    "unknown device": Case("evaluate {demo} --data digits --device toaster", ("toaster", "cpu")),
    "unknown unit": Case(
        "edit {demo} {out}/x.pt off:stage9.unit1",
        ("no unit 'stage9.unit1'", "the nearest is off:stage"),
    ),
    "downsampling unit": Case(
        "edit {demo} {out}/x.pt off:stage1.unit1",
        ("stage1.unit1 stays", "halves the resolution", "can be off: stage1.unit2"),
    ),
    "already on": Case("edit {demo} {out}/x.pt on:stage1.unit2", ("already on",)),
    "edit without value": Case(
        "edit {demo} {out}/x.pt off", ("'off' is not an edit", "off:stage1.unit3")
    ),
    "misspelt edit": Case(
        "edit {demo} {out}/x.pt of:stage1.unit3", ("unknown edit 'of'", "off:stage1.unit3")
    ),
    "edit with a word for a number": Case(
        "edit {demo} {out}/x.pt classes:nine", ("classes takes a whole number", "'nine'")
    ),
    "edit out of range": Case("edit {demo} {out}/x.pt input:5000", ("nearest is input:1024",)),
    "unknown head": Case("edit {demo} {out}/x.pt head:big", ("head:conv or head:linear",)),
    "OUT in a missing folder": Case(
        "edit {demo} {out}/none/x.pt head:conv", ("folder does not exist", "create it first")
    ),
    "OUT with a wrong suffix": Case(
        "edit {demo} {out}/x.onnx head:conv", ("'x.onnx'", ".pt, .pth, .safetensors")
    ),
    "OUT is a folder": Case("edit {demo} {out} head:conv", ("cannot",)),
    "train to a missing folder": Case(
        "train {demo} {out}/none/x.pt --data digits", ("folder does not exist", "create it first")
    ),
    "nothing to resume": Case(
        "train {demo} {out}/x.pt --data digits --resume", ("nothing to resume", "leave --resume")
    ),
    "unknown score rule": Case(
        "score --macs 1000 --f1 0.5 --rule mine", ("no score rule 'mine'", "contest")
    ),
    "impossible score rule": Case(
        "score --macs 1000 --f1 0.5 --rule {bad}/rule.toml", ("rule.toml", "base_macs")
    ),
    "F1 in percent": Case("score --macs 1000 --f1 61.5", ("F1 must be in 0..1",)),
    "unknown recipe field": Case(
        "train {demo} {out}/x.pt --data digits --recipe {bad}/field.toml",
        ("field.toml", "epoch", "fields are epochs"),
    ),
    "recipe value out of range": Case(
        "train {demo} {out}/x.pt --data digits --recipe {bad}/range.toml",
        ("range.toml", ">= 1", "epochs"),
    ),
    "recipe value of another type": Case(
        "train {demo} {out}/x.pt --data digits --recipe {bad}/kind.toml", ("kind.toml", "epochs")
    ),
    "recipe option out of range": Case(
        "train {demo} {out}/x.pt --data digits --epochs 0", ("epochs", ">= 1")
    ),
    "unknown augmentation": Case(
        "train {demo} {out}/x.pt --data digits --augmentation wild", ("wild", "augmentation")
    ),
    "negative training seed": Case(
        "train {demo} {out}/x.pt --data digits --epochs 1 --train-seed -1", ("seed",)
    ),
    "batches of one image": Case(
        "train {demo} {out}/x.pt --data digits --epochs 1 --batch-size 1", ("batch",)
    ),
    "new with a width that is no number": Case("new {out}/x.pt --width nan", ("width",)),
    "new with wrong groups": Case("new {out}/x.pt --groups 5", ("groups 5", "1, 2, 3, 4, 8")),
    "new with words for units": Case("new {out}/x.pt --units many", ("4,8,4", "'many'")),
    "replay of no session": Case(
        "replay {bad}/no-images", ("is not a session", "session.jsonl", "name the folder")
    ),
    "verify of no session": Case("replay {bad}/no-images --verify", ("is not a session",)),
    "replay without a terminal": Case(
        "replay {bad}/no-model", ("needs a terminal", "replay --verify")
    ),
    "picture of no session": Case("screenshot {bad}/no-images -o {out}/x.svg", ("not a session",)),
    "open of a missing file": Case("open {bad}/nothing.pt", ("no file", "check the path"), True),
    "open of a folder": Case(
        "open {bad}/no-images", ("folder without a session", "name a model file"), True
    ),
    "open into a session": Case(
        "open {demo} --session {bad}/no-model",
        ("already holds a session", "workbench open {bad}/no-model", "another --session"),
        True,
    ),
    "open of a broken line in the middle": Case(
        "open {bad}/broken-middle", ("session.jsonl, line 3",), True
    ),
    "open of a line with wrong fields": Case(
        "open {bad}/wrong-fields", ("session.jsonl, line 3", "'edited'"), True
    ),
    "open of an edit whose parent is missing": Case("open {bad}/orphan", ("orphan",), True),
    "open of a newer format": Case(
        "open {bad}/newer", ("session.jsonl, line 1", "upgrade workbench"), True
    ),
    "open of something else named session.jsonl": Case(
        "open {bad}/not-a-log", ("session.jsonl, line 1", "not a session"), True
    ),
    "open of an empty log": Case("open {bad}/empty-log", ("empty",), True),
    "open of a session without a model": Case(
        "open {bad}/no-model", ("ended before a model was open", "start a new session"), True
    ),
    "open of a session at another size": Case(
        "open {bad}/no-model --input-size 64", ("leave --session, --input-size",), True
    ),
}


@pytest.fixture(scope="module")
def nine_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose outputs are not the digits."""
    from workbench.surgery import build, files
    from workbench.surgery.families import shufflenet

    path = tmp_path_factory.mktemp("nine") / "nine.pt"
    network = shufflenet.fresh(classes=9)
    files.save(path, network, build.build(network).state_dict())
    return path


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_ends_with_one_line_and_changes_nothing(
    case: Case,
    run: Callable[..., Any],
    listing: Callable[..., set[str]],
    bad: Path,
    demo_model: Path,
    nine_classes: Path,
    tmp_path: Path,
) -> None:
    # GIVEN
    line = case.line.format(bad=bad, demo=demo_model, nine=nine_classes, out=tmp_path)
    before = listing(bad, tmp_path)
    # WHEN
    ended = run(*line.split(), is_terminal=case.is_terminal)
    # THEN
    _check_one_line(ended, tuple(word.format(bad=bad) for word in case.says))
    assert ended.out == ""
    assert listing(bad, tmp_path) == before


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("score --macs many --f1 0.5", "--macs"),
        ("replay {bad}/no-model --speed 1000", "--speed"),
        ("evaluate {demo} --data digits --seed -1", "--seed"),
        ("inspect", "MODEL"),
        ("inspect {demo} --jsn", "--jsn"),
        ("inspekt {demo}", "inspekt"),
    ],
)
def test_a_wrong_call_leaves_with_2_and_names_what_is_wrong(
    line: str, names: str, run: Callable[..., Any], bad: Path, demo_model: Path
) -> None:
    ended = run(*line.format(bad=bad, demo=demo_model).split())
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert names in ended.err.splitlines()[-1]


def _check_one_line(ended: Any, says: tuple[str, ...]) -> None:
    assert ended.code not in (0, None)
    assert "Traceback" not in ended.err
    assert ended.err.startswith("error: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1, ended.err
    for word in says:
        assert word in ended.err


def test_a_hostile_pickle_is_refused_and_its_code_never_runs(
    bad: Path, start: Callable[..., Any], run: Callable[..., Any], listing: Callable[..., set[str]]
) -> None:
    before = listing(bad)
    for ended in (start("inspect", bad / "trap.pt"), run("inspect", bad / "trap-plain.pt")):
        _check_one_line(ended, ("could run code", "torch.save(model.state_dict()"))
        assert ended.out == ""
    assert listing(bad) == before
    # The trap itself is a real one:
    with open(bad / "trap-plain.pt", "rb") as file:
        pickle.load(file).close()
    assert (bad / "sprung").exists()
    (bad / "sprung").unlink()


def test_open_without_a_terminal_names_the_commands_that_need_none(
    start: Callable[..., Any], demo_model: Path, tmp_path: Path, listing: Callable[..., set[str]]
) -> None:
    ended = start("open", demo_model, "--session", tmp_path / "session")
    _check_one_line(ended, ("needs a terminal", "inspect, edit, train and evaluate"))
    assert ended.out == ""
    assert listing(tmp_path) == set()


def test_a_session_that_is_open_elsewhere_is_left_alone(
    run: Callable[..., Any], bad: Path, listing: Callable[..., set[str]]
) -> None:
    # GIVEN another process that has the session open
    folder = bad / "no-model"
    code = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        before = listing(folder)
        # WHEN
        ended = run("open", folder, is_terminal=True)
        # THEN
        _check_one_line(ended, (str(folder), "open in another workbench", "close that one"))
        assert ended.out == ""
        assert listing(folder) == before
        assert other.stdin is not None
        other.stdin.close()


def test_a_corrupt_image_among_good_ones_is_skipped_and_counted(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    # GIVEN ten classes of four images, one more that is no image and one that is empty
    data = tmp_path / "data"
    for number in range(10):
        _write_images(data / f"class{number}", 4)
    (data / "class3" / "broken.jpg").write_bytes(b"\xff\xd8\xff this was a photo")
    (data / "class4" / "nothing.png").write_bytes(b"")
    model = tmp_path / "start.pt"
    assert run("new", model, "--input-size", 32).code == 0
    # WHEN
    ended = run("evaluate", model, "--data", data, "--json")
    # THEN
    assert ended.code == 0
    assert ended.err == ""
    found = ended.json["data"]
    assert found["skipped_count"] == 2
    assert {item["path"] for item in found["skipped"]} == {
        os.path.join("class3", "broken.jpg"),
        os.path.join("class4", "nothing.png"),
    }
    assert found["train_images"] + found["val_images"] == 40


def test_a_resume_file_of_another_run_is_refused(
    run: Callable[..., Any], demo_model: Path, tmp_path: Path, listing: Callable[..., set[str]]
) -> None:
    (tmp_path / "x.pt.resume").write_text("this is no stored run\n")
    before = listing(tmp_path)
    ended = run("train", demo_model, tmp_path / "x.pt", "--data", "digits", "--resume", "--json")
    _check_one_line(ended, ("x.pt.resume", "does not belong to this run"))
    assert listing(tmp_path) == before
