"""Cuts the boxes of COCO annotations out of their photos, into one folder a class.

Every box is written or skipped for a reason that is counted. The folder is filled at the end, or
not at all. The class is the annotation's: where a photo lies says nothing.
"""

import contextlib
import functools
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import msgspec

from workbench.errors import UserError, explain
from workbench.training.cropping import coco
from workbench.training.cropping.cutter import Box, Corners, Cut, Cutter, Photo

MARGIN = 0.1
LARGEST_MARGIN = 10.0
MIN_SIZE = 16
STAGING = ".crops.part"
Progress = Callable[[int, int], None]
"""Told how many photos are done, and of how many."""


class Cropped(msgspec.Struct, frozen=True):
    """What became of the boxes."""

    total: int
    written: int
    skipped: dict[str, int]
    """Boxes by the reason why they were left out; with `written` they make `total`."""
    classes: dict[str, int]
    """Crops by class."""
    unused: tuple[str, ...]
    """Categories of the map that the annotations do not know."""
    seconds: float


def crop(
    annotations: Path,
    images: Path,
    out: Path,
    *,
    class_map: dict[str, str] | None = None,
    margin: float = MARGIN,
    min_size: int = MIN_SIZE,
    progress: Progress | None = None,
) -> Cropped:
    """Cut every box of an annotation file into `out`, which must be empty or not there yet.

    Args:
        class_map: class by category name; None makes each category a class.
        margin: added on each side, as a share of the box's longer side.
        min_size: shorter side in pixels below which a box is left out.

    Raises:
        UserError: unusable annotations, folders or options, no space, or no box to cut at all.
    """
    started = time.perf_counter()
    _check_options(images, margin, min_size)
    found = coco.read(annotations)
    folders = coco.class_folders(found, class_map)
    skipped: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    photos = _planned(found, folders, skipped)
    with _staged(out) as staging, _workers() as pool:
        cutter = Cutter(images, staging, margin, min_size)
        for done, (photo, cut) in enumerate(_all_cut(cutter, photos, pool), start=1):
            _count(photo, cut, classes, skipped)
            if progress is not None:
                progress(done, len(photos))
        _check_counts(len(found.annotations), classes, skipped)
    known = {category.name for category in found.categories}
    return Cropped(
        total=len(found.annotations),
        written=classes.total(),
        skipped=dict(skipped.most_common()),
        classes=dict(sorted(classes.items())),
        unused=tuple(name for name in class_map or () if name not in known),
        seconds=time.perf_counter() - started,
    )


def _check_options(images: Path, margin: float, min_size: int) -> None:
    if not images.is_dir():
        raise UserError(f"no image folder {images}: check the path")
    if not 0 <= margin <= LARGEST_MARGIN:
        raise UserError(
            f"the margin is a share of the box's longer side, 0 to {LARGEST_MARGIN:g}: not {margin}"
        )
    if min_size < 1:
        raise UserError(f"the smallest box has at least 1 pixel, not {min_size}")


def _count(photo: Photo, cut: Cut, classes: Counter[str], skipped: Counter[str]) -> None:
    for box, reason in zip(photo.boxes, cut.reasons, strict=True):
        if reason:
            skipped[reason] += 1
        else:
            classes[box.folder] += 1


def _check_counts(total: int, classes: Counter[str], skipped: Counter[str]) -> None:
    """Every box is accounted for.

    Raises:
        UserError: none was written.
    """
    assert classes.total() + skipped.total() == total, "a box is not accounted for"
    if not classes:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in skipped.most_common())
        raise UserError(f"none of the {total} boxes can be cut ({reasons})")


def _planned(
    found: coco.Coco, folders: dict[int, str | None], skipped: Counter[str]
) -> list[Photo]:
    """The boxes to cut by photo; the others are counted."""
    images = {image.id: image for image in found.images}
    boxes: dict[int, list[Box]] = {}
    taken: Counter[tuple[int, int]] = Counter()
    for one in found.annotations:
        taken[one.image_id, one.id] += 1
        copy = taken[one.image_id, one.id]
        box = _box(one, images.get(one.image_id), folders, copy)
        if isinstance(box, Box):
            boxes.setdefault(one.image_id, []).append(box)
        else:
            skipped[box] += 1
    return [Photo(images[number], inside) for number, inside in boxes.items()]


def _box(
    one: coco.Annotation, image: coco.Image | None, folders: dict[int, str | None], copy: int
) -> Box | str:
    """What to cut, or why not, as far as the annotations tell.

    Args:
        copy: 1, or more where annotations of the photo have the same number.
    """
    if one.iscrowd:
        return "crowd"
    if image is None:
        return "unknown image"
    if one.category_id not in folders:
        return "unknown category"
    folder = folders[one.category_id]
    if folder is None:
        return "category not in the map"
    corners = _corners(one.bbox)
    if corners is None:
        return "box without four numbers"
    left, top, right, bottom = corners
    if right <= left or bottom <= top:
        return "box without area"
    if not all(0 < edge < math.inf for edge in (image.width, image.height)):
        return "image without a size"
    if left >= image.width or top >= image.height or right <= 0 or bottom <= 0:
        return "box outside the image"
    return Box(corners, folder, f"{one.image_id}_{one.id}" + (f"_{copy}" if copy > 1 else ""))


def _corners(bbox: list[float | None] | None) -> Corners | None:
    """The corners of a box; None where it is not four finite numbers."""
    numbers = [value for value in bbox or () if value is not None and math.isfinite(value)]
    if bbox is None or len(bbox) != 4 or len(numbers) != 4:
        return None
    left, top, width, height = numbers
    return left, top, left + width, top + height


def _all_cut(cutter: Cutter, photos: list[Photo], pool: Executor) -> Iterator[tuple[Photo, Cut]]:
    """Cut; photos of which the size does not tell whether they are turned go with the majority."""
    votes = 0
    waiting: list[Photo] = []
    for photo, cut in zip(photos, pool.map(cutter.cut, photos), strict=True):
        if cut is None:
            waiting.append(photo)
        else:
            votes += cut.vote
            yield photo, cut
    decided = functools.partial(cutter.cut, is_turned=votes > 0)
    for photo, cut in zip(waiting, pool.map(decided, waiting), strict=True):
        assert cut is not None
        yield photo, cut


@contextlib.contextmanager
def _workers() -> Iterator[Executor]:
    """A thread a core; after an error they end with the photo that they have."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A hidden folder in `out`; what is in it when the block ends moves up, after an error nothing.

    Raises:
        UserError: `out` is not empty, or cannot be written.
    """
    is_new = not out.exists()
    is_ours = False
    staging = out / STAGING
    try:
        out.mkdir(exist_ok=True)
        if any(out.iterdir()):
            raise UserError(f"{out} already holds files: name a new or an empty folder")
        staging.mkdir()
        is_ours = True
        yield staging
        for folder in sorted(staging.iterdir()):
            folder.rename(out / folder.name)
    except OSError as error:
        raise UserError(f"cannot write {out}: {explain(error)}") from error
    finally:
        if is_ours:
            shutil.rmtree(staging, ignore_errors=True)
        if is_new:
            with contextlib.suppress(OSError):
                out.rmdir()  # stays where there is something in it
