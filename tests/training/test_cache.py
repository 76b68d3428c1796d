"""The cache of decoded images: bounded, shared by processes, and mended where it is damaged."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import filelock
import msgspec
import numpy as np
import pytest

from workbench.errors import UserError
from workbench.training.images import cache_entries, image_cache, listing
from workbench.training.images.data import open_data
from workbench.training.images.listing import list_folder

SIZE = 16
OPENS = """
import sys
from workbench.training.images import image_cache
from workbench.training.images.data import open_data
real, count = image_cache._decode, 0
def counted(*arguments):
    global count
    count += 1
    if count == int(sys.argv[2]):
        print("half", flush=True)
        sys.stdin.readline()
    return real(*arguments)
image_cache._decode = counted
print("ready", flush=True)
sys.stdin.readline()
dataset = open_data(sys.argv[1], 16)
print(count, dataset.fingerprint, int(dataset.train.take(slice(None)).sum()), flush=True)
"""
"""Opens a folder when told to, stops at an image until told to go on, and says what it decoded."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache_entries.CACHE_ENV, str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def make(tmp_path):
    def make(name, count=6):
        for label, colour in (("glass", 40), ("metal", 200)):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for number in range(count):
                image = np.full((20, 20, 3), colour + number % 50, np.uint8)
                cv2.imwrite(str(folder / f"{number:03}.png"), image)
        return tmp_path / name

    return make


@pytest.fixture
def decoded(monkeypatch):
    """The images that were decoded since it was cleared."""
    real, names = image_cache._decode, []

    def noted(path, size, channels):
        names.append(path)
        return real(path, size, channels)

    monkeypatch.setattr(image_cache, "_decode", noted)
    return names


def pixels(folder, size=SIZE):
    return open_data(str(folder), size).train.take(slice(None))


def sources(cache):
    return [Path(entry.source).name for entry in cache_entries.entries(cache)]


def age(cache, name, seconds):
    """Make an entry as if it was used last so long ago."""
    for entry in cache_entries.entries(cache):
        if Path(entry.source).name == name:
            then = time.time() - seconds
            os.utime(entry.folder / "meta.json", (then, then))


# Its bound


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("", 5 * 10**9), ("2GB", 2 * 10**9), (" 1.5 gb", 15 * 10**8), ("700m", 7 * 10**8),
     ("64KB", 64_000), ("1T", 10**12), ("123", 123), ("9B", 9), ("0", 0)],
)  # fmt: skip
def test_a_limit_is_a_size_as_people_write_it(text, bytes_, monkeypatch):
    monkeypatch.setenv(cache_entries.LIMIT_ENV, text)
    assert cache_entries.limit() == bytes_


@pytest.mark.parametrize("text", ["much", "-1GB", "2 GiB", "GB", "1e9", "2GB!"])
def test_a_limit_that_is_no_size_is_an_error_that_shows_one(text, make, cache, monkeypatch):
    monkeypatch.setenv(cache_entries.LIMIT_ENV, text)
    with pytest.raises(UserError, match="2GB") as caught:
        open_data(str(make("a")), SIZE)
    assert text in str(caught.value)


def test_what_was_not_used_for_longest_goes_first(make, cache, monkeypatch):
    for name in ("a", "b", "c"):
        pixels(make(name))
        age(cache, name, {"a": 300, "b": 200, "c": 100}[name])
    assert sources(cache) == ["a", "b", "c"]
    pixels(cache.parent.parent / "a")  # used again
    total = sum(entry.bytes for entry in cache_entries.entries(cache))
    monkeypatch.setenv(cache_entries.LIMIT_ENV, str(total))
    pixels(make("d"))
    assert sources(cache) == ["c", "a", "d"]
    assert sum(entry.bytes for entry in cache_entries.entries(cache)) <= total
    assert not [path for path in cache.iterdir() if path.suffix == ".part"]
    assert len(list(cache.iterdir())) == 6  # each with its lock


def test_an_entry_in_use_is_never_dropped(make, cache, monkeypatch):
    monkeypatch.setenv(cache_entries.LIMIT_ENV, "0")
    kept = open_data(str(make("a")), SIZE)
    part = kept.val.source[:2]
    age(cache, "a", 300)
    pixels(make("b"))
    pixels(make("c"))
    assert sources(cache) == ["a", "c"]
    del kept
    pixels(make("d"))  # a view of the pixels is use as well
    assert sources(cache) == ["a", "d"]
    assert part.min() > 0
    del part
    pixels(make("e"))
    assert sources(cache) == ["e"]


