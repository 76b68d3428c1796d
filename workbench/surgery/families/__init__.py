"""Network families. A family turns tensor names and shapes into a Network, or says it is another.

To add one: a module with `NAME`, `describe` and `fresh`, and its entry in FAMILIES.
"""

from collections.abc import Mapping
from typing import Protocol

from sessions.network import Network
from workbench.errors import UserError
from workbench.surgery.families import cells, shufflenet

Shapes = Mapping[str, tuple[int, ...]]


class Family(Protocol):
    """What a module of a family has."""

    TITLE: str

    def matches(self, shapes: Shapes) -> bool:
        """Whether tensors of these names are of the family."""

    def describe(self, shapes: Shapes) -> Network:
        """The network of these tensors."""


FAMILIES: dict[str, Family] = {shufflenet.NAME: shufflenet, cells.NAME: cells}


def describe(shapes: Shapes) -> Network:
    """The network that tensors of these names and shapes belong to, at the family's input size.

    Raises:
        UserError: no family knows them, or they do not fit together.
    """
    for family in FAMILIES.values():
        if family.matches(shapes):
            return family.describe(shapes)
    known = ", ".join(family.TITLE for family in FAMILIES.values())
    first = next(iter(shapes), "none")
    raise UserError(f"unknown architecture (first tensor: {first}); this opens {known}")
