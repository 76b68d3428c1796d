"""What the zoo's commands show while they work: a fetch as a bar, a comparison by its results."""

from typing import Annotated

import typer

from sessions.events import Evaluation
from workbench.cli.desk import TerminalDesk

BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="Address of a mirror with the same folders; WORKBENCH_ZOO_URL names one for good."
    ),
]


class ZooDesk(TerminalDesk):
    """A terminal that tells of downloads too, and of a fine-tune only what comes out of it."""

    def reading(self, done: int, total: int) -> None:
        """Move the bar of images that are read."""
        self.advance("reading images", done, total)

    def fetched(self, done: int, total: int) -> None:
        """Move the bar of a download, in bytes; total is 0 where it is not known."""
        from workbench.training.images.cache_entries import shown_size

        of = f" of {shown_size(total)}" if total else ""
        self.advance("fetching", done, max(total, done, 1), f"{shown_size(done)}{of}")

    def evaluated(self, evaluation: Evaluation, epoch: float | None, rung: str = "") -> None:
        """Show the latest F1 beside the bar, where a table of all will follow."""
        self._detail = f"F1 {evaluation.f1:.4f}"
