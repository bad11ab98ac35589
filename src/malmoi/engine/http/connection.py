"""Talking to the upstreams: one request, several attempts, never a second one after the first byte.

An attempt may be repeated while nothing of the answer has arrived: no connection, or the statuses 429, 502,
503, 504. After the first byte a broken connection is an error, for a repeated answer would differ from what
was already shown.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from malmoi.core.errors import ConfigError, EngineError, EngineUnavailable, MalmoiError
from malmoi.engine.http.refusals import RETRY_STATUSES, refusal, retry_after
from malmoi.engine.http.replies import parse_json
from malmoi.engine.http.sse import read_events
from malmoi.engine.http.upstreams import Upstream, Upstreams

_MAX_BODY = 64 * 1024 * 1024
_MAX_REFUSAL = 64 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait and how often to try. All times in seconds."""

    connect_timeout: float = 5.0
    read_timeout: float = 600.0
    retries: int = 2
    backoff: float = 0.5
    max_wait: float = 10.0


class _Retry(Exception):
    """This attempt failed before the first byte; another one may do."""

    def __init__(self, error: MalmoiError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


class Connection:
    """The HTTP side of the engine. `secret` is sent with every request and appears nowhere else."""

    def __init__(
        self, upstreams: Upstreams, *, model: str, secret: str | None, patience: Patience, local: bool
    ) -> None:
        self.upstreams = upstreams
        self.model = model
        self.secret = secret
        self._patience = patience
        self._closed = False
        try:
            headers = httpx.Headers({"Authorization": f"Bearer {secret}"} if secret else {})
        except UnicodeEncodeError:
            raise ConfigError("the API key has characters that no HTTP header can carry.") from None
        timeout = httpx.Timeout(patience.read_timeout, connect=patience.connect_timeout)
        # No redirects: the key goes to no other host. This machine's own servers are not behind a proxy.
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            follow_redirects=False,
            trust_env=not local,
        )

    async def get_json(self, path: str, *, root: bool = False) -> dict[str, Any]:
        """The JSON object at `path`; `root`: outside of the API's prefix."""
        return await self._json("GET", path, None, root=root)

    async def post_json(self, path: str, body: dict[str, Any], *, root: bool = False) -> dict[str, Any]:
        """The JSON object that `path` answers to `body`."""
        return await self._json("POST", path, body, root=root)

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The data of the events that `path` answers to `body`; `[DONE]` ends it and is left out.

        Raises:
            EngineError: the connection broke after the first byte, or the answer is no event stream.
            EngineUnavailable, Overloaded: no upstream answered.
            InvalidInput: the upstream refused the request.
        """
        tried: list[Upstream] = []
        while True:
            upstream = self.upstreams.choose(tried)
            tried.append(upstream)
            try:
                async with aclosing(self._stream_once(upstream, path, body)) as events:
                    async for data in events:
                        yield data
                return
            except _Retry as retry:
                await self._wait(retry, tried)

    async def close(self) -> None:
        """Close every connection; what is under way ends with `EngineUnavailable`."""
        self._closed = True
        await self._client.aclose()

    async def _json(
        self, method: str, path: str, body: dict[str, Any] | None, *, root: bool
    ) -> dict[str, Any]:
        tried: list[Upstream] = []
        while True:
            upstream = self.upstreams.choose(tried)
            tried.append(upstream)
            url = f"{upstream.root if root else upstream.base}{path}"
            try:
                async with self._attempt(upstream, method, url, body) as response:
                    whole = await self._read(response, _MAX_BODY)
                return parse_json(whole)
            except _Retry as retry:
                await self._wait(retry, tried)

    async def _stream_once(
        self, upstream: Upstream, path: str, body: dict[str, Any]
    ) -> AsyncGenerator[str, None]:
        async with self._attempt(upstream, "POST", f"{upstream.base}{path}", body) as response:
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                # Some servers report a failure as JSON with the status 200.
                said = await self._read(response, _MAX_REFUSAL)
                if kind.startswith("application/json") and b'"error"' in said:
                    raise refusal(500, said, response.headers, model=self.model, secret=self.secret)
                raise EngineError(
                    "the upstream did not answer with an event stream.",
                    fix="Is it an OpenAI-compatible server?",
                )
            async for data in read_events(response.aiter_bytes()):
                if data.strip() == "[DONE]":
                    return
                yield data

    @asynccontextmanager
    async def _attempt(
        self, upstream: Upstream, method: str, url: str, body: dict[str, Any] | None
    ) -> AsyncIterator[httpx.Response]:
        """One request to one server, answered with 200; its fate is reported to the balancer."""
        if self._closed:
            raise _gone()
        begun = False
        with self.upstreams.use(upstream):
            try:
                async with self._client.stream(method, url, json=body) as response:
                    begun = response.status_code == 200
                    if not begun:
                        await self._refuse(upstream, response)
                    yield response
                self.upstreams.succeeded(upstream)
            except httpx.TransportError as error:
                self.upstreams.failed(upstream)
                raise self._broken(error, begun=begun) from None
            except RuntimeError:
                # httpx's answer to a request on a closed client.
                if self._closed:
                    raise _gone() from None
                raise

    async def _refuse(self, upstream: Upstream, response: httpx.Response) -> None:
        """Raise the meaning of a status other than 200."""
        said = await self._read(response, _MAX_REFUSAL)
        status = response.status_code
        error = refusal(status, said, response.headers, model=self.model, secret=self.secret)
        if status >= 500:
            self.upstreams.failed(upstream)
        else:
            self.upstreams.succeeded(upstream)  # it is well enough to say no
        if status in RETRY_STATUSES:
            raise _Retry(error, retry_after(response.headers))
        raise error

    def _broken(self, error: httpx.TransportError, *, begun: bool) -> MalmoiError | _Retry:
        """What a broken connection means, without the URL's or the request's details."""
        if self._closed:
            return _gone()
        what = type(error).__name__
        if begun:
            return EngineError(f"the connection to the upstream broke off ({what}).", fix="Try again.")
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            # It may still be at work on it: asking again would only add to its load.
            return EngineUnavailable(f"the upstream did not answer in {self._patience.read_timeout:g} s.")
        return _Retry(EngineUnavailable(f"the upstream cannot be reached ({what})."))

    async def _wait(self, retry: _Retry, tried: list[Upstream]) -> None:
        """Wait before the next attempt, or raise the error when there shall be none."""
        if self._closed:
            raise _gone()
        attempt = len(tried)
        if attempt > self._patience.retries:
            raise retry.error
        if self.upstreams.has_other(tried):
            return
        # Full jitter, so that clients which failed together do not come back together.
        wait = retry.wait
        if wait is None:
            wait = random.uniform(0, self._patience.backoff * 2 ** (attempt - 1))  # noqa: S311 - no secret
        if wait > self._patience.max_wait:
            raise retry.error
        await asyncio.sleep(wait)

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > limit:
                raise EngineError("the upstream's answer is too large.")
            parts.append(part)
        return b"".join(parts)


def is_local(url: httpx.URL) -> bool:
    """Whether a URL points to this machine."""
    return url.host in _LOOPBACK


def _gone() -> EngineUnavailable:
    return EngineUnavailable("the engine is closed.")
