"""The dialog for widths, groups, kernels and ranks: legal values in a strip, each with its cost.

It holds the variant that it was opened on, and edits nothing: what it answers is the edit to make.
What the values would keep comes from the engine, nearest to the chosen one first.
"""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Static

from sessions import offers
from sessions.edits import CRITERIA, DATA_CRITERIA, Edit
from sessions.events import CutDescribed, RanksDescribed
from sessions.offers import Offer, Preview
from sessions.state import SessionState
from widgets.binding import Binding
from widgets.channel_map import ChannelMap
from widgets.choice_line import ChoiceLine
from widgets.value_strip import ValueStrip
from workbench.screens import cuts
from workbench.screens.dialog import Dialog

ASKED_AT_ONCE = 12
"""Values whose kept importance is asked for together."""
STRIP_S = 0.1
"""Between two drawings of the strip while answers come."""
PAGE = 10
LONGEST = 6
"""Digits of a typed value."""


class ReshapeScreen(Dialog[Edit | None]):
    """Arrows and digits choose a value, tab what to change, enter makes the edit."""

    AUTO_FOCUS = ""  # no button: keys choose values
    STYLE = """
    ReshapeScreen > .dialog { width: 92; }
        ReshapeScreen {
            & > .dialog { padding: 0 1; max-height: 100%; }
            & #row { text-style: bold; }
            & ValueStrip { margin-top: 1; }
            & #figures, & #losses { height: 2; }
            & #figures { margin-top: 1; }
            & #typed { height: 1; }
            & ChannelMap { height: 5; }
            &.-tall .dialog { padding: 1 2; }
            &.-tall ChannelMap { height: 9; margin-top: 1; }
            &.-tall #typed { margin-top: 1; }
            & .buttons { margin-top: 0; }
            & #make:disabled { background: $surface; color: $text-muted; text-style: none; }
        }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,w", "dismiss", "Cancel", tooltip="Close without an edit", id="no_edit"),
        Binding("enter", "make", "Edit", tooltip="Make the edit", id="make_edit"),
        Binding("right,up,l,k", "move(1)", "Larger", tooltip="The next larger value"),
        Binding("left,down,h,j", "move(-1)", "Smaller", tooltip="The next smaller value"),
        Binding("pageup", f"move({PAGE})", "Much larger", tooltip="Ten values on"),
        Binding("pagedown", f"move(-{PAGE})", "Much smaller", tooltip="Ten values back"),
        Binding("home", "end(0)", "Smallest", tooltip="The smallest value"),
        Binding("end", "end(-1)", "Largest", tooltip="The largest value"),
        Binding("tab", "turn(1)", "Next", tooltip="Something else to change at this row"),
        Binding("shift+tab", "turn(-1)", "Previous", tooltip="What was before that"),
        Binding("c", "criterion", "Criterion", tooltip="Another way to choose what stays"),
        Binding("backspace", "rub_out", "Rub out", tooltip="Take back the last typed digit"),
    ]

    class RanksAsked(Message):
        """What the ranks of a layer keep has to come from the engine."""

        def __init__(self, layer: str) -> None:
            self.layer = layer
            super().__init__()

    class CutsAsked(Message):
        """What these edits of a variant would keep has to come from the engine."""

        def __init__(self, variant: int, edits: tuple[Edit, ...]) -> None:
            self.variant, self.edits = variant, edits
            super().__init__()

    def __init__(self, state: SessionState, path: str) -> None:
        super().__init__()
        assert state.variant is not None
        self._variant, self._rule, self._path = state.variant, state.rule, path
        self._offers = offers.offers(state.variant.network, path)
        self._at = 0
        self._criteria = [n for n in CRITERIA if state.data or n not in DATA_CRITERIA]
        self._criterion = self._criteria[0]
        self._previews: tuple[Preview, ...] = ()
        self._value = 0
        """Index of the chosen value."""
        self._typed = ""
        self._described: dict[Edit, CutDescribed] = {}
        self._ranks: RanksDescribed | None = None
        self._written: dict[str, Text] = {}
        self._is_strip_due = False
        self._waiting: tuple[Edit, ...] = ()
        """What the engine was asked last and has not answered, in order."""

    def compose(self) -> ComposeResult:
        """What, values, what they come to."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Reshape"
            dialog.border_subtitle = "escape closes"
            yield Static(self._path, id="row", markup=False)
            yield ChoiceLine()
            yield ValueStrip()
            yield Static(id="figures")
            yield Static(id="losses")
            yield ChannelMap()
            yield Static(id="typed")
            with Horizontal(classes="buttons"):
                yield Button(
                    "Edit (enter)", action="screen.make", compact=True, id="make", variant="primary"
                )
                yield Button("Criterion (c)", action="screen.criterion", compact=True, id="by")
                yield Button("Cancel (escape)", action="screen.dismiss", compact=True, id="cancel")

    def on_mount(self) -> None:
        """Show the first choice."""
        for button in self.query(Button):
            button.can_focus = False
        self.query_one(ChoiceLine).titles = tuple(offer.title for offer in self._offers)
        self._turn(0)

    def on_resize(self, event: events.Resize) -> None:
        """More of the channels where there is room."""
        self.set_class(event.size.height >= 34, "-tall")
        if self._previews:
            self.call_after_refresh(self._show)

    def on_screen_resume(self) -> None:
        """Ask again for what was answered while another screen lay over this one."""
        if self._previews:
            self._waiting = ()
            self._ask()

    def take_ranks(self, described: RanksDescribed) -> None:
        """What every rank keeps is known."""
        if described.layer == self._offer.target and described.variant == self._variant.number:
            self._ranks = described
            self._show()

    def take_cut(self, described: CutDescribed) -> None:
        """What a value would keep is known."""
        if described.variant != self._variant.number:
            return
        self._described[described.edit] = described
        self._waiting = tuple(edit for edit in self._waiting if edit != described.edit)
        if self._chosen.edit == described.edit:
            self._show_strip()
            self._show_chosen()
        elif not self._is_strip_due:  # many come at once: keys come first
            self._is_strip_due = True
            self.set_timer(STRIP_S, self._show_strip)
        if not self._waiting:
            self._ask()

    def action_turn(self, step: int) -> None:
        """Another thing to change."""
        self._turn((self._at + step) % len(self._offers))

    def action_criterion(self) -> None:
        """Another way to choose the channels that stay."""
        if not cuts.criterion_line(self._offer, self._criterion):
            return
        at = self._criteria.index(self._criterion)
        self._criterion = self._criteria[(at + 1) % len(self._criteria)]
        self._previews, self._waiting = self._worked_out(), ()
        self._show()

    def action_move(self, step: int) -> None:
        """To another value."""
        self._typed = ""
        self._choose(self._value + step)

    def action_end(self, index: int) -> None:
        """To the smallest or the largest."""
        self._typed = ""
        self._choose(index % len(self._previews))

    def action_rub_out(self) -> None:
        """Take back a digit."""
        self._typed = self._typed[:-1]
        self._choose_typed()

    def action_make(self) -> None:
        """Answer with the edit."""
        self.dismiss(self._chosen.edit)

    def on_key(self, event: events.Key) -> None:
        """A digit is part of a value."""
        if event.character is not None and event.character in "0123456789":
            event.stop()
            self._typed = (self._typed + event.character).lstrip("0")[:LONGEST]
            self._choose_typed()

    def on_value_strip_pointed(self, message: ValueStrip.Pointed) -> None:
        """The mouse chose a value."""
        self._typed = ""
        self._choose(message.index)

    def on_choice_line_chosen(self, message: ChoiceLine.Chosen) -> None:
        """The mouse chose what to change."""
        self._turn(message.index)

    @property
    def _offer(self) -> Offer:
        return self._offers[self._at]

    @property
    def _chosen(self) -> Preview:
        return self._previews[self._value]

    def _worked_out(self) -> tuple[Preview, ...]:
        return offers.previews(self._variant, self._offer, self._rule, self._criterion)

    def _turn(self, at: int) -> None:
        self._at, self._typed, self._waiting = at, "", ()
        self._previews = self._worked_out()
        present = [i for i, preview in enumerate(self._previews) if preview.is_present]
        self._value = present[-1] if present else len(self._previews) - 1
        self.query_one(ChoiceLine).at = at
        is_by = bool(cuts.criterion_line(self._offer, self._criterion))
        self.query_one("#by").display = is_by
        self._show()
        is_known = self._ranks is not None and self._ranks.layer == self._offer.target
        if self._offer.name == "rank" and not is_known:
            self.post_message(self.RanksAsked(self._offer.target))

    def _choose(self, index: int) -> None:
        self._value = min(max(index, 0), len(self._previews) - 1)
        self._show()

    def _choose_typed(self) -> None:
        """The value that was typed; the nearest legal one where it is not legal."""
        if self._typed:
            wanted = int(self._typed)
            numbers = [preview.number for preview in self._previews]
            self._value = min(range(len(numbers)), key=lambda i: abs(numbers[i] - wanted))
        self._show()

    def _show(self) -> None:
        self._show_strip()
        self._show_chosen()
        self._ask()

    def _show_strip(self) -> None:
        self._is_strip_due = False
        strip = self.query_one(ValueStrip)
        strip.view = cuts.strip_view(self._previews, self._value, self._described, self._ranks)

    def _show_chosen(self) -> None:
        chosen, width = self._chosen, self.query_one("#losses").size.width
        self._write("#figures", cuts.figures(self._variant, self._offer, chosen))
        self._write("#losses", cuts.losses(chosen, self._described, self._ranks, width))
        self._write("#typed", self._notes())
        self.query_one("#make", Button).disabled = chosen.edit is None
        network = self._variant.network
        self.query_one(ChannelMap).view = cuts.map_view(network, chosen, self._described)

    def _write(self, name: str, text: Text) -> None:
        """Words in their place, painted only where they are other words than before."""
        if self._written.get(name) != text:
            self._written[name] = text
            self.query_one(name, Static).update(text, layout=False)

    def _notes(self) -> Text:
        """What was typed, or how to choose."""
        if self._typed:
            text = Text(f"typed {self._typed}", style="bold")
            if int(self._typed) != self._chosen.number:
                text.append(f": not legal, the nearest is {self._chosen.value}", style="yellow")
            return text
        return cuts.how_line(self._offer, self._criterion, self.query_one("#typed").size.width)

    def _ask(self) -> None:
        """Ask for what is not known yet, unless the engine is at it already."""
        chosen = self._chosen.edit
        is_known = not cuts.is_asked(chosen) or chosen in self._described
        if self._waiting and (is_known or chosen in self._waiting[:1]):
            return
        by_distance = sorted(range(len(self._previews)), key=lambda i: abs(i - self._value))
        wanted = [self._previews[index].edit for index in by_distance]
        missing = tuple(
            edit
            for edit in wanted
            if edit is not None and cuts.is_asked(edit) and edit not in self._described
        )[:ASKED_AT_ONCE]
        if missing:
            self._waiting = missing
            self.post_message(self.CutsAsked(self._variant.number, missing))
