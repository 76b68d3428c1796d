"""`serve`: nobody without the token, no other name or site, this machine alone, one page."""

import contextlib
import http.client
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sessions import log
from sessions.codec import Header

pytest.importorskip(
    "textual_serve", reason="textual-serve is not installed: pip install 'workbench[web]'"
)
from workbench.cli.web import PAGE, page_command  # after the check for its extra
from workbench.web.guard import Guard, is_loopback

HEADER = Header(created="2025-01-02T03:04:05+00:00", model_sha256="ab", seed=3)
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Served:
    """A running server: how to ask it, and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.url = process.stdout.readline().removeprefix("open ").strip()
        parts = urlsplit(self.url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.token = parse_qs(parts.query).get("token", [""])[0]

    def ask(self, path: str = "/", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=shown)
        return connection.getresponse()

    @property
    def cookie(self) -> str:
        answer = self.ask(f"/?token={self.token}")
        return (answer.getheader("Set-Cookie") or "").partition(";")[0]


@pytest.fixture(scope="module")
def served_by(script: list[str]) -> Iterator[Callable[..., Served]]:
    """Starts servers on free ports."""
    with contextlib.ExitStack() as begun:

        def serve(*arguments: object) -> Served:
            process = begun.enter_context(
                subprocess.Popen(
                    [*script, "serve", *map(str, arguments), "--port", "0"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True,
                )
            )  # fmt: skip
            begun.callback(process.kill)
            return Served(process)

        yield serve


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session that holds nothing yet: whether it opens is not asked here."""
    folder = tmp_path_factory.mktemp("serve") / "session"
    folder.mkdir()
    log.SessionLog.create(folder, HEADER).close()
    return folder


@pytest.fixture(scope="module")
def served(served_by: Callable[..., Served], session: Path) -> Served:
    return served_by(session)


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/ws", "/static/", "/download/x"]
)
def test_without_the_token_everything_is_refused(path: str, served: Served) -> None:
    answer = served.ask(path)
    assert answer.status == 403
    assert answer.getheader("Content-Type", "").startswith("text/plain")
    assert b"needs the token" in answer.read()
    assert answer.getheader("Set-Cookie") is None


def test_a_websocket_is_refused_without_the_token(served: Served) -> None:
    assert served.ask("/ws", **WEBSOCKET).status == 403
    wrong = f"workbench_{served.port}={'x' * len(served.token)}"
    assert served.ask("/ws", **WEBSOCKET, Cookie=wrong).status == 403


def test_the_address_opens_the_page_and_its_cookie_the_rest(served: Served) -> None:
    assert len(served.token) >= 32
    answer = served.ask(f"/?token={served.token}")
    page = answer.read().decode()
    assert answer.status == 200
    assert f"ws://127.0.0.1:{served.port}/ws" in page
    given = answer.getheader("Set-Cookie") or ""
    assert "HttpOnly" in given
    assert "SameSite=Strict" in given
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
    assert served.ask("/static/js/textual.js", Cookie=served.cookie).status == 200
    assert served.ask("/", Cookie=served.cookie).status == 200
    assert served.ask("/download/none", Cookie=served.cookie).status == 404


def test_the_page_names_nothing_outside(served: Served) -> None:
    page = served.ask(f"/?token={served.token}").read().decode()
    own = (f"http://127.0.0.1:{served.port}/", f"ws://127.0.0.1:{served.port}/")
    for address in own:
        page = page.replace(address, "")
    assert "//" not in page.replace("// ", "")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "localhost"]
)
def test_another_name_is_refused_even_with_the_token(host: str, served: Served) -> None:
    """A name that an attacker's DNS points to this machine."""
    answer = served.ask(f"/?token={served.token}", Host=host.format(port=served.port))
    assert (answer.status, b"go by that name" in answer.read()) == (403, True)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_the_names_of_this_machine_are_taken(name: str, served: Served) -> None:
    assert served.ask(f"/?token={served.token}", Host=f"{name}:{served.port}").status == 200


def test_another_sites_page_is_refused_even_with_the_cookie(served: Served) -> None:
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{served.port}"):
        answer = served.ask("/ws", **WEBSOCKET, Cookie=served.cookie, Origin=origin)
        assert answer.status == 403, origin


