"""A dozen states of the gallery as text, line for line.

WORKBENCH_UPDATE_SNAPSHOTS=1 writes them anew; look at the difference before you keep it.
"""

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import textual
from gallery import SIZES, draw
from states import CHAPTERS, STATES, by_name, record

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots"
PINNED = "8.2.8"
"""Of Textual: another version may draw the same a little differently."""
SHOWN = (
    "opened 80x24", "opened 120x36", "cut-measured 120x36", "fine-tuning 80x24", "paused 80x24",
    "data-error 80x24", "not-saved 80x24", "reshape 80x24", "variants 80x24", "confusion 80x24",
    "help 80x24", "replay-middle 80x24",
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], object]:
    """Records the story for replays, once."""
    found: list[Path] = []

    async def recorded() -> Path:
        if not found:
            found.append(await record(tmp_path_factory.mktemp("gallery") / "story"))
        return found[0]

    return recorded


@pytest.mark.parametrize("shown", SHOWN)
async def test_a_state_looks_as_it_did(shown: str, recorded: Callable[..., object]) -> None:
    if textual.__version__ != PINNED:
        pytest.skip(f"the snapshots are of Textual {PINNED}, this is {textual.__version__}")
    name, size = shown.split()
    story = await recorded()  # type: ignore[misc]
    _, text = await draw(by_name(name), size, "dark", story)
    file = SNAPSHOTS / f"{name}-{size}.txt"
    if os.environ.get("WORKBENCH_UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert file.exists(), "new: WORKBENCH_UPDATE_SNAPSHOTS=1 writes it"
    before = file.read_text(encoding="utf-8")
    changed = difflib.unified_diff(before.splitlines(), text.splitlines(), "before", "now", n=1)
    assert text == before, "\n".join(changed)


async def test_a_state_is_drawn_without_colours(recorded: Callable[..., object]) -> None:
    """Told apart without colour too: the text is the same, and nothing in it is coloured."""
    story = await recorded()  # type: ignore[misc]
    coloured, text = await draw(by_name("cut-measured"), "80x24", "dark", story)
    grey, same = await draw(by_name("cut-measured"), "80x24", "none", story)
    assert text.splitlines()[0] == same.splitlines()[0]
    assert _hues(coloured) > 3
    assert _hues(grey) == 0


def _hues(svg: str) -> int:
    """Colours of text that are no grey."""
    style = svg[svg.index("<style>") : svg.index("</style>")]
    found = 0
    for rule in style.split("fill: #")[1:]:
        red, green, blue = (int(rule[at : at + 2], 16) for at in (0, 2, 4))
        found += max(red, green, blue) - min(red, green, blue) > 40
    return found


def test_every_state_has_a_chapter_and_a_name_of_its_own() -> None:
    assert len({state.name for state in STATES}) == len(STATES)
    assert {state.after for state in STATES} <= set(CHAPTERS)
    assert {name.split()[0] for name in SHOWN} <= {state.name for state in STATES}
    assert {name.split()[1] for name in SHOWN} <= set(SIZES)
    assert len(SHOWN) <= 12
    assert {f"{name.replace(' ', '-')}.txt" for name in SHOWN} == {
        file.name for file in SNAPSHOTS.glob("*.txt")
    }
