"""Two moments of a recording side by side: what was reached, what was cut, what ran between."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from sessions import history
from sessions.events import CHANGING
from sessions.state import Job, SessionState, Variant
from widgets import numbers
from widgets.binding import Binding
from workbench.screens import names
from workbench.screens.dialog import Dialog

SHOWN_JOBS = 12
"""Jobs that are listed; of more only the last ones are."""
JOBS = {"evaluate": "evaluation", "recover": "recovery"}
"""What a job is called where its kind is a verb."""


class Moment(msgspec.Struct, frozen=True):
    """A state with its name and time."""

    name: str
    seconds: float
    state: SessionState

    @property
    def title(self) -> str:
        """Name and time."""
        return f"{self.name} {numbers.duration(self.seconds)}"


class MomentsScreen(Dialog[None]):
    """The earlier moment to the left."""

    STYLE = "MomentsScreen > .dialog { width: 100; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,a,q,enter", "dismiss", "Close", tooltip="Back to the replay")
    ]

    def __init__(self, before: Moment, after: Moment) -> None:
        super().__init__()
        self._moments = before, after

    def compose(self) -> ComposeResult:
        """Figures, structure, recipe, jobs."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = " → ".join(moment.title for moment in self._moments)
            dialog.border_subtitle = "escape closes, A takes the mark away"
            yield Static(comparison(*self._moments))


def comparison(before: Moment, after: Moment) -> RenderableType:
    """All that differs, in parts with a heading each."""
    states = before.state, after.state
    variants = states[0].variant, states[1].variant
    if variants[0] is None or variants[1] is None:
        nothing = before if variants[0] is None else after
        return Text(f"no model was open at {nothing.title}")
    first, second = variants[0], variants[1]
    return Group(
        _figures((before, after), (first, second)),
        _heading("Structure"),
        _structure(first, second),
        _heading("Recipe"),
        _recipe(*states),
        _heading("Between"),
        _between(*states),
    )


def _figures(moments: tuple[Moment, Moment], variants: tuple[Variant, Variant]) -> Table:
    table = _table("", moments[0].title, moments[1].title, "change")
    states = [moment.state for moment in moments]
    table.add_row("variant", *(Text(_variant(variant)) for variant in variants))
    counts = [variant.macs for variant in variants]
    change = numbers.signed(counts[1] - counts[0], ",d")
    table.add_row("MACs", *(f"{count:,}" for count in counts), _right(change))
    f1s = [None if v.evaluation is None else v.evaluation.f1 for v in variants]
    table.add_row("F1", *map(_f1, variants), _right(_change(f1s)))
    scores = [
        None if f1 is None else state.rule.score(variant.macs, f1)
        for state, variant, f1 in zip(states, variants, f1s, strict=True)
    ]
    shown = ["not measured" if s is None else numbers.plain(s, ".4f") for s in scores]
    is_same_rule = states[0].rule == states[1].rule
    table.add_row("score", *shown, _right(_change(scores) if is_same_rule else "other rules"))
    if not is_same_rule:
        table.add_row("rule", *(Text(state.rule.name) for state in states))
    running = [state.running for state in states]
    if any(running):
        table.add_row("running", *(Text(_running(job)) for job in running))
    return table


def _structure(first: Variant, second: Variant) -> RenderableType:
    found = history.differences(first.network, second.network)
    if not found:
        return Text("the same in both", style="dim")
    table = _table("unit", "before", "after", "MACs")
    for row in found:
        change = _right(numbers.signed(row.macs, ",d"))
        table.add_row(Text(row.path), Text(row.before), Text(row.after), change)
    return table


def _recipe(first: SessionState, second: SessionState) -> RenderableType:
    values = [msgspec.to_builtins(state.recipe) for state in (first, second)]
    changed = [name for name in values[0] if values[0][name] != values[1][name]]
    if not changed:
        return Text("the same in both", style="dim")
    table = _table("field", "before", "after", "")
    for name in changed:
        table.add_row(name, *(Text(_value(each[name])) for each in values))
    return table


def _between(first: SessionState, second: SessionState) -> RenderableType:
    made = [v for n, v in second.variants.items() if n not in first.variants]
    edited = sum(variant.edit is not None for variant in made)
    ran = [job for number, job in second.jobs.items() if first.jobs.get(number) != job]
    others = Counter(job.kind for job in ran if job.kind not in CHANGING)
    counts = [_counted(edited, "edit")]
    counts += [_counted(number, JOBS.get(kind, kind)) for kind, number in others.items()]
    changing = [job for job in ran if job.kind in CHANGING]
    lines = [", ".join(counts)]
    if len(changing) > SHOWN_JOBS:
        lines.append(f"{len(changing) - SHOWN_JOBS:,} earlier jobs, and then")
    lines += [_job(job, second) for job in changing[-SHOWN_JOBS:]]
    return Text("\n".join(lines))


def _job(job: Job, state: SessionState) -> str:
    result = state.variants.get(job.result) if job.result is not None else None
    made = "" if result is None else f" → v{result.number}"
    f1 = ""
    if result is not None and result.evaluation is not None:
        f1 = f", F1 {numbers.plain(result.evaluation.f1, '.4f')}"
    epoch = f" in epoch {job.epoch:.1f}" if job.status == "running" and job.epoch else ""
    return f"{JOBS.get(job.kind, job.kind)} of v{job.variant}{made}, {job.status}{epoch}{f1}"


def _variant(variant: Variant) -> str:
    return f"v{variant.number} {names.title(variant)}"


def _f1(variant: Variant) -> Text:
    found = variant.evaluation
    if found is None:
        return Text("not measured")
    text = Text(numbers.plain(found.f1, ".4f"))
    if found.interval is not None:
        text.append("  [{:.2f}, {:.2f}]".format(*found.interval), style="dim")
    return text


def _running(job: Job | None) -> str:
    if job is None:
        return "nothing"
    epoch = f", epoch {job.epoch:.1f} of {job.recipe.epochs}" if job.kind == "fine-tune" else ""
    f1 = "" if job.evaluation is None else f", F1 {numbers.plain(job.evaluation.f1, '.4f')}"
    return f"{job.kind}{epoch}{f1}"


def _change(values: Sequence[float | None]) -> str:
    first, second = values
    return "—" if first is None or second is None else numbers.signed(second - first, ".4f")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else f"no {what}"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _right(words: str) -> Text:
    """The screen's own way to draw a table does not heed a column's."""
    return Text(words, justify="right")


def _heading(words: str) -> Text:
    return Text(f"\n{words}", style="bold underline")


def _table(first: str, before: str, after: str, last: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column(first, no_wrap=True)
    table.add_column(before, ratio=1)
    table.add_column(after, ratio=1)
    table.add_column(_right(last), justify="right", no_wrap=True)
    return table
