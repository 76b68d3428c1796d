"""Studies without training, for every test of what a study does with its trials."""

import pytest
import small_study
import torch
from small_study import Scripted

from workbench.search import study
from workbench.search.trial import Opened, make_supplies


@pytest.fixture(scope="module")
def opened():
    start = small_study.start()
    supplies = make_supplies(
        start, small_study.digits(), small_study.RECIPE, torch.device("cpu"), 1
    )
    return Opened(supplies)


@pytest.fixture
def scripted(opened, monkeypatch):
    """Studies of this test run on the returned backend; costs of units are not measured."""

    def use(**how) -> Scripted:
        backend = Scripted(opened, **how)
        monkeypatch.setattr(study, "open_backend", lambda plan, supplies, data: backend)
        monkeypatch.setattr(study, "_costs", lambda units, *rest: dict.fromkeys(units, 0.0))
        return backend

    return use
