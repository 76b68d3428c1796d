"""The server behind `workbench serve`: textual-serve's, behind the guard, on one session.

The first page opens the model; whoever comes after it goes on with the same session. One page at
a time has it: the next one is told, rather than left blank.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from workbench.web.guard import Guard

RELOAD_S = 5.0
"""Seconds that a page waits for the one before it to close: a reload is over by then."""
SHUTDOWN_S = 15.0
"""Seconds that a page's process has to save when the server ends."""
TAKEN = (
    "This session is open in another tab or window.\r\n\r\n"
    "Close it there, then reload this page: it goes on where the other one was."
)


class SessionServer(Server):
    """Serves one session to one page at a time."""

    def __init__(self, command: Callable[[], str], title: str, guard: Guard) -> None:
        super().__init__("", title=title, templates_path=Path(__file__).parent)
        self._command = command
        self._guard = guard
        self._turn = asyncio.Lock()
        self._pages: set[asyncio.Task[Any]] = set()

    async def application(self) -> web.Application:
        """The aiohttp application, guarded."""
        app = await self._make_app()
        app.middlewares.append(self._guard.check)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """The command says where it is served."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End every page, and let the process behind it save."""
        for page in self._pages:
            page.cancel()
        if self._pages:
            await asyncio.wait(self._pages, timeout=SHUTDOWN_S)

    async def handle_index(self, request: web.Request) -> Any:
        """The page; its websocket is at the address by which the page was asked for."""
        self.public_url = f"http://{request.host}"
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Start the application for a page, or say that another page has the session."""
        task = asyncio.current_task()
        assert task is not None
        self._pages.add(task)
        try:
            try:
                await asyncio.wait_for(self._turn.acquire(), RELOAD_S)
            except TimeoutError:
                return await self._refused(request)
            try:
                self.command = self._command()
                return await super().handle_websocket(request)
            finally:
                self._turn.release()
        finally:
            self._pages.discard(task)

    async def _process_messages(
        self, websocket: web.WebSocketResponse, app_service: AppService
    ) -> None:
        """Pass on what the page says; a process that was killed takes the page with it."""

        async def watch(output: "asyncio.Task[None]") -> None:
            await asyncio.wait([output])
            await websocket.close()

        assert app_service._task is not None
        watching = asyncio.create_task(watch(app_service._task))
        try:
            await super()._process_messages(websocket, app_service)
        finally:
            watching.cancel()

    async def _refused(self, request: web.Request) -> web.WebSocketResponse:
        """Tell the page why it is empty, for as long as it stays open."""
        page = web.WebSocketResponse(heartbeat=15)
        await page.prepare(request)
        await page.send_bytes(TAKEN.encode())
        async for _ in page:  # keys and pings have nowhere to go
            pass
        return page


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        OSError: no such address here, or the port is taken.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family)


def run(server: SessionServer, listener: socket.socket) -> None:
    """Serve until ctrl+c."""
    web.run_app(
        server.application(),
        sock=listener,
        shutdown_timeout=SHUTDOWN_S,
        print=None,
        access_log=None,
    )
