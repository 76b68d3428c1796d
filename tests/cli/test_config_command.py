"""`workbench config`, and what a wrong config file does to the commands with a screen."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the commands read."""
    file = tmp_path / "config.toml"
    file.write_text("", encoding="utf-8")
    monkeypatch.setenv("WORKBENCH_CONFIG", str(file))
    return file


def test_the_path_comes_first_and_the_rest_can_be_a_config_file(
    run: Callable[..., Any], config_file: Path
) -> None:
    printed = run("config")
    assert printed.code == 0
    assert printed.out.splitlines()[0] == f"# {config_file}"
    assert tomllib.loads(printed.out)["theme"] == "workbench-dark"
    config_file.write_text(printed.out, encoding="utf-8")
    checked = run("config", "--check")
    assert (checked.code, checked.out) == (0, f"{config_file} is fine\n")


def test_json_is_one_object(run: Callable[..., Any], config_file: Path) -> None:
    config_file.write_text('theme = "high-contrast"', encoding="utf-8")
    assert run("config", "--json").json["config"]["theme"] == "workbench-dark"
    assert run("config", "--check", "--json").json["config"]["theme"] == "high-contrast"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('theme = "pink"', "theme: takes one of"),
        ('[keys]\nsave = "q"', "keys.save: q is also the key of quit"),
    ],
)
def test_a_wrong_file_is_one_line_on_stderr_for_every_command_that_reads_it(
    text: str, message: str, run: Callable[..., Any], config_file: Path, demo_model: Path
) -> None:
    config_file.write_text(text, encoding="utf-8")
    for command in (("config", "--check"), ("open", demo_model)):
        ended = run(*command, is_terminal=True)
        assert ended.code == 1
        assert ended.out == ""
        assert ended.err.startswith(f"error: {config_file}: {message}")
        assert ended.err.count("\n") == 1
    assert run("inspect", demo_model, "--json").code == 0


def test_a_theme_that_is_not_there_is_refused(
    run: Callable[..., Any], config_file: Path, demo_model: Path
) -> None:
    ended = run("open", demo_model, "--theme", "pink", is_terminal=True)
    assert ended.code == 1
    assert "workbench-dark, workbench-light or high-contrast" in ended.err
