"""MCP servers as skills: tools become operations, and no bad server takes us with it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from malmoi.assist.egress import Egress, EgressRefused, EgressRules
from malmoi.assist.skills.manifest import Auth, McpSource
from malmoi.assist.skills.mcp import McpProvider
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import SkillUnavailable, Unauthenticated, UnknownName

sys.path.insert(0, str(Path(__file__).parent))
from mcp_servers import http_server

SERVERS = str(Path(__file__).with_name("mcp_servers.py"))
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def context(account: str = "a", **credentials: str) -> CallContext:
    return CallContext(account, "ko", NOW, credentials)


@asynccontextmanager
async def stdio(kind: str, seconds: float = 20.0) -> AsyncIterator[McpProvider]:
    source = McpSource(command=(sys.executable, SERVERS, kind))
    provider = McpProvider(source, auth=Auth(), egress=Egress(), seconds=seconds)
    try:
        yield provider
    finally:
        await provider.close()


def loopback(port: int) -> Egress:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    return Egress(EgressRules(trusted_hosts=(f"cafe.test:{port}",)), resolve=resolve)


@asynccontextmanager
async def over_http() -> AsyncIterator[McpProvider]:
    async with http_server() as (port, _):
        egress = loopback(port)
        source = McpSource(url=f"http://cafe.test:{port}/mcp")
        provider = McpProvider(source, auth=Auth(), egress=egress, seconds=20)
        yield provider
        await provider.close()
        await egress.close()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_speaks_with_a_server_on_its_standard_input() -> None:
    async with stdio("good", seconds=45) as provider:
        assert "find_cafe" in [one.name for one in await provider.operations()]


async def test_tools_become_operations_and_results() -> None:
    pytest.importorskip("uvicorn")
    async with over_http() as provider:
        operations = {one.name: one for one in await provider.operations()}
        assert operations["find_cafe"].effect == "read"
        # Without a hint, and where hints contradict each other, a person is asked.
        assert operations["order"].effect == "write"
        assert operations["contradiction"].effect == "write"
        assert [operations[name].is_final for name in ("find_cafe", "order")] == [False, True]
        assert operations["find_cafe"].parameters["required"] == ["place"]

        result = await provider.call("find_cafe", {"place": "전주", "most": 1}, context())
        assert result.data == {"place": "전주", "cafes": ["전주 0"]}
        assert (result.text, result.is_error) == ("", False)
        assert "전주" in result.exchanges[0].body

        picture = await provider.call("picture", {}, context())
        assert [(file.name, file.media_type) for file in picture.files] == [("image-1.png", "image/png")]
        assert picture.cards[0].file == "image-1.png"
        assert picture.data == "a plot"

        broken = await provider.call("broken", {}, context())
        assert broken.is_error
        assert broken.text
        with pytest.raises(UnknownName):
            await provider.call("nothing", {}, context())


async def test_an_account_has_a_process_of_its_own_that_is_kept_and_ended() -> None:
    async with stdio("small") as provider:
        first = await provider.call("spawn", {}, context())
        server, child = first.data["pid"], first.data["child"]
        assert (await provider.call("pid", {}, context())).data["pid"] == server
        assert (await provider.call("pid", {}, context("b"))).data["pid"] != server
        assert alive(child)
    assert await gone(child)
    assert await gone(server)


async def test_a_crash_in_a_call_is_told_and_the_next_call_works() -> None:
    async with stdio("small") as provider:
        with pytest.raises(SkillUnavailable):
            await provider.call("crash", {}, context())
        assert (await provider.call("pid", {}, context())).data["pid"]


async def test_a_call_that_takes_too_long_ends_with_its_process() -> None:
    async with stdio("small") as provider:
        server = (await provider.call("pid", {}, context())).data["pid"]
        provider._seconds = 0.5
        for connection in provider._connections.values():
            connection._seconds = 0.5
        with pytest.raises(SkillUnavailable, match=r"did not answer in 0\.5 s"):
            await provider.call("slow", {}, context())
        assert await gone(server)


async def test_a_cancelled_call_ends_its_process() -> None:
    async with stdio("small") as provider:
        server = (await provider.call("pid", {}, context())).data["pid"]
        task = asyncio.create_task(provider.call("slow", {}, context()))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await gone(server)


@pytest.mark.parametrize("kind", ["silent", "crash", "malformed", "burst", "flood", "nohup"])
async def test_bad_servers_are_told_and_ended(kind: str) -> None:
    before = set(os.listdir("/proc"))
    async with stdio(kind, seconds=0.8) as provider:
        with pytest.raises(SkillUnavailable):
            await provider.operations()
    for pid in (int(name) for name in set(os.listdir("/proc")) - before if name.isdigit()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        assert f"{SERVERS}\0{kind}".encode() not in command or await gone(pid)


async def test_a_command_that_is_not_there_is_named() -> None:
    source = McpSource(command=("/no/such/server",))
    provider = McpProvider(source, auth=Auth(), egress=Egress())
    with pytest.raises(SkillUnavailable, match="/no/such/server"):
        await provider.operations()
    await provider.close()


async def test_our_settings_are_not_given_to_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    from malmoi.assist.skills.mcp.process import process_streams

    monkeypatch.setenv("MALMOI_DATABASE__URL", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    program = (
        "import os, sys, json; sys.stdin.readline();"
        "print(json.dumps({'jsonrpc': '2.0', 'method': 'x', 'params': dict(os.environ)}), flush=True);"
        "sys.stdin.read()"
    )
    async with process_streams((sys.executable, "-c", program), {"EXTRA": "1"}) as (read, write):
        from mcp.shared.message import SessionMessage
        from mcp_types import JSONRPCNotification

        await write.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="go")))
        told = (await read.receive()).message.params
    assert told["EXTRA"] == "1"
    assert "secret" not in told.values()


async def test_http_goes_through_the_checked_way_out() -> None:
    pytest.importorskip("uvicorn")
    async with http_server() as (port, seen):
        source = McpSource(url=f"http://cafe.test:{port}/mcp")
        egress = loopback(port)
        provider = McpProvider(source, auth=Auth(kind="bearer"), egress=egress, seconds=10)
        result = await provider.call("find_cafe", {"place": "제주"}, context(token="s3cret"))
        assert result.data["cafes"][0] == "제주 0"
        assert any(head.get("authorization") == "Bearer s3cret" for head in seen)
        assert all(head["host"] == f"cafe.test:{port}" for head in seen)
        with pytest.raises(Unauthenticated):
            await provider.call("find_cafe", {"place": "제주"}, context("b"))
        await provider.close()
        await egress.close()


async def test_a_server_that_tells_nobody_its_tools_is_asked_with_a_key() -> None:
    pytest.importorskip("uvicorn")
    async with http_server(key="s3cret") as (port, _):
        source = McpSource(url=f"http://cafe.test:{port}/mcp")
        egress = loopback(port)
        for given in ({}, {"token": "another"}):
            provider = McpProvider(source, auth=Auth(kind="bearer"), egress=egress, seconds=10, given=given)
            with pytest.raises(Unauthenticated):
                await provider.operations()
            await provider.close()
        given = {"token": "s3cret"}
        provider = McpProvider(source, auth=Auth(kind="bearer"), egress=egress, seconds=10, given=given)
        assert "find_cafe" in [one.name for one in await provider.operations()]
        with pytest.raises(Unauthenticated):  # the key of one is not that of another
            await provider.call("find_cafe", {"place": "제주"}, context("b", token="another"))
        await provider.close()
        await egress.close()


@pytest.mark.parametrize("url", ["http://cafe.test/mcp", "https://127.0.0.1/mcp", "https://[::1]/mcp"])
async def test_a_private_address_is_refused(url: str) -> None:
    provider = McpProvider(McpSource(url=url), auth=Auth(), egress=Egress(), seconds=5)
    with pytest.raises((EgressRefused, SkillUnavailable)) as raised:
        await provider.operations()
    assert isinstance(raised.value, EgressRefused), raised.value
    await provider.close()
