"""A scripted HTTP server that stands for the child's."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from malmoi.engine.llamacpp.connection import Connection

HANG = object()
CUT = object()


def event(**fields: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(fields, ensure_ascii=False).encode() + b"\n\n"


def last(**fields: Any) -> bytes:
    """The event that ends an answer."""
    timings = {"cache_n": 3, "prompt_n": 4, "prompt_ms": 20.0, "predicted_n": 2, "predicted_ms": 50.0}
    return event(
        **{"timings": timings, "stop_type": "eos", "tokens_evaluated": 7, "tokens_predicted": 2} | fields
    )


def stream(*parts: bytes, end: bool = True) -> list[Any]:
    """A chunked answer of these parts, each in a chunk and a packet of its own."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%s\r\n" % (len(part), part) for part in parts), *([b"0\r\n\r\n"] if end else [])]


def whole(value: Any, status: int = 200) -> list[Any]:
    """An answer with a length."""
    body = json.dumps(value).encode()
    return [b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)]


@dataclass
class ScriptedServer:
    """Answers each path by its next script: bytes are sent, HANG waits, CUT breaks off."""

    scripts: dict[str, list[list[Any]]] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def answer(self, path: str, *scripts: list[Any]) -> None:
        self.scripts.setdefault(path, []).extend(scripts)

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, body in self.requests if asked == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            body = await reader.readexactly(length)
            self.requests.append((path, json.loads(body) if body else None))
            script = self.scripts.get(path) or [whole({"status": "ok"})]
            for part in script.pop(0) if len(script) > 1 else script[0]:
                if part is HANG:
                    await reader.read()
                    self.left.set()
                elif part is CUT:
                    writer.transport.abort()
                else:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (ConnectionError, EOFError):
            self.left.set()
        finally:
            writer.close()


class FakeChild:
    """A child that is only a connection."""

    pid = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ended = asyncio.Event()

    async def wait(self) -> str:
        await self.ended.wait()
        return "it ended"

    async def stop(self, *, patience: float = 0) -> None:
        self.ended.set()


def real_model() -> Path:
    """A real GGUF model, from MALMOI_TEST_MODEL; without it the test is skipped."""
    name = os.environ.get("MALMOI_TEST_MODEL")
    if not name:
        pytest.skip("MALMOI_TEST_MODEL names no GGUF file")
    return Path(name)
