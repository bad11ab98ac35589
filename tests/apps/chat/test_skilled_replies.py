"""Skills inside replies: what is streamed and kept, the yes and the no, and what comes after."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server
from skilled_chat import BOOK, FIND, Cars, ask_for, card_call, confirm_of, put_rental, reply_of, trace_of

from malmoi.assist.skills.operation import Result

Open = Callable[..., Awaitable[Server]]


@pytest.fixture(autouse=True)
def fresh(home: Path) -> None:
    Cars.calls.clear()
    Cars.told.clear()
    put_rental(home)


async def test_a_skill_answers_and_its_stages_are_streamed_in_order(server: Server) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    events = await ask_for(server, conversation_id, FIND)
    told = [data["kind"] if name == "stage" else name for name, data in events]
    assert told == [
        "message",
        "title",
        "run",
        "routed",
        "planned",
        "called",
        "observed",
        "card",
        "file",
        "token",
        "text",
        "ended",
        "done",
    ]
    reply = reply_of(events)
    assert reply["content"] == "차 1대, 35,000원."
    assert (reply["status"], reply["finish_reason"], reply["model"]) == ("complete", "stop", None)
    trace = await trace_of(server, reply)
    streamed = [data for name, data in events if name == "stage" and data["kind"] != "run"]
    assert [(one["number"], one["kind"], one["data"]) for one in streamed] == [
        (one["number"], one["kind"], one["data"]) for one in trace["stages"]
    ]
    assert {one["run_id"] for one in streamed} == {reply["run_id"]}
    assert "".join(data["text"] for name, data in events if name == "token") == reply["content"]
    tree = await server.json("GET", f"conversations/{conversation_id}")
    assert tree["messages"][-1] == reply
    assert tree["conversation"]["title"] == FIND
    assert server.engine.requests == []


async def test_a_query_for_none_is_answered_as_ever(server: Server) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    events = await ask_for(server, conversation_id, "고양이에 대한 시를 한 편 써 줘")
    kinds = [data["kind"] for name, data in events if name == "stage"]
    assert kinds == ["run", "routed", "ended"]
    reply = reply_of(events)
    assert reply["content"]
    assert reply["model"] == "scripted"
    trace = await trace_of(server, reply)
    assert trace["reason"] == "none"
    assert len(server.engine.requests) == 1


async def test_nothing_runs_where_nothing_is_on(server: Server) -> None:
    conversation_id = await server.new_conversation()
    reply = reply_of(await ask_for(server, conversation_id, FIND))
    assert reply["run_id"] is None
    assert Cars.calls == []


async def test_a_yes_goes_on_with_the_same_message(server: Server) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    events = await ask_for(server, conversation_id, "예약", direct=card_call())
    waiting = reply_of(events)
    assert (waiting["status"], waiting["finish_reason"]) == ("waiting", "confirm")
    assert Cars.calls == []
    asked = confirm_of(events)
    again = await server.events("POST", f"messages/{waiting['id']}/approve", asked)
    assert again[0][1]["user"] is None
    assert again[0][1]["reply"]["id"] == waiting["id"]
    assert again[1][0] == "snapshot"
    before = [one for one in again[1][1]["stages"] if one["kind"] != "run"]
    assert [one["kind"] for one in before] == ["confirm", "ended"]
    reply = reply_of(again)
    assert reply["id"] == waiting["id"]
    assert (reply["content"], reply["status"]) == (BOOK, "complete")
    assert reply["run_id"] == waiting["run_id"]
    trace = await trace_of(server, reply)
    assert trace["reason"] == "answered"
    later = [data for name, data in again if name == "stage" and data["kind"] != "run"]
    streamed = [*before, *later]
    assert [(one["number"], one["data"]) for one in streamed] == [
        (one["number"], one["data"]) for one in trace["stages"]
    ]
    # A yes is good once.
    for _ in range(2):
        answer = await server.client.post(f"/api/chat/messages/{waiting['id']}/approve", json=asked)
        assert answer.status_code == 409
    assert len(Cars.calls) == 1
    found = await server.json("GET", "search?q=예약을")
    assert [one["message_id"] for one in found["items"]] == [reply["id"]]


async def test_a_no_changes_nothing_and_is_said(server: Server) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    events = await ask_for(server, conversation_id, "예약", direct=card_call())
    waiting, asked = reply_of(events), confirm_of(events)
    path = f"messages/{waiting['id']}/deny"
    await server.json("POST", path, {"call_id": "another"}, status=404)
    denied = await server.json("POST", path, {"call_id": asked["call_id"]})
    assert (denied["status"], denied["finish_reason"]) == ("complete", "denied")
    assert denied["content"] == "하지 않았습니다: book"
    await server.json("POST", path, {"call_id": asked["call_id"]}, status=409)
    answer = await server.client.post(f"/api/chat/messages/{waiting['id']}/approve", json=asked)
    assert answer.status_code == 409
    assert Cars.calls == []
    rows = (await server.client.get("/api/skills/audit")).json()["rows"]
    assert [(row["operation"], row["status"]) for row in rows] == [("book", "denied")]


@pytest.mark.parametrize("way", ["ask", "regenerate", "stop"])
async def test_whoever_goes_on_withdraws_what_waits(server: Server, way: str) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    events = await ask_for(server, conversation_id, "예약", direct=card_call())
    waiting, asked = reply_of(events), confirm_of(events)
    if way == "ask":
        await ask_for(server, conversation_id, FIND, parent_id=waiting["id"])
        assert [call[0] for call in Cars.calls] == ["search"]
    elif way == "regenerate":
        other = await server.events("POST", f"messages/{waiting['id']}/regenerate", {})
        # The write is asked for again: another run, another question, nothing done.
        assert reply_of(other)["status"] == "waiting"
        assert reply_of(other)["run_id"] != waiting["run_id"]
        assert confirm_of(other)["call_id"] != asked["call_id"]
        assert Cars.calls == []
    else:
        stopped = await server.json("POST", f"messages/{waiting['id']}/stop")
        assert stopped["finish_reason"] == "denied"
    answer = await server.client.post(f"/api/chat/messages/{waiting['id']}/approve", json=asked)
    assert answer.status_code == 409
    assert [call for call in Cars.calls if call[0] == "book"] == []


async def test_the_next_turns_see_what_a_skill_did(server: Server) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    first = reply_of(await ask_for(server, conversation_id, FIND))
    await server.switch_off("rental")
    await ask_for(server, conversation_id, "고마워", parent_id=first["id"])
    prompt: Any = server.engine.requests[-1].prompt
    shown = "차 1대, 35,000원.\n1. 아반떼 (A-7)"  # what the card showed can be meant later: "the first one"
    assert [one.content for one in prompt.messages][-3:] == [FIND, shown, "고마워"]


async def test_a_following_query_counts_the_branch_alone(server: Server) -> None:
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    first = reply_of(await ask_for(server, conversation_id, FIND))
    other = reply_of(await ask_for(server, conversation_id, "부산은?"))
    assert (await trace_of(server, other))["skill"] == ""  # a new branch: nothing was said before
    follows = reply_of(await ask_for(server, conversation_id, "부산은?", parent_id=first["id"]))
    assert (await trace_of(server, follows))["skill"] == "rental"
    assert [call[1] for call in Cars.calls] == [{"place": "제주"}, {"place": "부산"}]


async def test_stopping_ends_the_call_and_keeps_what_there_is(server: Server) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(*_: Any) -> Result:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        raise AssertionError

    Cars.told["search"] = hang
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    body = {"content": FIND, "client_id": uuid.uuid4().hex}
    async with server.stream("POST", f"conversations/{conversation_id}/messages", body) as stream:
        message = (await stream.until("message"))["reply"]
        await asyncio.wait_for(began.wait(), 10)
        async with server.stream("GET", f"messages/{message['id']}/events") as again:
            kinds = [one["kind"] for one in (await again.until("snapshot"))["stages"]]
            assert kinds == ["run", "routed", "planned", "called"]
        stopped = await server.json("POST", f"messages/{message['id']}/stop")
        assert ended.is_set()
        assert stopped["status"] == "stopped"
        assert (await stream.until("done"))["message"] == stopped
    trace = await trace_of(server, stopped)
    assert (trace["status"], trace["reason"]) == ("ended", "aborted")
    rows = (await server.client.get("/api/skills/audit")).json()["rows"]
    assert [row["status"] for row in rows] == ["aborted"]


async def test_a_run_that_fails_says_so(server: Server) -> None:
    Cars.told["search"] = Result(text="오늘은 쉽니다.", is_error=True)
    conversation_id = await server.new_conversation()
    await server.switch_on("rental")
    reply = reply_of(await ask_for(server, conversation_id, FIND))
    assert reply["status"] == "complete"
    assert "오늘은 쉽니다." in reply["content"]


async def test_a_card_of_a_skill_that_is_off_calls_nothing(server: Server) -> None:
    conversation_id = await server.new_conversation()
    events = await ask_for(server, conversation_id, "예약", direct=card_call())
    assert events[-1][0] == "error"
    assert events[-1][1]["error"]["code"] == "conflict"
    assert Cars.calls == []


async def test_a_zone_must_be_known(server: Server) -> None:
    conversation_id = await server.new_conversation()
    for zone, status in (("Asia/Seoul", 200), ("Asia/Nowhere", 400), ("../../etc/passwd", 400)):
        body = {"content": "x", "client_id": uuid.uuid4().hex, "zone": zone}
        answer = await server.client.post(f"/api/chat/conversations/{conversation_id}/messages", json=body)
        assert answer.status_code == status, answer.text


async def test_templates_name_the_skills_of_the_server(server: Server) -> None:
    templates = {one["id"]: one for one in (await server.json("GET", "templates"))["items"]}
    named = [skill for one in templates.values() for skill in one["skills"]]
    installed = {one["name"] for one in (await server.client.get("/api/skills")).json()["skills"]}
    assert named
    assert all(one["installed"] == (one["name"] in installed) for one in named)
