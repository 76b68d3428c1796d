"""What can be pressed on the search panel, in the words of its frame."""

from sessions.state import Search, SessionState


def keys(
    state: SessionState,
    search: Search | None,
    *,
    is_live: bool,
    chosen: str,
    view: str,
    has_others: bool,
) -> str:
    """The keys that do something now.

    Args:
        search: that is shown.
        chosen: what enter does; empty for nothing.
        view: that comes next where a study has several; empty where all is shown.
        has_others: whether there are other searches.
    """
    words = []
    pilot = state.autopilot
    if is_live:
        words.append("n new")
        if pilot is not None and pilot.is_on:
            words.append("x: you take over")
        elif state.searching is not None:
            words.append("x stops")
        if search is not None and search.is_resumable:
            words.append("p goes on")
        if chosen:
            words.append(f"enter {chosen}")
    if view:
        words.append(f"v {view}")
    if has_others:
        words.append("[ ] others")
    return ", ".join([*words, "escape closes"])
