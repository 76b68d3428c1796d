"""Small pieces of HTML. Whatever comes from a session goes through `text`."""

from collections.abc import Iterable, Sequence
from html import escape

Cell = str
"""HTML of a table's cell."""


def text(value: object) -> str:
    """Any value as text: escaped, without control characters, which could hide or turn it."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return escape(shown)


def table(head: Sequence[Cell], rows: Iterable[Sequence[Cell]], kind: str = "") -> str:
    """A table that scrolls by itself where it is wider than the page."""
    cells = "".join(f"<th>{cell}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def pairs(facts: Iterable[tuple[str, object]]) -> str:
    """Names with their values; those without a value are left out."""
    lines = (
        f"<dt>{text(name)}</dt><dd>{text(value)}</dd>"
        for name, value in facts
        if value not in ("", None)
    )
    return f"<dl>{''.join(lines)}</dl>"


def section(title: str, *parts: str) -> str:
    """A part of the page; nothing where it has no content."""
    content = "".join(parts)
    return f"<section><h2>{text(title)}</h2>{content}</section>" if content else ""


def figure(picture: str, caption: str) -> str:
    """A chart with what to read in it."""
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
