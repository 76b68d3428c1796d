"""What the reshape dialog says of a value: its figures, what it would keep, what would be lost."""

from collections.abc import Mapping

from rich.text import Text

from sessions import offers
from sessions.edits import DATA_CRITERIA, Cut, Edit, Kernel, Mid, Rank, Widen, Width
from sessions.events import CUT, MOVED, CutDescribed, RanksDescribed
from sessions.network import Network
from sessions.offers import Offer, Preview
from sessions.state import Variant
from widgets import numbers
from widgets.channel_map import AxisMap, MapView
from widgets.value_strip import StripValue, StripView

UNKNOWN = "…"
HOW = ("arrows or digits: value · tab: other changes", "digits: value · tab: others")
"""How to choose, in ever fewer words."""
Described = Mapping[Edit, CutDescribed]


def is_asked(edit: Edit | None) -> bool:
    """Whether the engine can tell what an edit would keep."""
    match edit:
        case None | Widen():
            return False
        case Rank(ranks=ranks):
            return len(ranks) > 1  # of one rank all are told at once
        case Cut(criterion=criterion, scores=scores):
            return criterion not in DATA_CRITERIA or bool(scores)
    return True


def kept(preview: Preview, described: Described, ranks: RanksDescribed | None) -> float | None:
    """The share that a value would keep, 0..1; None while that is not known."""
    edit = preview.edit
    if edit is None or isinstance(edit, Widen):
        return 1.0
    if isinstance(edit, Rank) and len(edit.ranks) == 1:
        known = ranks is not None and ranks.layer == edit.layer
        return ranks.kept[edit.ranks[0] - 1] if known and ranks is not None else None
    found = described.get(edit)
    return None if found is None or found.reason else 1.0 if found.exact else found.kept


def strip_view(
    previews: tuple[Preview, ...], at: int, described: Described, ranks: RanksDescribed | None
) -> StripView:
    """The values with what each keeps."""
    values = []
    for preview in previews:
        share = kept(preview, described, ranks)
        found = described.get(preview.edit) if preview.edit is not None else None
        words = UNKNOWN if share is None else whole_percent(share)
        if found is not None and found.reason:
            words = "no"
        elif share is None and preview.edit is not None and needs_measuring(preview.edit):
            words = "?"
        values.append(StripValue(preview.value, preview.macs, words, preview.is_present))
    return StripView(tuple(values), at)


def whole_percent(share: float) -> str:
    """A share in whole percent; 100 only where nothing is lost."""
    return "100" if share >= 1 else str(min(int(share * 100), 99))


def needs_measuring(edit: Edit) -> bool:
    """Whether channels have to be measured on images before the edit."""
    return isinstance(edit, Cut) and edit.criterion in DATA_CRITERIA and not edit.scores


def figures(variant: Variant, offer: Offer, preview: Preview) -> Text:
    """Value, MACs and score, each beside what it is now."""
    text = Text()
    now = f"mixed now: {', '.join(map(str, offer.present))}" if offer.is_mixed else ""
    if not offer.is_mixed:
        now = "the present value" if preview.edit is None else f"now {offer.now}"
    if offer.name == "rank":
        now = "not decomposed now"
    text.append(f"{offer.title} {preview.value}", style="bold")
    text.append(f"  {now}   ", style="dim")
    text.append(f"{preview.macs:,} MACs", style="bold")
    if preview.change:
        style = "green" if preview.change < 0 else "red"
        share = numbers.signed(preview.change / variant.macs * 100, ".1f")
        text.append(f"  {numbers.signed(preview.change, ',d')}  {share}%", style=style)
    text.append("\n")
    if preview.score is None:
        text.append("no score: F1 is not measured yet", style="dim")
    else:
        text.append(f"score {numbers.plain(preview.score, '.4f')} if F1 stays", style="bold")
    if preview.change < 0:
        text.append(f"   breaks even at F1 {numbers.signed(-preview.worth, '.4f')}", style="dim")
    elif preview.change > 0:
        text.append(f"   has to bring F1 {numbers.signed(-preview.worth, '.4f')}", style="dim")
    return text


