"""Who gets in, what is offered to whom, and both generations of the protocol."""

import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from mcp import MCPError
from mcp_world import MODES, World, text_of

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"accept": "application/json, text/event-stream"}


async def post(world: World, message: Any, **headers: str) -> Any:
    sent = {"authorization": f"Bearer {world.owner}", **ACCEPT, **headers}
    return await world.gateway.client.post("/mcp", json=message, headers=sent)


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_both_generations_are_served(world: World, mode: str, version: str) -> None:
    async with world.client(mode=mode) as client:
        assert client.protocol_version == version
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == [
            *("search_documents", "list_collections", "read_document"),
            *("run_skill", "list_skills", "list_models"),
        ]
        for tool in tools.values():
            assert tool.title
            assert tool.description
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.open_world_hint is (tool.name == "run_skill")
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
            jsonschema.Draft202012Validator.check_schema(tool.output_schema or {"type": "nothing"})
            assert tool.input_schema["additionalProperties"] is False
        models = await client.call_tool("list_models", {})
        assert models.structured_content["models"][0]["name"] == "scripted"
        assert "- scripted (ready, default)" in text_of(models)
        with pytest.raises(MCPError, match="there is no tool 'delete_everything'"):
            await client.call_tool("delete_everything", {})


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("skills", "search_documents", {"query": "x"}),
    ("skills", "read_document", {"document_id": "x"}),
    ("documents", "run_skill", {"query": "x"}),
    ("documents", "list_models", {}),
]


async def test_a_key_without_the_right_is_told_so(world: World) -> None:
    for mode in MODES:
        for right, tool, arguments in REFUSED:
            async with world.client(await world.key(right), mode=mode) as client:
                assert tool not in {one.name for one in (await client.list_tools()).tools}
                result = await client.call_tool(tool, arguments)
                assert result.is_error
                assert text_of(result).startswith("this API key lacks the right ")
    async with world.client(await world.key("skills")) as client:
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError, match="lacks the right documents"):
            await client.read_resource("malmoi://collections")


async def test_nobody_gets_in_without_a_valid_key(world: World) -> None:
    wrong = await post(world, INITIALIZE, authorization="Bearer mm_wrong_wrong")
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    usage = await post(world, INITIALIZE, authorization=f"Bearer {await world.key('usage')}")
    assert usage.status_code == 403


FOREIGN = [
    {"host": "attacker.example"},
    {"host": "127.0.0.1.attacker.example:8080"},
    {"origin": "https://attacker.example"},
    {"origin": "http://localhost.attacker.example"},
    {"sec-fetch-site": "cross-site"},
]


async def test_a_page_of_another_site_gets_nowhere(world: World) -> None:
    for headers in FOREIGN:
        answer = await post(world, INITIALIZE, **headers)
        assert answer.status_code == 403, headers
        assert "result" not in answer.text
    assert (await post(world, INITIALIZE)).status_code == 200


async def test_a_session_belongs_to_the_key_that_opened_it(world: World) -> None:
    opened = await post(world, INITIALIZE)
    session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    _, mina = await world.person("mina", "documents")
    for key in (mina, await world.key("documents")):
        other = await post(world, asked, authorization=f"Bearer {key}", **session)
        assert other.status_code == 404
    assert (await post(world, asked, **session)).status_code == 200
    headers = {"authorization": f"Bearer {world.owner}", **session}
    assert (await world.gateway.client.delete("/mcp", headers=headers)).status_code == 200
    assert (await post(world, asked, **session)).status_code == 404


async def test_one_account_cannot_take_the_sessions_of_all(world: World) -> None:
    statuses = [(await post(world, INITIALIZE)).status_code for _ in range(33)]
    assert statuses == [200] * 32 + [503]
    _, mina = await world.person("mina", "documents")
    assert (await post(world, INITIALIZE, authorization=f"Bearer {mina}")).status_code == 200


async def test_large_and_broken_bodies_are_refused(world: World) -> None:
    large = {**INITIALIZE, "padding": "x" * 1_100_000}
    assert (await post(world, large)).status_code == 413
    headers = {"authorization": f"Bearer {world.owner}", **ACCEPT}
    client = world.gateway.client
    for content, kind in [(b"{", "application/json"), (b"{}", "text/plain"), (b"[]", "application/json")]:
        answer = await client.post("/mcp", content=content, headers={**headers, "content-type": kind})
        assert answer.status_code == 400, answer.text
    assert (await client.get("/mcp", headers=headers)).status_code == 405


async def test_the_key_may_come_in_the_other_header_of_the_api(world: World) -> None:
    headers = {"x-api-key": str(world.owner), **ACCEPT}
    assert (await world.gateway.client.post("/mcp", json=INITIALIZE, headers=headers)).status_code == 200


def test_a_server_that_nobody_asks_does_not_import_the_sdk() -> None:
    code = "import sys, malmoi.serve.server; print([m for m in sys.modules if m.split('.')[0] == 'mcp'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_bridge_of_desktop_clients_starts_without_the_server() -> None:
    code = "import sys, malmoi.cli.mcp, malmoi.serve.mcp.bridge as b; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
