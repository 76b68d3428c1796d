"""How large the photos of a data set are themselves, before they are resized for a network."""

import statistics
from pathlib import Path

from workbench.errors import UserError
from workbench.training.images.data import DIGITS
from workbench.training.images.image_header import Unreadable, read_header
from workbench.training.images.listing import list_folder

LOOKED_AT = 200
DIGITS_EDGE = 8


def own_edge(source: str) -> int:
    """The shorter edge of a data set's photos in pixels: the median of some, evenly chosen.

    Raises:
        UserError: there is no such data, or none of these photos can be read.
    """
    if source == DIGITS and not Path(source).exists():
        return DIGITS_EDGE
    items = list_folder(Path(source).expanduser()).items
    edges = []
    for item in items[:: max(len(items) // LOOKED_AT, 1)]:
        try:
            header = read_header(Path(item.path).read_bytes())
        except (OSError, Unreadable):  # opening the data counts them and says why
            continue
        edges.append(min(header.width, header.height))
    if not edges:
        raise UserError(f"no photo in {source} can be read: convert them to JPEG or PNG")
    return int(statistics.median(edges))
