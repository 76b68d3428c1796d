"""The presets of augmentation: each an albumentations pipeline as data, in its serialisation.

Every parameter of a transform that goes through tensors is given, so that nothing hangs on a
default of albumentations, and it need not be imported to read them. Every preset takes grey images.
"""

from typing import Any

Step = dict[str, Any]
Range = tuple[float, float]
REFLECT, LINEAR, NEAREST = 4, 1, 0
"""As OpenCV numbers them."""


def _step(name: str, p: float, **parameters: object) -> Step:
    return {"__class_fullname__": name, "p": p, **parameters}


def _pipeline(*steps: Step) -> Step:
    return _step("Compose", 1.0, transforms=list(steps))


def _affine(
    p: float, scale: Range, shift: float, degrees: float, *, keep_ratio: bool = False
) -> Step:
    """Shift is a share of the edge; what comes in from outside is the image's reflection."""
    ranges = {"scale": scale, "translate_percent": (-shift, shift), "shear": (0.0, 0.0)}
    return _step(
        "Affine", p,
        **{name: {"x": list(found), "y": list(found)} for name, found in ranges.items()},
        rotate=[-degrees, degrees], translate_px=None, border_mode=REFLECT, interpolation=LINEAR,
        mask_interpolation=NEAREST, fill=0.0, fill_mask=0.0, fit_output=False,
        keep_ratio=keep_ratio, balanced_scale=False, rotate_method="largest_box",
    )  # fmt: skip


def _brightness_contrast(p: float, limit: float) -> Step:
    limits = {f"{name}_limit": [-limit, limit] for name in ("brightness", "contrast")}
    return _step(
        "RandomBrightnessContrast", p, **limits, brightness_by_max=True, ensure_safe_range=False
    )


def _jitter(p: float, brightness: float, contrast: float, saturation: float) -> Step:
    limits = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": 0.0}
    ranges: Step = {name: [1 - limit, 1 + limit] for name, limit in limits.items()}
    return _step("ColorJitter", p, **ranges | {"hue": [0.0, 0.0]})


def _holes(p: float, count: tuple[int, int], edge: Range) -> Step:
    """Edges are shares of the image's."""
    edges = {f"hole_{name}_range": list(edge) for name in ("height", "width")}
    return _step("CoarseDropout", p, num_holes_range=list(count), **edges, fill=0.0, fill_mask=None)


def _one_of_each(p: float, count: int, *steps: Step) -> Step:
    return _step("RandomOrder", p, n=count, replace=False, transforms=list(steps))


PRESETS: dict[str, Step] = {
    "none": _pipeline(),
    # Keeps left and right apart.
    "shift": _pipeline(_affine(0.8, scale=(0.9, 1.1), shift=0.08, degrees=10.0)),
    "light": _pipeline(
        _step("HorizontalFlip", 0.5),
        _affine(0.6, scale=(0.85, 1.2), shift=0.08, degrees=20.0),
        _brightness_contrast(0.4, 0.2),
    ),
    "contest": _pipeline(
        _step("HorizontalFlip", 0.5),
        _step("VerticalFlip", 0.5),
        _step("RandomRotate90", 1.0),
        _affine(1.0, scale=(0.8, 1.2), shift=0.1, degrees=0.0, keep_ratio=True),
        _jitter(1.0, brightness=0.2, contrast=0.2, saturation=0.2),
    ),
    "strong": _pipeline(
        _step("HorizontalFlip", 0.5),
        _step("VerticalFlip", 0.3),
        _step("RandomRotate90", 0.3),
        _affine(0.8, scale=(0.75, 1.3), shift=0.12, degrees=25.0),
        _jitter(0.7, brightness=0.3, contrast=0.3, saturation=0.4),
        _holes(0.4, count=(1, 2), edge=(0.1, 0.3)),
    ),
    # As RandAugment: two of many, in any order.
    "policy": _pipeline(
        _step("HorizontalFlip", 0.5),
        _one_of_each(
            1.0, 2,
            _affine(1.0, scale=(0.7, 1.3), shift=0.0, degrees=0.0, keep_ratio=True),
            _affine(1.0, scale=(1.0, 1.0), shift=0.15, degrees=0.0),
            _affine(1.0, scale=(1.0, 1.0), shift=0.0, degrees=30.0),
            _step("Affine", 1.0, shear=(-15.0, 15.0), border_mode=REFLECT),
            _jitter(1.0, brightness=0.5, contrast=0.0, saturation=0.0),
            _jitter(1.0, brightness=0.0, contrast=0.5, saturation=0.0),
            _jitter(1.0, brightness=0.0, contrast=0.0, saturation=0.7),
            _step("AutoContrast", 1.0),
            _step("Equalize", 1.0),
            _step("Posterize", 1.0, num_bits=(3, 7)),
            _step("Solarize", 1.0, threshold_range=(0.5, 1.0)),
            _step("Sharpen", 1.0, alpha=(0.2, 0.6)),
            _holes(1.0, count=(1, 1), edge=(0.1, 0.3)),
        ),
    ),
}  # fmt: skip
