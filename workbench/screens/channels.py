"""The channels behind a row of the tree: importance, activation, and what a cut would take."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Static

from sessions import offers, targets
from sessions.edits import CRITERIA, DATA_CRITERIA, Edit
from sessions.events import ActivationsMeasured, ChannelsDescribed
from sessions.state import SessionState
from widgets import numbers
from widgets.binding import Binding
from widgets.channel_bars import ChannelBars, ChannelsView, heading
from workbench.screens import names, panel_views
from workbench.screens.panel import PanelScreen
from workbench.screens.panel_views import ChannelTarget

IMAGES = 128
"""Training images whose activations are looked at."""


class ChannelsScreen(PanelScreen[None]):
    """One axis at a time; tab goes on to the next."""

    STYLE = """
    ChannelsScreen {
        & ChannelBars { height: 1fr; }
        & #what, & #cut, & #heading { height: 1; }
        & #heading { color: $text-muted; background: $panel; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "close_panel", "Close", show=False, tooltip="Close the channels"),
        Binding("tab", "next(1)", "Next axis", tooltip="The next channels behind this row"),
        Binding("shift+tab", "next(-1)", "Axis before", show=False, tooltip="Those before"),
        Binding("o", "order", "Order", tooltip="Least important first, or in their order"),
        Binding("c", "criterion", "Criterion", tooltip="Importance by the next criterion"),
        Binding("m", "measure", "Measure", tooltip="Measure channels on images, as a job"),
    ]

    class ChannelsAsked(Message):
        """The engine is to describe an axis."""

        def __init__(self, axis: str, criterion: str, scores: str, edit: Edit | None) -> None:
            self.axis, self.criterion, self.scores, self.edit = axis, criterion, scores, edit
            super().__init__()

    class ActivationsAsked(Message):
        """The trainer is to look at images."""

        def __init__(self, images: int) -> None:
            self.images = images
            super().__init__()

    class MeasureAsked(Message):
        """Channel scores are to be measured by a job."""

    def __init__(self, state: SessionState, path: str, *, is_live: bool) -> None:
        super().__init__(state, is_live=is_live)
        self._path = path
        self._at = 0
        self._criterion = CRITERIA[0]
        self._is_sorted = True
        self._asked: tuple[object, ...] = ()
        """What the engine was asked last."""
        self._asked_of: int | None = None
        """The variant whose activations were asked for."""
        self._described: ChannelsDescribed | None = None
        self._measured: ActivationsMeasured | None = None

    def compose_body(self) -> ComposeResult:
        """What it is, what the next cut would take, the bars."""
        yield Static("", id="what")
        yield Static("", id="cut")
        yield Static("", id="heading")
        yield ChannelBars()

    def on_mount(self) -> None:
        """The bars have the keys."""
        super().on_mount()
        self.query_one(ChannelBars).focus()

    def on_resize(self) -> None:
        """Bars are as wide as there is room."""
        self._draw()

    @property
    def _targets(self) -> tuple[ChannelTarget, ...]:
        variant = self.state.variant
        return () if variant is None else panel_views.channel_targets(variant.network, self._path)

    def show_state(self, state: SessionState) -> None:
        """Ask anew where another variant, or another score, has come."""
        before, self.state = self.state, state
        if before is not state and (before.variant, before.data) == (state.variant, state.data):
            return
        variant, found = state.variant, self._targets
        self._at = min(self._at, max(len(found) - 1, 0))
        if variant is not None and found and not variant.is_pending:
            target = found[self._at]
            scores = variant.scores if self._criterion in DATA_CRITERIA else ""
            asked = (variant.number, target, self._criterion, scores)
            if asked != self._asked and (scores or self._criterion not in DATA_CRITERIA):
                self._asked, self._described = asked, None
                edit = panel_views.next_cut(target, self._criterion, scores)
                self.post_message(self.ChannelsAsked(target.axis, self._criterion, scores, edit))
            if variant.number != self._asked_of and state.data is not None:
                self._asked_of, self._measured = variant.number, None
                self.post_message(self.ActivationsAsked(IMAGES))
        self._draw()

    def take_channels(self, described: ChannelsDescribed) -> None:
        """Show what the engine made of them, if it still is what is shown."""
        found = self._targets
        variant = self.state.variant
        if variant is None or not found:
            return
        wanted = (variant.number, found[self._at].axis, self._criterion)
        if (described.variant, described.axis, described.criterion) == wanted:
            self._described = described
            self._draw()

    def take_activations(self, measured: ActivationsMeasured) -> None:
        """Show what the trainer saw."""
        if measured.variant == self._asked_of:
            self._measured = measured
            self._draw()

    def action_next(self, step: int) -> None:
        """To other channels."""
        if found := self._targets:
            self._at = (self._at + step) % len(found)
            self.query_one(ChannelBars).cursor = 0
            self.show_state(self.state)

    def action_order(self) -> None:
        """Sorted, or as they lie."""
        self._is_sorted = not self._is_sorted
        self._draw()

    def action_criterion(self) -> None:
        """By another criterion."""
        at = CRITERIA.index(self._criterion) + 1
        self._criterion = CRITERIA[at % len(CRITERIA)]
        self._described = None
        self._asked = ()
        self.show_state(self.state)

    def action_measure(self) -> None:
        """Let a job measure them."""
        if not self.is_live:
            self.notify("a recording stays as it is")
        else:
            self.post_message(self.MeasureAsked())

    def _draw(self) -> None:
        found = self._targets
        order = "in their order" if self._is_sorted else "least important first"
        self.head(f"Channels of {self._path}", f"tab next, o {order}, c criterion, escape closes")
        bars = self.query_one(ChannelBars)
        width = self.app.size.width - 5
        self.call_after_refresh(self._show_heading)
        if not found:
            word = f"{self._path} has no channels of its own that could be cut"
            bars.view = ChannelsView((), word)
            return
        target = found[self._at]
        stds = panel_views.stds_of(self._measured, target.axis)
        shown = self._described
        bars.view = panel_views.channels_view(
            target.width, shown, stds, is_sorted=self._is_sorted and shown is not None
        )
        which = f"{self._at + 1} of {len(found)}: " if len(found) > 1 else ""
        activation = self._activation_words(target)
        for axis in self._axis_words(target):
            what = f"{which}{axis} · {activation}"
            if len(what) <= width:
                break
        self.query_one("#what", Static).update(Text(numbers.shortened(what, width)))
        cut, style = self._cut_words(target)
        self.query_one("#cut", Static).update(Text(numbers.shortened(cut, width), style=style))

    def _show_heading(self) -> None:
        """Above the bars, which are as wide as a scrollbar beside them leaves."""
        bars = self.query_one(ChannelBars)
        width = self.app.size.width - 4 - (bars.count > bars.size.height)
        self.query_one("#heading", Static).update(heading(width))

    def _axis_words(self, target: ChannelTarget) -> tuple[str, ...]:
        """Whose channels and how many, in ever fewer words; a stage's others are not its own."""
        variant = self.state.variant
        if variant is not None and target.edit == "width":
            stages = [stage.path for stage in variant.network.stages]
            others = targets.inherited(variant.network, target.target)
            if others:
                stage, before = target.target, stages[stages.index(target.target) - 1]
                return (
                    f"{stage} adds {target.width} channels to the {others} of {before}",
                    f"{stage} adds {target.width} to {others} of {before}",
                )
        return (f"{target.title}: {target.width}",)

    def _cut_words(self, target: ChannelTarget) -> tuple[str, str]:
        """What a cut by the criterion would take, or why that is not known."""
        variant = self.state.variant
        by = f"by {offers.criterion_title(self._criterion)}"
        if variant is not None and self._criterion in DATA_CRITERIA and not variant.scores:
            how = "m measures" if self.is_live else "not measured in this recording"
            return f"{by}: not measured on images yet; {how}", "yellow"
        if self._described is None:
            return f"{by}: working it out …", "dim"
        if self._described.reason:
            return self._described.reason, "red"
        cut = panel_views.next_cut(target, self._criterion, "")
        if cut is None:
            return f"{by}: there is no smaller legal width", ""
        found = self._described
        taken = len(found.taken)
        least = sorted(range(target.width), key=lambda at: found.importance[at])[:taken]
        why = "" if {*least} == {*found.taken} else "; groups have a say"
        words = names.edit_words(cut)
        return f"{by}: {words} takes {taken} of {target.width}, marked cut{why}", ""

    def _activation_words(self, target: ChannelTarget) -> str:
        if self.state.data is None:
            return "activations need data, and none is open"
        if self._measured is None:
            return f"looking at {IMAGES} training images …"
        if self._measured.reason:
            return f"no activations: {self._measured.reason}"
        if target.axis not in self._measured.stds:
            return "no activations: the unit is off"
        return f"activations of {self._measured.images} training images"
