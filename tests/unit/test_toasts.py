"""Toasts say what to do, and say nothing where there is nothing to do."""

import msgspec
import pytest

from sessions.events import JobFinished
from sessions.recipe import Recipe
from sessions.state import Job, SessionState
from workbench.toasts import describe


@pytest.mark.parametrize(
    ("result", "current", "words"),
    [
        (3, 2, "the result is v3, beside what you edit"),
        (3, 3, None),
        # A ladder that was climbed by itself has weights, and no variant of its own.
        (None, 2, None),
    ],
)
def test_a_result_beside_what_is_edited_is_told(result, current, words):
    job = Job(
        number=1, kind="fine-tune", variant=2, result=result, recipe=Recipe(),
        is_automatic=result is None,
    )  # fmt: skip
    state = msgspec.structs.replace(SessionState(), jobs={1: job}, current=current)
    told = describe(JobFinished(job=1, checkpoint="c" * 64), state)
    if words is None:
        assert told is None
    else:
        assert told is not None
        assert told[0].startswith(words)
