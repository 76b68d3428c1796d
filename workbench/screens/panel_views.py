"""Slices of the session state for the panels. Pure functions, the same for live and replay."""

import msgspec

from sessions import edits, history, reshaping, targets
from sessions.edits import EditError
from sessions.events import CHANGING, ActivationsMeasured, ChannelsDescribed, Evaluation
from sessions.network import Network
from sessions.state import Job, SessionState, Variant
from widgets.channel_bars import ChannelRow, ChannelsView
from widgets.class_panel import ClassRow
from widgets.job_list import JobRow
from widgets.plane_drawing import PlanePoint, PlaneView
from workbench.screens import f1_notes, names


def plane_view(state: SessionState) -> PlaneView:
    """Every measured variant as a point."""
    found = [
        (variant, variant.evaluation)
        for variant in state.variants.values()
        if variant.evaluation is not None
    ]
    scores = {v.number: state.rule.score(v.macs, e.f1) for v, e in found}
    best = best_of(state)
    front = front_of([(v.macs, e.f1) for v, e in found])
    opened = history.baseline(state)
    return PlaneView(
        points=tuple(
            PlanePoint(
                number=variant.number,
                name=names.title(variant),
                macs=variant.macs,
                f1=evaluation.f1,
                score=scores[variant.number],
                is_current=variant.number == state.current,
                is_opened=opened is not None and variant.number == opened.number,
                is_front=(variant.macs, evaluation.f1) in front,
                is_best=variant.number == best,
                interval=evaluation.interval,
            )
            for variant, evaluation in found
        ),
        rule=state.rule,
    )


def front_of(points: list[tuple[int, float]]) -> set[tuple[int, float]]:
    """Those that no other beats in MACs without a lower F1, or in F1 without more MACs."""
    front: set[tuple[int, float]] = set()
    highest = -1.0
    for macs, f1 in sorted(points, key=lambda point: (point[0], -point[1])):
        if f1 > highest:
            front.add((macs, f1))
            highest = f1
    return front


def best_of(state: SessionState) -> int | None:
    """The measured variant of the lowest score, of several the one of the highest F1."""
    scores = [
        (state.rule.score(variant.macs, variant.evaluation.f1), -variant.evaluation.f1, number)
        for number, variant in state.variants.items()
        if variant.evaluation is not None
    ]
    return min(scores)[2] if scores else None


def unmeasured(state: SessionState) -> tuple[Variant, ...]:
    """Variants without F1, which have no place on the plane."""
    return tuple(v for v in state.variants.values() if v.evaluation is None)


def job_rows(state: SessionState) -> tuple[JobRow, ...]:
    """All jobs, in the order in which they were asked for."""
    return tuple(_job_row(job, state) for job in state.jobs.values())


def _job_row(job: Job, state: SessionState) -> JobRow:
    measured = job.evaluation
    if job.kind == "evaluate" and job.rungs:  # the others are what a recovery would bring
        measured = job.rungs[0].evaluation
    if measured is None and job.result in state.variants:  # it was climbed before it was asked for
        measured = state.variants[job.result].evaluation
    is_begun = job.status in ("running", "paused", "interrupted")
    made = f" → v{job.result}" if job.result is not None else ""
    return JobRow(
        number=job.number,
        kind=job.kind,
        status=job.status,
        variant=f"v{job.variant}{made}",
        share=job.step / job.steps if is_begun and job.steps else None,
        f1=None if measured is None else measured.f1,
        seconds=job.seconds,
        left_s=job.left_s,
        reason=job.reason or ("by itself" if job.is_automatic else ""),
    )


class ChannelTarget(msgspec.Struct, frozen=True):
    """Channels that are cut as one, and the cut to the next legal width."""

    axis: str
    title: str
    width: int
    edit: str = ""
    """Name of the edit; empty where the axis has no smaller legal width."""
    target: str = ""
    value: int = 0
    """What the edit is to be set to."""


