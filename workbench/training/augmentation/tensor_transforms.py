"""Transforms of a whole batch, each with the distribution of its albumentations namesake.

Random numbers come from the seed alone, drawn on the CPU, and pixels go through single additions
and multiplications, so that images do not depend on threads.
"""

import cv2
import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor

Range = tuple[float, float]
Matrix = tuple[tuple[float, float], tuple[float, float]]
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

GREY = (0.299, 0.587, 0.114)
STREAM = 0xA06
"""Keeps these numbers apart from others that are seeded alike."""

AS_IS, TURN = ((1.0, 0.0), (0.0, 1.0)), ((0.0, -1.0), (1.0, 0.0))
HALF, BACK = ((-1.0, 0.0), (0.0, -1.0)), ((0.0, 1.0), (-1.0, 0.0))
MIRROR, UPSIDE_DOWN = ((-1.0, 0.0), (0.0, 1.0)), ((1.0, 0.0), (0.0, -1.0))
DIAGONAL, ANTIDIAGONAL = ((0.0, 1.0), (1.0, 0.0)), ((0.0, -1.0), (-1.0, 0.0))
TURNS = (AS_IS, TURN, HALF, BACK)


class Draw:
    """The random numbers of one batch."""

    def __init__(self, seed: int, images: int) -> None:
        self.rng = np.random.default_rng((seed, STREAM))
        self.images = images

    def uniform(self, low: float, high: float, per_image: int = 0) -> Floats:
        """(N,), or (N, per_image)."""
        shape = (self.images, per_image) if per_image else self.images
        return low + (high - low) * self.rng.random(shape)

    def whole(self, low: int, high: int, per_image: int = 0) -> Whole:
        """Whole numbers, both ends included."""
        shape = (self.images, per_image) if per_image else self.images
        return self.rng.integers(low, high, shape, endpoint=True)

    def happens(self, p: float) -> NDArray[np.bool_]:
        """(N,), whether a transform is applied."""
        return self.rng.random(self.images) < p

    def orders(self, count: int) -> Whole:
        """(N, count), a permutation for each image."""
        return self.rng.random((self.images, count)).argsort(axis=1)


class Symmetry(Struct, frozen=True):
    """One of some symmetries of the square."""

    p: float
    maps: tuple[Matrix, ...]

    def sources(self, draw: Draw, size: int) -> Floats:
        """(N, 3, 3), where each output pixel comes from, about the image's centre."""
        matrices = _identities(draw.images)
        maps = np.array(self.maps)[draw.whole(0, len(self.maps) - 1)]
        happens = draw.happens(self.p)
        matrices[happens, :2, :2] = maps[happens]
        return matrices


class Affine(Struct, frozen=True):
    """Scale, then turn, then shift."""

    p: float
    scale: dict[str, Range]
    keep_ratio: bool
    shift: dict[str, Range]
    """Shares of the edge."""
    degrees: Range
    border: int
    fill: float

    def sources(self, draw: Draw, size: int) -> Floats:
        """(N, 3, 3), where each output pixel comes from, about the image's centre."""
        x_scale = draw.uniform(*self.scale["x"])
        y_scale = x_scale if self.keep_ratio else draw.uniform(*self.scale["y"])
        angle = np.deg2rad(draw.uniform(*self.degrees))
        shift = [np.trunc(draw.uniform(*self.shift[axis]) * size) for axis in ("x", "y")]
        matrices = _identities(draw.images)
        matrices[:, 0, 0], matrices[:, 0, 1] = np.cos(angle) / x_scale, -np.sin(angle) / x_scale
        matrices[:, 1, 0], matrices[:, 1, 1] = np.sin(angle) / y_scale, np.cos(angle) / y_scale
        matrices[:, :2, 2] = -np.einsum("nij,jn->ni", matrices[:, :2, :2], np.stack(shift))
        happens = draw.happens(self.p)
        matrices[~happens] = np.eye(3)
        return matrices


STILL = Affine(1.0, {}, True, {}, (0.0, 0.0), cv2.BORDER_REFLECT_101, 0.0)
"""For the border alone."""


class BrightnessContrast(Struct, frozen=True):
    """Times a contrast about black, plus a brightness."""

    p: float
    brightness: Range
    """Shares of white."""
    contrast: Range

    def paint(self, planes: Tensor, draw: Draw) -> None:
        """Change planes (N, C, S * S) in 0..255 in place."""
        happens = draw.happens(self.p)
        factor = np.where(happens, 1 + draw.uniform(*self.contrast), 1)
        shift = np.where(happens, draw.uniform(*self.brightness) * 255, 0)
        planes.mul_(_per_image(factor, planes)).add_(_per_image(shift, planes)).clamp_(0, 255)


