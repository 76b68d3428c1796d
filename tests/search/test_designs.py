"""Designs of both families can be built and trained, meet the limit, and follow the choices."""

import json
import random
from collections.abc import Sequence
from typing import Any

import optuna
import pytest
import torch
import torch.nn.functional as F

from sessions import macs
from sessions.checking import check
from workbench.search.designs import (
    FAMILIES,
    INPUT_SIZES,
    DesignError,
    design,
    drawn,
    fitted,
)
from workbench.surgery.build import build
from workbench.surgery.families import cells
from workbench.surgery.stats import ptflops_macs

LIMIT = 300_000
SIZES = (40, 48)
EACH = 100


class Drawing:
    """Chooses at random as an Optuna trial would, and remembers; nothing is stored."""

    def __init__(self, seed: object) -> None:
        self.rng = random.Random(seed)
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.params.setdefault(name, self.rng.choice(choices))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        assert low <= high
        return self.params.setdefault(name, self.rng.randint(low, high))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self.params.setdefault(name, self.rng.uniform(low, high))


@pytest.fixture(scope="module", params=FAMILIES)
def found(request):
    """Designs within the limit of one family, and how many seeds it took."""
    made, tried = [], 0
    while len(made) < EACH:
        tried += 1
        try:
            made.append(design(Drawing(tried), request.param, 6, 3, LIMIT, SIZES))
        except DesignError:
            assert tried < 4 * EACH
    return request.param, made


def test_all_meet_the_limit_and_hold_together(found):
    family, networks = found
    for network in networks:
        check(network)
        assert network.family == family
        assert 0 < macs.count(network) <= LIMIT
        assert (network.classes, network.input_channels) == (6, 3)
    assert {network.input_size for network in networks} == set(SIZES)


def test_the_limit_is_used_where_widths_had_to_shrink(found):
    _, networks = found
    counts = sorted(macs.count(network) for network in networks)
    assert counts[len(counts) // 2] > 0.6 * LIMIT


def test_macs_are_those_that_ptflops_counts(found):
    _, networks = found
    for network in networks[:25]:
        assert ptflops_macs(network) == macs.count(network)


def test_all_take_a_step_of_training_and_stay_finite(found):
    _, networks = found
    for number, network in enumerate(networks):
        torch.manual_seed(number)
        module = build(network).train()
        images = torch.randn(6, 3, network.input_size, network.input_size)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.001)
        loss = F.cross_entropy(module(images), torch.arange(6))
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
        optimizer.step()
        with torch.inference_mode():
            logits = module.eval()(images)
        assert logits.shape == (6, 6)
        assert bool(logits.isfinite().all())


def test_designs_differ_in_everything_that_is_chosen():
    made = [design(Drawing(seed), "cells", 6) for seed in range(EACH)]
    units = [unit for network in made for unit in network.units.values()]
    kinds = {layer.kind for network in made for _, layer in network.layers()}
    names = {unit.name.rstrip("0123456789") for unit in units}
    assert names >= {*cells.OPS, cells.SQUEEZE}
    assert kinds >= {"relu", "hard_swish", "silu", "hard_sigmoid", "max_pool", "avg_pool"}
    nets = [design(Drawing(seed), "shufflenet", 6) for seed in range(EACH)]
    shuffles = {x.groups for net in nets for _, x in net.layers() if x.kind == "shuffle"}
    assert shuffles == {1, 2, 3, 4, 8}
    assert len({net.units_per_stage for net in nets}) > EACH // 4
    assert len({net.width("init") for net in nets}) > 5
    assert {net.input_size for net in nets} == {net.input_size for net in made} == {*INPUT_SIZES}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_choices_give_the_same_network(family):
    for seed in range(20):
        first = Drawing(seed)
        network = design(first, family, 6)
        again = optuna.trial.FixedTrial(json.loads(json.dumps(first.params)))
        assert design(again, family, 6) == network


@pytest.mark.parametrize("family", FAMILIES)
def test_an_optuna_study_proposes_networks_by_its_seed(family):
    def run(seed: int) -> list[Any]:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        made = []

        def objective(trial: optuna.Trial) -> float:
            try:
                made.append(design(trial, family, 6, 1, LIMIT, (32, 48)))
            except DesignError:
                raise optuna.TrialPruned from None
            return macs.count(made[-1]) / LIMIT

        study.optimize(objective, n_trials=15)
        return made

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_a_single_size_is_no_parameter_and_no_limit_keeps_the_widths():
    trial = Drawing(1)
    network = design(trial, "shufflenet", 4, 1, 0, (40,))
    assert "input_size" not in trial.params
    assert (network.input_size, network.input_channels, len(network.mean)) == (40, 1, 1)
    assert abs(network.width("init") - trial.params["stem"]) <= trial.params["groups"] / 2


def test_the_widest_that_meets_the_limit_is_taken():
    made: list[float] = []

    def make(factor: float):
        made.append(factor)
        plan = cells.Plan(
            init_width=4,
            classes=2,
            input_size=16,
            stages=(cells.StagePlan(round(400 * factor), (cells.Cell(op="conv"),)),),
        )
        return cells.make(plan)

    whole = macs.count(make(1.0))
    made.clear()
    assert macs.count(fitted(make, whole)) == whole
    assert made == [1.0]
    network = fitted(make, whole // 2)
    factors = {0.95**n: macs.count(make(0.95**n)) for n in range(46)}
    widest = max(factor for factor, count in factors.items() if count <= whole // 2)
    assert network == make(widest)
    with pytest.raises(DesignError, match="above the limit of 100"):
        fitted(make, 100)


def test_a_seed_draws_one_network_that_meets_the_limit():
    network, chosen = drawn(7, "cells", 6, 3, 200_000, (64,))
    assert macs.count(network) <= 200_000
    assert network == drawn(7, "cells", 6, 3, 200_000, (64,))[0]
    assert network != drawn(8, "cells", 6, 3, 200_000, (64,))[0]
    assert design(optuna.trial.FixedTrial(chosen), "cells", 6, 3, 200_000, (64,)) == network
    with pytest.raises(DesignError, match="raise the limit"):
        drawn(7, "cells", 6, 3, 10, (64,))
