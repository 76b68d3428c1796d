"""Fetching public weights from a server that breaks off, changes, lies or is not there."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from weights_server import WeightsServer, published, zipped

from workbench.errors import UserError
from workbench.zoo import catalogue, store, transfer
from workbench.zoo.candidates import found

WEIGHTS = os.urandom(400_000)
NETWORK = published(WEIGHTS)
ARCHIVE = zipped(**{NETWORK.file_name: WEIGHTS})


class Watch:
    """Notes what a fetch tells, and stops it after so many bytes."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.stop_at = stop_at

    def fetched(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    def say(self, line: str) -> None:
        self.lines.append(line)

    def should_stop(self) -> bool:
        return self.stop_at is not None and self.steps[-1][0] >= self.stop_at


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no proxy."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == store.URL_ENV:
            monkeypatch.delenv(name)
    return tmp_path / "cache" / "models"


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with WeightsServer(ARCHIVE).running() as running:
        yield running


def left(folder: Path) -> set[str]:
    """What lies in the folder beside locks."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def refused(server: WeightsServer) -> str:
    """The one line that a fetch fails with."""
    with pytest.raises(UserError) as caught:
        store.obtained(NETWORK, server.address, Watch())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_network_is_fetched_once_and_kept(server: WeightsServer, folder: Path) -> None:
    watch = Watch()
    path = store.obtained(NETWORK, server.address, watch)
    assert path == folder / NETWORK.file_name
    assert path.read_bytes() == WEIGHTS
    assert left(folder) == {NETWORK.file_name}
    assert watch.steps[0] == (0, len(ARCHIVE))
    assert watch.steps[-1] == (len(ARCHIVE), len(ARCHIVE))
    assert store.obtained(NETWORK, server.address, Watch()) == path
    assert server.asked == [(f"/v1/{NETWORK.file_name}.zip", None)]


def test_a_broken_transfer_goes_on_by_itself(server: WeightsServer, folder: Path) -> None:
    server.breaks_after = [100_000, 50_000]
    path = store.obtained(NETWORK, server.address, Watch())
    assert path.read_bytes() == WEIGHTS
    assert [part for _, part in server.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == len(ARCHIVE)


def test_a_later_call_goes_on_from_what_is_there(server: WeightsServer, folder: Path) -> None:
    server.breaks_after = [123_456, 0]
    assert "broke off after 123,456 bytes" in refused(server)
    assert (folder / f"{NETWORK.file_name}.zip.part").stat().st_size == 123_456
    # WHEN
    path = store.obtained(NETWORK, server.address, Watch())
    # THEN
    assert path.read_bytes() == WEIGHTS
    assert server.asked[-1][1] == "bytes=123456-"
    assert server.sent == len(ARCHIVE)
    assert left(folder) == {NETWORK.file_name}


def test_a_stopped_fetch_goes_on_too(server: WeightsServer) -> None:
    watch = Watch(stop_at=1)
    with pytest.raises(UserError, match="goes on from here with the same command"):
        store.obtained(NETWORK, server.address, watch)
    done, _ = watch.steps[-1]
    assert 0 < done < len(ARCHIVE)
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS
    assert server.asked[-1][1] == f"bytes={done}-"


def test_a_transfer_that_is_whole_but_unnamed_is_not_asked_for_again(
    server: WeightsServer, tmp_path: Path
) -> None:
    place = tmp_path / "file"
    url = f"{server.address}/file"
    server.breaks_after = [1000, 0]
    with pytest.raises(UserError):
        transfer.fetch(url, place)
    (tmp_path / "file.part").write_bytes(ARCHIVE)
    before = len(server.asked)
    transfer.fetch(url, place)
    assert len(server.asked) == before
    assert place.read_bytes() == ARCHIVE


def test_a_server_without_ranges_is_asked_from_the_start(server: WeightsServer) -> None:
    server.has_ranges = False
    server.breaks_after = [100_000]
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS
    assert server.sent == 100_000 + len(ARCHIVE)


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_version_to_tell_by_it_begins_anew(
    server: WeightsServer, headers: dict[str, str]
) -> None:
    server.headers = headers
    server.breaks_after = [100_000, 0]
    refused(server)
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS
    assert {part for _, part in server.asked} == {None}


def test_the_date_of_the_last_change_tells_the_version_too(server: WeightsServer) -> None:
    server.headers = {"Last-Modified": "Mon, 01 Jan 2018 00:00:00 GMT"}
    server.breaks_after = [100_000]
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS
    assert server.sent == len(ARCHIVE)


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(
    server: WeightsServer, ignores_if_range: bool
) -> None:
    server.content = bytes(len(ARCHIVE))
    server.breaks_after = [100_000, 0]
    refused(server)
    server.content, server.headers = ARCHIVE, {"ETag": '"second"'}
    server.ignores_if_range = ignores_if_range
    # WHEN
    path = store.obtained(NETWORK, server.address, Watch())
    # THEN
    assert path.read_bytes() == WEIGHTS


def test_a_shorter_file_than_what_is_here_is_fetched_from_the_start(
    server: WeightsServer,
) -> None:
    server.content = bytes(len(ARCHIVE) * 2)
    server.breaks_after = [len(ARCHIVE) + 5, 0]
    refused(server)
    server.content, server.ignores_if_range = ARCHIVE, True
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS


def test_part_of_another_address_is_not_gone_on_with(server: WeightsServer) -> None:
    server.breaks_after = [100_000, 0]
    refused(server)
    store.obtained(NETWORK, f"{server.address}/mirror", Watch())
    assert server.asked[-1] == (f"/mirror/v1/{NETWORK.file_name}.zip", None)


def test_a_redirect_keeps_the_range(server: WeightsServer) -> None:
    path = f"/v1/{NETWORK.file_name}.zip"
    server.redirects = {path: f"{server.address}/elsewhere"}
    server.breaks_after = [100_000]
    store.obtained(NETWORK, server.address, Watch())
    assert server.asked[-1] == ("/elsewhere", "bytes=100000-")
    assert server.sent == len(ARCHIVE)


def test_a_wrong_checksum_is_refused_and_removed(server: WeightsServer, folder: Path) -> None:
    server.content = zipped(**{NETWORK.file_name: WEIGHTS[:-1] + b"?"})
    line = refused(server)
    assert "is not the published file (SHA-1 " in line
    assert "was removed" in line
    assert left(folder) == set()
    server.content = ARCHIVE
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(**{f"../{NETWORK.file_name}": WEIGHTS}), "holds '../"),
        (zipped(**{f"/tmp/{NETWORK.file_name}": WEIGHTS}), "holds '/tmp/"),
        (zipped(**{NETWORK.file_name: WEIGHTS, "more.txt": b"x"}), "'more.txt', and not"),
        (zipped(other=WEIGHTS), "holds 'other', and not"),
        (zipped(), "holds nothing"),
        (WEIGHTS, "no whole zip archive"),
        (ARCHIVE.replace(WEIGHTS[:64], bytes(64)), "no whole zip archive"),
        (zipped(**{NETWORK.file_name: bytes(len(WEIGHTS) * 16)}), "unpacks to more than"),
    ],
    ids=["outside", "absolute", "two", "other", "empty", "no-zip", "damaged", "bomb"],
)
def test_an_archive_of_something_else_is_refused_and_removed(
    server: WeightsServer, folder: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    server.content = content
    assert words in refused(server)
    assert left(folder) == set()
    assert not list(tmp_path.rglob("*.pth"))


def test_what_does_not_exist_is_one_line_with_the_next_step(
    server: WeightsServer, folder: Path
) -> None:
    server.status = 404
    url = NETWORK.url(server.address)
    assert refused(server) == (
        f"{url} does not exist (404): check the network and the proxy (HTTPS_PROXY) or name a "
        f"mirror (WORKBENCH_ZOO_URL), or put {NETWORK.archive_name} from {url} into {folder} by "
        "hand"
    )


def test_a_refusal_names_its_status(server: WeightsServer) -> None:
    server.status = 503
    assert "answered 503 Service Unavailable" in refused(server)


def test_no_network_is_one_line_with_the_next_step(folder: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UserError) as caught:
            store.obtained(NETWORK, f"http://{address}", Watch())
    line = str(caught.value)
    assert line.startswith(f"cannot reach {address}: connection refused: check the network")
    assert str(folder) in line
    assert "\n" not in line


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(UserError, match="no answer in time"):
            transfer.fetch(url, tmp_path / "x", timeout_s=0.2)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "nothing", "http://["])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="no http or https address"):
        transfer.fetch(url, tmp_path / "x")


def test_more_than_a_network_can_be_is_refused(
    server: WeightsServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LARGEST", 1000)
    assert "far more than a network" in refused(server)
    assert left(folder) == set()


def test_the_proxy_of_the_environment_is_used(
    server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.address)
    monkeypatch.setenv("http_proxy", server.address)
    path = store.obtained(NETWORK, "http://weights.invalid/zoo", Watch())
    assert path.read_bytes() == WEIGHTS
    assert server.asked == [(f"http://weights.invalid/zoo/v1/{NETWORK.archive_name}", None)]


def test_the_environment_names_a_mirror(
    server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.URL_ENV, f"{server.address}/mirror/")
    store.obtained(NETWORK, None, Watch())
    assert server.asked == [(f"/mirror/v1/{NETWORK.archive_name}", None)]


def test_two_at_once_fetch_once(server: WeightsServer) -> None:
    second_waits = threading.Event()
    server.before_content = lambda: (second_waits.wait(20), None)[1]
    paths: list[Path] = []

    class Second(Watch):
        def say(self, line: str) -> None:
            super().say(line)
            second_waits.set()

    watches = [Second(), Second()]
    threads = [
        threading.Thread(
            target=lambda watch: paths.append(store.obtained(NETWORK, server.address, watch)),
            args=(watch,),
        )
        for watch in watches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # THEN
    assert len(paths) == 2
    assert paths[0].read_bytes() == WEIGHTS
    assert len(server.asked) == 1
    assert [line for watch in watches for line in watch.lines] == [
        f"waiting for another process that fetches {NETWORK.file_name}"
    ]


def test_a_damaged_file_is_fetched_again(server: WeightsServer, folder: Path) -> None:
    path = store.obtained(NETWORK, server.address, Watch())
    path.write_bytes(WEIGHTS[1:])
    watch = Watch()
    assert store.obtained(NETWORK, server.address, watch).read_bytes() == WEIGHTS
    assert watch.lines == [f"{path} is not the published file any more: it is fetched again"]


@pytest.mark.parametrize("what", ["file_name", "archive_name"])
def test_a_file_put_there_by_hand_is_taken(server: WeightsServer, folder: Path, what: str) -> None:
    name = getattr(NETWORK, what)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(ARCHIVE if name.endswith(".zip") else WEIGHTS)
    assert store.obtained(NETWORK, server.address, Watch()).read_bytes() == WEIGHTS
    assert server.asked == []


def test_a_folder_that_cannot_be_written_is_one_line(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "file"))
    assert refused(server).startswith(f"cannot keep {tmp_path / 'file' / 'models'}")


def test_a_copy_is_whole_or_not_there(server: WeightsServer, tmp_path: Path) -> None:
    path = store.obtained(NETWORK, server.address, Watch())
    store.copied(path, tmp_path / "copy.pth")
    assert (tmp_path / "copy.pth").read_bytes() == WEIGHTS
    with pytest.raises(UserError, match="that is a folder"):
        store.copied(path, tmp_path)
    with pytest.raises(UserError, match="create it first"):
        store.copied(path, tmp_path / "none" / "copy.pth")


def test_clearing_removes_networks_and_unfinished_ones(
    server: WeightsServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = published(b"other", "shufflenet_other")
    monkeypatch.setitem(catalogue.PUBLISHED, NETWORK.name, NETWORK)
    monkeypatch.setitem(catalogue.PUBLISHED, other.name, other)
    store.obtained(NETWORK, server.address, Watch())
    server.breaks_after = [1000, 0]
    with pytest.raises(UserError):
        store.obtained(other, server.address, Watch())
    assert [(kept.name, kept.bytes) for kept in store.kept()] == [(NETWORK.name, len(WEIGHTS))]
    assert [kept.name for kept in store.clear()] == [NETWORK.name]
    assert list(folder.iterdir()) == []
    assert store.clear() == []


def test_candidates_are_files_folders_and_names_each_once(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue.PUBLISHED, NETWORK.name, NETWORK)
    monkeypatch.setitem(catalogue._BY_SHA1, NETWORK.sha1, NETWORK)
    inside, empty = tmp_path / "models", tmp_path / "empty"
    inside.mkdir()
    empty.mkdir()
    (inside / "b.pth").write_bytes(WEIGHTS)
    (inside / "a.safetensors").write_bytes(b"x")
    (inside / "notes.txt").write_bytes(b"x")
    names = [str(inside / "b.pth"), str(inside), NETWORK.name, str(empty), "./gone.pth", "resnet"]
    # WHEN
    candidates = found(names, server.address, Watch())
    # THEN
    assert [Path(candidate.name).name for candidate in candidates] == [
        "b.pth", "a.safetensors", NETWORK.name, "empty", "gone.pth", "resnet",
    ]  # fmt: skip
    assert [candidate.published for candidate in candidates[:3]] == [NETWORK, None, NETWORK]
    assert [candidate.reason for candidate in candidates[3:]] == [
        "no .pt, .pth, .safetensors file in it",
        "no file ./gone.pth: check the path",
        "no network 'resnet' in the zoo: `workbench zoo list` names them all",
    ]


def test_nothing_of_this_imports_torch() -> None:
    code = (
        "import sys, workbench.zoo.candidates, workbench.cli.zoo\n"
        "print(sorted({'torch', 'numpy', 'cv2', 'plotext'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
