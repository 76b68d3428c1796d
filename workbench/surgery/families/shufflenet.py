"""ShuffleNet v1 of any width, groups and depth, in the pytorchcv naming.

The first unit of a stage concatenates its branch with the 3x3/2 average-pooled input; the others
add. Source: X. Zhang et al., ShuffleNet, arXiv:1707.01083, section 3; pytorchcv for the names.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from sessions.network import Axis, Layer, Network, Stage, Unit, sized
from workbench.errors import UserError

NAME = "shufflenet"
TITLE = "ShuffleNet v1 (pytorchcv naming)"
INPUT_SIZE = 224
STAGE_WIDTHS = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
"""Output channels of the stages at width 1 by groups. Source: the paper, table 1."""
INIT_WIDTH = 24
LARGEST_WIDTH_FACTOR = 100
_UNIT = re.compile(r"features\.(stage(\d+)\.unit(\d+))\.compress_conv1\.weight")
_INIT = "features.init_block"


class UnitPlan(msgspec.Struct, frozen=True):
    """Widths and groups of one unit; `width` is what the branch puts out."""

    path: str
    mid: int
    width: int
    groups: int
    compress_groups: int
    kernel: int = 3


class Plan(msgspec.Struct, frozen=True):
    """Everything that distinguishes one ShuffleNet from another."""

    init_width: int
    stages: tuple[tuple[UnitPlan, ...], ...]
    classes: int
    input_channels: int = 3
    init_kernel: int = 3
    head_kind: str = "linear"
    head_has_bias: bool = True


def matches(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether tensors of these names are a ShuffleNet v1."""
    return f"{_INIT}.conv.weight" in shapes and any(map(_UNIT.fullmatch, shapes))


def describe(shapes: Mapping[str, tuple[int, ...]]) -> Network:
    """The network of these tensors, every width, group count and depth read from their shapes.

    Raises:
        UserError: a tensor is missing or its shape does not fit its neighbours.
    """
    init = _shape(shapes, f"{_INIT}.conv.weight", 4)
    found: dict[int, dict[int, str]] = {}
    for key in shapes:
        if match := _UNIT.fullmatch(key):
            found.setdefault(int(match[2]), {})[int(match[3])] = match[1]
    width = init[0]
    stages = []
    for number in sorted(found):
        plans = []
        for order, unit in enumerate(sorted(found[number])):
            plan = _unit_plan(shapes, found[number][unit], width, is_first=order == 0)
            width = width + plan.width if order == 0 else width
            plans.append(plan)
        stages.append(tuple(plans))
    head = shapes.get("output.weight", ())
    is_fitting = len(head) in (2, 4) and head[2:] in ((), (1, 1)) and head[1] == width
    if not is_fitting or head[0] < 1:
        raise UserError(
            f"output.weight has shape {head}; a linear or 1x1 conv head over {width} channels "
            "is needed"
        )
    return make(
        Plan(
            init_width=init[0],
            stages=tuple(stages),
            classes=head[0],
            input_channels=init[1],
            init_kernel=init[2],
            head_kind="linear" if len(head) == 2 else "conv",
            head_has_bias="output.bias" in shapes,
        )
    )


def fresh(
    groups: int = 3,
    width: float = 0.25,
    units: Sequence[int] = (4, 8, 4),
    classes: int = 10,
) -> Network:
    """The paper's network at a width factor, with its own number of units per stage.

    Raises:
        UserError: groups that the paper has no widths for, or widths the groups do not divide.
    """
    if groups not in STAGE_WIDTHS:
        known = ", ".join(map(str, STAGE_WIDTHS))
        raise UserError(f"no widths for groups {groups}: use one of {known}")
    if not 0 < width <= LARGEST_WIDTH_FACTOR:
        raise UserError(f"width {width:g} is out of 0..{LARGEST_WIDTH_FACTOR}")
    if classes < 2:
        raise UserError(f"{classes} classes are too few: at least 2")
    if len(units) != 3 or min(units) < 1:
        raise UserError("units are three numbers of at least 1, for example 4,8,4")
    init_width = int(INIT_WIDTH * width)
    before = init_width
    stages = []
    for number, (full, count) in enumerate(zip(STAGE_WIDTHS[groups], units, strict=True), start=1):
        out = int(full * width)
        mid = out // 4
        if init_width < 1 or out <= before or mid % groups or (out - before) % groups:
            raise UserError(
                f"width {width:g} does not divide into {groups} groups in stage{number}"
            )
        stages.append(
            tuple(
                UnitPlan(
                    path=f"stage{number}.unit{unit}",
                    mid=mid,
                    width=out - before if unit == 1 else out,
                    groups=groups,
                    compress_groups=1 if number == 1 and unit == 1 else groups,
                )
                for unit in range(1, count + 1)
            )
        )
        before = out
    return make(Plan(init_width=init_width, stages=tuple(stages), classes=classes))


def make(plan: Plan) -> Network:
    """The Network of a plan, sized for the family's input."""
    axes = {"image": Axis(plan.input_channels), "init": Axis(plan.init_width)}
    stages = [Stage("init", (_init_unit(plan),))]
    before = "init"
    for units in plan.stages:
        path = units[0].path.partition(".")[0]
        axes[f"{path}.new"] = Axis(units[0].width)
        axes[path] = Axis(parts=(f"{path}.new", before))
        for unit in units:
            axes[f"{unit.path}.mid"] = Axis(unit.mid)
        first, *rest = units
        made = [_unit(first, before, path, is_first=True)]
        made += [_unit(unit, path, path, is_first=False) for unit in rest]
        stages.append(Stage(path, tuple(made)))
        before = path
    axes["classes"] = Axis(plan.classes)
    stages.append(Stage("output", (_head_unit(plan, before),)))
    network = Network(family=NAME, input_size=INPUT_SIZE, axes=axes, stages=tuple(stages))
    if plan.input_channels != 3:
        mean, std = (0.5,) * plan.input_channels, (0.25,) * plan.input_channels
        network = msgspec.structs.replace(network, mean=mean, std=std)
    return sized(network, INPUT_SIZE)


