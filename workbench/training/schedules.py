"""Learning-rate schedules: the factor of the peak rate at every step, a function of the step alone.

Sources: L. Smith and N. Topin, Super-convergence, arXiv:1708.07120 (one-cycle); I. Loshchilov and
F. Hutter, SGDR, arXiv:1608.03983 (restarts).
"""

import math

from sessions.recipe import Recipe

FIRST_RATE = 1 / 25
"""Where one-cycle begins, as torch has it."""
LAST_RATE = FIRST_RATE / 1e4
"""Below this one-cycle never falls, as torch has it."""


def rate(recipe: Recipe, step: int, steps: int, steps_per_epoch: int) -> float:
    """The learning rate at a step as a share of its peak, in 0..1.

    Args:
        step: 0 for the first.
        steps: of the whole run.
    """
    match recipe.schedule:
        case "cosine":
            warmup = max(int(recipe.warmup * steps), 1)
            return _warm_cosine(step, steps, warmup, recipe.lowest_rate)
        case "one-cycle":
            return _one_cycle(step, steps, recipe.warmup, max(recipe.lowest_rate, LAST_RATE))
        case "restarts":
            length = recipe.restart_epochs * steps_per_epoch
            begin = step // length * length
            # The last cycle is shortened to end with the run: what it ends with is what is kept.
            length = max(min(length, steps - begin), 1)
            warmup = int(recipe.warmup * length)
            return _warm_cosine(step - begin, length, warmup, recipe.lowest_rate)
        case "constant":
            warmup = max(int(recipe.warmup * steps), 1)
            return min((step + 1) / warmup, 1.0)


def _warm_cosine(step: int, steps: int, warmup: int, lowest: float) -> float:
    """A linear rise from 1 / warmup, then half a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return _eased(1.0, lowest, (step - warmup) / max(steps - warmup, 1))


def _one_cycle(step: int, steps: int, warmup: float, lowest: float) -> float:
    """A cosine up to the peak and one down, with torch's places of peak and end."""
    if steps == 1:
        return 1.0  # the only step is no good at the rate of the last
    peak = warmup * steps - 1
    if step < peak:
        return _eased(FIRST_RATE, 1.0, step / peak)
    return _eased(1.0, lowest, (step - peak) / max(steps - 1 - peak, 1e-9))


def _eased(first: float, last: float, done: float) -> float:
    """Half a cosine between two values."""
    return last + (first - last) * (0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
