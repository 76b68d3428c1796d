"""The training of a report: curves with edits and rungs, and the recipe of each job."""

from sessions.events import BATCH_NORM, RAW, REPAIR, SHORT
from sessions.recipe import toml
from workbench.report import charts
from workbench.report.facts import JobFacts, Measurement, Report
from workbench.report.html import figure, pairs, text

RUNGS = {RAW: "r", BATCH_NORM: "b", REPAIR: "f", SHORT: "s"}


def curves(report: Report) -> str:
    """F1 in the order of measurement, and the loss over all jobs."""
    parts = []
    if report.measurements:
        values = [
            (found.f1, _title(found), RUNGS.get(found.rung, "")) for found in report.measurements
        ]
        parts.append(
            figure(
                charts.f1_curve(values, _edits(report)),
                "Every F1 that was measured. Red lines are edits. Letters are the rungs of a "
                "recovery: r raw, b batch norm anew, f layers fitted, s short fine-tune.",
            )
        )
    losses = [job.losses for job in report.jobs if job.losses]
    if losses:
        parts.append(figure(charts.loss_curve(losses), "Training loss of every job in turn."))
    return "".join(parts) or "<p>Nothing was measured or trained.</p>"


def _title(found: Measurement) -> str:
    what = f"job {found.job} of v{found.variant}"
    if found.rung:
        what += f", {found.rung}"
    elif found.epoch:
        what += f", epoch {found.epoch:g}"
    return f"F1 {found.f1:.4f}: {what}"


def _edits(report: Report) -> list[tuple[int, str]]:
    """Before which measurement each edited variant was first measured."""
    edited = {v.number: v.words for v in report.variants if v.edit is not None}
    found: dict[int, list[str]] = {}
    for number, measurement in enumerate(report.measurements):
        words = edited.pop(measurement.variant, None)
        if words is not None and number:
            found.setdefault(number, []).append(f"v{measurement.variant} {words}")
    return [(number, "; ".join(words)) for number, words in found.items()]


def recipes(report: Report) -> str:
    """Each job that changed weights, with its recipe."""
    if not report.jobs:
        return "<p>No job changed weights.</p>"
    return "".join(_job(job) for job in report.jobs)


def _job(job: JobFacts) -> str:
    result = "" if job.result is None or job.status not in ("finished", "stopped") else job.result
    rungs = ", ".join(f"{name} {f1:.3f}" for name, f1 in job.rungs)
    facts = [
        ("ended", f"{job.status}{f': {job.reason}' if job.reason else ''}"),
        ("made", f"v{result}" if result != "" else ""),
        ("device", job.device),
        ("rungs", rungs),
    ]
    changed = pairs((name.replace("_", " "), value) for name, value in job.changed.items())
    said = changed if job.changed else "<p>The default recipe.</p>"
    whole = f"<pre>{_lines(toml(job.recipe))}</pre>"
    return (
        f"<h3>{text(job.kind)} of v{job.variant}</h3>{pairs(facts)}{said}"
        f"<details><summary>the whole recipe</summary>{whole}</details>"
    )


def _lines(block: str) -> str:
    return "\n".join(text(line) for line in block.splitlines())
