"""The run of a skill set in the Studio API, whole and as events."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "skills"))
from skills_provider import Cars
from skills_server import InProcess, person, put_skill, skills_server

from gateway import events_of

SETS = "/api/skills/sets"
QUERY = "섬에서 탈 것 좀 알아봐 줄래"


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[InProcess]:
    Cars.calls.clear()
    Cars.told.clear()
    put_skill(home)
    async with skills_server(home) as it:
        await it.client.put("/api/skills/rental/switch")
        yield it


async def make_set(gateway: InProcess) -> str:
    set_id = str((await gateway.post(SETS, {"name": "차", "skills": ["rental"]})).json()["id"])
    stages = {"skill": "rental", "operation": "search", "arguments": {"place": "제주"}}
    row = {"query": QUERY, "status": "saved", "stages": stages}
    assert (await gateway.post(f"{SETS}/{set_id}/rows", row)).status_code == 200
    await gateway.client.post(f"{SETS}/{set_id}/versions")
    return set_id


def path_of(set_id: str, version: str = "latest") -> str:
    return f"/v1/skillsets/{set_id}/versions/{version}/final-answer"


@pytest.mark.parametrize("version", ["1", "latest"])
async def test_a_version_answers_with_its_rows(gateway: InProcess, version: str) -> None:
    set_id = await make_set(gateway)
    empty = {"baseOperation": {"header": {}}, "operations": []}
    body = {"query": QUERY, "requestOverride": empty, "unknown": 1}
    answer = await gateway.post(path_of(set_id, version), body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-malmoi-ignored"] == "unknown"
    told = answer.json()
    assert told["status"]["code"] == "20000"
    result = told["result"]
    assert (result["finalAnswer"], result["useTask"]) == ("차 1대, 35,000원.", False)
    [call] = result["apiResult"]
    assert (call["operationId"], call["apiOrder"]) == ("search", 0)
    assert json.loads(call["requestBody"]) == {"place": "제주"}
    assert "A-7" in call["responseBody"]


async def test_what_calls_are_made_with_cannot_be_given(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    for override in (
        {"baseOperation": {"header": {"x-key": "of somebody else"}}},
        {"operations": [{"operationId": "search", "query": {"place": "부산"}}]},
    ):
        answer = await gateway.post(path_of(set_id), {"query": QUERY, "requestOverride": override})
        assert (answer.status_code, answer.json()["status"]["code"]) == (400, "40009")
        assert "requestOverride" in answer.json()["status"]["message"]
    assert Cars.calls == []


async def test_latest_is_what_is_applied(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    stages = {"skill": "rental", "operation": "search", "arguments": {"place": "부산"}}
    row = {"query": "남쪽 항구에서 탈 것", "status": "saved", "stages": stages}
    assert (await gateway.post(f"{SETS}/{set_id}/rows", row)).status_code == 200
    await gateway.client.post(f"{SETS}/{set_id}/versions")
    newest = (await gateway.post(path_of(set_id), {"query": row["query"]})).json()["result"]
    assert len(newest["apiResult"]) == 1
    await gateway.client.put(f"{SETS}/{set_id}/apply", json={"version": 1})
    told = {}
    for version in ("latest", "1", "2"):
        answer = await gateway.post(path_of(set_id, version), {"query": row["query"]})
        told[version] = [call["requestBody"] for call in answer.json()["result"]["apiResult"]]
    assert told["latest"] == told["1"]
    assert told["latest"] != told["2"]


@pytest.mark.parametrize("tokens", [False, True])
async def test_stages_come_as_events(gateway: InProcess, tokens: bool) -> None:
    set_id = await make_set(gateway)
    body = {"query": QUERY, "tokenStream": tokens}
    headers = {"accept": "text/event-stream"}
    async with gateway.client.stream("POST", path_of(set_id), json=body, headers=headers) as response:
        found: list[tuple[Any, Any]] = [(name, json.loads(data)) for name, data in await events_of(response)]
    assert [name for name, _ in found] == ["planning", "cot", *["token"] * tokens, "finalAnswer"]
    assert found[0][1]["selectedSkill"] == "rental"
    assert found[1][1]["apiResult"][0]["operationId"] == "search"
    assert found[-1][1]["finalAnswer"] == "차 1대, 35,000원."


async def test_what_is_not_there_is_said_in_the_studios_words(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    _, key = await person(gateway, "mina")
    for path, headers in [
        (path_of(set_id, "2"), {}),
        (path_of(set_id, "newest"), {}),
        (path_of("nothing"), {}),
        (path_of(set_id), key),
    ]:
        answer = await gateway.client.post(path, json={"query": QUERY}, headers=headers)
        assert (answer.status_code, answer.json()["status"]["code"]) == (404, "40400")
    empty = await gateway.post(path_of(set_id), {"query": ""})
    assert empty.json()["status"]["code"] == "40001"


async def test_a_write_is_never_done(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    query = "늘 타던 걸로 해줘"
    stages = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
    await gateway.post(f"{SETS}/{set_id}/rows", {"query": query, "status": "saved", "stages": stages})
    await gateway.client.post(f"{SETS}/{set_id}/versions")
    answer = await gateway.post(path_of(set_id), {"query": query})
    assert answer.json()["status"]["code"] == "40000"
    assert "needs a person's yes" in answer.json()["status"]["message"]
    assert Cars.calls == []
