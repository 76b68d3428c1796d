"""MACs, F1 and score, each with its change from the opened model and from the last step."""

import msgspec
from rich.cells import cell_len
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
    f1_notes: tuple[str, ...]
    """Where F1 comes from, or why it is not known; ever shorter, the first that fits is shown."""
    interval: tuple[float, float] | None = None
    """Ends of the 95 % interval of F1; None where it was not measured."""
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

    def render(self) -> Text:
        """The figures, or a word while there are none."""
        if self.view is None:
            return Text("MACs, F1 and score: no model is open yet", style="dim")
        return score_text(self.view, self.size.width, is_low=self.is_low)


def score_text(view: ScoreView, width: int, *, is_low: bool) -> Text:
    """The panel as lines, under a line of titles or with their words in the cells."""
    now = view.now
    opened = view.opened or UNKNOWN
    before = view.before or UNKNOWN
    words = ("opened ", "step ") if is_low else ("", "")
    live = "bold yellow" if view.is_live else "bold"
    interval = "" if view.interval is None else "[{:.2f}, {:.2f}]".format(*view.interval)
    if view.opened is None and view.before is None:
        return _alone(view, width, interval, live, is_low=is_low)
    since = Text("" if view.opened is None else "since opened", "dim")
    step = Text("" if view.before is None else "last step", "dim")
    lines = [] if is_low else [_line(width, "", ("now", "dim"), since, step)]
    lines.append(
        _line(
            width,
            "MACs",
            (f"{now.macs:,}", "bold"),
            _change(words[0], now.macs, opened.macs, ",d", is_share=True),
            _change(words[1], now.macs, before.macs, ",d"),
        )
    )
    lines.append(
        _line(
            width,
            "F1",
            (_figure(now.f1), live),
            _change(words[0], now.f1, opened.f1, ".4f", is_higher_better=True),
            _change(words[1], now.f1, before.f1, ".4f", is_higher_better=True),
            _noted(view, interval),
            closes_up=is_low,
        )
    )
    lines.append(
        _line(
            width,
            "score",
            (_figure(now.score), live),
            _change(words[0], now.score, opened.score, ".4f"),
            _change(words[1], now.score, before.score, ".4f"),
            _ruled(view),
            closes_up=is_low,
        )
    )
    return Text("\n", no_wrap=True).join(lines)


def _alone(view: ScoreView, width: int, interval: str, live: str, *, is_low: bool) -> Text:
    """The same where there is nothing to compare with: the notes have the room."""
    now, lines = view.now, [] if is_low else [Text("now".rjust(16), style="dim")]
    for title, value, style, notes in (
        ("MACs", f"{now.macs:,}", "bold", ("",)),
        ("F1", _figure(now.f1), live, _noted(view, interval)),
        ("score", _figure(now.score), live, _ruled(view)),
    ):
        text = Text.assemble((title.ljust(6), "bold"), (value.rjust(10), style), "   ")
        text.append(_fitting(notes, width - text.cell_len), style="not bold dim")
        lines.append(text)
    return Text("\n", no_wrap=True).join(lines)


def _figure(value: float | None) -> str:
    return "—" if value is None else numbers.plain(value, ".4f")


def _noted(view: ScoreView, interval: str) -> tuple[str, ...]:
    """The notes with the interval before them, then without it."""
    if not interval:
        return view.f1_notes
    return (*(f"{interval} {note}" for note in view.f1_notes), *view.f1_notes)


def _ruled(view: ScoreView) -> tuple[str, ...]:
    return f"lower is better ({view.rule})", "lower is better"


def _fitting(notes: tuple[str, ...], room: int) -> str:
    """The first note that fits; the start of the last one where none does."""
    fitting = (note for note in notes if cell_len(note) <= room)
    return next(fitting, None) or numbers.shortened(notes[-1], room)


def _line(
    width: int,
    title: str,
    now: tuple[str, str],
    since: Text,
    step: Text,
    notes: tuple[str, ...] = ("",),
    *,
    closes_up: bool = False,
) -> Text:
    """One line; the note takes what is left of it.

    `closes_up`: where there is no change to show, the note has its room too.
    """
    text = Text(title.ljust(6), style="bold")
    figure = Text.assemble(now)
    cells = [(figure, 10), (since, 21), (step, 16)]
    if closes_up and not since and not step:
        cells = [(figure, 10), (Text(""), 1)]
    for cell, room in cells:
        text.append(" " * max(room - cell.cell_len, 1 if cell else 0))
        text.append_text(cell)
    rest = width - text.cell_len - 2
    text.append("  ")
    text.append(_fitting(notes, rest), style="not bold dim")
    text.truncate(width, overflow="ellipsis")
    return text


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
    return Text.assemble((title, "not bold dim"), (text, f"not bold {color}"))
