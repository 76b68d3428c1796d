"""A batch of square images, each seen through an affine map of its own: one bilinear sampling."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Floats = NDArray[np.float64]
PADDING = {
    cv2.BORDER_CONSTANT: ("zeros", True),
    cv2.BORDER_REPLICATE: ("border", True),
    cv2.BORDER_REFLECT: ("reflection", False),
    cv2.BORDER_REFLECT_101: ("reflection", True),
}
"""OpenCV's borders as `grid_sample` names them: its mode, and whether corners are aligned."""


def warped(images: Tensor, sources: Floats, border: int, fill: float) -> Tensor:
    """Images (N, S, S, C) in 0..255 as (N, C, S, S), in the dtype and layout of whoever sampled.

    Args:
        images: uint8.
        sources: (N, 3, 3), where each output pixel comes from, in pixels about the centre.
        border: of OpenCV's, in PADDING.
        fill: beyond a constant border.
    """
    # On a CPU grid_sample is bound by gathers: OpenCV's sampling takes half its time.
    sample = by_opencv if images.device.type == "cpu" else by_grid
    return sample(images, sources, border, fill)


def by_grid(images: Tensor, sources: Floats, border: int, fill: float) -> Tensor:
    """`warped` on any device, as float32."""
    n, size, _, channels = images.shape
    mode, is_aligned = PADDING[border]
    theta = sources[:, :2].astype(np.float32)
    theta[:, :, 2] /= (size - 1 if is_aligned else size) / 2
    grid = functional.affine_grid(
        torch.from_numpy(theta).to(images.device), [n, channels, size, size], is_aligned
    )
    offset = fill if border == cv2.BORDER_CONSTANT else 0.0
    pixels = images.permute(0, 3, 1, 2).float() - offset
    return functional.grid_sample(pixels, grid, "bilinear", mode, is_aligned) + offset


def by_opencv(images: Tensor, sources: Floats, border: int, fill: float) -> Tensor:
    """`warped` on a CPU, as uint8."""
    size = images.shape[1]
    centre = (size - 1) / 2
    matrices = sources[:, :2].copy()
    matrices[:, :, 2] += centre - matrices[:, :, :2].sum(axis=2) * centre
    given = images.contiguous().numpy()
    found = np.empty_like(given)
    flags, value = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (fill,) * images.shape[3]
    for image, matrix, out in zip(given, matrices, found, strict=True):
        cv2.warpAffine(image, matrix, (size, size), out, flags, border, value)
    return torch.from_numpy(found).permute(0, 3, 1, 2)
