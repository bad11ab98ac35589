"""Streamable HTTP for the MCP client, carried by our own checked connections.

The SDK speaks httpx2; the way out speaks httpx. This hands requests and answers from one to the other, so
that there is one place alone where sockets are opened.
"""

from collections.abc import AsyncIterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import httpx2

from malmoi.assist.egress import Egress, EgressRefused

_SECONDS = 30.0


class EgressBridge(httpx2.AsyncBaseTransport):
    """Sends the SDK's requests through the way out.

    Args:
        egress: the way out.
        max_bytes: of one answer or event stream.

    Attributes:
        refused: why the last request was refused; the SDK itself tells no more than that it failed.
        wants_key: whether the server has answered that it does not know who asks.
    """

    def __init__(self, egress: Egress, *, max_bytes: int) -> None:
        self._egress = egress
        self._max_bytes = max_bytes
        self.refused: EgressRefused | None = None
        self.wants_key = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        content = await request.aread()
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"host"]
        extensions = {"timeout": {"connect": _SECONDS, "pool": _SECONDS, "read": _SECONDS, "write": _SECONDS}}
        try:
            ours = httpx.Request(
                request.method, str(request.url), headers=headers, content=content, extensions=extensions
            )
            answer = await self._egress.transport.handle_async_request(ours)
        except EgressRefused as error:
            self.refused = error
            raise httpx2.ConnectError(error.message, request=request) from error
        except httpx.TimeoutException as error:
            raise httpx2.ReadTimeout("no answer in time", request=request) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise httpx2.ConnectError("the server cannot be reached", request=request) from error
        self.wants_key = self.wants_key or answer.status_code in (401, 403)
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers.raw,
            stream=_Body(answer, self._max_bytes),
            request=request,
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpx.Response, most: int) -> None:
        self._answer = answer
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, httpx.AsyncByteStream)
        try:
            async for part in self._answer.stream:
                self._left -= len(part)
                if self._left < 0:
                    raise httpx2.RemoteProtocolError("the answer is too large")
                yield part
        except httpx.TransportError as error:
            raise httpx2.ReadError("the connection broke") from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def bridge_client(bridge: EgressBridge, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """An HTTP client for the SDK: no proxies, no cookies, no redirects, nothing compressed."""
    return httpx2.AsyncClient(
        transport=bridge,
        headers={**headers, "accept-encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx2.Timeout(_SECONDS),
        trust_env=False,
        follow_redirects=False,
    )
