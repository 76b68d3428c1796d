"""Edits and jobs as people say them."""

from sessions import edits, offers
from sessions.edits import Cut, Edit
from sessions.state import SessionState, Variant


def edit_words(edit: Edit) -> str:
    """An edit in words, such as "stage3 cut to 210 channels"."""
    match edit:
        case edits.UnitOff(unit):
            return f"{unit} switched off"
        case edits.UnitOn(unit):
            return f"{unit} switched on again"
        case edits.Head(form):
            return f"classifier made a {'1×1 conv' if form == 'conv' else 'linear layer'}"
        case edits.Classes(count):
            return f"new classifier for {count} classes"
        case edits.InputSize(size):
            return f"input size {size}×{size}"
        case edits.Rank(layer, ranks, rule):
            chosen = "×".join(map(str, ranks)) or rule
            return f"{layer} decomposed at rank {chosen}"
        case edits.Kernel(target, value):
            return f"depthwise kernel of {target} made {value}×{value}"
        case edits.Widen(target, value):
            return f"{target} widened to {value} channels"
        case edits.Width(target=target, value=value):
            said = f"{target} cut to {value} channels"
        case edits.Mid(target=target, value=value):
            said = f"bottleneck of {target} cut to {value} channels"
        case edits.Groups(target=target, value=value):
            said = f"{target} in {value} group{'s' if value != 1 else ''}"
    by = f", by {offers.criterion_title(edit.criterion)}" if isinstance(edit, Cut) else ""
    return said + by


def variant_words(state: SessionState, variant: Variant) -> str:
    """What made a variant."""
    if variant.edit is not None:
        return edit_words(variant.edit)
    if variant.parent is None:
        return "opened"
    job = next((job for job in state.jobs.values() if job.result == variant.number), None)
    if job is None:
        return variant.label
    if job.kind == "recover":
        return "recovered" + (f": {job.rungs[-1].name}" if job.rungs else "")
    stopped = f", stopped at {job.epoch:.1f}" if job.status == "stopped" else ""
    taught = ", with a teacher" if job.recipe.teachers else ""
    return f"fine-tuned, {job.recipe.epochs} epochs{stopped}{taught}"