class ColourJitter(Struct, frozen=True):
    """Brightness, contrast and saturation, one after the other in an order of each image's own."""

    p: float
    brightness: Range
    contrast: Range
    saturation: Range

    def paint(self, planes: Tensor, draw: Draw) -> None:
        """Change planes (N, C, S * S) in 0..255 in place.

        Each moves an image away from something: from black, its mean grey, or every pixel's grey.
        """
        ranges = (self.brightness, self.contrast, self.saturation)
        factors = np.stack([draw.uniform(*found) for found in ranges], axis=1)
        factors[~draw.happens(self.p)] = 1
        grey, weighted = torch.empty_like(planes[:, :1]), torch.empty_like(planes[:, :1])
        for which in draw.orders(len(ranges)).T:
            factor = factors[np.arange(draw.images), which]
            from_mean = _per_image(np.where(which == 1, 1 - factor, 0), planes)
            from_pixel = _per_image(np.where(which == 2, 1 - factor, 0), planes)
            _to_grey(planes, grey, weighted)
            mean = grey.mean(dim=2, keepdim=True)
            rest = grey.mul_(from_pixel).add_(mean.mul_(from_mean))
            planes.mul_(_per_image(factor, planes)).add_(rest).clamp_(0, 255)


class Holes(Struct, frozen=True):
    """Some rectangles of one grey, their edges drawn apart."""

    p: float
    count: tuple[int, int]
    height: Range
    """Shares of the edge, or pixels where it reaches 1."""
    width: Range
    fill: float

    def boxes(self, draw: Draw, size: int) -> Whole:
        """(N, K, 4), first row and column, then those behind the last."""
        heights, widths = (self._edges(found, draw, size) for found in (self.height, self.width))
        exists = np.arange(self.count[1]) < draw.whole(*self.count)[:, None]
        exists &= draw.happens(self.p)[:, None]
        return _placed(heights * exists, widths * exists, draw, size)

    def _edges(self, found: Range, draw: Draw, size: int) -> Whole:
        if self.height[1] >= 1:
            return draw.whole(int(found[0]), int(min(found[1], size)), self.count[1])
        return (size * draw.uniform(*found, self.count[1])).astype(np.int64)


class Erased(Struct, frozen=True):
    """One rectangle of one grey, by its area and its ratio of width to height."""

    p: float
    area: Range
    """Shares of the image."""
    ratio: Range
    fill: float

    def boxes(self, draw: Draw, size: int) -> Whole:
        """(N, 1, 4), first row and column, then those behind the last."""
        low, high = self.ratio
        smallest = self.area[0]
        largest = min(self.area[1], low, 1 / high)
        area = draw.uniform(smallest, max(largest, smallest))
        narrowest, widest = np.maximum(low, area), np.minimum(high, 1 / area)
        ratio = narrowest + (widest - narrowest) * draw.uniform(0, 1)
        exists = (narrowest <= widest) & (largest >= smallest) & draw.happens(self.p)
        heights, widths = (
            (size * np.sqrt(edge)).round().astype(np.int64) * exists
            for edge in (area / ratio, area * ratio)
        )
        return _placed(heights[:, None], widths[:, None], draw, size)


Geometric = Symmetry | Affine
Colour = BrightnessContrast | ColourJitter
Cut = Holes | Erased


def _identities(images: int) -> Floats:
    return np.tile(np.eye(3), (images, 1, 1))


def _per_image(values: Floats, planes: Tensor) -> Tensor:
    """(N,) -> (N, 1, 1), as planes are."""
    return torch.from_numpy(values).to(planes)[:, None, None]


def _to_grey(planes: Tensor, grey: Tensor, weighted: Tensor) -> None:
    """Fill `grey` (N, 1, S * S) by planes (N, C, S * S); `weighted` is room for work."""
    channels = [planes[:, number : number + 1] for number in range(planes.shape[1])]
    weights = GREY if len(channels) == len(GREY) else [1 / len(channels)] * len(channels)
    torch.mul(channels[0], weights[0], out=grey)
    for channel, weight in zip(channels[1:], weights[1:], strict=True):
        grey.add_(torch.mul(channel, weight, out=weighted))


def _placed(heights: Whole, widths: Whole, draw: Draw, size: int) -> Whole:
    """Boxes (N, K, 4) of these heights and widths (N, K), anywhere inside the image."""
    top, left = (draw.rng.integers(0, size - edges + 1) for edges in (heights, widths))
    return np.stack([top, left, top + heights, left + widths], axis=2)
