"""One line: what runs, how far it is, how long it takes; or what there is to do."""

import msgspec
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers


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


class JobLine(Widget):
    """The running job with a bar, or a message."""

    DEFAULT_CSS = """
    JobLine { height: 1; padding: 0 1; background: $boost; }
    """

    view: reactive[JobView] = reactive(JobView(message="starting …"))

    def render(self) -> Text:
        """The line."""
        return job_text(self.view, self.size.width)


def job_text(view: JobView, width: int) -> Text:
    """The line for a given width."""
    if not view.name:
        return Text(
            numbers.shortened(view.message, width), style="bold red" if view.is_warning else "dim"
        )
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"▶ {view.name} ", style="bold")
    text.append(f"{view.detail}  ")
    bar_width = 20 if width >= 100 else 8
    filled = numbers.bar(view.share, bar_width).rstrip()
    text.append(filled, style="green")
    text.append("─" * (bar_width - len(filled)), style="dim")
    text.append(f" {view.share:.0%}")
    if view.images_per_s:
        text.append(f"  {view.images_per_s:,.0f} images/s")
    if view.left_s is not None:
        text.append(f"  {numbers.duration(view.left_s)} left")
    if view.queue:
        text.append(f"  then {view.queue}", style="dim")
    return text
