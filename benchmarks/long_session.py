"""A session of 100,000 events: time to open it, to seek in it, and memory of the screen's process.

The peer is the naive way: every line decoded and kept, reduced one by one, and reduced again from
the start for each seek. Both run in processes of their own that import what the screen imports, on
the same file, which `long_day.py` writes. `long_session.py N` takes N events.
"""

import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from long_day import make

from sessions import codec, log
from sessions.codec import Record

SEEKS = 400
NAIVE_SEEKS = 8
SCREEN_SEEKS = 60


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(folder: Path) -> dict[str, float]:
    """Open, seek, then show it on a screen and seek there."""
    import workbench.app
    from workbench.player import Player

    before = peak_mb()
    players: list[Player] = []
    opened = elapsed(lambda: players.append(Player(folder, is_paused=True)))
    player = players[0]
    timeline = player.playback.timeline
    times = seek_times(len(timeline.records), SEEKS, timeline.state_at)

    async def show() -> None:
        app = workbench.app.WorkbenchApp(player)
        rng = random.Random(2)
        async with app.run_test(size=(160, 45)) as pilot:
            for _ in range(SCREEN_SEEKS):
                player.seek_share(rng.random())
                await pilot.pause()

    asyncio.run(show())
    return report(before, opened, times, len(timeline.records))


def naive(folder: Path) -> dict[str, float]:
    """Decode and reduce everything, each time."""
    import workbench.app  # noqa: F401
    from sessions.reducer import reduce
    from sessions.state import SessionState

    def reduced(stop: int) -> SessionState:
        state = SessionState()
        for record in records[:stop]:
            state = reduce(state, record.event)
        return state

    before = peak_mb()
    records: list[Record] = []

    def open_all() -> None:
        lines = (folder / log.LOG_NAME).read_bytes().splitlines()[1:]
        records.extend([codec.decode_record(line) for line in lines])
        reduced(len(records))

    opened = elapsed(open_all)
    times = seek_times(len(records), NAIVE_SEEKS, reduced)
    return report(before, opened, times, len(records))


def seek_times(count: int, seeks: int, seek: Any) -> list[float]:
    rng = random.Random(1)
    times = []
    for _ in range(seeks):
        moment = rng.randrange(count + 1)
        times.append(elapsed(lambda at=moment: seek(at))[0])
    return times


def elapsed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of processor time: the machine may have other work."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def report(
    before: float, opened: tuple[float, float], times: list[float], count: int
) -> dict[str, float]:
    times.sort()
    return {
        "events": count,
        "open_s": opened[0],
        "open_cpu_s": opened[1],
        "p50_s": statistics.median(times),
        "p99_s": times[min(int(len(times) * 0.99), len(times) - 1)],
        "before_mb": before,
        "peak_mb": peak_mb(),
    }


def measured(way: str, folder: Path) -> dict[str, float]:
    """The report of a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, way, str(folder)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps({"ours": ours, "naive": naive}[sys.argv[1]](Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
        size = (Path(name) / log.LOG_NAME).stat().st_size / 2**20
        mine, peer = measured("ours", Path(name)), measured("naive", Path(name))
    print(f"a session of {mine['events']:,.0f} events, {size:.0f} MB on disk")
    for what, key, unit, digits in (
        ("open", "open_s", "s", 2), ("of the processor", "open_cpu_s", "s", 2),
        ("seek p50", "p50_s", "ms", 1), ("seek p99", "p99_s", "ms", 1),
        ("peak memory", "peak_mb", "MB", 0),
    ):  # fmt: skip
        factor = 1000 if unit == "ms" else 1
        a, b = mine[key] * factor, peer[key] * factor
        ratio = mine[key] / peer[key]
        print(f"{what}: {a:,.{digits}f} {unit}, naive {b:,.{digits}f} {unit}, ratio {ratio:.3f}")
    print(f"the imports alone: {mine['before_mb']:.0f} MB; ours is with the screen shown, 160x45")


if __name__ == "__main__":
    main()
