"""The fixed network, figures and images of the gallery: what engine and trainer would answer."""

from collections.abc import Sequence
from math import sin

from sessions import commands, edits, events, macs
from sessions.events import (
    AnyEvent,
    ClassScore,
    DataOpened,
    Evaluation,
    LayerStats,
    ModelOpened,
    Skipped,
)
from sessions.network import WEIGHTED, Network
from workbench.surgery.families import shufflenet
from workbench.surgery.fates import channel_fates

CLASSES = (
    "cardboard", "glass", "metal", "paper", "plastic", "trash", "유리병", "food-and-garden-waste",
    "battery",
)  # fmt: skip
IMAGES = 505
HISTOGRAM = (1, 3, 9, 22, 48, 80, 96, 100, 92, 71, 40, 18, 7, 2, 1)


def network() -> Network:
    """The published network: 4-8-4 with a conv head, 80 pixels, 9 classes, 1,688,940 MACs."""
    made = edits.apply(shufflenet.fresh(units=(4, 8, 4), classes=9), edits.InputSize(80))
    return edits.apply(made, edits.Head("conv"))


def layer_stats(net: Network) -> dict[str, LayerStats]:
    """Statistics that differ from layer to layer."""
    return {
        layer.path: LayerStats(
            count=net.parameters(layer), mean=0.001, std=0.05 + number / 500, near_zero=0.02,
            low=-0.5, high=0.5, histogram=HISTOGRAM,
        )
        for number, (_, layer) in enumerate(net.layers(include_off=True))
        if layer.kind in WEIGHTED
    }  # fmt: skip


def model_opened(net: Network) -> ModelOpened:
    """What the engine says of the file."""
    count = macs.count(net)
    return ModelOpened(
        source="/models/published.pth", sha256="ab" * 32, checkpoint="cd" * 32, network=net,
        weights_sha256="ef" * 32, stats=layer_stats(net), macs=count, ptflops_macs=count,
    )  # fmt: skip


def data_opened() -> DataOpened:
    """What the trainer says of the data."""
    return DataOpened(
        source="/data/trashnet", fingerprint="12" * 32, classes=CLASSES, train_images=2022,
        val_images=IMAGES, size=80, skipped_count=3,
        skipped=(Skipped("glass/broken.jpg", "cannot be decoded"),),
    )  # fmt: skip


def evaluation(f1: float) -> Evaluation:
    """Classes around an F1, with confusions between neighbours."""
    middle = (len(CLASSES) - 1) / 2
    scores, confusion = [], []
    for number, name in enumerate(CLASSES):
        each = IMAGES // len(CLASSES) + (number < IMAGES % len(CLASSES))
        own = max(min(f1 + (number - middle) / 50, 1.0), 0.0)
        row = [0] * len(CLASSES)
        row[number] = round(each * own)
        missed = each - row[number]
        row[(number + 1) % len(CLASSES)] = missed - missed // 3
        row[(number + 4) % len(CLASSES)] = missed // 3
        confusion.append(tuple(row))
        scores.append(ClassScore(name, own, own, own, each))
    return Evaluation(
        split="validation", images=IMAGES, f1=f1, accuracy=f1 + 0.01, classes=tuple(scores),
        low=f1 - 0.031, high=f1 + 0.028, confusion=tuple(confusion),
    )  # fmt: skip


def _kept(net: Network, edit: edits.Edit) -> float:
    """The more, the fewer MACs an edit saves."""
    return float((macs.count(edits.apply(net, edit)) / macs.count(net)) ** 0.5)


def _importance(width: int) -> tuple[float, ...]:
    """Of the channels of an axis; 1 is about the mean."""
    return tuple(1 + 0.8 * sin(number * 1.7) for number in range(width))


def _least(width: int, count: int) -> tuple[int, ...]:
    """The least important channels of an axis, in order."""
    return tuple(sorted(sorted(range(width), key=_importance(width).__getitem__)[:count]))


def _fates(net: Network, edit: edits.Edit) -> tuple[events.ChannelFates, ...]:
    """What becomes of channels where the least important go and the others keep their order."""
    edited = edits.apply(net, edit)
    orders = {}
    for name, axis in net.axes.items():
        width = net.width(name)
        if not axis.parts and edited.width(name) < width:
            gone = _least(width, width - edited.width(name))
            orders[name] = [at for at in range(width) if at not in gone]
    return channel_fates(net, edited, orders)


def answers(command: object, net: Network) -> Sequence[AnyEvent]:
    """What a process says to a question at once; nothing to what the story answers itself."""
    match command:
        case commands.DescribeRanks(variant=variant, layer=layer):
            kept = tuple(1 - 0.7 ** (rank + 1) for rank in range(20))
            return [events.RanksDescribed(variant=variant, layer=layer, kept=kept, auto=(6,))]
        case commands.DescribeCuts(variant=variant, edits=asked):
            return [
                events.CutDescribed(
                    variant=variant, edit=edit, kept=_kept(net, edit), channels=_fates(net, edit)
                )
                for edit in asked
            ]
        case commands.DescribeChannels(variant=variant, axis=axis, criterion=criterion, edit=cut):
            width = net.width(axis)
            after = width if cut is None else edits.apply(net, cut).width(axis)
            return [
                events.ChannelsDescribed(
                    variant=variant, axis=axis, criterion=criterion, importance=_importance(width),
                    taken=_least(width, width - after),
                )
            ]  # fmt: skip
        case commands.MeasureActivations(variant=variant, images=images):
            stds = {
                axis: tuple(0.5 + 0.4 * sin(number) for number in range(net.width(axis)))
                for axis in net.axes
            }
            return [events.ActivationsMeasured(variant=variant, images=images, stds=stds)]
        case commands.DrawConfused(variant=variant, true=true, predicted=taken, edge=edge):
            return [
                events.ConfusedDrawn(
                    variant=variant, true=true, predicted=taken, split="validation", total=7,
                    edge=edge, images=tuple(image(edge, n) for n in range(6)),
                    names=tuple(f"{CLASSES[true]}/photo{n:03}.jpg" for n in range(6)),
                    confidences=tuple(0.95 - n / 10 for n in range(6)),
                )
            ]  # fmt: skip
        case commands.DrawSamples():
            return [_samples(command)]
    return []


def _samples(asked: commands.DrawSamples) -> events.SamplesDrawn:
    rows = tuple(
        tuple(image(asked.edge, 5 * row + copy) for copy in range(asked.copies + 1))
        for row in range(asked.photos)
    )
    return events.SamplesDrawn(edge=asked.edge, rows=rows, names=CLASSES[: asked.photos])


def image(edge: int, number: int) -> bytes:
    """A picture of a slanted stripe in some colour, as RGB bytes."""
    colour = ((90, 160, 220), (220, 140, 80), (120, 190, 110), (200, 110, 160))[number % 4]
    pixels = bytearray()
    for y in range(edge):
        for x in range(edge):
            is_stripe = abs(x - y + (number % 5 - 2) * edge // 8) < edge // 5
            pixels += bytes(colour if is_stripe else (40 + 2 * y, 44 + y, 60 + x))
    return bytes(pixels)
