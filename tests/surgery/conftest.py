"""A small network with fresh weights, for tests that ask nothing special of it."""

import pytest
import torch

from sessions import edits
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet


@pytest.fixture
def network():
    made = shufflenet.fresh(units=(2, 2, 2), classes=5)
    return edits.apply(made, edits.InputSize(32))


@pytest.fixture
def state(network):
    torch.manual_seed(0)
    return build(network).state_dict()
