"""The client for foreign servers: one request, checked at every step, with an end to time and size."""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from malmoi.assist.egress.backend import CheckedBackend, Resolve, resolve
from malmoi.assist.egress.rules import EgressRefused, EgressRules, plain_host, port_of
from malmoi.assist.egress.transport import EgressTransport
from malmoi.core.errors import InvalidInput, SkillUnavailable

__all__ = ["Answer", "Egress", "EgressRefused"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PUBLIC_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_USER_AGENT = "Malmoi"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; `url` is where, after redirects. Header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: httpx.URL

    @property
    def media_type(self) -> str:
        """The type without its parameters, such as "application/json"."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def text(self) -> str:
        """The content in the encoding that the server names, or UTF-8; unknown bytes become U+FFFD."""
        return httpx.Response(self.status, headers=dict(self.headers), content=self.content).text


class Egress:
    """Sends requests to servers that are not ours. Safe for concurrent use.

    Args:
        rules: what may be reached.
        resolve: all addresses of a name.
        context: of TLS; none: certificates as httpx trusts them.
    """

    def __init__(
        self,
        rules: EgressRules | None = None,
        *,
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.rules = rules if rules is not None else EgressRules()
        self.transport = EgressTransport(
            self.rules, CheckedBackend(self.rules, resolve=resolve), context=context
        )

    async def send(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request and read the whole answer.

        Redirects are followed to addresses that pass the same checks. To another host only GET and HEAD go,
        and without the headers that could hold a key; from https to http none goes.

        Args:
            method: in capitals.
            url: as it was given, or parsed by `EgressRules.check`.
            headers: of the request.
            content: of the request.
            seconds: for everything; none: as the rules say.
            max_bytes: of the answer, after decompression; none: as the rules say.

        Raises:
            EgressRefused: the address, or one it leads to, must not be reached.
            SkillUnavailable: no answer, not in time, too large, or too many redirects.
        """
        limit = seconds if seconds is not None else self.rules.seconds
        most = max_bytes if max_bytes is not None else self.rules.max_bytes
        target = self.rules.check(url)
        sent = {"accept-encoding": "gzip, deflate", "user-agent": _USER_AGENT}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        try:
            async with asyncio.timeout(limit):
                for _ in range(self.rules.max_redirects + 1):
                    answer = await self._once(method, target, sent, content, most)
                    place = answer.headers.get("location", "")
                    if answer.status not in _REDIRECTS or not place:
                        return answer
                    following = self._next(target, place)
                    if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                        method, content = ("HEAD" if method == "HEAD" else "GET"), b""
                        sent.pop("content-type", None)
                    if _origin(following) != _origin(target):
                        if method not in ("GET", "HEAD"):
                            raise EgressRefused(
                                f"{plain_host(target)} sends this request on to {plain_host(following)}."
                            )
                        sent = {name: value for name, value in sent.items() if name in _PUBLIC_HEADERS}
                        sent["accept-encoding"] = "gzip, deflate"
                    target = following
        except TimeoutError as error:
            raise SkillUnavailable(f"{plain_host(target)} did not answer in {limit:g} s.") from error
        except httpx.TimeoutException as error:
            raise SkillUnavailable(f"{plain_host(target)} did not answer in time.") from error
        except httpx.TransportError as error:
            reason = str(error) or error.__class__.__name__
            raise SkillUnavailable(f"{plain_host(target)} cannot be reached: {reason}.") from error
        raise SkillUnavailable(f"{plain_host(target)} led on more than {self.rules.max_redirects} times.")

    async def close(self) -> None:
        """Close all connections."""
        await self.transport.aclose()

    def _next(self, target: httpx.URL, place: str) -> httpx.URL:
        try:
            following = target.join(place)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise EgressRefused(f"{plain_host(target)} leads to something that is no address.") from error
        # Checked as text again: what the join has made must pass as if it had been typed.
        checked = self.rules.check(str(following.copy_with(fragment=None)))
        if target.scheme == "https" and checked.scheme == "http":
            raise EgressRefused(f"{plain_host(target)} leads from https to plain http.")
        return checked

    async def _once(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes, most: int
    ) -> Answer:
        seconds = self.rules.connect_seconds
        extensions = {"timeout": {"connect": seconds, "pool": seconds, "read": None, "write": None}}
        try:
            request = httpx.Request(
                method, url, headers=dict(headers), content=content, extensions=extensions
            )
        except UnicodeEncodeError:  # whose text holds the value, which may be a key
            raise InvalidInput("a header holds signs that are not ASCII.", field="headers") from None
        response = await self.transport.handle_async_request(request)
        try:
            body = await _read(response, most)
        finally:
            await response.aclose()
        told = {name.lower(): value for name, value in response.headers.items()}
        told.pop("content-encoding", None)
        told.pop("set-cookie", None)
        return Answer(response.status_code, told, body, url)


async def _read(response: httpx.Response, most: int) -> bytes:
    """The body, decompressed, never more than `most` bytes in memory at any moment.

    Raises:
        SkillUnavailable: it is larger, or compressed in a way that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    inflate: Any = None
    if encoding in ("gzip", "x-gzip", "deflate"):
        inflate = zlib.decompressobj(wbits=47 if encoding != "deflate" else 15)
    elif encoding not in ("identity", ""):
        raise SkillUnavailable("the server compresses its answer in a way that is not supported.")
    body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for part in response.stream:
        try:
            body += inflate.decompress(part, most + 1 - len(body)) if inflate is not None else part
        except zlib.error as error:
            raise SkillUnavailable("the server's answer is damaged.") from error
        if len(body) > most:
            raise SkillUnavailable(f"the server's answer is larger than {most} bytes.")
    return bytes(body)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, plain_host(url), port_of(url)
