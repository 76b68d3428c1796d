"""The track of a replay: jobs and searches as lines, epochs, F1s and edits as marks on them.

Marks that would overlap merge: an edit hides an evaluation, that an epoch; several edits in one
cell are counted.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec
from rich.text import Text

JOBS = {"fine-tune": "━", "recover": "═", "evaluate": "╌", "measure": "╌", "search": "≈"}
STYLES = {"fine-tune": "cyan", "recover": "green", "evaluate": "", "measure": "", "search": ""}
IDLE = "─"
EPOCH, EVALUATION, MANY, HERE, MARK = "┿", "◆", "*", "┃", "A"
LEGEND = (
    ("○ ● w b g", "edits: off, on, width, bottleneck, groups; k kernel, + widen, r rank, h head"),
    ("2 … 9 *", "that many edits there, or ten and more"),
    ("━ ═ ╌ ≈ ─", "fine-tune, recover, evaluate or measure; a search; nothing ran"),
    ("┿ ◆", "an epoch was over; F1 was measured"),
    ("┃ A", "the moment that is shown; the one to compare with"),
)
"""What the signs mean, for the help."""


class JobSpan(msgspec.Struct, frozen=True):
    """A run of a job or a search; shares of the whole, 0..1."""

    start: float
    end: float
    kind: str


class Track(msgspec.Struct, frozen=True):
    """What happened when, in shares of the whole, 0..1, in order."""

    jobs: tuple[JobSpan, ...] = ()
    epochs: tuple[float, ...] = ()
    evaluations: tuple[float, ...] = ()
    edits: tuple[tuple[float, str], ...] = ()
    """Each with its letter."""


Cells = tuple[tuple[str, str], ...]
"""A sign and its style, for each cell of a line."""


def job_cells(track: Track, width: int) -> Cells:
    """Jobs with their epochs; what trains hides what measures, and that a search beside it."""
    cells = [(IDLE, "dim")] * width
    for kind in ("search", "evaluate", "measure", "recover", "fine-tune"):
        for span in track.jobs:
            if span.kind == kind:
                first, last = cell_at(span.start, width), cell_at(span.end, width)
                cells[first : last + 1] = [(JOBS[kind], STYLES[kind])] * (last + 1 - first)
    ended = Counter(cell_at(share, width) for share in track.epochs)
    for at, count in ended.items():
        if count == 1:  # of more there is no room to tell them apart
            cells[at] = (EPOCH, STYLES["fine-tune"])
    return tuple(cells)


def mark_cells(track: Track, width: int) -> Cells:
    """Edits and evaluations; empty signs elsewhere."""
    cells = [("", "")] * width
    for share in track.evaluations:
        cells[cell_at(share, width)] = (EVALUATION, "magenta")
    letters: dict[int, list[str]] = {}
    for share, letter in track.edits:
        letters.setdefault(cell_at(share, width), []).append(letter)
    for at, found in letters.items():
        sign = found[0] if len(found) == 1 else str(len(found)) if len(found) < 10 else MANY
        cells[at] = (sign, "bold yellow")
    return tuple(cells)


def cell_at(share: float, width: int) -> int:
    """The cell of a share of the whole."""
    return min(max(round(share * (width - 1)), 0), width - 1)


def lines(
    jobs: Cells, marks: Cells, here: float, mark: float | None, *, is_low: bool
) -> tuple[Text, ...]:
    """The track with the position: in one line, or marks above and jobs below."""
    width = len(jobs)
    above = [cell if cell[0] else (" ", "") for cell in marks]
    below = list(jobs)
    if is_low:
        below = [mine if mine[0] else job for mine, job in zip(marks, jobs, strict=True)]
    flag = below if is_low else above
    if mark is not None:
        flag[cell_at(mark, width)] = (MARK, "bold reverse")
    at = cell_at(here, width)
    below[at] = (HERE, "bold reverse")
    if is_low:
        return (_text(below),)
    return _text(above), _text(below)


def _text(cells: Iterable[tuple[str, str]]) -> Text:
    text = Text(no_wrap=True)
    for sign, style in cells:
        text.append(sign, style)
    return text
