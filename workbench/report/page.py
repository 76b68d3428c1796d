"""The page of a session: figures before and after, charts, variants, confusions, recipes."""

from string import Template

from widgets import numbers
from workbench.report import charts
from workbench.report.before_after import before_after, roles
from workbench.report.confusions import confusions
from workbench.report.facts import Report
from workbench.report.html import figure, pairs, section, text
from workbench.report.style import STYLE
from workbench.report.training import curves, recipes

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
</body>
</html>
"""
)


def page(report: Report) -> str:
    """The whole report as one HTML file."""
    body = "\n".join(
        part
        for part in (
            _header(report),
            section("Before and after", before_after(report)),
            section("Score", _plane(report)),
            section("F1 and loss", curves(report)),
            section("Variants", _tree(report)),
            section("Which classes are taken for which", confusions(report)),
            section("Training", recipes(report)),
            section("Do it again", _again(report)),
        )
        if part
    )
    return PAGE.substitute(title=text(f"{report.session} · workbench"), style=STYLE, body=body)


def _header(report: Report) -> str:
    data = report.data
    facts: list[tuple[str, object]] = [
        ("model", report.source),
        ("recorded", f"{report.created}, {numbers.duration(report.seconds)} of work"),
        ("input", f"{report.input_size}×{report.input_size} pixels"),
    ]
    if data is None:
        facts.append(("data", "none was open: F1 was not measured"))
    else:
        held = f", {data.hold_out_images:,} held out" if data.hold_out_images else ""
        skipped = f"; {data.skipped_count:,} files skipped" if data.skipped_count else ""
        facts += [
            ("data", data.source),
            (
                "images",
                f"{data.train_images:,} training, {data.val_images:,} validation{held}{skipped}",
            ),
            ("classes", f"{len(data.classes)}: {', '.join(data.classes)}"),
        ]
    rule = report.rule
    facts += [
        (
            "score rule",
            f"{rule.name}: MACs / {rule.base_macs:,} + what F1 adds "
            f"(0 at {rule.base_f1:g}); lower is better",
        ),
        ("notes", "; ".join(report.notes)),
        ("", "The last line of the log was cut off and is left out." if report.is_torn else ""),
    ]
    return f"<header><h1>{text(report.session)}</h1>{pairs(facts)}</header>"


def _plane(report: Report) -> str:
    named = roles(report)
    dots, path = [], []
    for variant in report.variants:
        if variant.f1 is None or variant.score is None:
            continue
        mine = [name for name, number in named if number == variant.number]
        title = f"v{variant.number} {variant.name or variant.words}: {variant.macs:,} MACs"
        dots.append(
            charts.Dot(
                variant.macs,
                variant.f1,
                f"{title}, F1 {variant.f1:.4f}, score {numbers.plain(variant.score, '.4f')}",
                " ".join(name.partition(" ")[0] for name in mine),
                ", ".join(mine),
            )
        )
    if not dots:
        return "<p>No F1 was measured, so there is no score.</p>"
    number: int | None = report.current
    while number is not None:
        step = report.variant(number)
        if step.f1 is not None:
            path.append((float(step.macs), step.f1))
        number = step.parent
    dots.sort(key=lambda dot: bool(dot.label))  # those with a name on top
    return figure(
        charts.score_plane(report.rule, dots, path),
        "Each point is a measured variant; up and to the left is better. On a dashed line the "
        "score is the same. The dotted way leads from the opened to the current variant.",
    )


def _tree(report: Report) -> str:
    items = []
    for variant in report.variants:
        tags = [name for name, number in roles(report) if number == variant.number]
        kind = " ".join(name.partition(" ")[0] for name in tags)
        marks = "".join(f' <span class="tag">{tag}</span>' for tag in tags)
        name = f" “{text(variant.name)}”" if variant.name else ""
        facts = [f"{variant.macs:,} MACs"]
        if variant.f1 is not None and variant.score is not None:
            facts.append(f"F1 {variant.f1:.4f}")
            facts.append(f"score {numbers.plain(variant.score, '.4f')}")
        if variant.edit is not None and variant.edit.partition(":")[0] not in ("off", "on"):
            kept = f"{variant.kept:.1%} of the importance kept"
            facts.append("every kept weight unchanged" if variant.exact else kept)
        origin = "" if variant.parent is None else f" from v{variant.parent}"
        items.append(
            f'<li class="{kind}" style="--depth:{variant.depth}"><b>v{variant.number}</b>{name} '
            f"{text(variant.words)}<span class='soft'>{origin}</span>{marks}"
            f"<br><small>{text(' · '.join(facts))}</small></li>"
        )
    return f'<ul class="tree">{"".join(items)}</ul>'


def _again(report: Report) -> str:
    training = (
        "" if report.edits_are_all else "<p>The edits alone, without the training between them:</p>"
    )
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return (
        f"{training}<pre>{text(report.edit_command)}</pre>"
        "<p>The whole session, rebuilt and compared with its record: MACs exactly, weights by "
        f"hash, F1 within a tolerance.</p><pre>{text(report.verify_command)}</pre>"
        + pairs(
            [
                ("model sha256", report.model_sha256),
                ("data sha256", report.data.fingerprint if report.data else ""),
                ("seed", report.seed),
                ("versions", versions),
                ("events", f"{report.events:,}"),
            ]
        )
    )