def test_it_listens_on_loopback_only(served: Served) -> None:
    assert (served.host, is_loopback(served.host)) == ("127.0.0.1", True)
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: tells this machine's own address
        except OSError:
            pytest.skip("this machine has no address but loopback")
        outside = probe.getsockname()[0]
    if is_loopback(outside):
        pytest.skip("this machine has no address but loopback")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((outside, served.port), timeout=5)


def test_elsewhere_takes_addresses_and_its_own_name_alone() -> None:
    guard = Guard("", "0.0.0.0", 8000)
    for host, is_own in {
        "192.168.1.7:8000": True, "[2001:db8::1]:8000": True, f"{socket.gethostname()}:8000": True,
        "evil.example:8000": False, "192.168.1.7:80": False, "192.168.1.7": False, "": False,
    }.items():  # fmt: skip
        assert guard._is_own_name(host) == is_own, host


def test_ctrl_c_ends_it_and_names_the_session(
    served_by: Callable[..., Served], session: Path
) -> None:
    served = served_by(session, "--no-token")
    assert (served.token, served.ask("/").status) == ("", 200)
    assert served.ask("/", Host="evil.example").status == 403
    served.process.send_signal(signal.SIGINT)
    out, err = served.process.communicate(timeout=30)
    assert served.process.returncode == 0
    assert f"workbench open {session}" in out
    assert err == "warning: no token: every user of this machine can open it\n"


def test_a_taken_port_is_one_line(start: Callable[..., Any], session: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ended = start("serve", session, "--port", port)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: cannot listen on 127.0.0.1 port {port} (")
    assert ended.err.endswith("choose another with --port\n")


def test_without_textual_serve_the_error_names_the_extra(
    run: Callable[..., Any], session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    ended = run("serve", session)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "error: serve needs textual-serve: pip install 'workbench[web]'\n"


@pytest.mark.parametrize("line", ["{at}/none.pt", "{at}", "{session} --input-size 32"])
def test_what_cannot_be_opened_is_told_before_it_is_served(
    line: str, run: Callable[..., Any], session: Path, tmp_path: Path
) -> None:
    ended = run("serve", *line.format(at=tmp_path, session=session).split())
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


def test_hostile_names_are_quoted(tmp_path: Path) -> None:
    """The command goes through a shell: a name must stay one word of it."""
    model, data = tmp_path / "a b'; touch $(x).pt", "-d; rm 'y' `z`"
    words = shlex.split(page_command(model, tmp_path / "new", {"--session": 1}, {"--data": data})())
    assert words[0] == "exec"
    assert words[-4:] == ["--session=1", f"--data={data}", "--", str(model)]


def test_the_second_page_goes_on_with_the_session(session: Path, tmp_path: Path) -> None:
    first = page_command(
        tmp_path / "m.pt", tmp_path / "new", {"--session": "new"}, {"--data": None}
    )
    assert first().endswith(f"open --session=new -- {tmp_path}/m.pt")
    later = page_command(tmp_path / "m.pt", session, {"--session": "new"}, {"--data": "digits"})
    assert later().endswith(f"open --data=digits -- {session}")


def packet(letter: bytes, payload: bytes) -> bytes:
    """As the server and the process of a page write them."""
    return letter + len(payload).to_bytes(4, "big") + payload


def test_an_error_is_shown_in_the_page_until_a_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PAGE, "open", str(tmp_path / "none.pt")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"__GANGLION__\n"
        letter, size = process.stdout.read(1), int.from_bytes(process.stdout.read(4), "big")
        shown = process.stdout.read(size).decode()
        assert letter == b"D"
        assert f"error: no file {tmp_path}/none.pt: check the path" in shown
        mouse = packet(b"D", b"\x1b[<35;10;10M") + packet(b"M", b'{"type": "focus"}')
        process.stdin.write(mouse + packet(b"D", b"\r"))
        process.stdin.flush()
        assert process.stdout.read() == packet(b"M", b'{"type": "exit"}')
        assert process.wait(timeout=30) == 0
