"""What is measured for the eyes alone: activations of channels, and photos of mistakes."""

import cv2
import numpy as np
import pytest
import torch

from sessions import edits, targets
from sessions.splits import Splits
from workbench.errors import UserError
from workbench.surgery.build import build
from workbench.training.images.data import Dataset, Split, open_data
from workbench.training.measuring.activations import measure_stds
from workbench.training.measuring.confused import confused
from workbench.training.measuring.evaluate import normalised, predict

CPU = torch.device("cpu")


def test_the_spread_of_channels_is_that_of_the_built_module(network, state, train):
    """By hooks on the module: behind a bottleneck's batch norm, and at the end of a stage."""
    found = measure_stds(network, state, train, 24, seed=1)
    rows = np.sort(np.random.default_rng(1).permutation(len(train))[:24])
    module = build(network, state)
    unit = network.units["stage2.unit2"]
    norm = next(layer for layer in unit.branch if layer.kind == "batch_norm")
    seen: dict[str, torch.Tensor] = {}

    def keep(name):
        return lambda module, inputs, output: seen.update({name: output.detach().clone()})

    dict(module.named_modules())[norm.key].register_forward_hook(keep("mid"))
    with torch.inference_mode():
        module(normalised(train.take(rows), network, CPU))
    expected = seen["mid"].transpose(0, 1).flatten(1).double().std(dim=1, unbiased=False)
    assert found[norm.out_axis] == pytest.approx(expected.tolist(), abs=1e-5)


def test_an_axis_that_runs_through_several_units_gets_the_mean_over_them(network, state, train):
    found = measure_stds(network, state, train, 16)
    names = [name for name, axis in network.axes.items() if not axis.parts and name != "image"]
    assert set(found) == set(names)
    for name in names:
        assert len(found[name]) == network.axes[name].width
        assert all(np.isfinite(found[name]))
        assert min(found[name]) >= 0


def test_channels_of_a_unit_that_is_off_are_left_out(network, state, train):
    off = edits.apply(network, edits.UnitOff("stage2.unit2"))
    whole, without = (measure_stds(net, state, train, 8) for net in (network, off))
    assert set(whole) - set(without) == set(targets.mid_axes(network, "stage2.unit2"))


def test_fewer_images_than_asked_for_are_all_of_them(network, state, train):
    few = Split(train.source, train.rows[:5], train.labels[:5])
    assert measure_stds(network, state, few, 999) == measure_stds(network, state, few, 5)


def test_looking_at_channels_draws_no_random_number_and_changes_no_weight(network, state, dataset):
    before = {name: value.clone() for name, value in state.items()}
    drawn = torch.random.get_rng_state()
    measure_stds(network, state, dataset.train, 8)
    confused(network, state, dataset, (0, 1), 4, 8)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(torch.equal(before[name], value) for name, value in state.items())


def test_the_photos_of_a_cell_are_those_that_the_confusion_matrix_counts(network, state, dataset):
    predicted = predict(build(network, state), network, dataset.val, CPU)
    matrix = np.zeros((3, 3), dtype=int)
    np.add.at(matrix, (dataset.val.labels, predicted), 1)
    for true in range(3):
        for other in range(3):
            found = confused(network, state, dataset, (true, other), 99, 8)
            assert found.total == matrix[true, other] == len(found.images)
            assert list(found.confidences) == sorted(found.confidences, reverse=True)
            assert all(1 / 3 <= confidence <= 1 for confidence in found.confidences)
            assert all(len(image) == 8 * 8 * 3 for image in found.images)


def test_the_most_confident_come_first_and_no_more_than_asked_for(network, state, dataset):
    cells = [(true, other) for true in range(3) for other in range(3)]
    cell = max(cells, key=lambda c: confused(network, state, dataset, c, 99, 8).total)
    whole = confused(network, state, dataset, cell, 99, 8)
    few = confused(network, state, dataset, cell, 2, 8)
    assert few.total == whole.total > 2
    assert few.images == whole.images[:2]


def test_held_out_images_are_never_shown(network, state, dataset):
    none = Split(dataset.val.source, dataset.val.rows[:0], dataset.val.labels[:0])
    only_held = Dataset(
        source="x", classes=dataset.classes, train=dataset.train, val=none, hold_out=dataset.val
    )
    with pytest.raises(UserError, match="not to be looked at"):
        confused(network, state, only_held, (0, 0), 4, 8)


@pytest.fixture
def folder(tmp_path):
    """Three classes by colour, their files numbered, one of them broken."""
    for label, name in enumerate(("blau", "grün", "붉은색")):
        (tmp_path / name).mkdir()
        for number in range(10):
            image = np.zeros((32, 32, 3), dtype=np.uint8)
            image[:, :, label] = 100 + number * 10
            _, content = cv2.imencode(".png", image)
            (tmp_path / name / f"{number}.png").write_bytes(content.tobytes())
    (tmp_path / "blau" / "3.png").write_bytes(b"broken")
    return tmp_path


def shown_files(network, state, data):
    for true in range(3):
        for other in range(3):
            found = confused(network, state, data, (true, other), 99, 4)
            yield from zip(found.names, found.images, strict=True)


def test_a_photo_has_the_name_of_its_file_also_where_others_could_not_be_read(
    network, state, folder
):
    data = open_data(str(folder), 32, 3, Splits(validation=0.4))
    found = list(shown_files(network, state, data))
    assert len(found) == len(data.val)
    for name, image in found:
        pixel = (
            cv2.imread(str(folder / name))
            if name.isascii()
            else cv2.imdecode(
                np.frombuffer((folder / name).read_bytes(), dtype=np.uint8), cv2.IMREAD_COLOR
            )
        )
        assert tuple(image[:3]) == tuple(pixel[0, 0][::-1])


def test_where_files_cannot_be_told_apart_the_number_of_the_image_is_told(network, state, folder):
    data = open_data(str(folder), 32, 3, Splits(validation=0.4))
    (folder / "blau" / "99.png").write_bytes(b"new")
    names = [name for name, _ in shown_files(network, state, data)]
    assert names
    assert all(name.startswith("image ") and name.endswith(" of 29") for name in names)
