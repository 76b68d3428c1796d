"""Slices of the session state for the widgets. Pure functions, the same for live and replay."""

from pathlib import Path

import msgspec

from sessions import edits, history
from sessions.events import CHANGING
from sessions.network import WEIGHTED, Network
from sessions.score import Rule
from sessions.state import Job, SessionState, Variant
from widgets.confusion import ConfusionView
from widgets.curves import CurvesView
from widgets.job_line import JobView
from widgets.layer_panel import LayerView, stats_lines
from widgets.rows import Row
from widgets.score_panel import Figures, ScoreView
from workbench.screens import f1_notes, names, search_words
from workbench.screens.weights import before


def title(state: SessionState) -> str:
    """Model and variant."""
    variant = state.variant
    if variant is None:
        return "workbench"
    shown = names.title(variant)
    label = "" if shown == "opened" else f" › v{variant.number} {shown}"
    return f"{Path(state.source).name}{label}"


def facts(state: SessionState) -> str:
    """Structure, input, classes, data."""
    variant = state.variant
    if variant is None:
        return ""
    network = variant.network
    units = "-".join(map(str, network.units_per_stage))
    size = f"{network.input_size}×{network.input_size}"
    return f"{units} · {size} · {network.classes} classes · {_data_word(state)}"


def _data_word(state: SessionState) -> str:
    """The name of the data, or how it stands with them."""
    if state.data_source:
        return "opening data …"
    if state.data is not None:
        return Path(state.data.source).name
    return "data failed" if state.data_error else "no data"


def score_view(state: SessionState) -> ScoreView | None:
    """Figures of the current variant, or of the weights in training where those are newer."""
    variant = state.variant
    if variant is None:
        return None
    opened = history.baseline(state)
    before = history.previous(state)
    live = _live_job(state)
    now = _figures(variant, state.rule)
    notes = f1_notes.of_variant(state, variant)
    measured = variant.evaluation
    if live is not None and live.evaluation is not None:
        measured = live.evaluation
        f1 = live.evaluation.f1
        now = Figures(variant.macs, f1, state.rule.score(variant.macs, f1))
        notes = f1_notes.of_job(live)
        before = variant
    is_live = live is not None and live.evaluation is not None
    is_alone = opened is None or (opened.number == variant.number and not is_live)
    return ScoreView(
        now=now,
        opened=None if opened is None or is_alone else _figures(opened, state.rule),
        before=None if before is None else _figures(before, state.rule),
        rule=state.rule.name,
        f1_notes=notes,
        interval=None if measured is None else measured.interval,
        is_live=is_live,
    )


def confusion_view(state: SessionState) -> ConfusionView | None:
    """Confusions of the current variant, or of the weights in training where those are newer."""
    variant = state.variant
    live = _live_job(state)
    measured = (live and live.evaluation) or (variant and variant.evaluation)
    return ConfusionView.of(measured) if measured else None


def curves_view(state: SessionState) -> CurvesView:
    """Every F1 measured in the session in order, and the loss over all fine-tunings."""
    f1: list[tuple[float, float]] = []
    loss: list[tuple[float, float]] = []
    marks: list[float] = []
    rungs: list[tuple[float, float, str]] = []
    offset = 0.0
    for job in state.jobs.values():
        edited = state.variants.get(job.variant)
        if job.kind == "evaluate" and edited is not None and edited.edit is not None and job.f1s:
            marks.append(len(f1))
        values = [point.value for point in job.f1s]
        rungs += [
            (len(f1) + values.index(rung.evaluation.f1), rung.evaluation.f1, rung.name)
            for rung in job.rungs
            if rung.evaluation.f1 in values
        ]
        f1 += [(len(f1) + index, value) for index, value in enumerate(values)]
        loss += [(offset + point.epoch, point.value) for point in job.losses]
        if job.losses:
            offset += job.losses[-1].epoch
    return CurvesView(tuple(f1), tuple(loss), tuple(marks), tuple(rungs))


def job_view(
    state: SessionState, log_error: str = "", *, refusal: str = "", is_live: bool = True
) -> JobView:
    """The running job, or what to do next, and what searches beside it.

    `refusal`: why the last edit was not made, until something else happens.
    """
    view = _job_view(state, refusal, is_live=is_live)
    if log_error and view.name:
        view = msgspec.structs.replace(view, warning=f"NOT SAVED: {log_error}")
    elif log_error:
        kept = f"NOT SAVED: {log_error}. Kept until you quit: free some space"
        view = JobView(message=kept, is_warning=True)
    return msgspec.structs.replace(view, search=search_words.short(state))


def _job_view(state: SessionState, refusal: str, *, is_live: bool) -> JobView:
    """The running job, or what to do next; a replay has nothing to do."""
    queue = ", ".join(job.kind for job in state.queued)
    job = state.running
    if job is None:
        if state.queued:
            first = state.queued[0]
            how = "starting …" if is_live else "waits"
            return JobView(name=first.kind, detail=f"v{first.variant} {how}")
        if refusal:
            return JobView(message=refusal, is_warning=True)
        return _idle_view(state, is_live=is_live)
    detail = f"v{job.variant}"
    is_climbing = job.kind == "recover" or (job.is_automatic and bool(job.rungs))
    if is_climbing and job.phase:
        detail += f" {job.phase}"
    epochs = job.recipe.short_epochs if is_climbing else job.recipe.epochs
    if job.phase == "training":
        detail += f" epoch {min(int(job.epoch) + 1, epochs)}/{epochs}"
    if job.losses and job.phase == "training":
        detail += f" loss {job.losses[-1].value:.3f}"
    return JobView(
        name="trying recovery" if is_climbing and job.is_automatic else job.kind,
        detail=detail,
        share=job.step / job.steps if job.steps else 0.0,
        images_per_s=job.images_per_s,
        left_s=job.left_s,
        queue=queue,
    )


