"""What every request passes first: is it meant for this server, by its own pages, and of sane size?

Pure ASGI, so streams pass through unbuffered. In order: the Host header must be one of ours (DNS rebinding),
changes must not come from foreign pages (Origin, Sec-Fetch-Site), changes under /api need the session's CSRF
token unless a key is sent, bodies are counted and timed as they arrive, and responses get their security
headers. No decision rests on a URL put together from headers, only on `scope["path"]` and the headers.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NoReturn

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response

from malmoi.core.errors import Forbidden
from malmoi.serve.errors import RequestRefused, error_response
from malmoi.serve.identity.credentials import KEY_HEADERS
from malmoi.serve.identity.sessions import COOKIE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from malmoi.serve.settings import HttpSettings

CSRF_HEADER: Final = "x-malmoi-csrf"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SLOWEST_UPLOAD = 4096  # bytes a second, on average, after the first few moments
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# Data is never a document: should a browser open it as one, it can do nothing. Pages bring their own policy.
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_CORS_METHODS = "GET, POST, PUT, PATCH, DELETE"
_CORS_HEADERS = (
    "authorization, content-type, accept, last-event-id, x-api-key, x-ncp-clovastudio-api-key, "
    "x-ncp-clovastudio-request-id, x-request-id, x-malmoi-csrf, "
    "mcp-protocol-version, mcp-session-id, mcp-method, mcp-name"
)
_CORS_EXPOSED = (
    "retry-after, x-request-id, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-tokens, mcp-session-id"
)


class CsrfInvalid(Forbidden):
    """The CSRF token is missing or not the session's; a page asks /api/session for it and tries again."""

    code = "csrf_invalid"


class Security:
    """ASGI middleware; the outermost one, so that nothing answers a request that was not let in.

    Args:
        app: the application behind it.
        http: names, origins and sizes that are allowed.
        csrf: session token (None: no session) -> the CSRF token that must come with a change;
        `Identity.csrf`.
        most_bytes: a request's scope -> its largest body; None: that of `http` everywhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        http: HttpSettings,
        csrf: Callable[[str | None], str],
        most_bytes: Callable[[Scope], int] | None = None,
    ) -> None:
        self._app = app
        self._http = http
        self._csrf = csrf
        self._most_bytes = most_bytes or (lambda _scope: http.max_body_bytes)
        self._hosts = HostNames(http.host, http.allowed_hosts)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in http.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "").rstrip("/").lower()
        allowed = origin if origin in self._origins else None
        sender = _Sender(send, scope["path"], allowed_origin=allowed)
        try:
            self._check_host(headers)
            if self._is_preflight(scope, headers):
                await _preflight(allowed)(scope, receive, sender)
                return
            if scope["method"] not in _SAFE_METHODS:
                self._check_origin(headers, origin)
                self._check_csrf(scope, headers)
        except Forbidden as error:
            await error_response(error, scope)(scope, receive, sender)
            return
        await self._with_body_limits(scope, receive, sender)

    def _check_host(self, headers: Headers) -> None:
        names = headers.getlist("host")
        if len(names) != 1 or not self._hosts.allow(names[0]):
            raise Forbidden(
                "this server is not called by that name.",
                fix="Use its address, or add the name to http.allowed_hosts.",
            )

    def _is_preflight(self, scope: Scope, headers: Headers) -> bool:
        return (
            scope["method"] == "OPTIONS"
            and "origin" in headers
            and "access-control-request-method" in headers
        )

    def _check_origin(self, headers: Headers, origin: str) -> None:
        """Refuse a change that a page of another origin asks for; programs send neither header."""
        if origin in self._origins:
            return
        own = {f"{scheme}://{headers['host'].lower()}" for scheme in ("http", "https")}
        if len(headers.getlist("origin")) > 1 or (origin and origin not in own):
            raise Forbidden(
                "a page of another site asked for this change.", fix="Add it to http.allowed_origins."
            )
        # "same-site" is another port or a sibling domain: foreign as well.
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise Forbidden(
                "a page of another site asked for this change.", fix="Add it to http.allowed_origins."
            )

    def _check_csrf(self, scope: Scope, headers: Headers) -> None:
        path: str = scope["path"]
        if path != "/api" and not path.startswith("/api/"):
            return
        if _has_key(headers):
            return  # no page of another origin can send such a header without our consent
        token = session_token(headers)
        if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), self._csrf(token).encode()):
            raise CsrfInvalid("the page is out of date.", fix="Reload it.")

    async def _with_body_limits(self, scope: Scope, receive: Receive, sender: _Sender) -> None:
        most = self._most_bytes(scope)
        body = _Body(receive, most, self._http.body_timeout)
        try:
            body.announce(Headers(scope=scope).get("content-length"))
            await self._app(scope, body.receive, body.guard(sender))
        except RequestRefused:
            if body.refused is None:
                raise
        if body.refused is not None and not sender.started:
            await error_response(body.refused, scope)(scope, receive, sender)


class HostNames:
    """The names by which a server may be called: loopback, what it is bound to, and those of the settings.

    A server that is bound to all addresses may also be called by any address: a name that an attacker's name
    server points here is never an address.
    """

    def __init__(self, bound: str, allowed: Iterable[str]) -> None:
        self._names = {"localhost", *(_bare(name) for name in (bound, *allowed))}
        self._any_address = _is_wildcard(_bare(bound))

    def allow(self, host: str) -> bool:
        """Whether a Host header names this server; the port does not matter."""
        name = _host_name(host)
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._any_address


def session_token(headers: Headers) -> str | None:
    """The value of the session cookie, if there is one."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE) or None