def test_an_entry_in_use_by_another_process_is_not_dropped(make, cache, monkeypatch):
    code = OPENS + "sys.stdin.readline()\n"
    with process(make("a"), code=code) as other:
        tell(other)
        assert other.stdout.readline().startswith("12 ")
        monkeypatch.setenv(cache_entries.LIMIT_ENV, "0")
        pixels(make("b"))
        assert sources(cache) == ["a", "b"]
        assert not cache_entries.drop(cache_entries.entries(cache)[0].folder)
        tell(other)
        other.wait()
    assert cache_entries.drop(cache_entries.entries(cache)[0].folder)


def test_one_that_alone_is_larger_than_the_limit_is_kept_for_its_use(make, cache, monkeypatch):
    pixels(make("a"))
    monkeypatch.setenv(cache_entries.LIMIT_ENV, "1KB")
    assert len(pixels(make("b"))) == 10
    assert sources(cache) == ["b"]


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be deleted there")
def test_pixels_stay_readable_when_somebody_deletes_the_cache(make, cache):
    dataset = open_data(str(make("a")), SIZE)
    before = dataset.train.take(slice(None)).copy()
    shutil.rmtree(cache)
    assert np.array_equal(dataset.train.take(slice(None)), before)


# Damage


def cut(name, by):
    def cut(entry):
        os.truncate(entry / name, max(0, (entry / name).stat().st_size - by))

    return cut


def replaced(name, content):
    return lambda entry: (entry / name).write_bytes(content)


def head_of_other_shape(entry):
    content = (entry / "images.npy").read_bytes()
    (entry / "images.npy").write_bytes(content.replace(b"(12, 16", b"(11, 16"))


