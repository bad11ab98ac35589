"""The platform's own MCP client as a client of the platform's own MCP server."""

from datetime import UTC, datetime

import pytest
from mcp_world import World
from skills_provider import Cars

from malmoi.assist.egress import Egress, EgressRules
from malmoi.assist.skills.manifest import Auth, McpSource
from malmoi.assist.skills.mcp import McpProvider
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import Unauthenticated


async def test_a_skill_of_one_server_may_be_another_server(world: World) -> None:
    document_id = await world.add("프록시는 설정에서 바꿉니다.")
    _, mina = await world.person("mina", "documents")
    egress = Egress(EgressRules(trusted_hosts=(world.gateway.url.removeprefix("http://"),)))
    source = McpSource(url=f"{world.gateway.url}/mcp")
    owner = {"token": str(world.owner)}
    provider = McpProvider(source, auth=Auth(kind="bearer"), egress=egress, seconds=20, given=dict(owner))

    def caller(name: str, credentials: dict[str, str]) -> CallContext:
        return CallContext(name, "ko", datetime.now(UTC), credentials)

    try:
        operations = {one.name: one for one in await provider.operations()}
        assert len(operations) == 6
        assert {one.effect for one in operations.values()} == {"read"}
        asked = {"query": "프록시"}
        found = await provider.call("search_documents", asked, caller("a", owner))
        assert found.data["passages"][0]["document_id"] == document_id
        assert found.data["passages"][0]["text"].startswith("[[[")
        book = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
        refused = await provider.call("run_skill", book, caller("a", owner))
        assert refused.is_error
        assert "only a person can approve" in refused.text
        assert Cars.calls == []
        # Each caller is who the key says: connections are never shared.
        others = await provider.call("search_documents", asked, caller("b", {"token": str(mina)}))
        assert others.data["passages"] == []
        wrong = await provider.call("run_skill", asked, caller("b", {"token": str(mina)}))
        assert (wrong.is_error, "lacks the right skills" in wrong.text) == (True, True)
        with pytest.raises(Unauthenticated):
            await provider.call("search_documents", asked, caller("c", {}))
    finally:
        await provider.close()
        await egress.close()
