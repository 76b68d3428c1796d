"""A tiny network, and images whose class is their colour, for every test of training."""

import numpy as np
import pytest

from sessions import edits
from workbench.surgery.families import shufflenet
from workbench.training.images.data import Dataset, Split


@pytest.fixture(scope="module")
def network():
    small = shufflenet.fresh(groups=1, width=0.125, units=(1, 2, 1), classes=3)
    return edits.apply(small, edits.InputSize(32))


@pytest.fixture(scope="module")
def train(network):
    """Images whose class is their colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(50) % 3
    images = rng.integers(0, 120, (50, 32, 32, 3), dtype=np.uint8)
    images[np.arange(50), :, :, labels] += 120
    return Split(images, np.arange(50), labels)


@pytest.fixture
def state(network, random_state):
    return random_state(network, 3)


@pytest.fixture
def dataset(train):
    val = Split(train.source, train.rows[:9], train.labels[:9])
    return Dataset(source="x", classes=("r", "g", "b"), train=train, val=val, fingerprint="f")
