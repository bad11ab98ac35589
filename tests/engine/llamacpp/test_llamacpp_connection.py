import asyncio
import json

import pytest
from llamacpp_server import CUT, HANG, ScriptedServer, event, last, stream, whole

from malmoi.engine.llamacpp.connection import Connection, ConnectionLost


async def read_events(connection: Connection) -> list[bytes]:
    async with connection.events("/completion", {"a": 1}) as reply:
        return [payload async for payload in reply.events()]


async def test_a_whole_answer_and_what_was_sent(server: ScriptedServer) -> None:
    server.answer("/x", whole({"안": 1}, status=418))
    answer = await Connection(server.port, "key").request("POST", "/x", {"글": "\ud800"})
    assert (answer.status, answer.json()) == (418, {"안": 1})
    assert server.requests == [("/x", {"글": "\ud800"})]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_events_may_be_cut_anywhere(server: ScriptedServer, size: int) -> None:
    data = event(content="한글🐉") + b": ping\n\n" + event(content="\n\n") + last()
    server.answer("/completion", stream(*(data[i : i + size] for i in range(0, len(data), size))))
    payloads = [json.loads(payload) for payload in await read_events(Connection(server.port, "key"))]
    assert [payload.get("content") for payload in payloads] == ["한글🐉", "\n\n", None]


@pytest.mark.parametrize(
    "script",
    [
        [*stream(event(content="a"), end=False), CUT],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", CUT],
        [CUT],
        [b"SSH-2.0-x\r\n\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"],
    ],
)
async def test_a_broken_exchange_is_a_lost_connection(server: ScriptedServer, script: list[object]) -> None:
    server.answer("/completion", script)
    with pytest.raises(ConnectionLost):
        await read_events(Connection(server.port, "key"))


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionLost, match="no connection"):
        await Connection(1, "key").request("GET", "/health")


async def test_a_hanging_server_is_given_up_in_time(server: ScriptedServer) -> None:
    server.answer("/health", [HANG])
    with pytest.raises(TimeoutError):
        await Connection(server.port, "key").request("GET", "/health", timeout=0.05)
    await asyncio.wait_for(server.left.wait(), 15)


async def test_abort_cuts_every_exchange(server: ScriptedServer) -> None:
    server.answer("/completion", [*stream(event(content="a"), end=False), HANG])
    connection = Connection(server.port, "key")
    readers = [asyncio.create_task(read_events(connection)) for _ in range(3)]
    while len(server.requests) < 3:
        await asyncio.sleep(0)
    connection.abort()
    ended = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(error) for error in ended] == [ConnectionLost] * 3


async def test_an_answer_that_is_not_json(server: ScriptedServer) -> None:
    server.answer("/x", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"])
    with pytest.raises(ConnectionLost, match="JSON"):
        (await Connection(server.port, "key").request("GET", "/x")).json()