def channel_targets(network: Network, path: str) -> tuple[ChannelTarget, ...]:
    """The channels behind a row of the tree: a stage, a unit or a layer, nearest first."""
    owner = path if path in network.units else path.rpartition(".")[0]
    layer = next((x for _, x in network.layers(include_off=True) if x.path == path), None)
    stage = next(
        (
            s
            for s in network.stages
            if s.path in (path, owner) or owner in {u.path for u in s.units}
        ),
        None,
    )
    if stage is None:
        return ()
    found: dict[str, ChannelTarget] = {}
    if owner in network.units and not stage.is_plain:
        for axis in _mid_axes(network, owner):
            found[axis] = _target(network, axis, "mid", owner, f"bottleneck of {owner}")
    try:
        axis = targets.own_axis(network, stage.path)
        found[axis] = _target(network, axis, "width", stage.path, f"channels of {stage.path}")
    except EditError:  # the classes, which the data decides
        pass
    if path == stage.path and not stage.is_plain:
        for unit in stage.units:
            for axis in _mid_axes(network, unit.path):
                found[axis] = _target(network, axis, "mid", unit.path, f"bottleneck of {unit.path}")
    own = () if layer is None else _parts(network, layer.out_axis)
    return tuple(sorted(found.values(), key=lambda target: target.axis not in own))


def _parts(network: Network, axis: str) -> tuple[str, ...]:
    """The axes without parts that an axis is made of."""
    parts = network.axes[axis].parts
    return tuple(name for part in parts for name in _parts(network, part)) if parts else (axis,)


def _mid_axes(network: Network, unit: str) -> tuple[str, ...]:
    try:
        return targets.mid_axes(network, unit)
    except EditError:
        return ()


def _target(network: Network, axis: str, name: str, path: str, title: str) -> ChannelTarget:
    width = network.axes[axis].width
    try:
        now = reshaping.value(network, name, path)
        smaller = [v for v in reshaping.options(network, name, path) if v < now]
    except EditError:
        smaller = []
    if not smaller:
        return ChannelTarget(axis, title, width)
    return ChannelTarget(axis, title, width, name, path, max(smaller))


def next_cut(target: ChannelTarget, criterion: str, scores: str) -> edits.Edit | None:
    """The cut to the next legal width; None where there is none."""
    if not target.edit:
        return None
    kind = edits.RESHAPES[target.edit]
    edit: edits.Reshape = kind(target=target.target, value=target.value)
    if isinstance(edit, edits.Cut):
        edit = msgspec.structs.replace(edit, criterion=criterion, scores=scores)
    return edit


def channels_view(
    width: int,
    described: ChannelsDescribed | None,
    stds: tuple[float, ...],
    *,
    is_sorted: bool,
) -> ChannelsView:
    """The channels of an axis, in their order or the least important first."""
    importance = () if described is None else described.importance
    taken = frozenset(() if described is None else described.taken)
    rows = [
        ChannelRow(
            number=at + 1,
            importance=importance[at] if len(importance) == width else None,
            std=stds[at] if len(stds) == width else None,
            is_taken=at in taken,
        )
        for at in range(width)
    ]
    if is_sorted:
        rows.sort(key=lambda row: row.importance or 0.0)
    return ChannelsView.of(tuple(rows))


def stds_of(measured: ActivationsMeasured | None, axis: str) -> tuple[float, ...]:
    """What was measured of an axis; nothing where it was not."""
    return () if measured is None else measured.stds.get(axis, ())


def class_rows(state: SessionState) -> tuple[ClassRow, ...]:
    """F1 of the classes, with the changes from the opened model and from the step before."""
    variant, running = state.variant, state.running
    if variant is None:
        return ()
    opened, previous = history.baseline(state), history.previous(state)
    now = variant.evaluation
    if running is not None and is_training(state):
        now, previous = running.evaluation, variant
    if now is None:
        return ()
    is_opened = previous is None or (opened is not None and previous.number == opened.number)
    then = _class_f1s(None if opened is None else opened.evaluation)
    last = {} if is_opened or previous is None else _class_f1s(previous.evaluation)
    is_other = opened is not None and now != opened.evaluation
    return tuple(
        ClassRow(
            score.name,
            score.f1,
            score.f1 - then[score.name] if is_other and score.name in then else None,
            score.support,
            score.f1 - last[score.name] if score.name in last else None,
        )
        for score in now.classes
    )


def class_word(state: SessionState) -> str:
    """Why F1 of the current variant's classes is not known."""
    variant = state.variant
    if variant is None:
        return "No F1 by class: no model is open yet."
    if variant.evaluation is not None:
        return ""
    return f"v{variant.number} has no F1 by class yet ({f1_notes.of_variant(state, variant)[-1]})"


def _class_f1s(evaluation: Evaluation | None) -> dict[str, float]:
    return {} if evaluation is None else {score.name: score.f1 for score in evaluation.classes}


def is_training(state: SessionState) -> bool:
    """Whether the latest evaluation is of weights that a job still changes."""
    job = state.running
    return (
        job is not None
        and job.kind in CHANGING
        and job.variant == state.current
        and job.evaluation is not None
    )
