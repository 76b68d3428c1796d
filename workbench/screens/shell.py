"""A variant as a command line: what makes its structure again without a screen."""

import shlex
from pathlib import Path

from sessions import history
from sessions.edits import DATA_CRITERIA, Cut, InputSize, text
from sessions.state import SessionState


def edit_command(state: SessionState, number: int) -> str:
    """`workbench edit MODEL OUT EDIT...` with every edit from the opened model to a variant.

    Raises:
        KeyError: no such variant.
    """
    steps = history.path(state, number)
    source = Path(state.source)
    edits = [InputSize(steps[0].network.input_size), *(s.edit for s in steps if s.edit is not None)]
    command = ["workbench", "edit", str(source), f"{source.stem}-v{number}{source.suffix}"]
    command += [text(edit) for edit in edits]
    cuts = [edit for edit in edits if isinstance(edit, Cut)]
    if state.data is not None and any(cut.criterion in DATA_CRITERIA for cut in cuts):
        command += ["--data", state.data.source]
    if seeds := [cut.seed for cut in cuts if cut.seed]:
        command += ["--seed", str(seeds[0])]
    return shlex.join(command)


def is_trained(state: SessionState, number: int) -> bool:
    """Whether jobs changed its weights, which edits alone do not make again."""
    return any(
        step.edit is None and step.parent is not None for step in history.path(state, number)
    )
