"""How comparisons of networks and of input sizes are printed: a table, and points below it."""

import shutil
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.table import Table

from sessions.evaluation import Evaluation
from workbench.cli.output import console, table

if TYPE_CHECKING:
    from workbench.search.zoo import Entry, Plan

MARKS = string.ascii_uppercase + string.ascii_lowercase + string.digits
PLOT_ROWS = 16
PLOT_COLUMNS = (40, 90)
"""Fewest and most."""
INTERVAL = ("95 %",)
INTERVAL_WIDTH = 13
FIGURES = 71
"""Columns that all figures but the interval take."""
WITH_INTERVAL = FIGURES + INTERVAL_WIDTH + 16
NARROWEST_NAME = 12
UNLIMITED = 10_000


def print_entries(entries: "Sequence[Entry]", plan: "Plan") -> None:
    """Candidates in their order, each with the mark that it has among the points."""
    out = console()
    is_wide = out.width >= WITH_INTERVAL
    heads = ("MACs", "params", "top-1", "F1 head", "F1 full", *INTERVAL[:is_wide], "score", "s")
    rows = table("", "candidate", *heads)
    name = rows.columns[1]
    name.justify, name.no_wrap, name.overflow = "left", False, "fold"
    name.max_width = max(out.width - FIGURES - INTERVAL_WIDTH * is_wide, NARROWEST_NAME)
    points = []
    for number, entry in enumerate(entries):
        mark = MARKS[number] if number < len(MARKS) else "*"
        rows.add_row(
            mark if entry.full else "", _name(entry), _count(entry.macs), _count(entry.params),
            "" if entry.top1_error is None else f"{entry.top1_error:.2f} %",
            _f1(entry.head), _full(entry), *(_interval(entry),)[:is_wide],
            _score(entry), _seconds(entry),
        )  # fmt: skip
        if entry.full is not None and entry.macs is not None:
            points.append((entry.macs / 1e6, entry.full.f1, mark))
    print_whole(rows)
    _print_reasons([(entry.name, entry) for entry in entries])
    head = f"{plan.head_epochs} of the head alone, " if plan.head_epochs else ""
    _print_footing(entries, plan, f"epochs: {head}{plan.recipe.epochs} of the whole network")
    sizes = sorted({entry.input_size for entry in entries if entry.full and entry.input_size})
    if sizes:
        out.print(f"MACs at {' and '.join(map(str, sizes))} pixels, contest convention")
    if any(entry.top1_error is not None for entry in entries):
        out.print("top-1: error as published, on ImageNet-1K at 224 pixels")
    _print_points(points, "F1 after the full fine-tune", "million MACs")


def print_sizes(entries: "Sequence[Entry]", edges: Sequence[int], own: int, plan: "Plan") -> None:
    """One network, a row for every input size."""
    rows = table("input", "MACs", "F1", *INTERVAL, "score", "s")
    points = []
    for edge, entry in zip(edges, entries, strict=True):
        rows.add_row(
            f"{edge}*" if edge > own else str(edge), _count(entry.macs), _full(entry),
            _interval(entry), _score(entry), _seconds(entry),
        )  # fmt: skip
        if entry.full is not None:
            points.append((float(edge), entry.full.f1, "o"))
    print_whole(rows)
    _print_reasons([(str(edge), entry) for edge, entry in zip(edges, entries, strict=True)])
    if any(edge > own for edge in edges):
        console().print(f"* above the photos' own {own} pixels: they are enlarged")
    _print_footing(entries, plan, f"{plan.recipe.epochs} epochs at each size")
    _print_points(points, "F1", "input size in pixels")


def print_whole(rows: Table) -> None:
    """A figure that is cut short is none: a narrower terminal wraps the lines instead."""
    out = console()
    needed = Measurement.get(out, out.options.update(max_width=UNLIMITED), rows).maximum
    out.width = max(out.width, needed)
    out.print(rows)


def _print_reasons(named: "Sequence[tuple[str, Entry]]") -> None:
    for name, entry in named:
        if entry.reason:
            console().print(f"{name}: {entry.reason}")


def _print_footing(entries: "Sequence[Entry]", plan: "Plan", epochs: str) -> None:
    images = {entry.full.images for entry in entries if entry.full is not None}
    what = f"{max(images)} validation images" if images else "the validation images"
    console().print(
        f"macro F1 on {what}; {epochs}; score by the rule {plan.rule.name}, lower is better"
    )


def _print_points(points: Sequence[tuple[float, float, str]], title: str, along: str) -> None:
    """The points as text, without colours: a single one says nothing that the table does not."""
    if len(points) < 2:
        return
    import plotext

    from widgets.glyphs import ascii_text

    plotext.clear_figure()
    least, most = PLOT_COLUMNS
    columns = shutil.get_terminal_size().columns
    plotext.plot_size(min(max(columns, least), most), PLOT_ROWS)
    plotext.theme("clear")
    plotext.title(title)
    plotext.xlabel(along)
    for x, y, mark in reversed(points):  # the best is drawn last, over the others
        plotext.scatter([x], [y], marker=mark)
    text = plotext.uncolorize(plotext.build())
    out = console()
    is_unicode = (out.encoding or "").lower().startswith("utf")
    out.print(text if is_unicode else ascii_text(text, is_strict=True))


def _name(entry: "Entry") -> str:
    other = entry.published and entry.published != entry.name
    return f"{entry.name} ({entry.published})" if other else entry.name


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _full(entry: "Entry") -> str:
    """Why there is none is said below the table."""
    return "none" if entry.full is None else _f1(entry.full)


def _score(entry: "Entry") -> str:
    return "" if entry.score is None else f"{entry.score:.4f}"


def _seconds(entry: "Entry") -> str:
    return f"{entry.seconds:.0f}" if entry.seconds else ""


def _f1(found: Evaluation | None) -> str:
    return "" if found is None else f"{found.f1:.4f}"


def _interval(entry: "Entry") -> str:
    if entry.full is None or entry.full.interval is None:
        return ""
    return "{:.3f}-{:.3f}".format(*entry.full.interval)
