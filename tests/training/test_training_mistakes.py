"""Mistakes of published code of this task that concern training: each must stay impossible here.

Number 6 (negative sampler weights) is in test_sampling, 8 (classes from a fixed place in a path)
in test_crop_folder, 9 (an F1 that does not say on which images) in test_measuring.
"""

import ast
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import sessions
import widgets
import workbench
from sessions import recipe
from sessions.recipe import Recipe, RecipeError
from workbench.cli.main import app

SOURCES = [
    path
    for package in (sessions, widgets, workbench)
    for path in sorted(Path(package.__file__).parent.rglob("*.py"))
]


def test_1_a_switch_takes_no_word_that_could_be_read_as_true():
    command = typer.main.get_command(app)
    switches = [
        (name, option)
        for name, sub in command.commands.items()
        for option in sub.params
        if getattr(option, "is_flag", False)
    ]
    assert len(switches) > 10
    for name, option in switches:
        result = CliRunner().invoke(app, [name, f"{option.opts[0]}=False"])
        assert result.exit_code == 2, (name, option.opts)


def test_1_a_word_is_never_taken_for_a_truth_value():
    assert not [f for f in Recipe.__struct_fields__ if isinstance(getattr(Recipe(), f), bool)]
    with pytest.raises(RecipeError, match="use auto, on, off"):
        recipe.assigned(Recipe(), ["amp=False"])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_5_no_except_hides_what_went_wrong(path):
    """One that takes every error must raise again, or hand the error's words on."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        names = (
            {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else set()
        )
        if node.type is not None and not names & {"Exception", "BaseException"}:
            continue
        is_raised = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        assert is_raised, f"{path.name}:{node.lineno}"
