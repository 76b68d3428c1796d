"""A tree of 5,000 layers in a real terminal: how soon it opens, and how fast it scrolls.

The clock runs from a key press until the row of the cursor is painted. The peer is Textual's own
DataTable with as many rows; it is given finished texts, the tree works its rows out of the network.
"""

import re
import statistics
import sys
import time
from typing import Any

from terminal import Terminal

LAYERS = 5_000
UNITS = (4, 420, 418)
PAGES, LINES = 100, 200
KEYS = {"open": "o", "page": "\x1b[6~", "line": "\x1b[B"}
PLACE = re.compile(r"at \d{6}")


def network() -> Any:
    """A ShuffleNet with a little more than 5,000 layers that have a row."""
    from workbench.surgery.families import shufflenet

    return shufflenet.fresh(units=UNITS)


def show(what: str) -> None:
    """The program that is measured: one widget, and a line that tells where its cursor is."""
    from textual.app import App, ComposeResult
    from textual.widgets import DataTable, Label

    from sessions import macs
    from sessions.events import LayerStats
    from sessions.network import WEIGHTED
    from sessions.score import CONTEST
    from sessions.state import Variant
    from widgets import tree_columns
    from widgets.network_tree import NetworkTree
    from widgets.rows import tree_rows
    from workbench.tidying import settle_memory

    made = network()
    one = LayerStats(1200, 0.0, 0.1, 0.04, -0.5, 0.5, tuple(range(40)))
    stats = {layer.path: one for _, layer in made.layers() if layer.kind in WEIGHTED}
    variant = Variant(
        number=0, parent=None, label="", network=made, macs=macs.count(made), stats=stats
    )
    rows = tree_rows(variant, made, CONTEST)
    of = tree_columns.scale(rows)
    layout = tree_columns.layout(116, of)
    texts = [
        (
            tree_columns.label(row, 20, is_open=True),
            *("".join(text for text, _ in tree_columns.cell(c, row, of)) for c in layout.columns),
        )
        for row in rows
    ]
    places = {row.path: place for place, row in enumerate(rows)}

    class Shown(App[None]):
        CSS = "NetworkTree, DataTable { height: 1fr; }"
        BINDINGS = [("o", "open", "Open"), ("q", "quit", "Quit")]  # noqa: RUF012

        def compose(self) -> ComposeResult:
            yield NetworkTree() if what == "tree" else DataTable(cursor_type="row")
            yield Label("ready", id="place")

        def action_open(self) -> None:
            self.set_timer(0.5, settle_memory)  # as the program does
            if what == "tree":
                tree = self.query_one(NetworkTree)
                tree.rows = tree_rows(variant, made, CONTEST)
                tree.filter_text = "*.*.*"  # unfolds every unit
                tree.cursor = rows[0].path
                tree.focus()
                return
            table = self.query_one(DataTable)
            table.add_columns("network", *(column.title for column in layout.columns))
            table.add_rows(texts)
            table.focus()

        def on_network_tree_row_selected(self, message: NetworkTree.RowSelected) -> None:
            self.tell(places[message.path])

        def on_data_table_row_highlighted(self, message: DataTable.RowHighlighted) -> None:
            self.tell(message.cursor_row)

        def tell(self, place: int) -> None:
            self.query_one("#place", Label).update(f"at {place:06d}")

    Shown().run()


def pressed(screen: Terminal, key: str) -> float:
    """Seconds from a key press until another place was painted."""
    screen.text = ""
    started = time.perf_counter()
    screen.send(KEYS[key])
    while not PLACE.search(screen.text):
        if not screen.read(started + 60):
            raise TimeoutError(f"nothing was painted after {key}: {screen.text[-500:]}")
    return time.perf_counter() - started


def measured(what: str) -> dict[str, list[float]]:
    """Seconds of opening, of scrolling by pages and of scrolling by lines."""
    with Terminal([sys.executable, __file__, what]) as screen:
        screen.wait_for("ready")
        found = {"open": [pressed(screen, "open")]}
        settle(screen)
        found["page"] = [pressed(screen, "page") for _ in range(PAGES)]
        settle(screen)
        found["line"] = [pressed(screen, "line") for _ in range(LINES)]
        screen.send("q")
        screen.wait_for_end()
    return found


def settle(screen: Terminal) -> None:
    """Read until nothing more is painted."""
    while screen.read(time.perf_counter() + 2):
        pass


def main() -> None:
    found = {what: measured(what) for what in ("tree", "table")}
    print(f"a tree of {LAYERS:,} layers, all unfolded, beside a DataTable of as many rows")
    for name, title in (("open", "opens"), ("page", "scrolls a page"), ("line", "scrolls a line")):
        tree, table = (sorted(found[what][name]) for what in ("tree", "table"))
        p50, peer = statistics.median(tree), statistics.median(table)
        beside = f"DataTable {peer * 1000:.0f} ms, ratio {p50 / peer:.2f}"
        if name == "open":
            print(f"  {title} in {p50 * 1000:.0f} ms (below 1000 ms wanted); {beside}")
        else:
            p99 = tree[int(len(tree) * 0.99) - 1]
            print(
                f"  {title}: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms of {len(tree)} "
                f"presses, {1 / p50:.0f} frames/s (30 wanted); {beside}"
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        show(sys.argv[1])
    else:
        main()