DAMAGE = {
    "pixels cut short": cut("images.npy", 1),
    "pixels empty": cut("images.npy", 10**9),
    "pixels too long": cut("images.npy", -1),
    "labels cut short": cut("labels.npy", 8),
    "labels gone": lambda entry: (entry / "labels.npy").unlink(),
    "labels of zeros": lambda entry: (entry / "labels.npy").write_bytes(
        bytes((entry / "labels.npy").stat().st_size)
    ),
    "another shape": head_of_other_shape,
    "note gone": lambda entry: (entry / "meta.json").unlink(),
    "note empty": replaced("meta.json", b""),
    "note of other kind": replaced("meta.json", b"[1]"),
    "note cut short": cut("meta.json", 5),
    "all gone": lambda entry: [path.unlink() for path in entry.iterdir()],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_built_anew(name, make, cache, decoded):
    folder = make("a")
    before = pixels(folder)
    (entry,) = cache_entries.entries(cache)
    DAMAGE[name](entry.folder)
    decoded.clear()
    assert len(cache_entries.entries(cache)) == 1  # it is listed all the same
    assert np.array_equal(pixels(folder), before)
    assert len(decoded) == 12
    assert np.array_equal(pixels(folder), before)
    assert len(decoded) == 12


def test_an_entry_of_an_older_version_is_listed(make, cache):
    pixels(make("a"))
    (entry,) = cache_entries.entries(cache)
    note = json.loads((entry.folder / "meta.json").read_bytes())
    old = {name: note[name] for name in ("fingerprint", "skipped", "skipped_count")}
    (entry.folder / "meta.json").write_text(json.dumps(old))
    (found,) = cache_entries.entries(cache)
    assert (found.source, found.images) == ("", None)
    assert found.bytes > 10 * SIZE * SIZE * 3
    assert cache_entries.drop(found.folder)


def test_what_dead_processes_left_is_cleaned_and_what_living_ones_build_is_not(make, cache):
    dead, alive = "0" * 32, "1" * 32
    for key in (dead, alive):
        (cache / f"{key}.part").mkdir(parents=True)
        (cache / f"{key}.part" / "images.npy").write_bytes(b"half")
        (cache / f"{key}.lock").touch()
    (cache / f"{'2' * 32}.lock").touch()
    (cache / "notes.lock").touch()  # not of the cache
    with filelock.FileLock(cache / f"{alive}.lock"):
        pixels(make("a"))
    (entry,) = cache_entries.entries(cache)
    key = entry.folder.name
    assert {path.name for path in cache.iterdir()} == {
        key, f"{key}.lock", f"{alive}.part", f"{alive}.lock", "notes.lock",
    }  # fmt: skip


def test_a_change_that_keeps_size_and_time_is_seen_once_the_entry_is_cleared(make, cache):
    folder = make("a")
    before = open_data(str(folder), SIZE).fingerprint
    path = folder / "glass" / "000.png"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_data(str(folder), SIZE).fingerprint == before
    (entry,) = cache_entries.entries_of(cache, folder)
    assert cache_entries.drop(entry.folder)
    assert open_data(str(folder), SIZE).fingerprint != before


# A full disk

FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
from workbench.errors import UserError
from workbench.training.images.data import open_data
try:
    open_data(sys.argv[1], 16)
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [100, 3_000, 9_300])
def test_a_disk_that_fills_up_is_one_line_and_no_half_entry(room, make, cache):
    ran = subprocess.run(
        [sys.executable, "-c", FULL, make("a"), str(room)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.stderr == ""
    assert ran.stdout.count("\n") == 1
    assert ran.stdout.startswith(f"cannot cache images in {cache}: no space left; free space")
    assert cache_entries.CACHE_ENV in ran.stdout
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_disk_without_room_is_told_before_anything_is_decoded(make, cache, decoded, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match=r"they need 9\.2 KB, and 1 B are free; free space"):
        open_data(str(make("a")), SIZE)
    assert decoded == []


# Two processes


@contextlib.contextmanager
def process(folder, stop_at=0, code=OPENS):
    """A process that is about to open a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(stop_at)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as started:  # fmt: skip
        assert started.stdout.readline() == "ready\n"
        yield started


def tell(started):
    started.stdin.write("\n")
    started.stdin.flush()


def test_two_processes_that_want_the_same_build_it_once(make, cache):
    folder = make("a")
    with process(folder, stop_at=5) as first, process(folder) as second:
        tell(first)
        assert first.stdout.readline() == "half\n"
        tell(second)
        tell(first)
        found = [started.stdout.readline().split() for started in (first, second)]
    assert [int(counted) for counted, *_ in found] == [12, 0]
    assert found[0][1:] == found[1][1:]
    assert len(cache_entries.entries(cache)) == 1


def test_two_processes_that_start_together_build_it_once(make, cache):
    folder = make("a", count=40)
    with process(folder) as first, process(folder) as second:
        tell(first)
        tell(second)
        found = [started.stdout.readline().split() for started in (first, second)]
    assert sorted(int(counted) for counted, *_ in found) == [0, 80]
    assert found[0][1:] == found[1][1:]


def test_an_entry_whose_builder_was_killed_is_built_by_the_next(make, cache):
    folder = make("a")
    with process(folder, stop_at=5) as first:
        tell(first)
        assert first.stdout.readline() == "half\n"
        assert [path.suffix for path in sorted(cache.iterdir())] == [".lock", ".part"]
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert len(pixels(folder)) == 10
    assert [path.suffix for path in sorted(cache.iterdir())] == ["", ".lock"]


# Progress


def test_what_takes_long_is_reported_while_it_lasts(make, cache, monkeypatch):
    monkeypatch.setattr(listing, "SILENT_S", -1)
    monkeypatch.setattr(image_cache, "SILENT_S", -1)
    monkeypatch.setattr(listing, "REPORT_EVERY", 4)
    folder, seen = make("a"), []

    def progress(done, total):
        seen.append((done, total))

    found = list_folder(folder, progress)
    assert seen == [(4, 0), (8, 0), (12, 0)]
    seen.clear()
    image_cache.cached(found, SIZE, 3, progress)
    assert seen[:3] == [(6, 12), (12, 12), (0, 12)]
    assert seen[-1] == (12, 12)


def test_the_key_is_the_same_whatever_the_folder_is_called_from(make, cache, decoded, monkeypatch):
    folder = make("a")
    pixels(folder)
    monkeypatch.chdir(folder.parent)
    decoded.clear()
    pixels("a")
    assert decoded == []
    assert msgspec.json.decode(next(cache.glob("*/meta.json")).read_bytes())["root"] == str(folder)
