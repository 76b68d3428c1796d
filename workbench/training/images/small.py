"""Images small enough for a terminal."""

import cv2
import numpy as np
from numpy.typing import NDArray


def small(image: NDArray[np.uint8], edge: int) -> bytes:
    """RGB bytes, edge * edge * 3, of an image (S, S, C)."""
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.shape[2] == 1 else image
    resized = cv2.resize(colour, (edge, edge), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(resized).tobytes()