@dataclass
class _Sender:
    """Adds headers to the response; `started` says whether there is one."""

    send: Send
    path: str
    allowed_origin: str | None
    started: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self.path.startswith("/api/"):
                headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("Content-Security-Policy", _DATA_POLICY)
            if self.allowed_origin is not None:
                headers["Access-Control-Allow-Origin"] = self.allowed_origin
                headers["Access-Control-Expose-Headers"] = _CORS_EXPOSED
                headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                headers.add_vary_header("Origin")
        await self.send(message)


class _Body:
    """Counts and times a request body as it arrives."""

    def __init__(self, receive: Receive, limit: int, idle: float) -> None:
        self._receive = receive
        self._limit = limit
        self._idle = idle
        self._size = 0
        self._complete = False
        self._started = time.monotonic()
        self.refused: RequestRefused | None = None

    def announce(self, content_length: str | None) -> None:
        """Refuse by what the client announces, before anything is read."""
        if content_length is not None and content_length.isascii() and content_length.isdigit():
            self._check_size(int(content_length[:20]))

    async def receive(self) -> Message:
        """The next message."""
        if self._complete:
            return await self._receive()  # waits for the client to leave, as long as it likes
        if self.refused is not None:
            raise self.refused
        try:
            async with asyncio.timeout(self._idle):
                message = await self._receive()
        except TimeoutError:
            self._refuse_slow()
        if message["type"] != "http.request":
            self._complete = True
            return message
        self._size += len(message.get("body", b""))
        self._check_size(self._size)
        self._complete = not message.get("more_body", False)
        if time.monotonic() - self._started > 3 * self._idle + self._size / _SLOWEST_UPLOAD:
            self._refuse_slow()
        return message

    def guard(self, sender: _Sender) -> Send:
        """A `send` that drops what the application says about a body that was refused."""

        async def send(message: Message) -> None:
            if self.refused is not None and not sender.started:
                raise self.refused
            await sender(message)

        return send

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            self._refuse(413, "body_too_large", f"the request body is larger than {self._limit} bytes.")

    def _refuse_slow(self) -> NoReturn:
        self._refuse(408, "body_too_slow", "the request body arrived too slowly.")

    def _refuse(self, status: int, code: str, message: str) -> NoReturn:
        # The rest of the body is not read, so the connection cannot be used again.
        self.refused = RequestRefused(status, code, message, headers={"Connection": "close"})
        raise self.refused


def _preflight(allowed_origin: str | None) -> Response:
    if allowed_origin is None:
        raise Forbidden(
            "pages of that origin may not call this server.", fix="Add it to http.allowed_origins."
        )
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": _CORS_METHODS,
            "Access-Control-Allow-Headers": _CORS_HEADERS,
            "Access-Control-Max-Age": "600",
        },
    )


def _has_key(headers: Headers) -> bool:
    """Whether the request carries a key (`Authorization: Basic` is sent by browsers of their own accord)."""
    if any(headers.get(name) for name in KEY_HEADERS):
        return True
    return any(value.lower().startswith("bearer ") for value in headers.getlist("authorization"))


def _host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None when it is not a plain name and port."""
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        port = port.removeprefix(":") if port.startswith(":") else ("x" if port else "")
        if not closed:
            return None
    else:
        name, _, port = host.partition(":")
    if not name or (port and not (port.isascii() and port.isdigit())):
        return None
    return name.lower().rstrip(".")


def _bare(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
