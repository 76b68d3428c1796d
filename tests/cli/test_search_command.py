"""`workbench search`: a study from the command line, going on with it, and what is shown of it."""

import json

import pytest

from sessions.searching import Trial
from workbench.surgery import store

SMALL = (
    "--data", "digits", "--input-size", 16, "--epochs", 1, "--set", "images_per_epoch=0",
    "--set", "augmentation=none", "--set", "recover_images=64", "--hold-out", 0.6,
)  # fmt: skip


@pytest.fixture(scope="module")
def studied(run, demo_model, tmp_path_factory):
    """A study of two trials, its folder and the command."""
    folder = tmp_path_factory.mktemp("study")
    best = folder / "best.pt"
    command = (
        "search", "study", demo_model, *SMALL, "--session", folder, "--vary", "widths",
        "--out", best,
    )  # fmt: skip
    return folder, command, run(*command, "--trials", 2, "--json")


def test_a_study_tells_its_trials_and_its_best_on_the_hold_out(studied):
    folder, _, ended = studied
    assert ended.code == 0, ended.err
    found = ended.json

    assert [trial["state"] for trial in found["trials"]] == ["finished"] * 2
    best = found["trials"][found["best"]]
    assert found["best_score"] == min(trial["score"] for trial in found["trials"])
    assert best["evaluation"]["split"] == "validation"
    assert found["hold_out"]["split"] == "hold-out"
    assert found["hold_out"]["images"] > 1000
    network, _ = store.get(folder, best["checkpoint"])
    assert network.input_size == 16


def test_the_saved_network_is_the_best_one(run, studied):
    folder, _, ended = studied
    best = ended.json["trials"][ended.json["best"]]

    evaluated = run(
        "evaluate", folder / "best.pt", "--data", "digits", "--hold-out", 0.6, "--json"
    ).json

    assert evaluated["macs"] == best["macs"]
    assert evaluated["f1"] == pytest.approx(best["evaluation"]["f1"], abs=1e-9)


def test_the_same_command_goes_on_and_show_shows_it(run, studied):
    folder, command, before = studied
    after = run(*command, "--trials", 3, "--json").json
    shown = run("search", "show", folder, "--json").json
    words = run("search", "show", folder)

    assert after["trials"][:2] == before.json["trials"]
    assert len(after["trials"]) == 3
    assert shown["trials"] == after["trials"]
    assert shown["front"] == after["front"]
    assert json.loads(json.dumps(shown["trials"])) == shown["trials"]
    assert set(Trial.__struct_fields__) >= set(shown["trials"][0])
    assert words.code == 0
    assert "3 trials finished, 0 pruned, 0 failed" in words.out
    assert "front: trial" in words.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--vary", "colours"), "cannot vary 'colours': use units, widths"),
        (("--vary", "distill"), "distill has no effect without a teacher"),
        (("--vary", "units", "--space", "x.toml"), "leave --vary out"),
        (("--space", "missing.toml"), "cannot read space missing.toml"),
        (("--out", "x.zip"), "cannot save as 'x.zip'"),
        (("--storage", "nonsense"), "cannot open the storage nonsense"),
        (("--set", "pretrain_epochs=2"), "trials neither pretrain nor learn residuals"),
    ],
)
def test_what_cannot_be_is_one_line(run, demo_model, tmp_path, options, said):
    ended = run("search", "study", demo_model, *SMALL, "--session", tmp_path / "s", *options)

    assert ended.code == 1
    assert said in ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err


def test_a_space_file_is_read(run, demo_model, tmp_path):
    space = tmp_path / "space.toml"
    space.write_text('units = true\nwidhts = false\nrecipe = ["learning_rate"]\n')

    ended = run(
        "search", "study", demo_model, *SMALL, "--session", tmp_path / "s", "--space", space
    )

    assert ended.code == 1
    assert "unknown field `widhts`; fields are units, units_by, widths" in ended.err


def test_nothing_to_show_is_one_line(run, tmp_path):
    ended = run("search", "show", tmp_path)

    assert ended.code == 1
    assert "there is no study in" in ended.err
