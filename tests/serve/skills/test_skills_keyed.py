"""Skills whose server tells what it can do only to those who have a key."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("mcp")
pytest.importorskip("uvicorn")

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "assist" / "skills"))
from mcp_servers import http_server
from skills_server import person, skills_server

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.manifest import Skill
from malmoi.serve.identity import Role

MANIFEST = """\
name = "cafe"
domain = "cafe"
version = "1"
description = "Finds cafes."
[people.en]
name = "Cafes"
description = "Finds cafes."
[source]
mcp = {{ url = "http://127.0.0.1:{port}/mcp" }}
{auth}
"""


def put_cafe(home: Path, port: int, auth: str = '[auth]\nkind = "bearer"') -> str:
    folder = home / "skills" / "cafe"
    folder.mkdir(parents=True)
    (folder / "skill.toml").write_text(MANIFEST.format(port=port, auth=auth))
    return f"127.0.0.1:{port}"


async def test_needs_the_callers_key_and_is_not_broken(home: Path) -> None:
    async with http_server(key="s3cret", host="127.0.0.1") as (port, seen):
        trusted = put_cafe(home, port)
        async with skills_server(home, trusted_hosts=[trusted]) as server:
            detail = (await server.client.get("/api/skills/cafe")).json()
            assert (detail["key_needed"], detail["operations"]) == (True, [])
            assert detail["needs"][0]["name"] == "token"
            asked = len(seen)
            assert (await server.client.get("/api/skills/cafe")).json()["key_needed"]
            assert len(seen) == asked  # without a key, the server is not asked again
            for key, is_known in (("wrong", False), ("s3cret", True)):
                kept = await server.client.put(
                    "/api/skills/cafe/credentials", json={"values": {"token": key}}
                )
                assert kept.status_code == 204
                detail = (await server.client.get("/api/skills/cafe")).json()
                assert detail["key_needed"] is not is_known
                assert ("find_cafe" in [one["name"] for one in detail["operations"]]) is is_known
            assert (await server.client.get("/api/skills")).json()["broken"] == {}
            # What one person's key has opened is shown neither to those who have none nor to those whose
            # key the server does not know.
            mina, headers = await person(server, "mina", Role.MEMBER)
            skills = server.services.skills
            auth = (await skills.registry.get("cafe")).manifest.auth
            for key, is_known in ((None, False), ("guessed", False), ("s3cret", True)):
                if key is not None:
                    await skills.choices.keep(mina.account_id, "cafe", auth, {"token": key})
                detail = (await server.client.get("/api/skills/cafe", headers=headers)).json()
                assert (detail["key_needed"], bool(detail["operations"])) == (not is_known, is_known)


async def test_says_so_where_the_manifest_asks_for_no_key(home: Path) -> None:
    async with http_server(key="s3cret", host="127.0.0.1") as (port, _):
        trusted = put_cafe(home, port, auth="")
        async with skills_server(home, trusted_hosts=[trusted]) as server:
            answer = await server.client.get("/api/skills/cafe")
            assert answer.json()["error"]["code"] == "skill_unavailable"
            assert "[auth]" in answer.json()["error"]["fix"]


async def test_a_skill_that_opens_slowly_holds_up_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with skills_server(home) as server:
        skills, answers = server.services.skills.registry._open, asyncio.Event()
        opened = skills._open

        async def slowly(skill: Skill, given: Mapping[str, str]) -> LoadedSkill:
            if skill.name == "holidays":
                await answers.wait()
            return await opened(skill, given)

        monkeypatch.setattr(skills, "_open", slowly)
        slow = asyncio.create_task(server.client.get("/api/skills/holidays"))
        await asyncio.sleep(0.1)
        other = await asyncio.wait_for(server.client.get("/api/skills/math"), 20)
        assert (other.status_code, slow.done()) == (200, False)
        answers.set()
        assert (await slow).status_code == 200


async def test_a_skill_that_changes_while_it_opens_is_opened_anew(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with skills_server(home) as server:
        registry, answers = server.services.skills.registry, asyncio.Event()
        skills = registry._open
        opened = skills._open

        async def slowly(skill: Skill, given: Mapping[str, str]) -> LoadedSkill:
            loaded = await opened(skill, given)
            await answers.wait()
            return loaded

        monkeypatch.setattr(skills, "_open", slowly)
        skill = await registry.get("math")
        slow = asyncio.create_task(skills.load(skill, {}))
        await asyncio.sleep(0.1)
        changed = asyncio.create_task(skills.forget("math"))
        await asyncio.sleep(0.1)
        answers.set()
        await changed
        assert await skills.load(skill, {}) is not await slow
