"""Draws the screen without a terminal, for pictures in documents and tests."""

from widgets.network_tree import NetworkTree
from workbench.app import WorkbenchApp
from workbench.errors import UserError
from workbench.player import Player


async def draw(player: Player, size: tuple[int, int], select: str | None, panel: int) -> str:
    """The screen of a paused replay as SVG text.

    Raises:
        UserError: no row of that path.
    """
    app = WorkbenchApp(player)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        tree = app.main.query_one(NetworkTree)
        if select is not None:
            if not any(row.path == select for row in tree.rows):
                raise UserError(f"no row {select!r} in this session")
            tree.cursor = select
        app.main.action_panel(panel - 1)
        await pilot.pause()
        return app.export_screenshot(title="workbench")
