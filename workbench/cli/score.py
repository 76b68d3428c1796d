"""The score alone."""

from typing import Annotated

import typer

from sessions.score import load_rule
from workbench.cli.output import Json, print_json

RuleName = Annotated[
    str, typer.Option("--rule", help="contest, readme, smooth, or a TOML file with a rule.")
]


def score(
    macs: Annotated[int, typer.Option(help="MACs of the network.")],
    f1: Annotated[float, typer.Option(help="Macro F1, 0..1.")],
    rule: RuleName = "contest",
    as_json: Json = False,
) -> None:
    """Score of a MACs count and an F1; lower is better."""
    chosen = load_rule(rule)
    value = chosen.score(macs, f1)
    if as_json:
        print_json(
            {
                "score": value,
                "macs": macs,
                "f1": f1,
                "rule": chosen.name,
                "macs_term": macs / chosen.base_macs,
                "f1_term": chosen.f1_term(f1),
            }
        )
    else:
        print(f"{value:.4f}  = {macs / chosen.base_macs:.4f} MACs + {chosen.f1_term(f1):.4f} F1")


COMMANDS = (score,)
