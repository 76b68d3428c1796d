"""What values would keep, asked of a real engine: an edit goes first, and nothing is recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions import offers
from sessions.edits import Width
from sessions.events import CutDescribed, Edited
from workbench.session import Opening


async def test_an_edit_does_not_wait_for_the_cuts_asked_about_before_it(
    tmp_path: Path, demo_model: Path, watched: Callable[..., Any]
) -> None:
    session = watched(Opening(folder=tmp_path / "session", model=demo_model))
    live = session.live
    await live.start()
    try:
        await session.until(lambda: live.state.variant)
        network = live.state.variant.network
        offer = offers.offers(network, "stage3")[0]
        found = offers.previews(live.state.variant, offer, live.state.rule)
        asked = tuple(preview.edit for preview in reversed(found) if preview.edit is not None)
        assert len(asked) > 30
        # WHEN the list is half done THEN an edit is made, and the rest is not looked at
        live.describe_cuts(0, asked)
        await session.until(lambda: session.all(CutDescribed))
        live.request_edit(asked[0])
        await session.until(lambda: session.all(Edited))
        live.describe_cuts(0, (Width("stage3", 123),))
        await session.until(lambda: session.all(CutDescribed)[-1].edit == Width("stage3", 123))
        told = session.all(CutDescribed)
        assert len(told) < len(asked)
        made = session.all(Edited)[0]
        assert told[0].edit == made.edit
        assert (told[0].kept, told[0].kept_layers) == (made.kept, made.kept_layers)
        assert b"cut-described" not in (live.folder / "session.jsonl").read_bytes()
    finally:
        await live.close()
