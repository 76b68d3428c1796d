"""Spaces of designs: always legal, the variant as it is among them, and what is varied by name."""

import random
import warnings

import optuna
import pytest

from sessions import edits, macs
from sessions.recipe import Recipe
from sessions.searching import Space
from workbench.errors import UserError
from workbench.search import ranges
from workbench.search.spaces import NewDesigns, VariantDesigns, removable

ALL = Space(bottlenecks=True, input_sizes=(32, 48), recipe=ranges.FIELDS)
TAUGHT = Recipe(teachers=("before-cut",))
optuna.logging.set_verbosity(optuna.logging.WARNING)


def drawn(designs, count, seed=0):
    """Random designs with their parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    for _ in range(count):
        trial = study.ask()
        yield designs.suggest(trial), trial.params


def after(network, changes):
    for change in changes:
        network = edits.apply(network, change)
    return network


@pytest.mark.parametrize("by", ["count", "each"])
@pytest.mark.parametrize("seed", range(6))
def test_every_draw_is_legal_on_any_network(random_network, by, seed):
    network = random_network(random.Random(seed))
    space = Space(
        units_by=by, bottlenecks=True, input_sizes=(24, 40), recipe=("learning_rate", "loss")
    )
    designs = VariantDesigns(network, space, TAUGHT, {})

    seen = set()
    for design, _ in drawn(designs, 25, seed):
        assert after(network, design.edits) == design.network
        seen.add(macs.count(design.network))

    assert len(seen) > 1


def test_the_variant_as_it_is_comes_first_and_lighter_ones_follow(published):
    network = published()
    designs = VariantDesigns(network, ALL, TAUGHT, {})

    made = []
    for values in designs.starts():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna warns of values out of range
            made.append(designs.suggest(optuna.trial.FixedTrial(values)))

    assert made[0].edits == ()
    assert made[0].recipe == TAUGHT
    assert made[0].network == network
    assert [design.network.units_per_stage for design in made] == [(4, 8, 4), (3, 6, 3), (3, 5, 3)]
    counts = [macs.count(design.network) for design in made]
    assert counts == sorted(counts, reverse=True)


def test_the_units_without_which_f1_falls_least_go_first(published):
    network = published()
    costs = {path: -place for place, path in enumerate(removable(network))}
    costs["stage2.unit4"] = -100  # F1 rises without it
    designs = VariantDesigns(network, Space(widths=False, groups=False), Recipe(), costs)

    values = {"stage1.units": 3, "stage2.units": 5, "stage3.units": 3}
    design = designs.suggest(optuna.trial.FixedTrial(values))

    assert [edits.text(e) for e in design.edits] == ["off:stage2.unit4", "off:stage2.unit8"]


def test_the_nearest_legal_width_is_taken_and_the_larger_of_two(published):
    network = published()
    designs = VariantDesigns(network, Space(units=False, groups=False), Recipe(), {})
    stem = designs.widths[0]
    values = {f"{stage}.width": 1.0 for stage in designs.widths}

    cut = designs.suggest(optuna.trial.FixedTrial(values | {"stage3.width": 0.75}))
    rounded = designs.suggest(optuna.trial.FixedTrial(values | {f"{stem}.width": 0.75}))

    assert [edits.text(e) for e in cut.edits] == ["width:stage3=210"]
    assert rounded.edits == ()  # 4.5 lies between 3 and 6


def test_what_a_space_leaves_out_stays_as_it_is(published):
    network = published()
    designs = VariantDesigns(network, Space(widths=False), Recipe(), {})

    for design, parameters in drawn(designs, 10):
        assert {name.rpartition(".")[2] for name in parameters} == {"units", "groups"}
        assert design.recipe == Recipe()
        assert {type(edit).__name__ for edit in design.edits} <= {"UnitOff", "Groups"}


@pytest.mark.parametrize("recipe", [TAUGHT, Recipe(teachers=("x",), dropout=0.9, weight_decay=0)])
def test_every_field_of_the_recipe_that_can_be_varied_gives_legal_recipes(published, recipe):
    space = Space(units=False, widths=False, groups=False, recipe=ranges.FIELDS)
    designs = VariantDesigns(published(), space, recipe, {})

    found = {design.recipe for design, _ in drawn(designs, 30)}

    assert len(found) == 30
    for field in ranges.FIELDS:
        assert len({getattr(each, field) for each in found}) > 1, field


def test_fields_that_cannot_be_varied_are_named():
    with pytest.raises(UserError, match="cannot vary 'epochs': use learning_rate"):
        ranges.check_fields(TAUGHT, ("epochs",))
    with pytest.raises(UserError, match="distill has no effect without a teacher"):
        ranges.check_fields(Recipe(), ("distill",))
    ranges.check_fields(TAUGHT, ranges.FIELDS)


@pytest.mark.parametrize("family", ["shufflenet", "cells"])
def test_new_networks_meet_the_limit_and_know_the_classes(published, family):
    space = Space(input_sizes=(32, 48), recipe=("learning_rate",))
    designs = NewDesigns(family, published(), space, Recipe(), 1_000_000)

    for design, _ in drawn(designs, 8):
        assert design.is_new
        assert design.network.classes == 9
        assert macs.count(design.network) <= 1_000_000
        assert design.network.input_size in (32, 48)
