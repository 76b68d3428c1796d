"""Jobs: what they report, keep and refuse, and that a stopped one goes on to the same end."""

import errno

import cv2
import msgspec
import numpy as np
import pytest
import torch

from sessions import edits
from sessions.events import BATCH_NORM, RAW, REPAIR, SHORT
from sessions.recipe import Recipe
from workbench.errors import UserError
from workbench.surgery import files
from workbench.surgery.build import build
from workbench.surgery.store import Since
from workbench.training import loop
from workbench.training.jobs import run_evaluate, run_fine_tune
from workbench.training.ladder import run_evaluate_cut, run_recover
from workbench.training.recover import reestimate

CPU = torch.device("cpu")
IMAGES = 50
RECIPE = Recipe(images_per_epoch=0, epochs=2, batch_size=8, augmentation="light", seed=5)
STEPS = 2 * (IMAGES // 8)


def assert_identical(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name


class Desk:
    """Remembers reports; stops after some questions."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.asked = 0
        self.told = []
        self.f1s = []

    def started(self, steps, from_step):
        self.told.append(("started", steps, from_step))

    def progressed(self, phase, progress):
        self.told.append(("progressed", phase, progress.step))

    def evaluated(self, evaluation, epoch, rung=""):
        self.told.append(("evaluated", epoch, rung))
        self.f1s.append(evaluation.f1)

    def stored(self, step, epoch):
        self.told.append(("stored", step))

    def should_stop(self):
        self.asked += 1
        return self.stop_after is not None and self.asked >= self.stop_after

    def wants_evaluation(self):
        return self.asked == 2

    def of(self, kind):
        return [told[1:] for told in self.told if told[0] == kind]


def unedited(network, state):
    return Since((network, state), (network, state), {})


def test_evaluating_changes_no_weights(network, state, dataset):
    desk = Desk()
    outcome = run_evaluate(network, state, dataset, CPU, desk)
    assert outcome.state is None
    assert outcome.evaluation.images == 9
    assert desk.told == [("started", 1, 0), ("evaluated", None, "")]


@pytest.fixture
def since(network, state):
    """The network and the same without a unit."""
    off = edits.apply(network, edits.UnitOff("stage2.unit2"))
    return Since((network, state), (off, state), {})


def test_evaluating_a_cut_network_tells_what_batch_norm_would_bring(since, dataset):
    desk = Desk()
    outcome = run_evaluate_cut(since, dataset, RECIPE, CPU, desk)
    assert outcome.state is None
    assert desk.of("evaluated") == [(None, RAW), (0.0, BATCH_NORM)]


def test_a_recovery_climbs_every_rung_and_keeps_the_best(since, dataset, network, state):
    before = {name: value.clone() for name, value in state.items()}
    desk = Desk()
    outcome = run_recover(since, dataset, RECIPE, CPU, desk, [(network, state)])
    assert_identical(state, before)
    assert outcome.state.keys() == state.keys()
    assert not outcome.is_stopped
    rungs = [told for told in desk.of("evaluated") if told[1]]
    assert rungs == [(None, RAW), (0.0, BATCH_NORM), (0.0, REPAIR), (1.0, SHORT)]
    reached = [f1 for (_, rung), f1 in zip(desk.of("evaluated"), desk.f1s, strict=True) if rung]
    assert outcome.evaluation.f1 == max(reached)


def test_without_edits_there_is_nothing_to_fit(network, state, dataset):
    desk = Desk()
    recipe = msgspec.structs.replace(RECIPE, short_epochs=0)
    outcome = run_recover(unedited(network, state), dataset, recipe, CPU, desk)
    assert [rung for _, rung in desk.of("evaluated")] == [RAW, BATCH_NORM]
    if outcome.state is not None:
        assert torch.equal(outcome.state["output.weight"], state["output.weight"])


def test_a_recovery_that_is_stopped_keeps_the_rung_it_reached(since, dataset):
    desk = Desk(stop_after=3)
    outcome = run_recover(since, dataset, RECIPE, CPU, desk)
    assert outcome.is_stopped
    assert [rung for _, rung in desk.of("evaluated")] == [RAW]
    assert (outcome.state, outcome.evaluation.f1) == (None, desk.f1s[0])


def test_a_loss_that_explodes_later_keeps_the_last_good_weights(tmp_path, network, state, dataset):
    recipe = Recipe(images_per_epoch=0, epochs=3, batch_size=8, augmentation="none")
    good = {}

    class Breaking(Desk):
        def stored(self, step, epoch):
            super().stored(step, epoch)
            if epoch == 1.0:
                good.update(torch.load(tmp_path / "resume.pt", weights_only=True)["model"])
                self.is_broken = True

    desk = Breaking()
    real = loop.rate

    def rate(recipe, step, steps, per_epoch):
        return float("inf") if step > per_epoch else real(recipe, step, steps, per_epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "rate", rate)
        path = tmp_path / "resume.pt"
        outcome = run_fine_tune(network, state, dataset, recipe, CPU, desk, path)
    assert outcome.is_stopped
    assert "became infinite" in outcome.reason
    assert "the weights of epoch 1 are kept" in outcome.reason
    assert_identical(outcome.state, good)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")],
)
def test_a_run_without_memory_says_so_and_goes_on_later(
    tmp_path, monkeypatch, network, state, dataset, error
):
    whole = run_fine_tune(network, state, dataset, RECIPE, CPU, Desk(), tmp_path / "whole.pt")
    real = loop.Run._stepped

    def short(run, *batch):
        if run.step == STEPS // 2 + 1:
            raise error
        return real(run, *batch)

    path = tmp_path / "resume.pt"
    monkeypatch.setattr(loop.Run, "_stepped", short)
    with pytest.raises(UserError, match=r"out of memory in epoch 1\.2 with batch_size 8.*smaller"):
        run_fine_tune(network, state, dataset, RECIPE, CPU, Desk(), path)
    monkeypatch.undo()
    desk = Desk()
    again = run_fine_tune(network, state, dataset, RECIPE, CPU, desk, path)
    assert desk.of("started") == [(STEPS, STEPS // 2)]
    assert_identical(again.state, whole.state)


def test_a_full_disk_while_storing_is_one_line_and_keeps_what_was_stored(
    tmp_path, monkeypatch, network, state, dataset
):
    path = tmp_path / "resume.pt"
    run_fine_tune(network, state, dataset, RECIPE, CPU, Desk(stop_after=5), path)
    stored = path.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"resume\.pt.*[Nn]o space left"):
        run_fine_tune(network, state, dataset, RECIPE, CPU, Desk(), path)
    assert path.read_bytes() == stored
    assert [found.name for found in tmp_path.iterdir()] == ["resume.pt"]


def test_pretraining_can_take_a_folder_without_labels(tmp_path, network, state, dataset):
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, (40, 30, 3), dtype=np.uint8)
        (tmp_path / "photos" / "deep").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / "deep" / f"{number}.png"), noise)
    recipe = Recipe(
        images_per_epoch=0,
        epochs=1,
        batch_size=4,
        pretrain_epochs=2,
        pretrain_data=str(tmp_path / "photos"),
    )
    desk = Desk()
    run_fine_tune(network, state, dataset, recipe, CPU, desk, tmp_path / "resume.pt")
    assert ("reconstructing", 8) in desk.of("progressed")


def test_pretraining_comes_first_and_can_be_stopped(tmp_path, network, state, dataset):
    recipe = Recipe(
        images_per_epoch=0, epochs=1, batch_size=8, pretrain_epochs=1, augmentation="none"
    )
    desk = Desk()
    run_fine_tune(network, state, dataset, recipe, CPU, desk, tmp_path / "resume.pt")
    phases = [phase for phase, _ in desk.of("progressed")]
    assert phases[0] == "reconstructing"
    assert phases[-2:] == ["training", "batch norm"]
    stopped = Desk(stop_after=1)
    outcome = run_fine_tune(network, state, dataset, recipe, CPU, stopped, tmp_path / "other.pt")
    assert (outcome.state, outcome.is_stopped) == (None, True)


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
    assert desk.of("evaluated") == [(pytest.approx(3 / 6), ""), (1.0, ""), (2.0, "")]
    assert outcome.evaluation is not None
    assert ("training", STEPS) in desk.of("progressed")
    assert desk.of("progressed")[-1] == ("batch norm", IMAGES)


def test_the_batch_norm_that_is_kept_is_measured_on_plain_images(tmp_path, network, state, dataset):
    running = msgspec.structs.replace(RECIPE, batch_norm="running")
    kept = [
        run_fine_tune(network, state, dataset, recipe, CPU, Desk(), tmp_path / f"{n}.pt").state
        for n, recipe in enumerate((RECIPE, running))
    ]
    statistics = [name for name in kept[0] if "running_" in name]
    others = [n for n in kept[0] if n not in statistics and "num_batches" not in n]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in others)
    module = build(network, kept[1])
    plain = msgspec.structs.replace(RECIPE, augmentation="none", recover_images=IMAGES)
    reestimate(module, network, dataset.train, plain, CPU)
    wanted = module.state_dict()
    assert all(torch.equal(kept[0][name], wanted[name]) for name in statistics)
    assert not any(torch.equal(kept[0][name], kept[1][name]) for name in statistics)


def test_with_teachers_the_running_batch_norm_is_kept(tmp_path, network, state, dataset):
    kept = [
        run_fine_tune(
            network, state, dataset, msgspec.structs.replace(RECIPE, batch_norm=choice), CPU,
            Desk(), tmp_path / f"{choice}.pt", [(network, state)],
        ).state
        for choice in ("auto", "running")
    ]  # fmt: skip
    assert_identical(*kept)


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


def test_f1_is_told_after_every_pass_of_an_epoch(tmp_path, network, state, dataset):
    # GIVEN images that an epoch goes through three times
    recipe = Recipe(images_per_epoch=3 * IMAGES, epochs=2, batch_size=10, augmentation="none")
    desk = Desk()
    desk.wants_evaluation = lambda: False
    run_fine_tune(network, state, dataset, recipe, CPU, desk, tmp_path / "resume.pt")
    epochs = [epoch for epoch, _ in desk.of("evaluated")]
    assert epochs == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert desk.of("stored") == [(15,), (30,)]
