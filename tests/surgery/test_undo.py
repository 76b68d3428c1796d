"""Whatever was edited in between, a lineage has the same weights every time, to the last bit."""

import hashlib
import os
import random
import subprocess
import sys

import msgspec
import pytest
from drawing import drawn
from reference import SMALL, assert_identical, copied, make_case

from sessions import edits
from sessions.commands import Lineage
from sessions.edits import DATA_CRITERIA, Cut
from workbench.surgery import store
from workbench.surgery.carry import carry, checked_error

STEPS = 200
DEEPEST = 12
"""Deeper than what a Deriver keeps, so that some lineages are derived anew."""


def digest(network, state):
    """Of the structure and of every tensor, those of off units included."""
    found = hashlib.sha256(msgspec.json.encode(network))
    for name in sorted(state):
        found.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return found.hexdigest()


def by_weights(edit):
    """The edit with a criterion that needs no images."""
    if isinstance(edit, Cut) and edit.criterion in DATA_CRITERIA:
        return msgspec.structs.replace(edit, criterion="bn")
    return edit


@pytest.mark.parametrize("seed", [1, 2])
def test_200_edits_and_undos_leave_no_trace(tmp_path, seed):
    case, rng = make_case(SMALL, seed), random.Random(seed)
    before = copied(case.state)
    name = store.put(tmp_path, case.network, case.state)
    derive, steps, undone = store.Deriver(), (), 0
    seen = {steps: digest(case.network, case.state)}
    for _ in range(STEPS):
        at = derive(tmp_path, Lineage(name, steps))
        if steps and (len(steps) == DEEPEST or rng.random() < 0.45):
            steps, undone = steps[:-1], undone + 1
        else:
            edit = by_weights(drawn(rng, at[0]))
            checked_error(carry(*at, edit), edit)
            steps = (*steps, edit)
        found = digest(*derive(tmp_path, Lineage(name, steps)))
        assert seen.setdefault(steps, found) == found
    assert undone > STEPS // 4
    assert max(map(len, seen)) > store.CACHED
    while steps:
        steps = steps[:-1]
        assert seen[steps] == digest(*derive(tmp_path, Lineage(name, steps)))
    network, state = derive(tmp_path, Lineage(name))
    assert network == case.network
    assert_identical(state, before)
    assert_identical(case.state, before)


DERIVE = """
import sys, msgspec
from pathlib import Path
from sessions.commands import Lineage
from workbench.surgery import store
lineage = msgspec.json.decode(sys.argv[2], type=Lineage)
print(store.weights_sha256(*store.Deriver()(Path(sys.argv[1]), lineage)))
"""


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_derives_the_same_bits(tmp_path, hash_seed):
    """A replay is verified by hash: nothing may hang on the order of a set."""
    case, rng = make_case(SMALL, 3), random.Random(3)
    name = store.put(tmp_path, case.network, case.state)
    network, steps = case.network, []
    for _ in range(12):
        edit = by_weights(drawn(rng, network))
        network = edits.apply(network, edit)
        steps.append(edit)
    lineage = Lineage(name, tuple(steps))
    command = [sys.executable, "-c", DERIVE, str(tmp_path), msgspec.json.encode(lineage).decode()]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == store.weights_sha256(*store.Deriver()(tmp_path, lineage))
