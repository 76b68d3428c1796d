"""Confusion matrices of a report, as tables that are heat maps."""

from workbench.report.facts import Report, VariantFacts
from workbench.report.html import table, text

LARGEST = 40
"""Classes of which a matrix is drawn; of more the most frequent confusions alone."""
TOLD = 5
"""Confusions told in words."""


def confusions(report: Report) -> str:
    """The matrices of the opened and the current variant, side by side where there is room."""
    found = []
    for role, number in {"opened": report.opened, "current": report.current}.items():
        variant = report.variant(number)
        if role == "current" and number == report.opened:
            continue
        if variant.confusion:
            found.append(f"<div><h3>{role}, v{number}</h3>{_matrix(variant)}</div>")
    if not found:
        return "<p>Not recorded: no F1 was measured, or by a version that kept none.</p>"
    return f'<div class="pair">{"".join(found)}</div>'


def _matrix(variant: VariantFacts) -> str:
    names, counts = variant.classes, variant.confusion
    drawn = ""
    if len(names) <= LARGEST:
        head = ["taken for →", *(str(number) for number in range(1, len(names) + 1)), "recall"]
        drawn = table(
            [],
            [
                head,
                *(
                    [f"{number} {text(name)}", *_cells(row), _recall(row, number - 1)]
                    for number, (name, row) in enumerate(zip(names, counts, strict=True), start=1)
                ),
            ],
            "map",
        )
    mistakes = sorted(
        (
            (count, true, taken)
            for true, row in enumerate(counts)
            for taken, count in enumerate(row)
            if true != taken and count
        ),
        reverse=True,
    )
    if not mistakes:
        return drawn + "<p>No image is taken for another class.</p>"
    told = "".join(
        f"<li>{text(names[true])} taken for {text(names[taken])}: {count:,} of "
        f"{sum(counts[true]):,}</li>"
        for count, true, taken in mistakes[:TOLD]
    )
    return f"{drawn}<p>The most frequent confusions:</p><ul>{told}</ul>"


def _cells(row: tuple[int, ...]) -> list[str]:
    """Counts on a shade of their share of the row."""
    total = sum(row) or 1
    return [
        f'<span style="display:block;background:rgba(var(--heat),{0.7 * count / total:.2f})">'
        f"{count or '·'}</span>"
        for count in row
    ]


def _recall(row: tuple[int, ...], own: int) -> str:
    return f"{row[own] / sum(row):.2f}" if sum(row) else "no images"
