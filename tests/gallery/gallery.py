"""Draws every state of the screen as SVG, with a page that shows them side by side.

python tests/gallery/gallery.py OUT [--size 80x24 ...] [--look dark ...] [--only NAME ...]
"""

import argparse
import asyncio
import io
import tempfile
import traceback
from html import escape
from pathlib import Path

from rich.console import Console
from staging import THEMES
from states import STATES, State, record, shown
from textual.app import App

SIZES = ("80x24", "120x36", "200x60")
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>workbench: gallery</title>
<style>body {{ font: 15px system-ui; margin: 1rem; background: #ddd; }}
section div {{ display: flex; flex-wrap: wrap; gap: 1rem; align-items: start; }}
figure {{ margin: 0; }} img {{ max-width: 46rem; }} .bad {{ color: #b00; }}</style>
<h1>Every state of the screen</h1>{body}</html>
"""


def text_of(app: App[object]) -> str:
    """The screen as plain text, as a terminal would show it."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", record=True, legacy_windows=False,
    )  # fmt: skip
    console.print(app.screen._compositor.render_update(full=True))
    lines = console.export_text().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


async def draw(state: State, size: str, look: str, recorded: Path) -> tuple[str, str]:
    """A state as SVG and as text."""
    columns, rows = (int(part) for part in size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "session"
        async with shown(state, (columns, rows), look, where, recorded) as stage:
            title = f"{state.name} {size} {look}"
            return stage.app.export_screenshot(title=title), text_of(stage.app)


async def gallery(out: Path, sizes: list[str], looks: list[str], states: list[State]) -> int:
    """Draw everything and the page; returns how many states could not be drawn."""
    out.mkdir(parents=True, exist_ok=True)
    body, failed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        recorded = await record(Path(folder) / "story")
        for state in states:
            figures = []
            for size in sizes:
                for look in looks:
                    name = f"{state.name}-{size}-{look}"
                    try:
                        svg, text = await draw(state, size, look, recorded)
                    except Exception:  # noqa: BLE001 - the others are worth seeing all the same
                        failed += 1
                        traceback.print_exc()
                        figures.append(f'<p class="bad">{escape(name)} could not be drawn</p>')
                        continue
                    (out / f"{name}.svg").write_text(svg, encoding="utf-8")
                    (out / f"{name}.txt").write_text(text, encoding="utf-8")
                    figures.append(f'<figure><img src="{name}.svg" alt="{name}"></figure>')
            body.append(f"<section><h2>{state.name}</h2><div>{''.join(figures)}</div></section>")
    (out / "index.html").write_text(PAGE.format(body="".join(body)), encoding="utf-8")
    return failed


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description="Draw every state of the screen.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", action="append", help=f"columns x rows; {', '.join(SIZES)}")
    parser.add_argument("--look", action="append", choices=THEMES, help="none is NO_COLOR")
    parser.add_argument("--only", action="append", choices=[state.name for state in STATES])
    chosen = parser.parse_args()
    states = [state for state in STATES if not chosen.only or state.name in chosen.only]
    failed = asyncio.run(
        gallery(chosen.out, chosen.size or list(SIZES), chosen.look or list(THEMES), states)
    )
    print(f"saved {chosen.out / 'index.html'}: {len(states)} states, {failed} not drawn")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
