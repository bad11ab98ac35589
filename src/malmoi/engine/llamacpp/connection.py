"""HTTP to the child: one request a connection, on loopback, with the answer read as it comes.

Why not httpx: the cores that serve are the ones that compute. Per streamed token httpx costs 2.5 times the
processor time of this file, and per request some milliseconds more. Only what llama.cpp's server sends is
understood: a status line, headers, and a body with a length or in chunks. A new connection for each request
costs 0.2 ms and leaves no stale one to retry on; closing it is what tells llama.cpp to stop generating.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

_MAX_BODY = 256 << 20
_LINE_LIMIT = 1 << 20


class ConnectionLost(Exception):
    """The child went away, or said something that is not HTTP, before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or `ConnectionLost` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ConnectionLost("an answer that is not JSON") from error


class Connection:
    """Where the child listens, its key, and the exchanges that are open now."""

    def __init__(self, port: int, api_key: str, *, open_timeout: float = 5.0) -> None:
        self._port = port
        self._api_key = api_key
        self._open_timeout = open_timeout
        self._open: set[asyncio.WriteTransport] = set()

    @property
    def address(self) -> tuple[str, str]:
        """The child's URL and its key."""
        return f"http://127.0.0.1:{self._port}", self._api_key

    def abort(self) -> None:
        """Cut every connection: what waits on one gets `ConnectionLost`."""
        for transport in tuple(self._open):
            transport.abort()

    async def request(
        self, method: str, path: str, body: Any = None, *, timeout: float | None = None
    ) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            ConnectionLost: there was no whole answer.
            TimeoutError: none within `timeout` seconds.
        """
        async with asyncio.timeout(timeout), self._exchange(method, path, body) as reply:
            return Answer(reply.status, await reply.read())

    @asynccontextmanager
    async def events(self, path: str, body: Any) -> AsyncIterator["Reply"]:
        """Send a request whose answer is a stream of events; leaving the context closes the connection."""
        async with self._exchange("POST", path, body) as reply:
            yield reply

    @asynccontextmanager
    async def _exchange(self, method: str, path: str, body: Any) -> AsyncIterator["Reply"]:
        payload = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Bearer {self._api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(self._open_timeout):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LINE_LIMIT)
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"no connection to the engine's process: {error}") from error
        transport = writer.transport
        self._open.add(transport)
        try:
            with _losses():
                writer.write(head.encode() + payload)
                await writer.drain()
                reply = await _read_head(reader)
            yield reply
        finally:
            self._open.discard(transport)
            transport.abort()  # at once and without a wait: nobody needs what is still to come


class Reply:
    """An answer whose body is still to be read, once."""

    def __init__(self, status: int, chunked: bool, length: int | None, reader: asyncio.StreamReader) -> None:
        self.status = status
        self._chunked = chunked
        self._length = length
        self._reader = reader

    async def read(self) -> bytes:
        """The whole body."""
        parts: list[bytes] = []
        size = 0
        async with aclosing(self.parts()) as body:
            async for part in body:
                size += len(part)
                if size > _MAX_BODY:
                    raise ConnectionLost("an answer larger than 256 MiB")
                parts.append(part)
        return b"".join(parts)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives."""
        reader = self._reader
        with _losses():
            if self._chunked:
                while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                    part = await reader.readexactly(size + 2)
                    yield part[:-2]
            elif self._length is not None:
                yield await reader.readexactly(min(self._length, _MAX_BODY))
            else:
                while part := await reader.read(65536):
                    yield part

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The payloads of the server-sent events, whole; comments are left out."""
        buffer = b""
        async with aclosing(self.parts()) as body:
            async for part in body:
                buffer += part
                while (end := buffer.find(b"\n\n")) >= 0:
                    event, buffer = buffer[:end], buffer[end + 2 :]
                    name, _, payload = event.partition(b": ")
                    if name in (b"data", b"error"):
                        yield payload


async def _read_head(reader: asyncio.StreamReader) -> Reply:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = lines[0].split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP: {version[:20]!r}")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
    }
    length = headers.get("content-length")
    return Reply(
        int(status),
        headers.get("transfer-encoding", "").lower() == "chunked",
        int(length) if length is not None else None,
        reader,
    )


@contextmanager
def _losses() -> Iterator[None]:
    """Every way in which an exchange breaks off is `ConnectionLost`."""
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise ConnectionLost(f"the engine's process broke off: {type(error).__name__}") from error
