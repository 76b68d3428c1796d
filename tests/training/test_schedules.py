"""Schedules are the usual ones, to the value, and in 0..1 whatever the recipe and the length."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR

from sessions.recipe import Recipe, choices
from workbench.training.schedules import rate


def rates(recipe, steps, steps_per_epoch=10):
    return [rate(recipe, step, steps, steps_per_epoch) for step in range(steps)]


def rates_of_torch(make, steps):
    """The rates of a scheduler of torch at peak 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    found = scheduler.get_last_lr()
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        found += scheduler.get_last_lr()
    return found


# Cosine


def before(warmup_share, step, steps):
    """The learning rate as the loop had it when cosine was all there was."""
    warmup = max(int(warmup_share * steps), 1)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * done))


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.33, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 100, 117])
def test_cosine_is_to_the_bit_what_it_was(warmup, steps):
    found = rates(Recipe(schedule="cosine", warmup=warmup), steps)
    assert found == [before(warmup, step, steps) for step in range(steps)]


def test_cosine_ends_at_the_lowest_rate():
    found = rates(Recipe(schedule="cosine", warmup=0.1, lowest_rate=0.2), 1000)
    assert found[99] == found[100] == 1.0
    assert found[550] == pytest.approx(0.6)
    assert found[-1] == pytest.approx(0.2, abs=1e-4)


# One-cycle


@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.1, 0.3, 0.95])
@pytest.mark.parametrize("steps", [2, 7, 100, 333])
def test_one_cycle_is_that_of_torch(warmup, steps):
    if warmup * steps == 1:
        pytest.skip("torch divides by zero")
    wanted = rates_of_torch(
        lambda optimizer: OneCycleLR(optimizer, 1.0, total_steps=steps, pct_start=warmup), steps
    )
    found = rates(Recipe(schedule="one-cycle", warmup=warmup), steps)
    assert found == pytest.approx(wanted, abs=1e-12)


def test_one_cycle_ends_at_the_lowest_rate():
    found = rates(Recipe(schedule="one-cycle", warmup=0.3, lowest_rate=0.1), 101)
    assert found[0] == pytest.approx(1 / 25)
    assert max(found) == pytest.approx(1.0, abs=1e-3)
    assert found[-1] == pytest.approx(0.1)


def test_one_cycle_has_its_peak_first_where_torch_divides_by_zero():
    assert rates(Recipe(schedule="one-cycle", warmup=0.1), 10)[0] == 1.0


# Restarts


@pytest.mark.parametrize("lowest", [0.0, 0.1])
@pytest.mark.parametrize(("epochs", "per_epoch"), [(5, 10), (2, 7), (1, 1)])
def test_restarts_without_warm_up_are_those_of_torch(epochs, per_epoch, lowest):
    length = epochs * per_epoch
    wanted = rates_of_torch(
        lambda optimizer: CosineAnnealingWarmRestarts(optimizer, T_0=length, eta_min=lowest),
        4 * length,
    )
    recipe = Recipe(schedule="restarts", warmup=0.0, restart_epochs=epochs, lowest_rate=lowest)
    assert rates(recipe, 4 * length, per_epoch) == pytest.approx(wanted)


def test_every_cycle_has_its_warm_up():
    found = rates(Recipe(schedule="restarts", warmup=0.2, restart_epochs=2), 60)
    cycle = found[:20]
    assert found == cycle * 3
    assert cycle[:4] == [0.25, 0.5, 0.75, 1.0]
    assert cycle[4:] == sorted(cycle[4:], reverse=True)
    assert cycle[-1] < 0.01


def test_the_last_cycle_is_shortened_to_end_with_the_run():
    recipe = Recipe(schedule="restarts", warmup=0.0, restart_epochs=5)
    found = rates(recipe, 70)
    assert found[:50] == rates(recipe, 50)
    assert found[50:] == rates(Recipe(schedule="restarts", warmup=0.0, restart_epochs=2), 20)
    assert found[-1] < 0.01


# Constant, and all of them


def test_constant_rises_and_stays():
    found = rates(Recipe(schedule="constant", warmup=0.1, lowest_rate=0.5), 50)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert set(found[5:]) == {1.0}


@given(
    schedule=st.sampled_from(choices("schedule")),
    warmup=st.floats(0, 1, exclude_max=True),
    lowest=st.floats(0, 1),
    epochs=st.integers(1, 12),
    per_epoch=st.integers(1, 12),
    restart=st.integers(1, 15),
)
def test_no_rate_is_negative_or_above_the_peak(
    schedule, warmup, lowest, epochs, per_epoch, restart
):
    recipe = Recipe(schedule=schedule, warmup=warmup, lowest_rate=lowest, restart_epochs=restart)
    found = rates(recipe, epochs * per_epoch, per_epoch)
    assert all(0 <= value <= 1 for value in found)
    assert max(found) > 0


@pytest.mark.parametrize("schedule", choices("schedule"))
def test_the_only_step_of_a_run_is_at_the_peak(schedule):
    assert rate(Recipe(schedule=schedule), 0, 1, 1) == 1.0
