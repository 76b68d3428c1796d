"""The served workbench and the report in a real browser; skipped where there is none."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions import log
from sessions.events import Edited, ModelOpened

pytest.importorskip("textual_serve", reason="not installed: pip install 'workbench[web]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPEN_S = 90


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium: playwright's own, or the system's."""
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        path = own if Path(own).exists() else next(filter(None, map(shutil.which, NAMES)), None)
        if path is None:
            pytest.skip("no Chromium is installed: apt install chromium, or playwright install")
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=path, args=as_root)
        yield browser
        browser.close()


class Tab:
    """A page with all that it asked for, said and got over its websocket."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.frames: list[bytes] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", self._take_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._take_frame))

    def _take_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _take_frame(self, frame: str | bytes) -> None:
        self.frames.append(frame if isinstance(frame, bytes) else frame.encode())

    @property
    def received(self) -> str:
        """Everything that the terminal in the page was sent, without its colours."""
        sent = b"".join(self.frames).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z$]", "", sent)

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + OPEN_S
        while not condition():
            assert time.monotonic() < end, f"it never came true; last: {self.received[-500:]}"
            self.page.wait_for_timeout(50)


@pytest.fixture
def server(
    script: list[str], demo_model: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """`serve` of the demo's model, its address, and the folder of its session."""
    folder = tmp_path / "session"
    command = [*script, "serve", str(demo_model), "--session", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("open ").strip()
        yield process, url, folder
        process.kill()


def recorded(folder: Path, kind: type) -> list[Any]:
    events = [record.event for record in log.read(folder).records]
    return [event for event in events if isinstance(event, kind)]


def test_open_a_page_toggle_a_unit_see_macs_change(
    chromium: Any, server: tuple[subprocess.Popen[str], str, Path]
) -> None:
    process, url, folder = server
    context = chromium.new_context(viewport={"width": 1100, "height": 700})
    tab = Tab(context)
    tab.page.goto(url)
    tab.until(lambda: "stage3" in tab.received and "space" in tab.received)
    assert "token" not in tab.page.url, "the address bar does not keep it"

    (opened,) = recorded(folder, ModelOpened)
    before = f"{opened.macs:,}"
    tab.until(lambda: before in tab.received)
    tab.frames.clear()
    tab.page.keyboard.press("Space")  # the cursor starts on a unit that may go
    tab.until(lambda: recorded(folder, Edited))
    (edited,) = recorded(folder, Edited)
    after = f"{edited.macs:,}"
    assert edited.macs < opened.macs
    tab.until(lambda: after in tab.received)

    second = Tab(context)
    second.page.goto(url)
    second.until(lambda: "open in another tab" in second.received)
    second.page.close()

    tab.frames.clear()
    tab.page.reload()  # the session goes on where it was
    tab.until(lambda: after in tab.received)
    assert len(recorded(folder, ModelOpened)) == 1

    tab.page.keyboard.press("q")
    tab.page.get_by_role("button", name="Go on").wait_for(timeout=OPEN_S * 1000)
    own = url.partition("?")[0]
    asked = [address for address in tab.asked + second.asked if not address.startswith("data:")]
    assert [address for address in asked if not address.startswith(own)] == []
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    context.close()


def test_without_the_token_chromium_sees_why(
    chromium: Any, server: tuple[subprocess.Popen[str], str, Path]
) -> None:
    _, url, folder = server
    context = chromium.new_context()
    page = context.new_page()
    answer = page.goto(url.partition("?")[0])
    assert answer.status == 403
    assert "needs the token" in page.inner_text("body")
    assert not folder.exists(), "nothing was opened"
    context.close()


@pytest.mark.parametrize("width", [360, 390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_errors_and_requests(
    width: int,
    scheme: str,
    chromium: Any,
    demo_run: tuple[Path, Any],
    run: Callable[..., Any],
    tmp_path: Path,
) -> None:
    out = tmp_path / "report.html"
    assert run("report", demo_run[0], "-o", out).code == 0
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    tab = Tab(context)
    tab.page.goto(out.as_uri())
    assert tab.errors == []
    assert tab.asked == [out.as_uri()]
    wide = tab.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "the page does not scroll sideways"
    for picture in tab.page.locator("svg").all():
        assert picture.bounding_box()["width"] <= width
    context.close()
