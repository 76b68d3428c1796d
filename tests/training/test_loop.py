"""Training goes on as if nothing had happened, stops on nonsense, and augments by seed."""

import numpy as np
import pytest
import torch

from sessions import edits
from sessions.recipe import Recipe
from workbench.surgery.build import build
from workbench.surgery.families import shufflenet
from workbench.training.loop import Run, TrainingError, pick_device
from workbench.training.measuring.evaluate import normalised

CPU = torch.device("cpu")
IMAGES = 50
RECIPE = Recipe(images_per_epoch=0, epochs=2, batch_size=8, augmentation="light", seed=5)
STEPS = 2 * (IMAGES // 8)


@pytest.fixture
def new_run(network, train, state):
    def make(recipe=RECIPE, teachers=(), **changed):
        return Run(build(network, state | changed), network, train, recipe, CPU, teachers)

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


TECHNIQUES = {
    "averaged": {"ema": 0.9},
    "dropout": {"dropout": 0.5},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05, "schedule": "one-cycle"},
    "arcface": {"loss": "arcface"},
    "auxiliary": {"auxiliary": 0.3, "sampler": "balanced"},
    "mixed": {"mixup": 0.4, "cutmix": 1.0, "loss": "f1-focal", "clip_norm": 1.0},
    "taught": {"features": 0.5, "distill": 0.5},
    "taught plainly": {"teacher_images": "plain"},
}


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_goes_on_bit_identical(tmp_path, new_run, network, random_state, technique):
    recipe = Recipe(
        images_per_epoch=0,
        epochs=2,
        batch_size=8,
        augmentation="light",
        seed=5,
        **TECHNIQUES[technique],
    )
    teachers = [(network, random_state(network, 9))] if "taught" in technique else []
    whole = new_run(recipe, teachers)
    assert whole.fit(Hooks())
    first, second = new_run(recipe, teachers), new_run(recipe, teachers)
    assert not first.fit(Hooks(7))
    (tmp_path / "resume.pt").write_bytes(first.save())
    second.restore(tmp_path / "resume.pt")
    assert second.fit(Hooks())
    assert_identical(second.result(), whole.result())
    assert whole.result().keys() == build(network).state_dict().keys()


def test_the_average_of_the_weights_is_what_is_kept(new_run):
    run = new_run(Recipe(images_per_epoch=0, epochs=1, batch_size=8, ema=0.5))
    seen = []

    class Watch(Hooks):
        def after_batch(self, run):
            seen.append(weights(run)["output.weight"].double())
            return super().after_batch(run)

    assert run.fit(Watch())
    average = seen[0]
    for value in seen[1:]:
        average = 0.5 * average + 0.5 * value
    assert torch.allclose(run.result()["output.weight"].double(), average, atol=1e-6)
    assert torch.equal(run.kept().state_dict()["output.weight"], run.result()["output.weight"])


def test_arcface_leaves_an_ordinary_classifier_without_bias(new_run):
    run = new_run(
        Recipe(images_per_epoch=0, epochs=1, batch_size=8, loss="arcface", arcface_scale=12.0)
    )
    assert run.fit(Hooks())
    result = run.result()
    assert torch.allclose(result["output.weight"].norm(dim=1), torch.tensor(12.0))
    assert not result["output.bias"].any()


def test_dropout_is_before_the_classifier_while_training_only(new_run, network):
    run = new_run(Recipe(images_per_epoch=0, epochs=1, batch_size=8, dropout=0.9))
    head = run.module.get_submodule(network.head.key)
    zeros = []
    handle = head.register_forward_hook(
        lambda m, x, y: zeros.append(float((x[0] == 0).float().mean()))
    )
    assert run.fit(Hooks())
    assert min(zeros) > 0.8
    zeros.clear()
    run.module.eval()(torch.zeros(1, 3, 32, 32))
    assert zeros[0] < 0.8
    handle.remove()


def test_large_gradients_are_clipped(new_run, monkeypatch):
    norms = []
    real = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda p, limit: norms.append(limit) or real(p, limit)
    )
    run = new_run(Recipe(images_per_epoch=0, epochs=1, batch_size=8, clip_norm=0.01))
    assert run.fit(Hooks())
    after = torch.stack([p.grad.norm() for p in run.module.parameters()]).norm()
    assert norms == [0.01] * run.steps
    assert float(after) <= 0.0101


def test_the_same_seed_trains_the_same_and_another_does_not(new_run, uninterrupted):
    again, other = new_run(), new_run(Recipe(images_per_epoch=0, epochs=2, batch_size=8, seed=6))
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
    run = new_run(
        Recipe(images_per_epoch=0, epochs=10, batch_size=8, augmentation="none", learning_rate=1e-2)
    )
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
    run = new_run(Recipe(images_per_epoch=0, epochs=1, batch_size=1000))
    assert (run.batch_size, run.steps) == (IMAGES, 1)
    assert run.fit(Hooks())


def test_every_image_is_seen_once_an_epoch_in_another_order(new_run, train):
    run = new_run(Recipe(images_per_epoch=0, epochs=2, batch_size=10, augmentation="none"))
    order = [np.concatenate([run._batch(step)[2] for step in range(e, e + 5)]) for e in (0, 5)]
    assert sorted(order[0]) == sorted(order[1]) == list(range(IMAGES))
    assert not np.array_equal(order[0], order[1])


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
    run = new_run(
        Recipe(images_per_epoch=0, epochs=2, batch_size=8, learning_rate=10.0, weight_decay=1e30)
    )
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run.fit(Hooks())


def test_weights_that_break_in_the_last_step_are_no_success(new_run):
    run = new_run(
        Recipe(
            images_per_epoch=0, epochs=1, batch_size=IMAGES, learning_rate=10.0, weight_decay=1e300
        )
    )
    assert run.steps == 1
    with pytest.raises(TrainingError):
        run.fit(Hooks())


def test_an_unknown_device_is_an_error_in_words():
    with pytest.raises(TrainingError, match="use --device cpu"):
        pick_device("warp")
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda")