def losses(
    preview: Preview, described: Described, ranks: RanksDescribed | None, width: int
) -> Text:
    """What the value would keep and what would be lost, in two lines."""
    edit = preview.edit
    if edit is None:
        return Text("nothing would change", style="dim")
    if isinstance(edit, Widen):
        return Text("nothing is lost: new channels lead nowhere yet", style="green")
    share = kept(preview, described, ranks)
    if share is None:
        return Text(_why_unknown(edit, described), style="dim")
    found = described.get(edit)
    if share >= 1 and (found is None or found.exact):
        return Text("exact: nothing is lost", style="green")
    what = "squared weights" if isinstance(edit, Rank) else "importance"
    text = Text(f"keeps {share:.1%} of the {what}", style="bold")
    if found is not None and found.kept_layers and len(found.kept_layers) > 1:
        layer, least = min(found.kept_layers.items(), key=lambda item: item[1])
        room = width - text.cell_len - 15
        text.append(f", least {least:.0%} in ", style="not bold")
        text.append(numbers.shortened(layer, room), style="not bold")
    text.append("\n")
    text.append(numbers.shortened(lost_words(edit, found, ranks), width), style="not bold dim")
    return text


def lost_words(edit: Edit, found: CutDescribed | None, ranks: RanksDescribed | None) -> str:
    """What would be lost, without figures of importance."""
    if isinstance(edit, Rank):
        auto = "x".join(map(str, ranks.auto)) if ranks and ranks.layer == edit.layer else ""
        return f"above the noise by variational Bayes: rank {auto}" if auto else ""
    if isinstance(edit, Kernel):
        return "lost: the outer weights of the kernels"
    fates = "".join(axis.fates for axis in found.channels) if found is not None else ""
    gone, moved = fates.count(CUT), fates.count(MOVED)
    words = []
    if gone:
        words.append(f"{gone} {'channel' if gone == 1 else 'channels'}")
    if moved or not gone:
        whose = f" of {moved} that change groups" if moved else ""
        words.append(f"connections across groups{whose}")
    return f"lost: {' and '.join(words)}"


def map_view(network: Network, preview: Preview, described: Described) -> MapView:
    """The channels of the axes that the value would change."""
    edit = preview.edit
    found = described.get(edit) if edit is not None else None
    if edit is None:
        return MapView(note="every channel stays where it is")
    if isinstance(edit, Rank):
        return MapView(note="no channel goes: the layer becomes thinner ones in a row")
    if isinstance(edit, Widen):
        return MapView(note="every channel stays, new ones are added behind them")
    if found is None:
        return MapView(note="its channels are drawn here when that is known")
    if found.reason:
        return MapView(note="nothing would change: the edit is refused")
    if not found.channels:
        is_narrower = isinstance(edit, Width | Mid)
        note = "not known which channels go" if is_narrower else "every channel stays where it is"
        return MapView(note=note)
    return MapView(
        tuple(
            AxisMap(offers.axis_title(network, axis.axis), axis.fates, axis.groups)
            for axis in found.channels
        )
    )


def _why_unknown(edit: Edit, described: Described) -> str:
    found = described.get(edit)
    if found is not None:
        return f"refused: {found.reason}"
    if needs_measuring(edit):
        return (
            "not known yet: its channels have to be measured on images first; enter starts that, "
            "and cuts when it is done"
        )
    return "what it keeps is being worked out …"


def criterion_line(offer: Offer, criterion: str) -> str:
    """By what it is chosen what stays; empty where nothing is chosen."""
    if offer.name not in ("width", "mid", "groups"):
        return ""
    needs = " (on images)" if criterion in DATA_CRITERIA else ""
    return f"what stays: by {offers.criterion_title(criterion)}{needs}"


def how_line(offer: Offer, criterion: str, width: int) -> Text:
    """By what it is chosen what stays, and how to choose another value."""
    line = criterion_line(offer, criterion)
    lines = [f"{line} · {how}" if line else how for how in HOW]
    return Text(next((words for words in lines if len(words) <= width), lines[-1]), style="dim")
