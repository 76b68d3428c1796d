"""Who may talk to the server: who shows the token, from a page of this server, by its own name.

The token is in the address of the first page; a cookie carries it from there to the websocket.
The Host header is checked against DNS rebinding, the Origin header against other sites' pages.
"""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Nothing from outside, in no frame of another site, and the address with the token to nobody."""
NO_TOKEN = (
    "403: this page needs the token. Open the whole address that `workbench serve` printed; "
    "it ends in ?token=...\n"
)
OTHER_HOST = "403: this server does not go by that name. Open the address that it printed.\n"
OTHER_SITE = "403: another site's page asked for this. Open the address of the server itself.\n"


class Guard:
    """Refuses with 403 and a line of plain text; `check` is an aiohttp middleware."""

    def __init__(self, token: str, host: str, port: int) -> None:
        self.token = token
        """Empty where none is asked for."""
        self._host, self._port = host, port
        self._cookie = f"workbench_{port}"
        """With the port: cookies are shared by all ports of a host."""

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse, or answer with the headers that keep the page to itself."""
        reason = self.refusal(request)
        if reason:
            return web.Response(status=403, text=reason, headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:  # such as no file of that name
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
            if self.token and self._matches(request.query.get("token")):
                response.set_cookie(
                    self._cookie, self.token, httponly=True, samesite="Strict", path="/"
                )
        return response

    def refusal(self, request: web.Request) -> str:
        """Why a request is refused; empty where it is not."""
        if not self._is_own_name(request.headers.get("Host", "")):
            return OTHER_HOST
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.headers['Host']}":
            return OTHER_SITE
        shown = (request.query.get("token"), request.cookies.get(self._cookie))
        if self.token and not any(self._matches(value) for value in shown):
            return NO_TOKEN
        return ""

    def _matches(self, value: str | None) -> bool:
        return value is not None and hmac.compare_digest(value.encode(), self.token.encode())

    def _is_own_name(self, header: str) -> bool:
        """Whether the Host header names this server: names could be made to point here, by DNS."""
        name, colon, port = header.rpartition(":")
        if not colon or name.endswith(":"):
            name, port = header, "80"
        if port != str(self._port):
            return False
        name = name.strip("[]").lower()
        if is_loopback(self._host):
            return name == "localhost" or (is_address(name) and is_loopback(name))
        return is_address(name) or name in (self._host.lower(), socket.gethostname().lower())


def is_address(host: str) -> bool:
    """Whether this is an IP address, no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
