"""Where the autopilot is to go, and by which rule it chooses."""

from typing import Literal

import msgspec

By = Literal["sensitivity", "std", "importance"]
"""Measured exchange rate with look-ahead; lowest weight std first, as published; importance that
is kept for the same MACs."""
Recovery = Literal["none", "recover", "fine-tune"]


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """What the autopilot was asked for."""

    by: By = "sensitivity"
    max_macs: int = 0
    """Contest MACs to reach; 0 where a score is the target."""
    score: float | None = None
    """To reach, at most."""
    is_units_only: bool = False
    """Whether only units are switched off, no widths and groups changed."""
    look_ahead: int = 3
    """Candidates of which the best next step is measured too; 0 for none."""
    recovery: Recovery = "recover"
    """After each step; the last step is followed by what `finish` says."""
    finish: Recovery = "fine-tune"
