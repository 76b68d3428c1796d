"""Networks to be trained from scratch, as a trial chooses: the ShuffleNet and cell spaces.

Every choice is a parameter of the trial, so that the same parameters give the same network. Above
the limit of MACs, all widths are multiplied by the largest power of 0.95 at which it is met: what
is chosen is a shape, and the limit decides its size. No torch in here.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args

from sessions import edits, macs
from sessions.network import Network
from workbench.surgery.families import cells, shufflenet
from workbench.surgery.families.cells import Cell, StagePlan
from workbench.surgery.families.shufflenet import STAGE_WIDTHS, UnitPlan

Family = Literal["shufflenet", "cells"]
FAMILIES: tuple[Family, ...] = get_args(Family)
INPUT_SIZES = (48, 64, 80, 96)
SHRINK = 0.95
"""Widths are multiplied by powers of it."""
MOST_SHRINKS = 45
"""To a tenth of the widths; what is still above the limit then is no design for it."""
STEP = 2
"""Widths of cells are multiples of it."""
SQUEEZE = 4
"""A squeeze-and-excitation has so many times fewer channels inside. Source: arXiv:1905.02244."""
CELL_WIDTHS = ((8, 32), (16, 64), (24, 128), (32, 192))
"""Least and largest, by stage: later stages have fewer pixels and room for more channels."""
DRAWS = 200
"""At most, until one meets the limit."""


class DesignError(ValueError):
    """Even at a tenth of its widths a design is above the limit: choose another."""


class Chooser(Protocol):
    """What an Optuna trial offers; nothing else of it is used."""

    def suggest_categorical(self, name: str, choices: Sequence[Any], /) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, /, *, log: bool = False) -> int:
        """A whole number, both ends included."""

    def suggest_float(self, name: str, low: float, high: float, /, *, log: bool = False) -> float:
        """A number."""


Make = Callable[[float], Network]
"""A network of a shape, its widths multiplied by a factor of 0 to 1."""


def design(
    trial: Chooser,
    start: Family,
    classes: int,
    channels: int = 3,
    max_macs: int = 0,
    input_sizes: Sequence[int] = INPUT_SIZES,
) -> Network:
    """Propose a network.

    Args:
        channels: of the images.
        max_macs: in the contest convention; 0 for no limit.
        input_sizes: edges in pixels to choose from; of a single one, there is no parameter.

    Raises:
        DesignError: the proposed shape cannot meet the limit; nothing else that is proposed fails.
    """
    size = input_sizes[0]
    if len(input_sizes) > 1:
        size = trial.suggest_categorical("input_size", tuple(input_sizes))
    space = _shufflenet if start == "shufflenet" else _cells
    return fitted(space(trial, classes, channels, size), max_macs)


def drawn(
    seed: int,
    start: Family,
    classes: int,
    channels: int = 3,
    max_macs: int = 0,
    input_sizes: Sequence[int] = INPUT_SIZES,
) -> tuple[Network, dict[str, Any]]:
    """The first random design of a seed that meets the limit, and what was chosen for it.

    Raises:
        DesignError: none of a thousand does.
    """
    import optuna  # not needed where a study brings the trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    for _ in range(DRAWS):
        trial = study.ask()
        try:
            network = design(trial, start, classes, channels, max_macs, input_sizes)
        except DesignError:
            continue
        return network, trial.params
    raise DesignError(
        f"none of {DRAWS:,} designs meets {max_macs:,} MACs: raise the limit or take smaller images"
    )


def fitted(make: Make, max_macs: int) -> Network:
    """The widest network of a shape that meets the limit.

    Raises:
        DesignError: there is none.
    """
    network = make(1.0)
    if not max_macs or macs.count(network) <= max_macs:
        return network
    low, high = 0, MOST_SHRINKS  # the count never grows with the number of shrinks
    network = make(SHRINK**high)
    if macs.count(network) > max_macs:
        raise DesignError(
            f"{macs.count(network):,} MACs at a tenth of the widths are above the limit of "
            f"{max_macs:,}: fewer units, a smaller input or more strides are needed"
        )
    while high - low > 1:
        middle = (low + high) // 2
        tried = make(SHRINK**middle)
        if macs.count(tried) > max_macs:
            low = middle
        else:
            high, network = middle, tried
    return network


def _shufflenet(trial: Chooser, classes: int, channels: int, size: int) -> Make:
    """ShuffleNet v1 of any groups, width, depth, stem and bottleneck."""
    groups = trial.suggest_categorical("groups", tuple(STAGE_WIDTHS))
    width = trial.suggest_float("width", 0.1, 0.75, log=True)
    stem = trial.suggest_int("stem", 4, 24)
    bottleneck = trial.suggest_categorical("bottleneck", (0.125, 0.25, 0.5))
    units = [trial.suggest_int(f"stage{n}.units", 1, most) for n, most in ((1, 4), (2, 8), (3, 4))]

    def make(factor: float) -> Network:
        init = before = _multiple(stem * factor, groups)
        stages = []
        for number, (full, count) in enumerate(zip(STAGE_WIDTHS[groups], units, strict=True), 1):
            out = max(_multiple(full * width * factor, groups), before + groups)
            stages.append(
                tuple(
                    UnitPlan(
                        path=f"stage{number}.unit{unit}",
                        mid=_multiple(out * bottleneck, groups),
                        width=out - before if unit == 1 else out,
                        groups=groups,
                        compress_groups=1 if number == unit == 1 else groups,
                    )
                    for unit in range(1, count + 1)
                )
            )
            before = out
        plan = shufflenet.Plan(init, tuple(stages), classes, channels)
        return edits.apply(shufflenet.make(plan), edits.InputSize(size))

    return make


def _cells(trial: Chooser, classes: int, channels: int, size: int) -> Make:
    """Two to four stages of cells; each stage has a first cell, and others of one kind behind it.

    Before the cells of the first stage the edge is at most half of the image's, behind them a
    quarter: at full size hardly a cell is within any small limit.
    """
    stem = trial.suggest_int("stem", 4, 24)
    has_pool = trial.suggest_categorical("stem.pool", (False, True))
    activation = trial.suggest_categorical("stem.activation", cells.ACTIVATIONS)
    count = trial.suggest_int("stages", 2, len(CELL_WIDTHS))
    makers = [_stage(trial, 1, 2 if not has_pool else 0)]
    makers += [_stage(trial, number) for number in range(2, count + 1)]

    def make(factor: float) -> Network:
        init = before = _multiple(stem * factor, STEP)
        stages = []
        for maker in makers:
            stages.append(maker(before, factor))
            before = stages[-1].width
        return cells.make(
            cells.Plan(
                init_width=init,
                stages=tuple(stages),
                classes=classes,
                input_size=size,
                init_activation=activation,
                has_init_pool=has_pool,
                input_channels=channels,
            )
        )

    return make


def _stage(trial: Chooser, number: int, stride: int = 0) -> Callable[[int, float], StagePlan]:
    """A stage, of a width before it and a factor.

    Args:
        stride: of the first cell; 0 where it is a choice.
    """
    name = f"stage{number}"
    first = trial.suggest_categorical(f"{name}.first", cells.OPS)
    stride = stride or trial.suggest_categorical(f"{name}.stride", (1, 2))
    width = trial.suggest_int(f"{name}.width", *CELL_WIDTHS[number - 1], log=True)
    kernel = trial.suggest_categorical(f"{name}.kernel", (3, 5))
    activation = trial.suggest_categorical(f"{name}.activation", cells.ACTIVATIONS)
    is_squeezed = trial.suggest_categorical(f"{name}.squeeze", (False, True))
    more = trial.suggest_int(f"{name}.more", 0, 3)
    rest = trial.suggest_categorical(f"{name}.rest", cells.OPS[:4]) if more else first
    expansion, reduction = 1, 1
    if "inverted" in (first, rest):
        expansion = trial.suggest_categorical(f"{name}.expansion", (2, 3, 4, 6))
    if "bottleneck" in (first, rest):
        reduction = trial.suggest_categorical(f"{name}.reduction", (2, 4))

    def make(before: int, factor: float) -> StagePlan:
        out = _multiple(width * factor, STEP)

        def cell(op: cells.Op, width_in: int, stride: int) -> Cell:
            mid = {"inverted": width_in * expansion, "bottleneck": _multiple(out / reduction, STEP)}
            return Cell(
                op=op,
                activation=activation,
                stride=stride,
                kernel=kernel,
                mid=mid.get(op, 0),
                squeeze=max(out // SQUEEZE, 1) if is_squeezed else 0,
            )

        return StagePlan(out, (cell(first, before, stride), *[cell(rest, out, 1)] * more))

    return make


def _multiple(wanted: float, step: int) -> int:
    """The nearest multiple, at least one."""
    return max(round(wanted / step), 1) * step
