"""MACs, F1 and score, each with its change from the opened model and from the last step."""

import msgspec
from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from widgets import numbers


class Figures(msgspec.Struct, frozen=True):
    """What is known of one variant; None where it is not."""

    macs: int | None
    f1: float | None
    score: float | None


UNKNOWN = Figures(None, None, None)


class ScoreView(msgspec.Struct, frozen=True, kw_only=True):
    """What the panel shows."""

    now: Figures
    """With MACs."""
    opened: Figures | None
    """None on the opened model itself."""
    before: Figures | None
    """The step before; None where there is none."""
    rule: str
    f1_note: str
    """Where F1 comes from, or why it is not known."""
    is_live: bool = False
    """Whether F1 and score are those of weights in training."""


class ScorePanel(Widget):
    """A line each; lower score is better, and changes are coloured by that."""

    DEFAULT_CSS = """
    ScorePanel { height: 4; padding: 0 1; background: $panel; }
    ScorePanel.-low { height: 3; }
    """

    view: reactive[ScoreView | None] = reactive(None)
    is_low: reactive[bool] = reactive(False)
    """Whether the line of titles is left out, and its words stand in the cells."""

    def watch_is_low(self, is_low: bool) -> None:
        """Give the line back."""
        self.set_class(is_low, "-low")

    def render(self) -> Table | Text:
        """The figures, or a word while there are none."""
        if self.view is None:
            return Text("opening the model …", style="dim")
        return score_table(self.view, is_low=self.is_low)


def score_table(view: ScoreView, *, is_low: bool) -> Table:
    """The panel as a table, with a line of titles or with their words in the cells."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=not is_low)
    since, step = ("opened ", "step ") if is_low else ("", "")
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("now", justify="right", no_wrap=True, min_width=10, header_style="dim")
    table.add_column("since opened", justify="right", no_wrap=True, header_style="dim")
    table.add_column("last step", justify="right", no_wrap=True, header_style="dim")
    table.add_column("", no_wrap=True, overflow="ellipsis", style="dim")
    now = view.now
    opened = view.opened or UNKNOWN
    before = view.before or UNKNOWN
    table.add_row(
        "MACs",
        f"{now.macs:,}",
        _change(since, now.macs, opened.macs, ",d", is_share=True),
        _change(step, now.macs, before.macs, ",d"),
        "",
    )
    live = "bold yellow" if view.is_live else "bold"
    table.add_row(
        "F1",
        Text("—" if now.f1 is None else f"{now.f1:.4f}", style=live),
        _change(since, now.f1, opened.f1, ".4f", is_higher_better=True),
        _change(step, now.f1, before.f1, ".4f", is_higher_better=True),
        view.f1_note,
    )
    table.add_row(
        "score",
        Text(
            "—" if now.score is None else f"{now.score:.4f}".replace("-", numbers.MINUS), style=live
        ),
        _change(since, now.score, opened.score, ".4f"),
        _change(step, now.score, before.score, ".4f"),
        f"rule {view.rule}, lower is better",
    )
    return table


def _change(
    title: str,
    now: float | None,
    then: float | None,
    form: str,
    *,
    is_higher_better: bool = False,
    is_share: bool = False,
) -> Text:
    if now is None or then is None:
        return Text("")
    change = now - then
    text = numbers.signed(change, form)
    if is_share and then:
        text += f" {numbers.signed(change / then * 100, '.0f')}%"
    color = "dim" if change == 0 else "green" if (change > 0) == is_higher_better else "red"
    return Text.assemble((title, "dim"), (text, color))
