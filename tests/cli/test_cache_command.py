"""`workbench cache`: what was decoded before, how much room it takes, and clearing it."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.training.images import cache_entries
from workbench.training.images.data import Dataset, open_data


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv(cache_entries.CACHE_ENV, str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def opened(tmp_path: Path, cache: Path) -> Callable[[str, int], Dataset]:
    """Opens a folder of eight images, made where it is not there."""

    def opened(name: str, size: int) -> Dataset:
        for label in ("glass", "metal"):
            folder = tmp_path / name / label
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(4):
                cv2.imwrite(str(folder / f"{number}.png"), np.full((9, 9, 3), number, np.uint8))
        return open_data(str(tmp_path / name), size)

    return opened


def test_an_empty_cache_is_no_error(run: Callable[..., Any], cache: Path) -> None:
    ended = run("cache")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"the cache in {cache} holds 0 B of at most 5.0 GB")
    assert run("cache", "--clear").out.startswith("0 entries removed, 0 B freed\n")
    assert run("cache", "--json").json == {
        "folder": str(cache), "limit": 5 * 10**9, "total": 0, "entries": [], "networks": [],
    }  # fmt: skip


def test_entries_are_listed_with_folder_images_size_and_last_use(
    run: Callable[..., Any],
    cache: Path,
    opened: Callable[..., Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    opened("a", 16)
    opened("b", 24)
    then = time.mktime((2026, 3, 4, 5, 6, 7, 0, 0, -1))
    (note,) = (entry.folder for entry in cache_entries.entries_of(cache, tmp_path / "a"))
    os.utime(note / "meta.json", (then, then))
    # WHEN
    ended = run("cache")
    # THEN
    assert (ended.code, ended.err) == (0, "")
    heads, newest, oldest, total = ended.out.splitlines()
    assert heads.split() == ["source", "pixels", "images", "on", "disk", "last", "used"]
    assert newest.split()[:3] == [str(tmp_path / "b"), "24x24x3", "8"]
    assert oldest.split()[:3] == [str(tmp_path / "a"), "16x16x3", "8"]
    assert oldest.endswith("2026-03-04 05:06")
    assert re.fullmatch(r".* holds \d+\.\d KB of at most 5\.0 GB .*", total)


def test_json_has_the_same_and_the_sizes_add_up(
    run: Callable[..., Any], cache: Path, opened: Callable[..., Dataset], tmp_path: Path
) -> None:
    opened("a", 16)
    opened("b", 24)
    found = run("cache", "--json").json
    first = found["entries"][0]
    assert (first["source"], first["images"]) == (str(tmp_path / "a"), 8)
    assert (first["size"], first["channels"]) == (16, 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["last_used"])
    on_disk = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    assert found["total"] == sum(entry["bytes"] for entry in found["entries"]) == on_disk
    assert first["bytes"] > 8 * 16 * 16 * 3


def test_a_source_narrows_the_list_and_names_nothing_where_it_has_nothing(
    run: Callable[..., Any], opened: Callable[..., Dataset], tmp_path: Path
) -> None:
    opened("a", 16)
    opened("a", 24)
    opened("ab", 16)
    found = run("cache", tmp_path / "a", "--json").json
    assert [entry["size"] for entry in found["entries"]] == [16, 24]
    assert found["total"] > sum(entry["bytes"] for entry in found["entries"])
    ended = run("cache", tmp_path / "c")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"error: nothing is cached of {tmp_path / 'c'}: `workbench cache` lists what is\n"
    )


def test_clearing_a_source_leaves_the_others_and_its_images(
    run: Callable[..., Any], cache: Path, opened: Callable[..., Dataset], tmp_path: Path
) -> None:
    opened("a", 16)
    opened("inner/b", 16)
    ended = run("cache", "--clear", tmp_path / "inner", "--json")
    assert ended.code == 0
    assert [entry["source"] for entry in ended.json["removed"]] == [str(tmp_path / "inner" / "b")]
    assert ended.json["freed"] > 0
    assert [entry.source for entry in cache_entries.entries(cache)] == [str(tmp_path / "a")]
    assert len(list((tmp_path / "inner").rglob("*.png"))) == 8


def test_a_source_that_is_gone_can_be_cleared(
    run: Callable[..., Any], cache: Path, opened: Callable[..., Dataset], tmp_path: Path
) -> None:
    opened("a", 16)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    assert run("cache", "--clear", tmp_path / "a").out.startswith("1 entry removed")
    assert list(cache.iterdir()) == []


def test_clearing_all_keeps_what_is_in_use_and_says_so(
    run: Callable[..., Any], cache: Path, opened: Callable[..., Dataset]
) -> None:
    dataset = opened("a", 16)
    opened("b", 16)
    (cache / f"{'0' * 32}.part").mkdir()
    ended = run("cache", "--clear")
    assert ended.code == 0
    assert ended.out.startswith("1 entry removed, ")
    assert "1 entry kept: in use" in ended.out
    assert len(cache_entries.entries(cache)) == 1
    assert dataset.train.source.shape == (8, 16, 16, 3)
    del dataset
    assert run("cache", "--clear").out.startswith("1 entry removed, ")
    assert list(cache.iterdir()) == []


def test_a_limit_that_is_no_size_is_one_line(
    run: Callable[..., Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache_entries.LIMIT_ENV, "lots")
    ended = run("cache")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: WORKBENCH_CACHE_LIMIT is 'lots', which is no size: write it like 2GB or 500MB\n"
    )
