"""The running server: its end by signals, and clients that are slow, gone or hostile."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from server_process import Child, started

from gateway import running, script
from malmoi.core.errors import ConfigError
from malmoi.engine.base import Chunk, Prompt, Sampling
from malmoi.engine.scripted import ScriptedEngine
from malmoi.serve.server import address, bind
from malmoi.serve.settings import HttpSettings


def running_request(server: Child, text: str, *, stream: bool = False) -> tuple[Any, Any]:
    """A request in a thread, once the server is answering it; and the pool that runs it."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(server.post, text, stream=stream)
    while 'num_requests_running{model_name="scripted"} 1.0' not in metrics(server):
        time.sleep(0.02)
    return future, pool


def metrics(server: Child) -> str:
    return httpx.get(server.url + "/metrics", timeout=20, trust_env=False).text


def test_requests_under_way_finish_and_new_ones_are_refused(home: Path) -> None:
    with started(home, shutdown_timeout=30) as server:
        assert server.get("/readyz") == 200
        future, pool = running_request(server, "short", stream=True)
        server.terminate()
        while server.get("/readyz") == 200:
            time.sleep(0.01)
        refused = server.post("short")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert server.get("/healthz") == 200
        done = future.result(timeout=20)
        assert "data: [DONE]" in done.text
        assert '"finish_reason":"stop"' in done.text
        assert server.process.wait(timeout=25) == 0
        pool.shutdown()


def test_without_patience_it_ends_at_once(home: Path) -> None:
    with started(home, shutdown_timeout=0) as server:
        future, pool = running_request(server, "long", stream=True)
        server.terminate()
        assert server.process.wait(timeout=30) == 0  # the answer takes 100 s by itself
        text = future.result(timeout=20).text
        assert "shutting down" in text
        assert "[DONE]" not in text
        pool.shutdown()


def test_what_is_not_done_in_time_is_cut_off(home: Path) -> None:
    with started(home, shutdown_timeout=1) as server:
        future, pool = running_request(server, "long")
        server.terminate()
        answer = future.result(timeout=20)
        assert answer.status_code == 503
        assert "cut off" in answer.json()["error"]["message"]
        assert server.process.wait(timeout=25) == 0
        pool.shutdown()


def test_a_second_signal_ends_at_once(home: Path) -> None:
    with started(home, shutdown_timeout=60) as server:
        _, pool = running_request(server, "long")
        server.terminate()
        while server.get("/readyz") == 200:
            time.sleep(0.01)
        server.terminate()
        assert server.process.wait(timeout=30) == 0  # of 60 s that the answer has
        pool.shutdown()


def test_no_process_is_left_behind(home: Path) -> None:
    with started(home) as server:
        _, pool = running_request(server, "long")
        family = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        server.process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []
        pool.shutdown()


def test_an_idle_server_ends_at_once_and_its_usage_is_written(home: Path) -> None:
    with started(home) as server:
        assert server.post("short").status_code == 200
        server.terminate()
        assert server.process.wait(timeout=25) == 0
    import sqlite3

    with sqlite3.connect(home / "malmoi.db") as database:
        ((count, tokens),) = database.execute(
            "SELECT count(*), sum(completion_tokens) FROM usage_events"
        ).fetchall()
    assert (count, tokens) == (1, 9)


async def test_a_client_that_leaves_stops_the_generation(home: Path) -> None:
    engine = script({"reply": "word " * 500, "hold_after": 5})
    async with running(home, engine) as gateway:
        for stream in (True, False):
            engine.cancelled.clear()
            request = asyncio.create_task(gateway.chat(stream=stream))
            await engine.held.wait()
            request.cancel()
            await asyncio.wait_for(engine.cancelled.wait(), 15)  # by itself it never ends
            assert engine.active == 0


class Flood(ScriptedEngine):
    """Generates without end, and far faster than anybody reads."""

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        try:
            while True:
                yield Chunk(text="x" * 65536, token_ids=(1,))
                await asyncio.sleep(0)
        finally:
            self.cancelled.set()


async def test_a_client_that_does_not_read_is_dropped(home: Path) -> None:
    engine = Flood()
    async with running(home, engine, http={"send_timeout": 0.5}) as gateway:
        client = await slow_reader(gateway.url, "long")
        await asyncio.wait_for(engine.cancelled.wait(), 20)
        assert (await gateway.client.get("/readyz")).status_code == 200  # others are served
        # The connection itself is given up too, so it holds no memory.
        received = await asyncio.wait_for(read_to_the_end(client), 20)
        assert b"[DONE]" not in received
        client.close()


async def read_to_the_end(client: socket.socket) -> bytes:
    received = b""
    try:
        while piece := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            received = piece
    except ConnectionError:
        pass
    return received


async def slow_reader(url: str, text: str) -> socket.socket:
    """A connection that asks for a stream and then reads nothing."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True}).encode()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (host, int(port)))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    await loop.sock_sendall(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


async def test_slow_headers_are_closed_and_slow_bodies_refused(home: Path) -> None:
    async with running(home, http={"header_timeout": 0.5, "body_timeout": 0.5}) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        slow = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        for _, writer in slow:
            writer.write(b"GET /healthz HT")
        assert (await gateway.chat()).status_code == 200  # others are not kept waiting
        for reader, writer in slow:
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{".encode()
        )
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 408")
        writer.close()


async def test_heartbeats_keep_a_waiting_stream_open(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = script({"reply": "x", "hold_after": 0})
    monkeypatch.setattr("malmoi.serve.sse.EventStream.heartbeat", 0.05)
    async with running(home, engine) as gateway:
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == ": keep-alive"
            engine.release()
            rest = [line async for line in lines]
        assert rest[-2:] == ["data: [DONE]", ""]


async def test_an_error_before_the_first_byte_has_its_own_status(home: Path) -> None:
    async with running(home, script({"reply": "x", "fail_after": 0})) as gateway:
        answer = await gateway.chat(stream=True)
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "engine_error"


async def test_an_error_on_the_way_is_an_event(home: Path) -> None:
    async with running(home, script({"reply": "a b c", "fail_after": 2})) as gateway:
        answer = await gateway.chat(stream=True)
        assert answer.status_code == 200
        last = json.loads(re.findall(r"^data: (.*)$", answer.text, re.MULTILINE)[-1])
        assert last["error"]["code"] == "engine_error"
        assert "[DONE]" not in answer.text


def test_a_port_that_is_taken_is_told() -> None:
    first = bind(HttpSettings(port=0))
    try:
        port = first.getsockname()[1]
        assert address(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigError, match=str(port)):
            bind(HttpSettings(port=port))
    finally:
        first.close()
    with pytest.raises(ConfigError):
        bind(HttpSettings(host="203.0.113.1", port=0))
