"""Images listed per second, and the memory that takes, against a plain os.walk loop.

The plain loop keeps the path of every image; ours finds classes too, sorts, and counts what it
leaves out. Both are timed on the same folder of empty files, in processes of their own that take
turns. The second pair also asks for the size and time of every file, which the cache's key needs.
`listing.py N` takes N files (200,000 without).
"""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
CLASSES = 8
SUFFIXES = (".jpg", ".jpeg", ".png")


def make(folder: Path, count: int) -> None:
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir()
    for number in range(count):
        name = folder / f"class{number % CLASSES}" / f"IMG_{number:08}.jpg"
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))


def plain(folder: str) -> list[str]:
    return [
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES
    ]


def plain_with_times(folder: str) -> list[tuple[str, int, int]]:
    found = []
    for path in plain(folder):
        status = os.stat(path)
        found.append((path, status.st_size, status.st_mtime_ns))
    return found


def ours(folder: str) -> object:
    from workbench.training.images.listing import list_folder

    return list_folder(Path(folder))


def ours_with_times(folder: str) -> object:
    from workbench.training.images import image_cache
    from workbench.training.images.listing import list_folder

    listing = list_folder(Path(folder))
    return listing, image_cache._key(listing, 80, 3, None)


def measured(name: str, folder: str) -> tuple[float, float]:
    """Seconds, and MiB of memory at the peak, of a way in a process that has imported it."""
    from workbench.training.images import listing  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    found = globals()[name](folder)
    seconds = time.perf_counter() - started
    assert found
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), count)
        print(f"listing {count:,} images, {os.cpu_count()} cores, {ROUNDS} rounds, medians")
        for mine, peer, what in (
            ("ours", "plain", "names          "),
            ("ours_with_times", "plain_with_times", "names and times"),
        ):
            rounds = []
            for number in range(ROUNDS + 1):
                with processes.Pool(1, maxtasksperchild=1) as pool:
                    one = pool.apply(measured, (mine, folder))
                with processes.Pool(1, maxtasksperchild=1) as pool:
                    other = pool.apply(measured, (peer, folder))
                if number:  # the first round warms the file system's cache up
                    rounds.append((*one, *other))
            seconds, memory, peer_seconds, peer_memory = (
                list(figures) for figures in zip(*rounds, strict=True)
            )
            ratio = statistics.median(b / a for a, b in zip(seconds, peer_seconds, strict=True))
            print(
                f"  {what} {count / statistics.median(seconds):9,.0f} images/s and "
                f"{statistics.median(memory):4.0f} MiB, os.walk "
                f"{count / statistics.median(peer_seconds):9,.0f} and "
                f"{statistics.median(peer_memory):4.0f}   ratio {ratio:.2f} (at least 1 wanted)"
            )


if __name__ == "__main__":
    main()
