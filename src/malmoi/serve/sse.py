"""Server-sent events as a response: heartbeats, and an end for clients that are gone or do not read.

The events come from an async generator; closing it is what stops a generation. It is closed when the client
disconnects, and when one write takes longer than `send_timeout`: a client that stopped reading must not
hold a slot. A comment goes out when nothing was sent for a while, so that proxies keep the connection
during a long wait.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from starlette.responses import Response

from malmoi.core.errors import MalmoiError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_LOG = logging.getLogger("malmoi.serve")
T = TypeVar("T")
_HEARTBEAT = b": keep-alive\n\n"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


def event(data: Any, *, name: str | None = None, event_id: str | None = None) -> bytes:
    """One event; `data` is sent as JSON."""
    text = dumps(data)
    head = (f"id: {event_id}\n" if event_id else "") + (f"event: {name}\n" if name else "")
    return f"{head}data: {text}\n\n".encode()


def dumps(data: Any) -> str:
    """JSON in one line; half a character, which no UTF-8 can hold, becomes U+FFFD."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode()


class EventStream(Response):
    """A response that sends the events of a generator.

    The status goes out with the first event, or with the first heartbeat: an error that comes before is
    raised, and becomes a response with its own status. A later one is sent as the events that `on_error`
    makes of it.

    Args:
        events: the encoded events; may raise.
        on_error: what an error becomes when the status is already sent.
        send_timeout: seconds that one write may take.
        headers: further headers.
    """

    media_type = "text/event-stream"
    heartbeat: ClassVar[float] = 15.0
    """Seconds of silence after which a comment is sent."""

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        on_error: Callable[[Exception], bytes],
        send_timeout: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers={**_HEADERS, **(headers or {})})
        del self.headers["content-length"]
        self._events = events
        self._on_error = on_error
        self._send_timeout = send_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or stop when the client is gone."""
        writer = _Writer(self, send)
        tasks = [
            asyncio.create_task(self._produce(writer)),
            asyncio.create_task(self._watch_time(writer)),
            asyncio.create_task(_until_gone(receive)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            # The producer must have closed its generator before the request counts as finished.
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _produce(self, writer: _Writer) -> None:
        try:
            async with aclosing(self._events) as events:
                async for encoded in events:
                    await writer.write(encoded)
        except Exception as error:  # every error is told to the client, who already has a 200
            if not writer.has_started:
                raise
            if not isinstance(error, MalmoiError):
                _LOG.exception("an event stream failed")
            await writer.write(self._on_error(error))
        await writer.write(b"", more=False)

    async def _watch_time(self, writer: _Writer) -> None:
        # One timer for both clocks: the producer pays nothing per event.
        tick = min(self.heartbeat, self._send_timeout) / 4
        while True:
            await asyncio.sleep(tick)
            if writer.blocked_for() > self._send_timeout:
                return
            if writer.silent_for() >= self.heartbeat:
                async with asyncio.timeout(self._send_timeout):
                    await writer.write(_HEARTBEAT)


class _Writer:
    """Sends the parts of one response, and knows for how long it has been silent or blocked."""

    def __init__(self, response: EventStream, send: Send) -> None:
        self.has_started = False
        self._response = response
        self._send = send
        self._clock = asyncio.get_running_loop().time
        self._last_sent = self._clock()
        self._write_began: float | None = None

    async def write(self, body: bytes, *, more: bool = True) -> None:
        self._write_began = self._clock()
        if not self.has_started:
            self.has_started = True
            headers = self._response.raw_headers
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._write_began, self._last_sent = None, self._clock()

    def blocked_for(self) -> float:
        return 0.0 if self._write_began is None else self._clock() - self._write_began

    def silent_for(self) -> float:
        return 0.0 if self._write_began is not None else self._clock() - self._last_sent


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None when the client leaves before: then the work is cancelled."""
    task, gone = asyncio.create_task(work), asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
