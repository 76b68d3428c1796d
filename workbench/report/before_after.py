"""The table of a report: the opened, the best and the current variant, with what changed."""

from collections.abc import Sequence

from widgets import numbers
from workbench.report.facts import Report, VariantFacts
from workbench.report.html import table, text


def roles(report: Report) -> list[tuple[str, int | None]]:
    """What variants are called, with their numbers."""
    return [("opened", report.opened), ("best score", report.best), ("current", report.current)]


def before_after(report: Report) -> str:
    """A column a variant; changes are from the opened one."""
    shown = [report.variant(number) for number in _columns(report)]
    heads = [""]
    for variant in shown:
        names = [name for name, number in roles(report) if number == variant.number]
        heads.append(f"{' and '.join(names)}<br>v{variant.number}")
    rows = [
        _row("MACs", [variant.macs for variant in shown], ",d"),
        _row("parameters", [variant.params for variant in shown], ",d"),
    ]
    if any(variant.f1 is not None for variant in shown):
        rows += _measured(shown)
    else:
        rows.append(["macro F1", *("not measured" for _ in shown)])
    rows.append(["units", *(text("-".join(map(str, variant.units))) for variant in shown)])
    note = "<p>Nothing was changed since it was opened.</p>" if len(shown) == 1 else ""
    return note + table(heads, rows)


def _columns(report: Report) -> list[int]:
    numbers_shown = (report.opened, report.best, report.current)
    return list(dict.fromkeys(number for number in numbers_shown if number is not None))


def _measured(shown: Sequence[VariantFacts]) -> list[list[str]]:
    names = dict.fromkeys(name for variant in shown for name in variant.class_f1)
    return [
        _row("macro F1", [variant.f1 for variant in shown], ".4f"),
        ["95 % interval", *(_interval(variant) for variant in shown)],
        _row("accuracy", [variant.accuracy for variant in shown], ".4f"),
        _row("score", [variant.score for variant in shown], ".4f"),
        ["images", *(_measured_on(variant) for variant in shown)],
        *(
            _row(f"F1 {name}", [variant.class_f1.get(name) for variant in shown], ".3f")
            for name in names
        ),
    ]


def _row(name: str, values: Sequence[float | None], form: str) -> list[str]:
    """A value a column, each but the first with its change."""
    before = values[0]
    cells = [text(name)]
    for number, value in enumerate(values):
        cell = "—" if value is None else text(numbers.plain(value, form))
        if value is not None and before is not None and number:
            change = numbers.signed(value - before, form)
            if form == ",d" and before:
                change += f"<br>{numbers.signed((value - before) / before, '.1%')}"
            cell += f"<small>{change}</small>"
        cells.append(cell)
    return cells


def _interval(variant: VariantFacts) -> str:
    if variant.f1_low is None or variant.f1_high is None:
        return "—"
    return f"{variant.f1_low:.3f}<small>to {variant.f1_high:.3f}</small>"


def _measured_on(variant: VariantFacts) -> str:
    if not variant.images:
        return "—"
    return f"{variant.images:,}<small>{text(variant.split)}</small>"