def layer_view(state: SessionState, row: Row) -> LayerView:
    """Facts of the selected row, and the statistics of its weights."""
    variant = state.variant
    assert variant is not None
    network = variant.network
    if row.level == "layer" or (row.path not in network.units and row.parent in network.units):
        return _layer(network, state, variant, row)
    lines = [f"{row.output or '—'} out   {row.params:,} parameters"]
    if row.is_on:
        lines.append(f"{row.macs:,} MACs, {row.share:.1%} of the network")
    else:
        lines.append(f"off: saves {row.macs:,} MACs; space: on again")
    if row.std is not None:
        lines.append(f"mean weight std {row.std:.3f}")
    lines += _kept(variant, f"{row.path}.")
    if row.worth is not None:
        lines.append(pays_off(row.worth))
    elif row.unit:
        lines.append(f"stays: {edits.why_it_stays(network, row.unit)}")
    stats_of = _heaviest(network, variant, row.path)
    return LayerView(
        title=row.path,
        lines=tuple(lines),
        stats=variant.stats.get(stats_of) if stats_of else None,
        stats_of=stats_of.removeprefix(f"{row.path}."),
        **before(state, stats_of),
    )


def pays_off(worth: float) -> str:
    """How much F1 a unit may cost, in words."""
    return f"pays off if it costs less than {worth:.4f} F1"


def _layer(network: Network, state: SessionState, variant: Variant, row: Row) -> LayerView:
    layer = next(x for _, x in network.layers(include_off=True) if x.path == row.path)
    shape = "×".join(map(str, network.weight_shape(layer)))
    kernel = f"{layer.kernel}×{layer.kernel} " if layer.kernel > 1 else ""
    kind = layer.kind.replace("_", " ")
    groups = f", groups {row.groups}" if row.groups and row.groups > 1 else ""
    lines = [
        f"{kernel}{kind}{groups}, stride {layer.stride}, {row.output} out",
        f"{row.macs:,} MACs   {row.params:,} parameters",
    ]
    stats = variant.stats.get(layer.path)
    if stats is not None:
        lines += stats_lines(stats, shape)
    elif shape:
        lines.append(f"weights {shape}")
    lines += _kept(variant, layer.path)
    return LayerView(
        title=row.path, lines=tuple(lines), stats=stats, stats_of=layer.name,
        **before(state, layer.path),
    )  # fmt: skip


def _kept(variant: Variant, path: str) -> list[str]:
    """What the convs at a path kept of their importance in the variant's own edit."""
    found = [share for name, share in variant.kept_layers.items() if name.startswith(path)]
    return [f"kept {sum(found) / len(found):.1%} in {names.title(variant)}"] if found else []


def _heaviest(network: Network, variant: Variant, path: str) -> str:
    """The layer with the most weights under a unit or stage."""
    found = [
        (variant.stats[layer.path].count, layer.path)
        for unit, layer in network.layers(include_off=True)
        if layer.kind in WEIGHTED
        and layer.path in variant.stats
        and (unit.path == path or unit.path.startswith(path + "."))
    ]
    return max(found)[1] if found else ""


def _figures(variant: Variant, rule: Rule) -> Figures:
    if variant.evaluation is None:
        return Figures(variant.macs, None, None)
    f1 = variant.evaluation.f1
    return Figures(variant.macs, f1, rule.score(variant.macs, f1))


def _live_job(state: SessionState) -> Job | None:
    job = state.running
    if job is None or job.kind not in CHANGING or job.variant != state.current:
        return None
    return job


def _idle_view(state: SessionState, *, is_live: bool) -> JobView:
    if state.data_source:
        done, total = state.data_progress or (0, 0)
        opened = done / total if total else 0.0
        counted = f" {done:,} of {total:,} images" if total else ""
        return JobView(
            name="opening", detail=f"{Path(state.data_source).name}{counted}", share=opened
        )
    if state.variant is not None and state.variant.is_pending:
        return JobView(message=f"v{state.current} {names.title(state.variant)}: being checked …")
    if state.data_error:
        return JobView(message=f"data: {state.data_error}", is_warning=True)
    if (job := state.resumable) is not None:
        how = {"paused": "is paused", "failed": "failed"}.get(job.status, "was cut off")
        epoch = job.stored_step / job.steps * job.recipe.epochs if job.steps else 0.0
        where = f" at epoch {epoch:.1f} of {job.recipe.epochs}" if job.kind == "fine-tune" else ""
        return JobView(
            message=f"{job.kind} of v{job.variant} {how}{where}"
            + (": c goes on with it" if is_live else ""),
            is_warning=job.status != "paused",
        )
    failed = [job for job in state.jobs.values() if job.status == "failed"]
    last = next(reversed(state.jobs.values()), None)
    if failed and last is failed[-1]:
        words = f"{last.kind} of v{last.variant} failed: {last.reason}"
        return JobView(message=words, is_warning=True)
    if state.variant is None:
        return JobView(message="opening the model …" if is_live else "before the model was opened")
    if state.data is None:
        how = "ready to cut · training and F1 need data"
        return JobView(message=how if is_live else "no data was open")
    data = state.data
    skipped = f", {data.skipped_count:,} skipped" if data.skipped_count else ""
    images = f"{data.train_images:,} training, {data.val_images:,} validation images{skipped}"
    return JobView(message=f"ready · {images}")
