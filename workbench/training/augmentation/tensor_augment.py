"""Common albumentations transforms over a whole batch at once, with the same distributions.

A pipeline of flips, turns and one affine map, then colours, then holes is taken; all that moves
pixels becomes one bilinear sampling. Values are not cut to whole numbers in between, which
albumentations does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from msgspec import Struct
from torch import Tensor

from workbench.training.augmentation.tensor_transforms import (
    ANTIDIAGONAL,
    DIAGONAL,
    MIRROR,
    STILL,
    TURNS,
    UPSIDE_DOWN,
    Affine,
    BrightnessContrast,
    Colour,
    ColourJitter,
    Cut,
    Draw,
    Erased,
    Geometric,
    Holes,
    Matrix,
    Range,
    Symmetry,
    Whole,
)
from workbench.training.augmentation.warping import PADDING, warped

Described = Mapping[str, Any]
"""A transform as albumentations serialises it, every parameter given."""


class BatchedPipeline(Struct, frozen=True):
    """What moves pixels, then what paints them, then what cuts holes."""

    geometry: tuple[Geometric, ...]
    colours: tuple[Colour, ...]
    cuts: tuple[Cut, ...]

    def __call__(self, images: Tensor, seed: int) -> Tensor:
        """uint8 (N, S, S, C) -> new float32 (N, C, S, S) in 0..255, contiguous."""
        draw = Draw(seed, len(images))
        size = images.shape[1]
        moved = images.permute(0, 3, 1, 2)
        if self.geometry:
            sources = self.geometry[0].sources(draw, size)
            for step in self.geometry[1:]:
                sources = sources @ step.sources(draw, size)
            affine = next((step for step in self.geometry if isinstance(step, Affine)), STILL)
            moved = warped(images, sources, affine.border, affine.fill)
        # Planes of a channel, made while pixels are still bytes: a third of the time.
        pixels = moved.contiguous().float()
        for colour in self.colours:
            colour.paint(pixels.flatten(2), draw)
        for cut in self.cuts:
            pixels.masked_fill_(_inside(cut.boxes(draw, size), size).to(pixels.device), cut.fill)
        return pixels


def batched(steps: Sequence[Described]) -> BatchedPipeline | None:
    """The pipeline of these transforms; None where one, a parameter or the order is not taken."""
    made = [MAKERS.get(step["__class_fullname__"], _not_taken)(step) for step in steps]
    kinds = [
        next((rank for rank, kind in enumerate((Geometric, Colour, Cut)) if isinstance(x, kind)), 3)
        for x in made
    ]
    if 3 in kinds or kinds != sorted(kinds) or sum(isinstance(x, Affine) for x in made) > 1:
        return None
    return BatchedPipeline(
        geometry=tuple(x for x in made if isinstance(x, Geometric)),
        colours=tuple(x for x in made if isinstance(x, Colour)),
        cuts=tuple(x for x in made if isinstance(x, Cut)),
    )


def _symmetry(*maps: Matrix) -> Callable[[Described], Symmetry]:
    return lambda given: Symmetry(given["p"], maps)


def _affine(given: Described) -> Affine | None:
    still = {"x": (0.0, 0.0), "y": (0.0, 0.0)}
    is_taken = (
        given["interpolation"] == cv2.INTER_LINEAR
        and given["border_mode"] in PADDING
        and _is_grey(given["fill"])
        and not given["fit_output"]
        and not given["balanced_scale"]
        and _ranges(given["shear"]) == still
        and _ranges(given["translate_px"] or still) == still
    )
    if not is_taken or min(_ranges(given["scale"]).values())[0] <= 0:
        return None
    return Affine(
        p=given["p"],
        scale=_ranges(given["scale"]),
        keep_ratio=given["keep_ratio"],
        shift=_ranges(given["translate_percent"] or still),
        degrees=_range(given["rotate"]),
        border=given["border_mode"],
        fill=given["fill"],
    )


def _brightness_contrast(given: Described) -> BrightnessContrast | None:
    if not given["brightness_by_max"] or given["ensure_safe_range"]:
        return None
    return BrightnessContrast(
        given["p"], _range(given["brightness_limit"]), _range(given["contrast_limit"])
    )


def _jitter(given: Described) -> ColourJitter | None:
    if _range(given["hue"]) != (0, 0):
        return None
    return ColourJitter(
        p=given["p"],
        brightness=_range(given["brightness"]),
        contrast=_range(given["contrast"]),
        saturation=_range(given["saturation"]),
    )


def _holes(given: Described) -> Holes | None:
    if not _is_grey(given["fill"]):
        return None
    fewest, most = given["num_holes_range"]
    return Holes(
        p=given["p"],
        count=(fewest, most),
        height=_range(given["hole_height_range"]),
        width=_range(given["hole_width_range"]),
        fill=given["fill"],
    )


def _erased(given: Described) -> Erased | None:
    if not _is_grey(given["fill"]):
        return None
    return Erased(
        p=given["p"],
        area=_range(given["scale"]),
        ratio=_range(given["ratio"]),
        fill=given["fill"],
    )


def _not_taken(given: Described) -> None:
    return None


MAKERS: dict[str, Callable[[Described], Geometric | Colour | Cut | None]] = {
    "HorizontalFlip": _symmetry(MIRROR),
    "VerticalFlip": _symmetry(UPSIDE_DOWN),
    "Transpose": _symmetry(DIAGONAL),
    "RandomRotate90": _symmetry(*TURNS),
    "D4": _symmetry(*TURNS, MIRROR, UPSIDE_DOWN, DIAGONAL, ANTIDIAGONAL),
    "Affine": _affine,
    "RandomBrightnessContrast": _brightness_contrast,
    "ColorJitter": _jitter,
    "CoarseDropout": _holes,
    "Erasing": _erased,
}
"""By the names of albumentations."""


def _is_grey(fill: object) -> bool:
    return isinstance(fill, int | float) and 0 <= fill <= 255


def _range(found: Sequence[float]) -> Range:
    low, high = found
    return float(low), float(high)


def _ranges(found: Mapping[str, Sequence[float]]) -> dict[str, Range]:
    return {axis: _range(found[axis]) for axis in ("x", "y")}


def _inside(boxes: Whole, size: int) -> Tensor:
    """(N, 1, S, S), whether a pixel is in one of its image's boxes (N, K, 4)."""
    at = np.arange(size)
    top, left, bottom, right = np.moveaxis(boxes[..., None], 2, 0)
    rows, columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    return torch.from_numpy((rows[..., :, None] & columns[..., None, :]).any(axis=1)[:, None])
