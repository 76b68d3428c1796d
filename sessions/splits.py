"""How the images of a data set are divided: into training, validation and hold-out.

Choices (when to stop, which rung, what to cut) are made on the validation split. The hold-out is
drawn first and by itself, so that it is the same whatever else is chosen, and never chosen on.
"""

from typing import Final, Literal

import msgspec

SplitName = Literal["validation", "hold-out", "train"]
VALIDATION: Final = "validation"
HOLD_OUT: Final = "hold-out"
LARGEST = 0.9
"""Share of the images that validation and hold-out may take together."""


class SplitError(ValueError):
    """A division that cannot be made; the message names the field and a legal value."""


class Splits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The division of images that a folder does not divide itself; shares are of all of them."""

    seed: int = 0
    validation: float = 0.2
    hold_out: float = 0.0
    """With a seed these are the images that validation has where nothing is held out, so that
    figures of the two compare."""
    folds: int = 0
    """Parts of cross-validation, which replace the validation share; 0 has none."""
    fold: int = 0
    """Which of them validates, from 0."""
    train_all: bool = False
    """Whether the validation images are trained on too, for a last run with nothing to choose."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SplitError(f"the seed of the split must be 0 or more, not {self.seed}")
        if not 0 < self.validation < 1:
            raise SplitError(f"validation must be a share in 0..1, not {self.validation:g}")
        if not 0 <= self.hold_out < 1:
            raise SplitError(f"hold-out must be a share in 0..1, not {self.hold_out:g}")
        if self.folds < 0 or self.folds == 1:
            raise SplitError(f"folds must be 2 or more, or 0 for none, not {self.folds}")
        if not 0 <= self.fold < max(self.folds, 1):
            last = f"in 0..{self.folds - 1}" if self.folds else "0 where there are no folds"
            raise SplitError(f"fold must be {last}, not {self.fold}")
        if self.folds and self.train_all:
            raise SplitError("training on all images leaves no fold out: choose one of the two")
        if self.taken > LARGEST - 1e-9:
            raise SplitError(
                f"validation and hold-out take {self.taken:.0%} of the images: choose shares that "
                f"come to less than {LARGEST:.0%}"
            )

    @property
    def taken(self) -> float:
        """Share of the images that are not trained on."""
        if self.train_all:
            return self.hold_out
        if self.folds:
            return self.hold_out + (1 - self.hold_out) / self.folds
        return self.hold_out + self.validation