def _shape(shapes: Mapping[str, tuple[int, ...]], key: str, rank: int) -> tuple[int, ...]:
    shape = shapes.get(key)
    if shape is None:
        raise UserError(f"tensor {key} is missing: this is not a whole ShuffleNet checkpoint")
    if len(shape) != rank or min(shape) < 1:
        raise UserError(f"{key} has shape {shape}, {rank} dimensions are needed")
    return shape


def _unit_plan(
    shapes: Mapping[str, tuple[int, ...]], path: str, width: int, *, is_first: bool
) -> UnitPlan:
    key = f"features.{path}"
    mid, per_compress, *_ = _shape(shapes, f"{key}.compress_conv1.weight", 4)
    dw = _shape(shapes, f"{key}.dw_conv2.weight", 4)
    out, per_expand, *_ = _shape(shapes, f"{key}.expand_conv3.weight", 4)
    compress_groups, expand_groups = width // per_compress, mid // per_expand
    fits = (
        compress_groups * per_compress == width
        and expand_groups * per_expand == mid
        and compress_groups >= 1
        and expand_groups >= 1
        and mid % compress_groups == 0
        and out % expand_groups == 0
        and dw[:2] == (mid, 1)
        and dw[2] == dw[3]
        and dw[2] % 2 == 1
    )
    if not fits:
        raise UserError(f"{path} does not fit: {width} channels come in, its tensors disagree")
    if not is_first and out != width:
        raise UserError(f"{path} puts out {out} channels, its stage has {width}")
    return UnitPlan(path, mid, out, expand_groups, compress_groups, dw[2])


def _init_unit(plan: Plan) -> Unit:
    kernel = plan.init_kernel
    return Unit(
        path="init",
        branch=(
            Layer(
                path="init.conv", kind="conv", in_axis="image", out_axis="init",
                key=f"{_INIT}.conv", kernel=kernel, stride=2, padding=kernel // 2,
            ),
            _norm("init.bn", f"{_INIT}.bn", "init"),
            Layer(path="init.activ", kind="relu", in_axis="init", out_axis="init"),
            Layer(
                path="init.pool", kind="max_pool", in_axis="init", out_axis="init",
                kernel=3, stride=2, padding=1,
            ),
        ),
    )  # fmt: skip


def _unit(plan: UnitPlan, in_axis: str, stage: str, *, is_first: bool) -> Unit:
    path, key = plan.path, f"features.{plan.path}"
    mid, out = f"{path}.mid", f"{stage}.new" if is_first else stage
    stride = 2 if is_first else 1
    pool = Layer(
        path=f"{path}.avgpool", kind="avg_pool", in_axis=in_axis, out_axis=in_axis,
        kernel=3, stride=2, padding=1,
    )  # fmt: skip
    return Unit(
        path=path,
        branch=(
            Layer(
                path=f"{path}.compress_conv1", kind="conv", in_axis=in_axis, out_axis=mid,
                key=f"{key}.compress_conv1", groups=plan.compress_groups,
            ),
            _norm(f"{path}.compress_bn1", f"{key}.compress_bn1", mid),
            Layer(path=f"{path}.activ1", kind="relu", in_axis=mid, out_axis=mid),
            Layer(
                path=f"{path}.c_shuffle", kind="shuffle", in_axis=mid, out_axis=mid,
                groups=plan.groups,
            ),
            Layer(
                path=f"{path}.dw_conv2", kind="depthwise", in_axis=mid, out_axis=mid,
                key=f"{key}.dw_conv2", kernel=plan.kernel, stride=stride,
                padding=plan.kernel // 2,
            ),
            _norm(f"{path}.dw_bn2", f"{key}.dw_bn2", mid),
            Layer(
                path=f"{path}.expand_conv3", kind="conv", in_axis=mid, out_axis=out,
                key=f"{key}.expand_conv3", groups=plan.groups,
            ),
            _norm(f"{path}.expand_bn3", f"{key}.expand_bn3", out),
        ),
        shortcut=(pool,) if is_first else (),
        join="concat" if is_first else "add",
        tail=(Layer(path=f"{path}.activ", kind="relu", in_axis=stage, out_axis=stage),),
    )  # fmt: skip


def _norm(path: str, key: str, axis: str) -> Layer:
    return Layer(path=path, kind="batch_norm", in_axis=axis, out_axis=axis, key=key)


def _head_unit(plan: Plan, axis: str) -> Unit:
    pool = Layer(path="output.pool", kind="global_pool", in_axis=axis, out_axis=axis)
    flat_axis = axis if plan.head_kind == "linear" else "classes"
    flatten = Layer(path="output.flatten", kind="flatten", in_axis=flat_axis, out_axis=flat_axis)
    head = Layer(
        path="output.head", kind="linear" if plan.head_kind == "linear" else "conv",
        in_axis=axis, out_axis="classes", key="output", has_bias=plan.head_has_bias,
    )  # fmt: skip
    order = (pool, flatten, head) if plan.head_kind == "linear" else (pool, head, flatten)
    return Unit(path="output", branch=order)
