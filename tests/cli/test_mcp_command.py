"""`malmoi mcp`: a process on standard input and output, between the official client and a running server."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from click.testing import CliRunner
from mcp import Client, MCPError, StdioServerParameters

sys.path.append(str(Path(__file__).parents[1] / "serve" / "mcp"))
from mcp_world import MODES, World, open_world, text_of
from skills_provider import Cars

from malmoi.cli.mcp import mcp
from malmoi.core.errors import MalmoiError
from malmoi.serve.mcp.bridge import serve_stdio


def started(world: World, key: str = "") -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "malmoi", "mcp", "--url", world.gateway.url],
        env={"MALMOI_API_KEY": str(key or world.owner)},
    )


@pytest.mark.parametrize("mode", MODES)
async def test_a_desktop_client_of_either_generation_has_everything(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    async with open_world(home, monkeypatch) as world:
        document_id = await world.add("프록시는 설정에서 바꿉니다.")
        steps: list[str] = []

        async def note(progress: float, total: float | None = None, message: str | None = None) -> None:
            steps.append(str(message))

        async with Client(started(world), mode=mode) as client:
            assert len((await client.list_tools()).tools) == 6
            found = await client.call_tool("search_documents", {"query": "프록시"})
            assert found.structured_content["passages"][0]["document_id"] == document_id
            asked = {"query": "제주 렌터카 찾아줘"}
            run = await client.call_tool("run_skill", asked, progress_callback=note)
            assert "차 1대, 35,000원." in text_of(run)
            assert "called: rental.search" in steps
            book = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
            refused = await client.call_tool("run_skill", book)
            assert (refused.is_error, "only a person" in text_of(refused)) == (True, True)
            content = await client.read_resource(f"malmoi://documents/{document_id}")
            assert "프록시는" in content.contents[0].text  # type: ignore[union-attr]
            with pytest.raises(MCPError, match="there is no tool"):
                await client.call_tool("nothing", {})
        assert [name for name, _, _ in Cars.calls] == ["search"]


async def test_a_call_that_the_client_cancels_ends_on_the_server(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(home, monkeypatch) as world:
        began, ended = asyncio.Event(), asyncio.Event()

        async def hang(*_: Any) -> None:
            began.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        Cars.told["search"] = hang
        async with Client(started(world)) as client:
            call = asyncio.create_task(client.call_tool("run_skill", {"query": "제주 렌터카 찾아줘"}))
            async with asyncio.timeout(20):
                await began.wait()
                call.cancel()
                await ended.wait()
            await asyncio.gather(call, return_exceptions=True)


async def test_what_would_go_wrong_is_said_at_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(home, monkeypatch) as world:
        url = world.gateway.url
        for where, key, said in [
            ("http://127.0.0.1:9", "", "nothing answers at http://127.0.0.1:9/mcp"),
            (url, "mm_wrong_wrong", "does not take the key"),
            (url, str(await world.key("usage")), "has none of the rights"),
            (f"{url}/elsewhere", str(world.owner), "it is no Malmoi"),
            ("http://malmoi.example", "mm_key_x", "over plain http everybody"),
            ("ftp://127.0.0.1", "", "is no address"),
        ]:
            with pytest.raises(MalmoiError, match=said):
                await serve_stdio(where, key)


def test_a_key_that_can_be_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("열쇠", encoding="utf-8")
    result = CliRunner().invoke(mcp, ["--key-file", str(file)])
    assert isinstance(result.exception, MalmoiError)
    assert "holds signs that no key has" in str(result.exception)
