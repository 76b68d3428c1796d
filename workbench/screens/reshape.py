"""The dialog for widths, groups, kernels and ranks: legal values only, each with its cost."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from sessions import offers
from sessions.edits import CRITERIA, DATA_CRITERIA, Edit
from sessions.events import RanksDescribed
from sessions.offers import Offer, Preview
from sessions.state import SessionState
from widgets import numbers
from workbench.screens.dialogs import DIALOG_CSS

WIDTHS = (8, 11, 11, 9, 9, 8)
TITLES = ("value", "MACs", "change", "score*", "worth F1", "kept")


class ReshapeScreen(ModalScreen[Edit | None]):
    """Left and right choose what to change, up and down its value, enter makes the edit."""

    CSS = (
        DIALOG_CSS.format(name="ReshapeScreen", width=70)
        + "ReshapeScreen OptionList { border: none; padding: 0; height: auto; max-height: 14; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,w", "dismiss", "Cancel"),
        Binding("right,l,tab", "turn(1)", "Next"),
        Binding("left,h,shift+tab", "turn(-1)", "Previous"),
        Binding("c", "criterion", "Criterion"),
    ]

    class RanksAsked(Message):
        """What the ranks of a layer keep has to come from the engine."""

        def __init__(self, layer: str) -> None:
            self.layer = layer
            super().__init__()

    def __init__(self, state: SessionState, path: str) -> None:
        super().__init__()
        assert state.variant is not None
        self._variant, self._rule, self._path = state.variant, state.rule, path
        self._offers = offers.offers(state.variant.network, path)
        self._at = 0
        self._shown: Offer | None = None
        self._criteria = [n for n in CRITERIA if state.data or n not in DATA_CRITERIA]
        self._criterion = self._criteria[0]
        self._previews: tuple[Preview, ...] = ()
        self._ranks: RanksDescribed | None = None

    def compose(self) -> ComposeResult:
        """What, values, how to."""
        with Vertical(classes="dialog"):
            yield Label(Text(self._path, style="bold"))
            yield Static(id="what")
            yield Static(id="titles")
            yield OptionList(id="values")
            yield Static(id="notes")

    def on_mount(self) -> None:
        """Show the first choice."""
        self._fill()

    def take_ranks(self, described: RanksDescribed) -> None:
        """What every rank keeps is known."""
        if described.layer == self._offer.target and described.variant == self._variant.number:
            self._ranks = described
            self._fill()

    def action_turn(self, step: int) -> None:
        """Another thing to change."""
        self._at = (self._at + step) % len(self._offers)
        self._fill()

    def action_criterion(self) -> None:
        """Another way to choose the channels that stay."""
        at = self._criteria.index(self._criterion)
        self._criterion = self._criteria[(at + 1) % len(self._criteria)]
        self._fill()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Make the edit."""
        self.dismiss(self._previews[event.option_index].edit)

    @property
    def _offer(self) -> Offer:
        return self._offers[self._at]

    def _fill(self) -> None:
        values = self.query_one(OptionList)
        before = values.highlighted if values.option_count else None
        is_same = self._shown == self._offer
        previews = offers.previews(self._variant, self._offer, self._rule, self._criterion)
        is_rising = self._offer.name in ("widen", "groups")
        self._previews = previews if is_rising else tuple(reversed(previews))
        values.clear_options()
        values.add_options(Option(Text(line)) for line in value_lines(self._previews, self._kept()))
        self._shown = self._offer
        start = next((i for i, p in enumerate(self._previews) if p.edit is None), 0)
        values.highlighted = before if is_same else start
        values.focus()
        titles = TITLES if self._offer.name == "rank" else (*TITLES[:-1], "")
        self.query_one("#what", Static).update(_choice(self._offers, self._at))
        self.query_one("#titles", Static).update(Text(_row(titles), style="dim"))
        self.query_one("#notes", Static).update(Text(self._notes(), style="dim"))
        if self._offer.name == "rank" and self._kept() is None:
            self.post_message(self.RanksAsked(self._offer.target))

    def _kept(self) -> tuple[float, ...] | None:
        """Weights that every rank keeps, in the order of the previews."""
        if self._offer.name != "rank" or self._ranks is None:
            return None
        if self._ranks.layer != self._offer.target or len(self._ranks.auto) > 1:
            return None
        return tuple(reversed(self._ranks.kept))

    def _notes(self) -> str:
        lines = []
        if self._offer.name in ("width", "mid", "groups"):
            needs = self._criterion in DATA_CRITERIA and not self._variant.scores
            first = "; measured on images first" if needs else ""
            lines.append(f"stays by {self._criterion}{first} (c: another criterion)")
        if self._offer.name == "rank" and self._ranks is not None:
            auto = "x".join(map(str, self._ranks.auto))
            lines.append(f"kept: share of the squared weights; by variational Bayes: rank {auto}")
        if self._offer.name == "widen":
            lines.append("new channels lead nowhere yet: the function stays")
        lines.append("* if F1 stays; worth F1: what it may cost until the saving is used up")
        lines.append("enter edits, ←→ other changes, escape cancels")
        return "\n".join(lines)


def value_lines(previews: tuple[Preview, ...], kept: tuple[float, ...] | None = None) -> list[str]:
    """A line for every value."""
    lines = []
    for position, preview in enumerate(previews):
        is_now = preview.edit is None
        lines.append(
            _row(
                (
                    preview.value,
                    f"{preview.macs:,}",
                    "now" if is_now else numbers.signed(preview.change, ",d"),
                    "—" if preview.score is None else numbers.plain(preview.score, ".4f"),
                    "" if preview.change >= 0 else numbers.ratio(preview.worth, 4),
                    "" if kept is None else f"{kept[position]:.1%}",
                )
            )
        )
    return lines


def _row(cells: tuple[str, ...]) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def _choice(found: tuple[Offer, ...], at: int) -> Text:
    text = Text()
    for position, offer in enumerate(found):
        style = "reverse bold" if position == at else "dim"
        text.append(f" {offer.title} ", style=style)
        text.append(" ")
    return text
