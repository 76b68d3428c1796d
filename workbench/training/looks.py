"""Answers to what is asked for the eyes alone: no job, no record, also between batches of a job.

Nothing here draws from the random numbers that training goes by.
"""

from collections.abc import Callable
from pathlib import Path

from sessions.commands import DrawConfused, DrawSamples, MeasureActivations
from sessions.events import ActivationsMeasured, ConfusedDrawn, SamplesDrawn
from sessions.network import Network
from sessions.splits import VALIDATION, Splits
from workbench.errors import UserError
from workbench.surgery.build import State
from workbench.surgery.store import Deriver
from workbench.training.augmentation.samples import draw_samples
from workbench.training.images.data import Dataset
from workbench.training.measuring.activations import measure_stds
from workbench.training.measuring.confused import confused

Look = DrawSamples | MeasureActivations | DrawConfused
Open = Callable[[str, int, int, Splits], Dataset]
"""Opens data by source, edge in pixels, channels and division."""


def answer(command: Look, open_data: Open) -> SamplesDrawn | ActivationsMeasured | ConfusedDrawn:
    """What is to be seen, or why there is nothing."""
    match command:
        case DrawSamples():
            return _samples(command, open_data)
        case MeasureActivations():
            return _activations(command, open_data)
        case DrawConfused():
            return _confused(command, open_data)


def _looked_at(command: Look, open_data: Open) -> tuple[Network, State, Dataset]:
    """The network with its weights, and the data at its size.

    Raises:
        UserError: one of them cannot be read.
    """
    network, state = Deriver()(Path(command.folder), command.lineage)
    size, channels = network.input_size, network.input_channels
    return network, state, open_data(command.data, size, channels, command.splits)


def _samples(command: DrawSamples, open_data: Open) -> SamplesDrawn:
    try:
        network, _, data = _looked_at(command, open_data)
        rows, names = draw_samples(
            network, data, command.recipe, command.photos, command.copies, command.edge
        )
    except UserError as error:
        return SamplesDrawn(edge=command.edge, reason=str(error))
    return SamplesDrawn(edge=command.edge, rows=rows, names=names)


def _activations(command: MeasureActivations, open_data: Open) -> ActivationsMeasured:
    try:
        network, state, data = _looked_at(command, open_data)
        images = min(command.images, len(data.train))
        stds = measure_stds(network, state, data.train, images)
    except UserError as error:
        return ActivationsMeasured(variant=command.variant, reason=str(error))
    return ActivationsMeasured(
        variant=command.variant,
        images=images,
        stds={axis: tuple(values) for axis, values in stds.items()},
    )


def _confused(command: DrawConfused, open_data: Open) -> ConfusedDrawn:
    variant, true, predicted = command.variant, command.true, command.predicted
    try:
        network, state, data = _looked_at(command, open_data)
        found = confused(network, state, data, (true, predicted), command.photos, command.edge)
    except UserError as error:
        return ConfusedDrawn(variant=variant, true=true, predicted=predicted, reason=str(error))
    return ConfusedDrawn(
        variant=variant,
        true=true,
        predicted=predicted,
        split=VALIDATION,
        total=found.total,
        edge=command.edge,
        images=found.images,
        names=found.names,
        confidences=found.confidences,
    )
