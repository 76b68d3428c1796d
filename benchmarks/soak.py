"""Random keys, clicks, wheel turns and resizes on a live session with real jobs.

Nothing may raise, and the memory of the screen's process may not grow: it is compared between the
end of a warm-up of one fifth and the end. `python benchmarks/soak.py --minutes 30` is the size
that a release is tried at; the default is two minutes. The seed is printed and may be given.
"""

import argparse
import asyncio
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from terminal import executable
from textual import events
from textual.pilot import OutOfBounds, Pilot

from sessions.recipe import Recipe
from workbench.app import WorkbenchApp
from workbench.live import LiveSession
from workbench.session import Opening

KEYS = (
    *"jkhlgGJK" * 3, *" " * 6, *"wwrfdFiexpcuuomt?1234/vVDMCOPbLyYS", "ctrl+r", "ctrl+p",
    *("escape",) * 12, *("enter",) * 6, *("up", "down", "left", "right", "tab") * 3,
    "pageup", "pagedown", "home", "end", "backspace", *"0123456789ao",
)  # fmt: skip
SIZES = ((80, 24), (120, 36), (200, 60), (300, 100), (60, 18), (100, 30))
GROWTH = 0.10
"""Share by which memory may grow."""
RECIPE = Recipe(epochs=2, images_per_epoch=0, augmentation="shift")


def held_mb() -> float:
    """What this process has allocated and not given back, in MB.

    Not its resident size: a system may drop the pages of libraries that rest for a while.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return sum(int(sizes[name].split()[0]) for name in ("RssAnon", "VmSwap")) * 1024 / 1e6


async def step(pilot: Pilot[str], rng: random.Random) -> str:
    """Do one random thing; returns its name."""
    width, height = pilot.app.size
    at = rng.randrange(width), rng.randrange(height)
    what = rng.choices(("key", "click", "wheel", "resize"), (80, 12, 6, 2))[0]
    if what == "key":
        key = rng.choice(KEYS)
        await pilot.press(key)
        return f"key {key}"
    if what == "resize":
        size = rng.choice(SIZES)
        await pilot.resize_terminal(*size)
        return f"resize {size}"
    try:
        if what == "click":
            await pilot.click(offset=at)
        else:
            turn = rng.choice((events.MouseScrollDown, events.MouseScrollUp))
            await pilot._post_mouse_events([turn], offset=at, button=0)
    except OutOfBounds:
        return "out of bounds"
    return f"{what} {at}"


class Unending(WorkbenchApp):
    """The application, in which a random click on Quit ends nothing."""

    async def action_quit(self) -> None:
        """Stay."""


async def soak(seconds: float, seed: int, folder: Path) -> tuple[int, float, float]:
    """Steps done, and MB after the warm-up and at the end."""
    rng = random.Random(seed)
    model = folder / "model.pt"
    new = [executable(), "new", str(model), "--input-size", "32", "--classes", "10"]
    subprocess.run(new, check=True, capture_output=True)
    opening = Opening(folder=folder / "session", model=model, data="digits", recipe=RECIPE)
    live = LiveSession(opening)
    live.claim()
    app = Unending(live)
    steps, warm, latest = 0, 0.0, ""
    raised: list[dict[str, Any]] = []  # where nobody waits for it
    asyncio.get_running_loop().set_exception_handler(lambda loop, found: raised.append(found))
    began = time.monotonic()
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            while (passed := time.monotonic() - began) < seconds:
                latest = await step(pilot, rng)
                steps += 1
                if not warm and passed > seconds / 5:
                    warm = held_mb()
                if raised:
                    raise RuntimeError(str(raised[0]))
                if not app.is_running:
                    raise RuntimeError("the application ended")
            end = held_mb()
    except BaseException:
        print(f"seed {seed}, step {steps}, after {latest}")
        raise
    return steps, warm, end


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--minutes", type=float, default=2.0)
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)  # what is saved goes here
        found = asyncio.run(soak(given.minutes * 60, given.seed, Path(work)))
    steps, warm, end = found
    growth = end / warm - 1
    print(f"{steps:,} random steps in {given.minutes:g} minutes, seed {given.seed}: no exception")
    print(
        f"  memory of the screen {warm:.0f} MB -> {end:.0f} MB ({growth:+.1%}, {GROWTH:.0%} wanted)"
    )
    raise SystemExit(growth > GROWTH)


if __name__ == "__main__":
    main()
