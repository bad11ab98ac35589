"""Replies that wait: through a restart, for too long, and answered by another way."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server
from skilled_chat import BOOK, FIND, Cars, ask_for, card_call, confirm_of, put_rental, reply_of
from sqlalchemy import delete, func, select, update

from malmoi.apps.chat.tables import Message
from malmoi.serve.db import utc_now
from malmoi.serve.skills.tables import SkillApproval, SkillAudit, SkillRunRow, SkillStage

Open = Callable[..., Awaitable[Server]]
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def fresh(home: Path) -> None:
    Cars.calls.clear()
    Cars.told.clear()
    put_rental(home)


async def waiting(server: Server) -> tuple[dict[str, Any], dict[str, Any]]:
    """A reply that waits, and its yes."""
    await server.switch_on("rental")
    conversation_id = await server.new_conversation()
    events = await ask_for(server, conversation_id, "예약", direct=card_call())
    return reply_of(events), confirm_of(events)


async def change(server: Server, statement: Any) -> None:
    async with server.app.state.services.db.session() as session:
        await session.execute(statement)


async def told(server: Server, reply: dict[str, Any]) -> dict[str, Any]:
    tree = await server.json("GET", f"conversations/{reply['conversation_id']}")
    return next(dict(one) for one in tree["messages"] if one["id"] == reply["id"])


async def test_a_yes_is_good_after_a_restart(open_server: Open) -> None:
    reply, yes = await waiting(await open_server())
    server = await open_server()
    assert await told(server, reply) == reply
    # Whoever comes back reads what there is, and that it waits.
    events = await server.events("GET", f"messages/{reply['id']}/events")
    assert [name for name, _ in events] == ["snapshot", "done"]
    assert [one["kind"] for one in events[0][1]["stages"]] == ["confirm", "ended"]
    done = reply_of(await server.events("POST", f"messages/{reply['id']}/approve", yes))
    assert (done["status"], done["content"]) == ("complete", BOOK)
    assert [call[0] for call in Cars.calls] == ["book"]
    assert await told(server, reply) == done


@SQLITE
@pytest.mark.parametrize("restart", [True, False], ids=["restart", "yes"])
async def test_what_waited_too_long_is_over(open_server: Open, restart: bool) -> None:
    server = await open_server()
    reply, yes = await waiting(server)
    old = utc_now() - timedelta(seconds=1)
    await change(server, update(SkillApproval).values(expires_at=old))
    if restart:
        server = await open_server()
    else:
        answer = await server.client.post(f"/api/chat/messages/{reply['id']}/approve", json=yes)
        assert answer.status_code == 409
    over = await told(server, reply)
    assert (over["status"], over["finish_reason"]) == ("complete", "expired")
    assert over["content"].startswith("답을 기다리다 시간이 지나")
    answer = await server.client.post(f"/api/chat/messages/{reply['id']}/approve", json=yes)
    assert answer.status_code == 409
    assert Cars.calls == []
    run = (await server.client.get(f"/api/skills/runs/{reply['run_id']}")).json()
    assert (run["status"], run["reason"]) == ("ended", "expired")


@SQLITE
async def test_a_run_that_is_gone_leaves_no_question_open(open_server: Open) -> None:
    server = await open_server()
    reply, _ = await waiting(server)
    await change(server, delete(SkillRunRow))
    server = await open_server()
    assert (await told(server, reply))["status"] == "interrupted"


@SQLITE
async def test_an_answer_by_another_way_is_taken_over(open_server: Open) -> None:
    server = await open_server()
    reply, yes = await waiting(server)
    path = f"/api/skills/runs/{reply['run_id']}"
    answer = await server.client.post(f"{path}/approve", json=yes)
    assert answer.status_code == 200
    await server.chat.replies._waiting.look_after()
    done = await told(server, reply)
    assert (done["status"], done["content"]) == ("complete", BOOK)
    second, yes = await waiting(server)
    path = f"/api/skills/runs/{second['run_id']}"
    await server.client.post(f"{path}/deny", json={"call_id": yes["call_id"]})
    await server.chat.replies._waiting.look_after()
    assert (await told(server, second))["finish_reason"] == "denied"
    assert len(Cars.calls) == 1


@SQLITE
async def test_two_yeses_at_a_time_are_one(open_server: Open) -> None:
    server = await open_server()
    reply, yes = await waiting(server)
    path = f"/api/chat/messages/{reply['id']}/approve"
    answers = await asyncio.gather(*(server.client.post(path, json=yes) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(Cars.calls) == 1
    assert (await told(server, reply))["status"] == "complete"


@SQLITE
async def test_a_server_that_dies_in_the_call_leaves_it_interrupted(open_server: Open) -> None:
    server = await open_server()
    reply, yes = await waiting(server)
    await change(server, update(Message).where(Message.id == reply["id"]).values(status="streaming"))
    server = await open_server()
    assert (await told(server, reply))["status"] == "interrupted"
    answer = await server.client.post(f"/api/chat/messages/{reply['id']}/approve", json=yes)
    assert answer.status_code == 409
    assert Cars.calls == []


@SQLITE
async def test_a_shutdown_in_a_call_is_kept_and_audited(open_server: Open) -> None:
    began = asyncio.Event()

    async def hang(*_: Any) -> Any:
        began.set()
        await asyncio.sleep(60)

    Cars.told["book"] = hang
    server = await open_server()
    reply, yes = await waiting(server)
    async with server.stream("POST", f"messages/{reply['id']}/approve", yes):
        await asyncio.wait_for(began.wait(), 10)
    server = await open_server()
    assert (await told(server, reply))["status"] == "interrupted"
    rows = (await server.client.get("/api/skills/audit")).json()["rows"]
    assert [(row["operation"], row["status"]) for row in rows] == [("book", "aborted")]


async def test_what_skills_did_goes_with_the_conversation(open_server: Open) -> None:
    server = await open_server()
    await server.switch_on("rental")
    kept, gone = await server.new_conversation(), await server.new_conversation()
    for conversation_id in (kept, gone):
        await ask_for(server, conversation_id, FIND)
    await server.json("DELETE", f"conversations/{gone}", status=204)
    await server.json("DELETE", "trash", status=204)
    async with server.app.state.services.db.reading() as session:
        assert list(await session.scalars(select(SkillRunRow.conversation))) == [kept]
        assert await session.scalar(select(func.count(SkillStage.run_id.distinct()))) == 1
        assert await session.scalar(select(func.count(SkillAudit.id))) == 2
