"""A trip of the chat with the built-in travel skill: its places, its audit, and who may read them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from chat_server import Server

from malmoi.engine.scripted import ScriptedEngine
from malmoi.serve.identity import Principal, Role, Scope

OPEN = Callable[..., Awaitable[Server]]


def plan(*names: str) -> str:
    stops = [
        {"time": f"{9 + 3 * number:02}:00", "place": name, "note": "좋다"}
        for number, name in enumerate(names)
    ]
    return json.dumps({"stops": stops}, ensure_ascii=False)


async def begin(server: Server, place: str) -> tuple[str, str]:
    form = {"language": "ko", "values": {"place": place, "days": "1"}}
    conversation_id = await server.new_conversation(persona_id="trip", form=form)
    tree = await server.json("GET", f"conversations/{conversation_id}")
    return conversation_id, tree["messages"][0]["id"]


async def audit(server: Server) -> list[dict[str, Any]]:
    answer = await server.client.get("/api/skills/audit")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def test_the_places_of_a_trip_are_those_of_the_travel_skill(server: Server) -> None:
    server.engine.enqueue(plan("경기전", "남부시장", "덕진공원"))
    conversation_id, opening = await begin(server, "전주")
    _, reply = await server.ask(conversation_id, "짜 줘", parent_id=opening)
    rows = [line for line in reply["content"].splitlines() if line.startswith("| 1일차")]
    assert [row.split(" | ")[2] for row in rows] == ["✓ 경기전", "✓ 남부시장", "✓ 덕진공원"]
    assert "09:00-18:00 · 역사 · 완산구 풍남동 · 좋다" in rows[0]
    assert len(server.engine.requests) == 1  # the skill was asked without a model
    schema = server.engine.requests[0].sampling.json_schema
    assert schema is not None
    assert "경기전" in schema["$defs"]["KnownStop"]["properties"]["place"]["enum"]
    called = await audit(server)
    assert len(called) == 9  # once for each kind
    assert {(one["skill"], one["operation"], one["status"]) for one in called} == {
        ("travel", "search_places", "ok")
    }
    on = await server.client.get("/api/skills")
    assert not any(one.get("on") for one in on.json()["skills"] if one["name"] == "travel")


async def test_a_destination_that_it_does_not_know_is_not_asked_for(server: Server) -> None:
    server.engine.enqueue(plan("에펠탑", "루브르", "센강"))
    conversation_id, opening = await begin(server, "파리")
    _, reply = await server.ask(conversation_id, "짜 줘", parent_id=opening)
    assert "에펠탑" in reply["content"]
    assert "확인되지 않았습니다" in reply["content"]
    assert "✓" not in reply["content"]
    assert await audit(server) == []


async def test_who_has_no_right_to_skills_reads_none(open_server: OPEN) -> None:
    server = await open_server(ScriptedEngine())
    skilled = server.chat.replies._answering._skilled
    keyed = Principal("a", "key", Role.MEMBER, scopes=frozenset({Scope.CHAT}), key_id="k")
    assert skilled.reads(keyed, "ko") is None
