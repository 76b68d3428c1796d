"""Which criterion to trust on a network, in words."""

from collections.abc import Sequence

from sessions.searching import Trust, TrustOver

PUBLISHED = "std"
"""The rule of the published journey: the unit of lowest weight std goes first."""
WHAT: dict[TrustOver, str] = {"units": "which unit goes", "cuts": "how far to cut"}


def advice(trusts: Sequence[Trust]) -> str:
    """One sentence on each kind of edit that was compared.

    A criterion is trusted where its whole interval is above 0.
    """
    if not trusts:
        return "Too few edits were measured to compare criteria with them."
    told = []
    for over, what in WHAT.items():
        of_kind = [trust for trust in trusts if trust.over == over]
        if of_kind:
            told.append(_advice(of_kind, what))
    return " ".join(told)


def _advice(trusts: Sequence[Trust], what: str) -> str:
    best = max(trusts, key=lambda trust: trust.rho)
    if best.low <= 0:
        return f"To choose {what}, trust none of the criteria here: measure."
    told = f"To choose {what}, trust {best.criterion} here"
    published = next((trust for trust in trusts if trust.criterion == PUBLISHED), None)
    if published is not None and published.low <= 0:
        told += f"; {PUBLISHED}, the published rule, is not told from chance"
    return f"{told}."
