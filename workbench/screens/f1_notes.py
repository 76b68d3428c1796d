"""What stands beside F1: where it comes from, or why it is not known.

Every note comes in ever shorter forms, so that a narrow terminal shows one of them whole.
"""

from sessions.state import Job, SessionState, Variant


def of_job(job: Job) -> tuple[str, ...]:
    """Of the weights that a job is changing: the epoch, or the rungs that a recovery climbed."""
    if job.kind == "fine-tune":
        epoch = f"epoch {job.epoch:.1f} of {job.recipe.epochs}"
        if job.evaluation is None:
            return f"live, {epoch}", "live"
        return f"live, {epoch} · {job.evaluation.split}", f"live, {job.evaluation.split}"
    rungs = [f"{rung.name} {rung.evaluation.f1:.3f}" for rung in job.rungs]
    return f"live: {', '.join(rungs)}", f"live: {'' if not rungs else rungs[-1]}", "live"


def of_variant(state: SessionState, variant: Variant) -> tuple[str, ...]:
    """Of a variant's own weights; one that was not measured has a single form."""
    measured = variant.evaluation
    if measured is not None:
        images = f"{measured.images} {measured.split} images"
        if variant.recoverable is None:
            return images, measured.split
        rung = variant.recoverable
        recoverable = f"→ {rung.evaluation.f1:.3f} {rung.name}"
        return f"{recoverable} · {images}", recoverable
    return (_why_unknown(state, variant),)


def _why_unknown(state: SessionState, variant: Variant) -> str:
    if state.data is None:
        if state.data_source:
            return "opening the data …"
        if state.data_error:
            return "data not open: e tries again"
        return "no data: open with --data FOLDER"
    if variant.network.classes != len(state.data.classes):
        return f"the data has {len(state.data.classes)} classes"
    is_measured = any(job.variant == variant.number for job in state.jobs.values() if job.is_active)
    return "measuring …" if is_measured else "not measured: press e"
