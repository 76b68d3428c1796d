"""Edits and variants by short names, as one would say them."""

from sessions import edits
from sessions.edits import (
    Classes,
    Edit,
    Groups,
    Head,
    InputSize,
    Kernel,
    Mid,
    Rank,
    UnitOff,
    UnitOn,
    Widen,
    Width,
)
from sessions.state import Variant


def edit_words(edit: Edit) -> str:
    """An edit as one would say it."""
    match edit:
        case UnitOff(unit):
            return f"{unit} off"
        case UnitOn(unit):
            return f"{unit} on"
        case Width() | Widen():
            return f"{edit.target} width {edit.value}"
        case Mid():
            return f"{edit.target} bottleneck {edit.value}"
        case Groups():
            return f"{edit.target} groups {edit.value}"
        case Kernel():
            return f"{edit.target} kernel {edit.value}"
        case Rank():
            return f"{edit.layer} rank {edits.text(edit).partition('=')[2]}"
        case Head(form):
            return f"{form} head"
        case InputSize(size):
            return f"input {size} px"
        case Classes(count):
            return f"{count} classes"


def title(variant: Variant) -> str:
    """The name of a variant, or what made it."""
    if variant.edit is not None and not variant.name:
        return edit_words(variant.edit)
    return variant.name or variant.label
