"""One line: what runs, how far it is, how long it takes; or what there is to do."""

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers

LEAST_SEARCH = 27
"""Cells for what searches, where it has so much to say."""
SPEED_FROM = 80
"""Cells of the rest from which on it has room for the speed as well."""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """What the line shows. Without a running job only the message."""

    name: str = ""
    detail: str = ""
    share: float = 0.0
    images_per_s: float = 0.0
    left_s: float | None = None
    queue: str = ""
    message: str = ""
    is_warning: bool = False
    warning: str = ""
    """What is wrong while the job runs, before its name; empty where nothing is."""
    search: str = ""
    """What searches beside the job, in few words; empty where nothing does."""


class JobLine(Widget):
    """The running job with a bar, or a message. A click puts the job aside, or goes on with it."""

    DEFAULT_CSS = """
    JobLine { height: 1; padding: 0 1; background: $boost; }
    """

    view: reactive[JobView] = reactive(JobView(message="starting …"))

    class Clicked(Message):
        """The user clicked on the line."""

    def on_click(self) -> None:
        """Tell it."""
        self.post_message(self.Clicked())

    def render(self) -> Text:
        """The line."""
        return job_text(self.view, self.size.width)


def job_text(view: JobView, width: int) -> Text:
    """The line for a given width; a search stands at its end, and takes a third at most.

    A warning stands at the start, and takes half at most.
    """
    if view.warning and view.name:
        words = numbers.shortened(view.warning, width // 2)
        job = job_text(msgspec.structs.replace(view, warning=""), width - cell_len(words) - 3)
        return Text.assemble((words, "bold red"), " · ", job, no_wrap=True)
    if view.search:
        words = numbers.shortened(f" · {view.search}", max(width // 3, LEAST_SEARCH))
        left = width - cell_len(words)
        speed = view.images_per_s if left >= SPEED_FROM else 0.0
        text = job_text(msgspec.structs.replace(view, search="", images_per_s=speed), left)
        if (gap := left - text.cell_len) > 0:  # which tells them apart as well as a dot
            words = " " * (gap + 3) + words.removeprefix(" · ")
        return text.append(words, style="not bold cyan")
    if not view.name:
        return Text(
            numbers.shortened(view.message, width), style="bold red" if view.is_warning else "dim"
        )
    bar_width = 20 if width >= 100 else 8
    filled = numbers.bar(view.share, bar_width).rstrip()
    rest = [f" {view.share:.0%}"]
    if view.images_per_s:
        rest.append(f"  {view.images_per_s:,.0f} images/s")
    if view.left_s is not None:
        rest.append(f"  {numbers.duration(view.left_s)} left")
    if view.queue:
        rest.append(f"  then {view.queue}")
    name = numbers.shortened(f"▶ {view.name} ", width)
    room = width - cell_len(name) - bar_width - len(rest[0]) - 2
    detail = numbers.shortened(view.detail, max(room, 0))
    text = Text.assemble((name, "bold"), f"{detail}  ", (filled, "green"), no_wrap=True)
    text.append("─" * (bar_width - len(filled)), style="dim")
    for part in rest:  # the last ones give way first, figures as a whole
        left = max(width - text.cell_len, 0)
        if cell_len(part) <= left or part.startswith("  then"):
            text.append(numbers.shortened(part, left))
    text.truncate(width)
    return text
