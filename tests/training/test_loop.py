"""Training goes on as if nothing had happened, stops on nonsense, and augments by seed."""

import numpy as np
import pytest
import torch

from sessions import edits
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.surgery.store import Since
from workbench.training.augment import augmented, pipeline
from workbench.training.data import Dataset, Split
from workbench.training.evaluate import normalised
from workbench.training.jobs import run_evaluate, run_fine_tune, run_recover
from workbench.training.loop import Run, TrainingError, pick_device
from workbench.training.recover import reestimate

CPU = torch.device("cpu")
CLASSES, IMAGES = 3, 50
RECIPE = Recipe(epochs=2, batch_size=8, augmentation="light", seed=5)
STEPS = 2 * (IMAGES // 8)
PRESETS = ("none", "shift", "light", "strong")


@pytest.fixture(scope="module")
def network():
    small = shufflenet.fresh(groups=1, width=0.125, units=(1, 2, 1), classes=CLASSES)
    return edits.apply(small, edits.InputSize(32))


@pytest.fixture(scope="module")
def train(network):
    """Images whose class is their colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    images = rng.integers(0, 120, (IMAGES, 32, 32, 3), dtype=np.uint8)
    images[np.arange(IMAGES), :, :, labels] += 120
    return Split(images, np.arange(IMAGES), labels)


@pytest.fixture
def state(network, random_state):
    return random_state(network, 3)


@pytest.fixture
def new_run(network, train, state):
    def make(recipe=RECIPE, **changed):
        return Run(build(network, state | changed), network, train, recipe, CPU)

    return make


class Hooks:
    """Stops after a step; remembers what it was told."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.epochs, self.reports, self.seen = [], [], []

    def progressed(self, progress):
        self.reports.append(progress)

    def after_batch(self, run):
        self.seen.append(run.step)
        return run.step != self.stop_at

    def epoch_ended(self, run):
        self.epochs.append(run.epoch)


def weights(run):
    return {name: value.clone() for name, value in run.module.state_dict().items()}


def assert_identical(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


# Resuming


@pytest.fixture
def uninterrupted(new_run):
    run = new_run()
    assert run.fit(Hooks())
    return weights(run)


@pytest.mark.parametrize("stop_at", [1, 4, STEPS // 2, STEPS // 2 + 1, STEPS - 1])
def test_a_run_cut_off_and_restored_ends_bit_identical(tmp_path, new_run, uninterrupted, stop_at):
    first = new_run()
    assert not first.fit(Hooks(stop_at))
    (tmp_path / "resume.pt").write_bytes(first.save())
    second = new_run()
    second.restore(tmp_path / "resume.pt")
    assert second.step == stop_at
    assert second.fit(Hooks())
    assert_identical(weights(second), uninterrupted)


def test_a_run_cut_off_twice_ends_bit_identical(tmp_path, new_run, uninterrupted):
    for stop_at in (3, 8, None):
        run = new_run()
        if (tmp_path / "resume.pt").exists():
            run.restore(tmp_path / "resume.pt")
        run.fit(Hooks(stop_at))
        (tmp_path / "resume.pt").write_bytes(run.save())
    assert_identical(weights(run), uninterrupted)


def test_the_same_seed_trains_the_same_and_another_does_not(new_run, uninterrupted):
    again, other = new_run(), new_run(Recipe(epochs=2, batch_size=8, seed=6))
    again.fit(Hooks())
    other.fit(Hooks())
    assert_identical(weights(again), uninterrupted)
    assert not torch.equal(weights(other)["output.weight"], uninterrupted["output.weight"])


def test_a_run_at_its_end_has_nothing_left_to_do(tmp_path, new_run, uninterrupted):
    run = new_run()
    run.fit(Hooks())
    (tmp_path / "resume.pt").write_bytes(run.save())
    again = new_run()
    again.restore(tmp_path / "resume.pt")
    hooks = Hooks()
    assert again.fit(hooks)
    assert hooks.seen == []
    assert_identical(weights(again), uninterrupted)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04" + bytes(50), "another network", "short", "not a run"],
    ids=["empty", "text", "zip", "another", "short", "list"],
)
def test_a_stored_state_that_does_not_fit_is_refused(tmp_path, new_run, train, content):
    path = tmp_path / "resume.pt"
    if content == "another network":
        other = edits.apply(shufflenet.fresh(units=(1, 1, 1)), edits.InputSize(32))
        path.write_bytes(Run(build(other), other, train, RECIPE, CPU).save())
    elif content == "short":
        path.write_bytes(new_run().save()[:-500])
    elif content == "not a run":
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="does not belong to this run"):
        new_run().restore(path)


# The loop


def test_training_learns_what_is_easy(new_run, network, train):
    run = new_run(Recipe(epochs=10, batch_size=8, augmentation="none", learning_rate=1e-2))
    hooks = Hooks()
    run.fit(hooks)
    run.module.eval()
    with torch.inference_mode():
        logits = run.module(normalised(train.take(slice(None)), network, CPU))
    assert (logits.argmax(dim=1).numpy() == train.labels).mean() > 0.9


def test_steps_epochs_and_the_last_report(new_run):
    run, hooks = new_run(), Hooks()
    assert (run.steps, run.steps_per_epoch, run.epoch) == (STEPS, STEPS // 2, 0.0)
    run.fit(hooks)
    assert hooks.seen == list(range(1, STEPS + 1))
    assert hooks.epochs == [1.0, 2.0]
    last = hooks.reports[-1]
    assert (last.step, last.steps, last.epoch, last.left_s) == (STEPS, STEPS, 2.0, 0.0)
    assert last.images_per_s > 0
    assert 0 < last.loss < 10


def test_a_stop_at_the_last_step_is_an_end(new_run):
    run = new_run()
    assert run.fit(Hooks(STEPS))
    assert run.step == STEPS


def test_a_batch_larger_than_the_data_is_the_data(new_run):
    run = new_run(Recipe(epochs=1, batch_size=1000))
    assert (run.batch_size, run.steps) == (IMAGES, 1)
    assert run.fit(Hooks())


def test_every_image_is_seen_once_an_epoch_in_another_order(new_run, train):
    run = new_run(Recipe(epochs=2, batch_size=10, augmentation="none"))
    order = [np.concatenate([run._batch(step)[1] for step in range(e, e + 5)]) for e in (0, 5)]
    assert sorted(order[0]) == sorted(order[1]) == list(range(IMAGES))
    assert not np.array_equal(order[0], order[1])


def test_the_learning_rate_rises_then_falls_to_nothing(new_run):
    run = new_run(Recipe(epochs=10, batch_size=5, warmup=0.1))
    factors = []
    for step in range(run.steps):
        run.step = step
        factors.append(run._lr_factor())
    assert run.steps == 100
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == factors[10] == 1.0
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.001


def test_weight_decay_is_for_conv_and_linear_weights_only(new_run):
    decayed, plain = new_run(Recipe(weight_decay=0.3)).optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in plain["params"])
    counted = len(decayed["params"]) + len(plain["params"])
    assert counted == len(list(new_run().module.parameters()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output.weight", float("nan")),
        ("features.init_block.conv.weight", float("inf")),
        ("output.bias", 3e38),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run(new_run, state, name, value):
    broken = state[name].clone()
    broken[0] = value
    hooks = Hooks()
    with pytest.raises(TrainingError, match="lower the learning rate"):
        new_run(**{name: broken}).fit(hooks)
    assert hooks.epochs == []


def test_a_learning_rate_far_too_high_never_ends_as_a_success_with_broken_weights(new_run):
    run = new_run(Recipe(epochs=2, batch_size=8, learning_rate=10.0, weight_decay=1e30))
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run.fit(Hooks())


def test_weights_that_break_in_the_last_step_are_no_success(new_run):
    run = new_run(Recipe(epochs=1, batch_size=IMAGES, learning_rate=10.0, weight_decay=1e300))
    assert run.steps == 1
    with pytest.raises(TrainingError):
        run.fit(Hooks())


def test_an_unknown_device_is_an_error_in_words():
    with pytest.raises(TrainingError, match="use --device cpu"):
        pick_device("warp")
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda")


# Recovery


def test_recovery_leaves_every_weight_untouched(network, train, state):
    module = build(network, state)
    reestimate(module, network, train, RECIPE, CPU)
    after = module.state_dict()
    is_statistic = [name for name in state if "running_" in name or "tracked" in name]
    assert all(torch.equal(after[n], state[n]) for n in state if n not in is_statistic)
    assert not any(torch.equal(after[n], state[n]) for n in is_statistic)
    assert not module.training


def test_recovery_is_the_plain_average_over_the_batches(network, train, state):
    recipe = Recipe(batch_size=10, augmentation="none", recover_images=30, seed=2)
    module = build(network, state)
    reestimate(module, network, train, recipe, CPU)
    order = np.random.default_rng(2).permutation(IMAGES)[:30]
    with torch.inference_mode():
        maps = [
            torch.nn.functional.conv2d(
                normalised(train.take(np.sort(order[start : start + 10])), network, CPU),
                state["features.init_block.conv.weight"],
                stride=2,
                padding=1,
            )
            for start in (0, 10, 20)
        ]
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in maps]).mean(dim=0)
    var = torch.stack([x.var(dim=(0, 2, 3), unbiased=True) for x in maps]).mean(dim=0)
    after = module.state_dict()
    key = "features.init_block.bn"
    assert torch.allclose(after[f"{key}.running_mean"], mean, atol=1e-5)
    assert torch.allclose(after[f"{key}.running_var"], var, rtol=1e-4)
    assert int(after[f"{key}.num_batches_tracked"]) == 3


def test_recovery_does_not_depend_on_the_statistics_before(network, train, state):
    ruined = {
        name: torch.full_like(value, 7.0) if "running_" in name else value
        for name, value in state.items()
    }
    modules = build(network, state), build(network, ruined)
    for module in modules:
        reestimate(module, network, train, RECIPE, CPU)
    assert_identical(modules[0].state_dict(), modules[1].state_dict())


def test_recovery_keeps_the_momentum_for_training_after_it(network, train, state):
    module = build(network, state)
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    reestimate(module, network, train, RECIPE, CPU)
    assert {norm.momentum for norm in norms} == {0.1}


def test_recovery_reports_its_images_and_can_be_stopped(network, train, state):
    seen = []

    def until_20(done, total):
        seen.append((done, total))
        return done < 20

    recipe = Recipe(batch_size=10, recover_images=40)
    assert not reestimate(build(network, state), network, train, recipe, CPU, until_20)
    assert seen == [(10, 40), (20, 40)]
    seen.clear()
    recipe = Recipe(batch_size=16, recover_images=40)
    assert reestimate(
        build(network, state), network, train, recipe, CPU, lambda *at: seen.append(at) or True
    )
    assert seen == [(16, 40), (32, 40), (40, 40)]


@pytest.mark.parametrize(("images", "batch"), [(2, 8), (3, 2), (9, 8)])
def test_recovery_on_very_few_images_gives_finite_statistics(network, train, state, images, batch):
    module = build(network, state)
    recipe = Recipe(batch_size=batch, recover_images=images, augmentation="none")
    assert reestimate(module, network, train, recipe, CPU)
    assert all(bool(torch.isfinite(value).all()) for value in module.state_dict().values())
    counted = "features.init_block.bn.num_batches_tracked"
    assert int(module.state_dict()[counted]) >= 1


# Augmentation


@pytest.mark.filterwarnings("ignore:HueSaturationValue")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PRESETS)
def test_the_same_seed_gives_the_same_images(train, name, channels):
    images = train.take(slice(0, 12))[..., :channels]
    transform = pipeline(name)
    first, again, other = (augmented(transform, images, seed) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == (images.shape, np.uint8)
    assert np.array_equal(first, again)
    assert np.array_equal(first, augmented(pipeline(name), images, 1))
    assert np.array_equal(first, other) == (name == "none")


def test_no_augmentation_leaves_images_as_they_are(train):
    images = train.take(slice(0, 12))
    assert np.array_equal(augmented(pipeline("none"), images, 1), images)


@pytest.mark.parametrize("name", PRESETS[1:])
def test_augmentation_changes_copies_and_each_image_in_its_own_way(train, name):
    images = np.repeat(train.take(slice(0, 1)), 12, axis=0)
    before = images.copy()
    result = augmented(pipeline(name), images, 3)
    assert np.array_equal(images, before)
    assert len({image.tobytes() for image in result}) > 4


# Jobs


class Desk:
    """Remembers reports; stops after some questions."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.asked = 0
        self.told = []

    def started(self, steps, from_step):
        self.told.append(("started", steps, from_step))

    def progressed(self, phase, progress):
        self.told.append(("progressed", phase, progress.step))

    def evaluated(self, evaluation, epoch):
        self.told.append(("evaluated", epoch))

    def stored(self, step, epoch):
        self.told.append(("stored", step))

    def should_stop(self):
        self.asked += 1
        return self.asked == self.stop_after

    def wants_evaluation(self):
        return self.asked == 2

    def of(self, kind):
        return [told[1:] for told in self.told if told[0] == kind]


@pytest.fixture
def dataset(train):
    val = Split(train.source, train.rows[:9], train.labels[:9])
    return Dataset(source="x", classes=("r", "g", "b"), train=train, val=val, fingerprint="f")


def unedited(network, state):
    return Since((network, state), (network, state), {})


def test_evaluating_changes_no_weights(network, state, dataset):
    desk = Desk()
    outcome = run_evaluate(network, state, dataset, CPU, desk)
    assert outcome.state is None
    assert outcome.evaluation.images == 9
    assert desk.told == [("started", 1, 0), ("evaluated", None)]


def test_recovering_gives_new_statistics_and_an_f1(network, state, dataset):
    before = {name: value.clone() for name, value in state.items()}
    desk = Desk()
    outcome = run_recover(unedited(network, state), dataset, RECIPE, CPU, desk)
    assert_identical(state, before)
    assert outcome.state.keys() == state.keys()
    assert torch.equal(outcome.state["output.weight"], state["output.weight"])
    assert not outcome.is_stopped
    assert desk.of("started") == [(IMAGES, 0)]
    assert desk.of("evaluated") == [(0.0,)]
    assert desk.of("progressed")[-1] == ("batch norm", IMAGES)


def test_a_recovery_that_is_stopped_has_no_result(network, state, dataset):
    outcome = run_recover(unedited(network, state), dataset, RECIPE, CPU, Desk(stop_after=2))
    assert (outcome.state, outcome.evaluation, outcome.is_stopped) == (None, None, True)


def test_a_fine_tuning_that_is_stopped_goes_on_to_the_same_end(tmp_path, network, state, dataset):
    whole = run_fine_tune(network, state, dataset, RECIPE, CPU, Desk(), tmp_path / "whole.pt")
    path = tmp_path / "jobs" / "1" / "resume.pt"
    first = run_fine_tune(network, state, dataset, RECIPE, CPU, Desk(stop_after=5), path)
    assert first.is_stopped
    desk = Desk()
    second = run_fine_tune(network, state, dataset, RECIPE, CPU, desk, path)
    assert desk.of("started") == [(STEPS, 5)]
    assert not second.is_stopped
    assert_identical(second.state, whole.state)
    assert second.evaluation == whole.evaluation


def test_fine_tuning_stores_and_evaluates_each_epoch(tmp_path, network, state, dataset):
    desk = Desk()
    outcome = run_fine_tune(network, state, dataset, RECIPE, CPU, desk, tmp_path / "resume.pt")
    assert desk.of("stored") == [(STEPS // 2,), (STEPS,)]
    assert desk.of("evaluated") == [(pytest.approx(3 / 6),), (1.0,), (2.0,)]
    assert outcome.evaluation is not None
    assert desk.of("progressed")[-1] == ("training", STEPS)


def test_fine_tuning_keeps_the_weights_of_off_units(tmp_path, network, state, dataset):
    off = edits.apply(network, edits.UnitOff("stage2.unit2"))
    outcome = run_fine_tune(off, state, dataset, RECIPE, CPU, Desk(), tmp_path / "resume.pt")
    assert outcome.state.keys() == state.keys()
    inside = [name for name in state if ".stage2.unit2." in name]
    assert len(inside) > 10
    assert all(torch.equal(outcome.state[name], state[name]) for name in inside)
    assert not torch.equal(outcome.state["output.weight"], state["output.weight"])


@pytest.mark.parametrize("job", ["evaluate", "recover", "fine-tune"])
def test_other_classes_than_the_data_are_refused_with_the_edit(
    tmp_path, network, state, dataset, job
):
    other = edits.apply(network, edits.Classes(5))
    run = {
        "evaluate": lambda: run_evaluate(other, state, dataset, CPU, Desk()),
        "recover": lambda: run_recover(unedited(other, state), dataset, RECIPE, CPU, Desk()),
        "fine-tune": lambda: run_fine_tune(
            other, state, dataset, RECIPE, CPU, Desk(), tmp_path / "resume.pt"
        ),
    }[job]
    with pytest.raises(UserError, match="edit classes:3 first"):
        run()
