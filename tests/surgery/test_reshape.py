"""The definition of correct for reshapes: any legal edits in a row equal the masked original.

Each random network is edited in both precisions; the worst errors are printed (`pytest -s`).
"""

import random
from collections.abc import Iterator

import pytest
import torch
from drawing import MASKING, carried, drawn
from hypothesis import given, note
from hypothesis import strategies as st
from oracle import Oracle
from reference import SEEDS, Case, logits, make_case, random_cases, relative_error, shapes

from sessions import edits
from sessions.edits import Edit
from workbench.surgery.carry import Carried

TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}
worst = dict.fromkeys(TOLERANCES, 0.0)


@pytest.fixture(scope="module", autouse=True)
def _worst_errors_are_told() -> Iterator[None]:
    yield
    print(f"\nworst |d logit| / largest |logit| by precision: {worst}")


def after(case: Case, steps: list[Edit], seed: int, dtype: torch.dtype) -> tuple[Carried, Oracle]:
    """The edited network in one precision, and what it is held against."""
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in case.state.items()}
    at, oracle = Carried(network=case.network, state=state), Oracle(case)
    for step in steps:
        at = carried(at, step, seed)
        oracle.follow(step, at)
    assert {v.dtype for v in at.state.values() if v.is_floating_point()} == {dtype}
    return at, oracle


@random_cases(60)
@given(shapes(), SEEDS, st.lists(SEEDS, min_size=1, max_size=8))
def test_edits_in_a_row_equal_the_masked_original(shape, seed, edit_seeds):
    case, steps = make_case(shape, seed), []
    drawing = case.opened
    for mixed in enumerate(edit_seeds):
        step = drawn(random.Random(f"{seed} {mixed}"), drawing.network, MASKING)
        edited = carried(drawing, step, seed)
        assert edited.network == edits.apply(drawing.network, step)
        drawing = edited
        steps.append(step)
    note(" ".join(map(edits.text, steps)))
    for dtype, tolerance in TOLERANCES.items():
        at, oracle = after(case, steps, seed, dtype)
        images = case.images.to(dtype)
        error = relative_error(logits(at, images), oracle.logits(images))
        worst[dtype] = max(worst[dtype], error)
        assert at.network == drawing.network
        assert error <= tolerance
