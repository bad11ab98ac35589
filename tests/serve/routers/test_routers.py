"""Routers: made, frozen, measured and tried by one account; used by the Studio API."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

sys.path.append(str(Path(__file__).parents[1] / "skills"))
from skills_server import InProcess, person, skills_server

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.serve.db.tables import UsageEvent

ROUTERS = "/api/routers"
CONTENT: dict[str, Any] = {
    "domains": [
        {
            "name": "날씨",
            "description": "날씨와 예보",
            "examples": ["내일 서울 날씨 알려줘", "오늘 비 와?", "주말 날씨 예보", "부산 날씨 어때"],
        },
        {
            "name": "렌터카",
            "examples": [
                "제주에서 렌터카 빌려줘",
                "렌터카 가격 알려줘",
                "경차 렌터카 예약",
                "렌터카 반납 시간",
            ],
        },
    ],
    "blocked": [
        {
            "name": "선거",
            "examples": [
                "이번 선거에서 누구 뽑을까",
                "대통령 선거 후보 평가해줘",
                "국회의원 선거 누가 이길까",
            ],
        }
    ],
    "others": ["소설 추천해 줘"],
}


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[InProcess]:
    async def embed(texts: Sequence[str]) -> np.ndarray:
        return letter_vectors(texts)

    async with skills_server(home) as it:
        it.services.routers._embed = embed
        yield it


async def make(gateway: InProcess, **more: Any) -> str:
    made = await gateway.post(ROUTERS, {"name": "안내", "content": CONTENT, **more})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def path_of(router_id: str, version: str = "latest") -> str:
    return f"/v1/routers/{router_id}/versions/{version}/route"


async def test_a_version_routes_in_the_studios_shape(gateway: InProcess) -> None:
    router_id = await make(gateway)
    missing = await gateway.post(path_of(router_id), {"query": "x"})
    assert (missing.status_code, missing.json()["status"]["code"]) == (404, "40400")
    version = (await gateway.client.post(f"{ROUTERS}/{router_id}/versions")).json()
    assert version["number"] == 1
    figures = version["figures"]["domains"]
    assert (figures["found"]["total"], figures["found"]["low"] <= 1) == (8, True)
    assert figures["left_alone"]["total"] > 100  # with the usual others
    for query, domain, blocked in [
        ("모레 대전 날씨 어때", "날씨", []),
        ("전주에서 렌터카 빌려줘", "렌터카", []),
        ("시장 선거 후보 누구 뽑을까", "", ["선거"]),
        ("철학이란 무엇일까", "", []),
    ]:
        for number in ("latest", "1"):
            answer = await gateway.post(path_of(router_id, number), {"query": query})
            assert answer.status_code == 200, answer.text
            told = answer.json()
            assert told["status"] == {"code": "20000", "message": "OK"}
            usage = told["result"].pop("usage")
            assert usage["totalTokens"] == usage["promptTokens"] > 0
            assert told["result"] == {
                "domain": {"result": domain, "called": True},
                "blockedContent": {"result": blocked, "called": True},
                "safety": {"result": [], "called": True},
            }, query


async def test_what_is_not_safe_is_named_and_can_be_left_out(gateway: InProcess) -> None:
    query = "나 이제 죽고 싶어"
    router_id = await make(gateway)
    await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    safety = (await gateway.post(path_of(router_id), {"query": query})).json()["result"]["safety"]
    assert safety == {"result": ["self_harm"], "called": True}
    content = {"domains": CONTENT["domains"], "safety": False}
    await gateway.client.patch(f"{ROUTERS}/{router_id}", json={"content": content})
    await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    result = (await gateway.post(path_of(router_id), {"query": query})).json()["result"]
    assert result["safety"] == {"result": [], "called": False}
    assert result["blockedContent"] == {"result": [], "called": False}
    before = (await gateway.post(path_of(router_id, "1"), {"query": query})).json()["result"]
    assert before["safety"]["result"] == ["self_harm"]


async def test_history_is_the_persons_alone(gateway: InProcess) -> None:
    router_id = await make(gateway)
    await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    said = {"role": "user", "content": "내일 서울 날씨 알려줘"}
    answer = await gateway.post(path_of(router_id), {"query": "부산은 어때", "chatHistory": [said]})
    assert answer.json()["result"]["domain"]["result"] == "날씨"
    wrong = await gateway.post(
        path_of(router_id), {"query": "x", "chatHistory": [{"role": "assistant", "content": "x"}]}
    )
    assert (wrong.status_code, wrong.json()["status"]["code"]) == (400, "40001")
    for body in ({"query": ""}, {}, {"query": "x" * 4001}):
        assert (await gateway.post(path_of(router_id), body)).json()["status"]["code"] == "40001"
    ignored = await gateway.post(path_of(router_id), {"query": "x", "temperature": 1})
    assert ignored.headers["x-malmoi-ignored"] == "temperature"
    for version in ("0", "2", "newest", "1.5", "٣"):
        assert (await gateway.post(path_of(router_id, version), {"query": "x"})).status_code == 404


async def test_versions_stay_as_they_were(gateway: InProcess) -> None:
    router_id = await make(gateway)
    first = (await gateway.client.post(f"{ROUTERS}/{router_id}/versions")).json()
    assert (await gateway.client.post(f"{ROUTERS}/{router_id}/versions")).json() == first
    content = {**CONTENT, "others": ["다른 말"]}
    changed = await gateway.client.patch(
        f"{ROUTERS}/{router_id}", json={"name": " 새 이름 ", "content": content}
    )
    assert (changed.json()["name"], changed.json()["versions"]) == ("새 이름", 1)
    second = (await gateway.client.post(f"{ROUTERS}/{router_id}/versions")).json()
    listed = (await gateway.client.get(f"{ROUTERS}/{router_id}/versions")).json()["versions"]
    assert [one["number"] for one in listed] == [2, 1]
    assert second["content_hash"] != first["content_hash"]
    kept = (await gateway.client.get(f"{ROUTERS}/{router_id}/versions/1")).json()["content"]
    assert kept["others"] == ["소설 추천해 줘"]
    assert (await gateway.client.delete(f"{ROUTERS}/{router_id}")).status_code == 204
    assert (await gateway.client.get(f"{ROUTERS}/{router_id}/versions/1")).status_code == 404


async def test_a_query_is_tried_before_anything_is_frozen(gateway: InProcess) -> None:
    router_id = await make(gateway)
    trace = (await gateway.post(f"{ROUTERS}/{router_id}/test", {"query": "대구 날씨 알려줘"})).json()
    assert trace["domain"] == "날씨"
    best = trace["domains"][0]
    assert (best["name"], best["found"], "날씨" in best["nearest"]) == ("날씨", True, True)
    assert best["margin"] >= trace["figures"]["domains"]["threshold"]
    missing = await gateway.post(f"{ROUTERS}/{router_id}/test", {"query": "x", "version": 1})
    assert missing.status_code == 404
    body = {"query": "x", "history": ["가" * 4001]}
    assert (await gateway.post(f"{ROUTERS}/{router_id}/test", body)).status_code == 400


async def test_what_is_learned_waits_for_nobody(gateway: InProcess) -> None:
    router_id = await make(gateway)
    body = {"query": "대구 날씨 알려줘"}
    first = (await gateway.post(f"{ROUTERS}/{router_id}/test", body)).json()
    async with gateway.services.routers._learning:  # somebody else's router is being learned
        answer = await asyncio.wait_for(gateway.post(f"{ROUTERS}/{router_id}/test", body), 10)
    assert answer.json() == first


async def test_routers_of_others_do_not_exist(gateway: InProcess) -> None:
    router_id = await make(gateway)
    await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    _, key = await person(gateway, "mina")
    client = gateway.client
    answers = [
        await client.get(f"{ROUTERS}/{router_id}", headers=key),
        await client.patch(f"{ROUTERS}/{router_id}", json={"name": "x"}, headers=key),
        await client.delete(f"{ROUTERS}/{router_id}", headers=key),
        await client.get(f"{ROUTERS}/{router_id}/versions", headers=key),
        await client.get(f"{ROUTERS}/{router_id}/versions/1", headers=key),
        await client.post(f"{ROUTERS}/{router_id}/versions", headers=key),
        await client.post(f"{ROUTERS}/{router_id}/test", json={"query": "x"}, headers=key),
        await client.post(path_of(router_id), json={"query": "x"}, headers=key),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert (await client.get(ROUTERS, headers=key)).json()["routers"] == []
    assert (await client.post(ROUTERS, json={"name": "안내"}, headers=key)).status_code == 201


async def test_a_router_leaves_as_a_file_and_comes_back(gateway: InProcess) -> None:
    router_id = await make(gateway)
    await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    await gateway.client.patch(f"{ROUTERS}/{router_id}", json={"content": {"safety": False}})
    for form, media in (("json", "application/json"), ("jsonl", "application/jsonl")):
        address = f"{ROUTERS}/{router_id}/export?format={form}"
        now = await gateway.client.get(address)
        assert (now.status_code, now.headers["content-type"].split(";")[0]) == (200, media)
        then = await gateway.client.get(f"{address}&version=1")
        taken = await gateway.post(f"{ROUTERS}/import", {"text": then.text})
        assert (taken.status_code, taken.json()["error"]["code"]) == (409, "conflict")
        made = await gateway.post(f"{ROUTERS}/import", {"text": then.text, "name": form})
        assert made.status_code == 201, made.text
        kept = made.json()["content"]
        assert (kept["others"], len(kept["domains"]), kept["safety"]) == (["소설 추천해 줘"], 2, True)
        assert (await gateway.client.get(f"{address}&version=2")).status_code == 404
    wrong = await gateway.post(f"{ROUTERS}/import", {"text": '{"text": 1}', "name": "x"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "text")
    assert "line 1" in wrong.json()["error"]["message"]
    _, key = await person(gateway, "mina")
    foreign = await gateway.client.get(f"{ROUTERS}/{router_id}/export", headers=key)
    assert foreign.status_code == 404


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"domains": [{"name": "a", "examples": ["x"]}]}, "at least 2"),
    ({"domains": [{"name": "a", "examples": ["x", "y"]}] * 2}, "two of domains have the same name"),
    (
        {
            "domains": [
                {"name": "a", "examples": ["x", "y"]},
                {"name": "b", "examples": ["X", "z"]},
            ]
        },
        "is an example of 'a' and of 'b'",
    ),
    (
        {"domains": [{"name": "a", "examples": ["x", "y"]}], "usual_others": False},
        "others are needed",
    ),
    ({"blocked": [{"name": " ", "examples": ["x", "y"]}]}, "at least one character"),
    ({"topics": []}, "topics"),
]


async def test_a_content_that_cannot_be_learned_is_told_why(gateway: InProcess) -> None:
    for content, said in FAULTS:
        answer = await gateway.post(ROUTERS, {"name": "x", "content": content})
        assert answer.status_code == 400, content
        assert said in answer.json()["error"]["message"]
    router_id = await make(gateway, content={"safety": False})
    nothing = await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    assert (nothing.status_code, nothing.json()["error"]["field"]) == (400, "content")
    topic = {"name": "a", "examples": ["x", "y"]}
    full = {"domains": [topic], "others": ["X"], "usual_others": False, "safety": False}
    router_id = await make(gateway, name="b", content=full)
    nothing = await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    assert (nothing.status_code, nothing.json()["error"]["field"]) == (400, "content.others")
    assert (await gateway.post(ROUTERS, {"name": "안내"})).status_code == 409


async def test_routing_is_metered(gateway: InProcess) -> None:
    router_id = await make(gateway)
    await gateway.client.post(f"{ROUTERS}/{router_id}/versions")
    told = (await gateway.post(path_of(router_id), {"query": "대구 날씨 알려줘"})).json()["result"]["usage"]
    async with gateway.services.db.reading() as session:
        rows = (await session.scalars(select(UsageEvent))).all()
    assert [(one.model, one.source, one.prompt_tokens) for one in rows] == [
        ("router", "studio", told["promptTokens"])
    ]
