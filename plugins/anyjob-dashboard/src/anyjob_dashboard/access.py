"""Who gets anything of the page: the user who has its token, in a browser that is on it.

It is served to loopback, where other users, and other pages in the user's own browser, can reach it, too.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""What this machine is called by itself, which no other machine's name can be made to lead to."""
READING = ("GET", "HEAD")
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of each answer: only our scripts run, text cannot become markup, and nothing frames, caches or leaks it."""


class Keys(NamedTuple):
    """The token in the URL that was printed, and the cookie that a browser gets for it."""

    token: str
    cookie_name: str
    cookie: str


def new_keys() -> Keys:
    """Make keys: the cookie is called otherwise each time, since browsers keep one jar for all ports."""
    return Keys(secrets.token_urlsafe(32), f"anyjob-{secrets.token_hex(4)}", secrets.token_urlsafe(32))


class Refusal(NamedTuple):
    """Why a request gets nothing: the code of HTTP, and words."""

    code: int
    why: str


def refusal(keys: Keys, method: str, path: str, query: str, headers: Mapping[str, str]) -> Refusal | None:
    """Return why a request is refused; None for one that is not."""
    host = headers.get("host", "")
    if not is_loopback(host):
        return Refusal(
            421, f"this dashboard is at 127.0.0.1, and not at {host[:80]!r}: open the URL as it was printed"
        )
    if headers.get("sec-fetch-site") == "cross-site" and not (method == "GET" and path == "/"):
        return Refusal(403, "another site's page has asked for this: open the dashboard itself")
    if method not in READING and not is_of_the_page(host, headers.get("origin", "")):
        return Refusal(403, "what changes something is asked for by the dashboard's own page only")
    if path == "/" and method in READING and has_token(keys, query):
        return None
    if not has_cookie(keys, headers.get("cookie", "")):
        return Refusal(
            403, "this needs the token that `anyjob dashboard` has printed: open the URL as it stands there"
        )
    return None


def is_loopback(host: str) -> bool:
    """Tell whether the Host of a request is one that no other machine's name leads to."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in LOOPBACK and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        return False


def is_of_the_page(host: str, origin: str) -> bool:
    """Tell whether a request comes from a page of ours: a browser says so by itself."""
    return hmac.compare_digest(origin.lower().encode(), f"http://{host.lower()}".encode())


def has_token(keys: Keys, query: str) -> bool:
    """Tell whether the query of a URL has the token."""
    given = parse_qs(query, errors="replace").get("token", [""])
    return hmac.compare_digest(given[0].encode(errors="replace"), keys.token.encode())


def has_cookie(keys: Keys, header: str) -> bool:
    """Tell whether the cookies of a request have ours."""
    try:
        found = SimpleCookie(header).get(keys.cookie_name)
    except CookieError:
        return False
    return found is not None and hmac.compare_digest(found.value.encode(), keys.cookie.encode())


class Guard:
    """Refuses requests before the application sees them, and says in each answer what may be done with it.

    Args:
        app: the application.
        keys: what it takes to get in.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the connection is closed: there is nothing but HTTP here
        query = scope["query_string"].decode("latin-1")
        refused = refusal(self._keys, scope["method"], scope["path"], query, Headers(scope=scope))
        enters = refused is None and scope["path"] == "/" and has_token(self._keys, query)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY)
                if enters:
                    headers.append("Set-Cookie", self._cookie())
            await send(message)

        app = self._app if refused is None else PlainTextResponse(f"{refused.why}\n", refused.code)
        await app(scope, receive, send_guarded)

    def _cookie(self) -> str:
        return f"{self._keys.cookie_name}={self._keys.cookie}; Path=/; HttpOnly; SameSite=Strict"
