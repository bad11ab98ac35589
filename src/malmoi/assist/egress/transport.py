"""An httpx transport over checked connections: no proxies, no cookies, no redirects by itself."""

import ssl
from collections.abc import AsyncIterator
from typing import cast

import httpcore
import httpx

from malmoi.assist.egress.backend import CheckedBackend
from malmoi.assist.egress.rules import EgressRules

_MAX_CONNECTIONS = 40
_KEEP_SECONDS = 15.0


class EgressTransport(httpx.AsyncBaseTransport):
    """Sends requests whose address passes the rules.

    Args:
        rules: what may be reached.
        backend: opens the sockets.
        context: of TLS; none: certificates as httpx trusts them.
    """

    def __init__(
        self, rules: EgressRules, backend: CheckedBackend, *, context: ssl.SSLContext | None = None
    ) -> None:
        self._rules = rules
        self._backend = backend
        self._context = context
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body of the answer is not read yet.

        Raises:
            EgressRefused: its address must not be reached.
            httpx.TransportError: the server does not answer.
        """
        url = self._rules.check(request.url)
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast("AsyncIterator[bytes]", request.stream),
            extensions=request.extensions,
        )
        try:
            answer = await self._opened().handle_async_request(asked)
        except httpcore.LocalProtocolError:
            # Its text holds the header, which may be a key.
            raise httpx.LocalProtocolError(
                "a header or the address cannot be sent", request=request
            ) from None
        except _ERRORS as error:
            raise _as_httpx(error, request) from error
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(cast("AsyncIterator[bytes]", answer.stream), request),
            extensions=answer.extensions,
            request=request,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    def _opened(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:  # reading the certificates takes a while
            context = self._context or httpx.create_ssl_context()
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=_MAX_CONNECTIONS,
                keepalive_expiry=_KEEP_SECONDS,
                network_backend=self._backend,
            )
        return self._pool


class _Body(httpx.AsyncByteStream):
    """The body of an answer, with errors as httpx names them."""

    def __init__(self, stream: AsyncIterator[bytes], request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except _ERRORS as error:
            raise _as_httpx(error, self._request) from error

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def _as_httpx(error: Exception, request: httpx.Request) -> httpx.TransportError:
    kind: type[httpx.TransportError] = httpx.ProtocolError
    if isinstance(error, httpcore.TimeoutException):
        kind = httpx.TimeoutException
    elif isinstance(error, httpcore.ConnectError):
        kind = httpx.ConnectError
    elif isinstance(error, httpcore.NetworkError):
        kind = httpx.NetworkError
    return kind(str(error), request=request)
