"""Draws the screen without a terminal, for pictures in documents and tests."""

from textual.widgets import Footer

from widgets.network_tree import NetworkTree
from widgets.replay_bar import ReplayBar
from workbench.app import WorkbenchApp
from workbench.config import Config
from workbench.errors import UserError
from workbench.player import Player


async def draw(
    player: Player,
    size: tuple[int, int],
    config: Config,
    select: str | None = None,
    panel: int = 1,
    *,
    has_bar: bool = True,
) -> str:
    """The screen of a paused replay as SVG text.

    Args:
        player: of the recording, at the moment.
        size: columns and rows.
        config: theme and columns.
        select: row to put the cursor on.
        panel: from 1, where they are tabs.
        has_bar: whether the replay's bar and keys are shown.

    Raises:
        UserError: no row of that path.
    """
    app = WorkbenchApp(player, config)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        tree = app.main.query_one(NetworkTree)
        if select is not None:
            if not any(row.path == select for row in tree.rows):
                raise UserError(f"no row {select!r} in this session")
            tree.cursor = select
        app.main.action_panel(panel - 1)
        if not has_bar:
            app.main.query_one(ReplayBar).display = False
            app.main.query_one(Footer).display = False
        await pilot.pause()
        return app.export_screenshot(title="workbench")
