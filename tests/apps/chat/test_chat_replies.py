import asyncio
from typing import Any

import pytest
from chat_server import Server
from sqlalchemy import select, update

from malmoi.apps.chat.tables import Message
from malmoi.engine.scripted import Rule, ScriptedEngine

HELD = "하나 둘 셋 넷 다섯"


async def begin(server: Server, conversation_id: str, **rule: Any) -> tuple[str, Any]:
    """Send a message whose reply waits in its middle; the reply's id and the request's body."""
    server.engine.enqueue(HELD, **({"hold_after": 5} | rule))
    body = {"content": "세어 줘", "client_id": "count"}
    async with server.stream("POST", f"conversations/{conversation_id}/messages", body) as stream:
        reply = (await stream.until("message"))["reply"]
        await stream.until("token")
        await asyncio.wait_for(server.engine.held.wait(), 10)
    return reply["id"], body


async def saved(server: Server, message_id: str) -> Message:
    async with server.app.state.services.db.reading() as session:
        found = await session.scalar(select(Message).where(Message.id == message_id))
    assert found is not None
    return found


async def until_saved(server: Server, message_id: str, content: str) -> None:
    async with asyncio.timeout(10):
        while (await saved(server, message_id)).content != content:
            await asyncio.sleep(0.05)


async def test_a_reload_in_the_middle_finds_the_reply_again(server: Server) -> None:
    conversation_id = await server.new_conversation()
    reply_id, _ = await begin(server, conversation_id)  # the first reader is gone now
    tree = await server.json("GET", f"conversations/{conversation_id}")
    assert tree["messages"][-1]["status"] == "streaming"
    assert tree["messages"][-1]["content"] == HELD[:5]
    async with server.stream("GET", f"messages/{reply_id}/events") as stream:
        assert await stream.until("snapshot") == {"content": HELD[:5], "reasoning": "", "stages": []}
        async with server.stream("GET", f"messages/{reply_id}/events") as other:
            assert (await other.until("snapshot"))["content"] == HELD[:5]
            server.engine.release()
            for reader in (stream, other):
                events = await reader.rest()
                text = "".join(data["text"] for name, data in events if name == "token")
                assert HELD[:5] + text == HELD
                assert events[-1][1]["message"]["status"] == "complete"
    assert server.engine.num_cancelled == 0
    # and of a finished one
    events = await server.events("GET", f"messages/{reply_id}/events")
    assert [name for name, _ in events] == ["snapshot", "done"]
    assert events[0][1]["content"] == events[1][1]["message"]["content"] == HELD


async def test_what_is_written_is_saved_while_it_is_written(server: Server) -> None:
    reply_id, _ = await begin(server, await server.new_conversation())
    await until_saved(server, reply_id, HELD[:5])
    assert (await saved(server, reply_id)).status == "streaming"


async def test_stop_keeps_what_is_there(server: Server) -> None:
    conversation_id = await server.new_conversation()
    reply_id, _ = await begin(server, conversation_id, reasoning="생각")
    async with server.stream("GET", f"messages/{reply_id}/events") as stream:
        await stream.until("snapshot")
        stopped = await server.json("POST", f"messages/{reply_id}/stop")
        done = await stream.until("done")
    assert stopped == done["message"]
    assert stopped["status"] == "stopped"
    assert stopped["content"] + stopped["reasoning"]
    assert stopped["usage"]["completion_tokens"] == 5
    await asyncio.wait_for(server.engine.cancelled.wait(), 10)
    assert server.engine.active == 0
    assert (await saved(server, reply_id)).status == "stopped"
    assert (await server.json("POST", f"messages/{reply_id}/stop"))["status"] == "stopped"  # again: nothing
    # the conversation goes on from there
    _, reply = await server.ask(conversation_id, "계속", parent_id=reply_id)
    assert reply["status"] == "complete"


async def test_a_question_sent_twice_is_asked_once(server: Server) -> None:
    conversation_id = await server.new_conversation()
    reply_id, body = await begin(server, conversation_id)
    async with server.stream("POST", f"conversations/{conversation_id}/messages", body) as again:
        assert (await again.until("message"))["reply"]["id"] == reply_id
        assert (await again.until("snapshot"))["content"] == HELD[:5]
        server.engine.release()
        assert (await again.until("done"))["message"]["content"] == HELD
    assert len(server.engine.requests) == 1


async def test_ten_requests_with_one_client_id_at_a_time_are_one(server: Server) -> None:
    conversation_id = await server.new_conversation()
    body = {"content": "한 번만", "client_id": "same"}
    path = f"conversations/{conversation_id}/messages"
    answers = await asyncio.gather(*(server.events("POST", path, body) for _ in range(10)))
    assert len({events[0][1]["reply"]["id"] for events in answers}) == 1
    assert {events[-1][0] for events in answers} == {"done"}
    assert len({events[-1][1]["message"]["content"] for events in answers}) == 1
    assert len(server.engine.requests) == 1
    assert len((await server.json("GET", f"conversations/{conversation_id}"))["messages"]) == 2


async def test_the_same_client_id_in_another_conversation_is_another_message(server: Server) -> None:
    for _ in range(2):
        await server.ask(await server.new_conversation(), "안녕", client_id="same")
    assert len(server.engine.requests) == 2


async def test_nobody_answers_to_a_reply_that_is_being_written(server: Server) -> None:
    conversation_id = await server.new_conversation()
    reply_id, _ = await begin(server, conversation_id)
    body = {"content": "잠깐", "client_id": "b", "parent_id": reply_id}
    await server.json("POST", f"conversations/{conversation_id}/messages", body, status=409)


@pytest.mark.parametrize(
    ("failure", "after", "status", "code"),
    [
        ("engine_error", 0, "failed", "engine_error"),
        ("engine_error", 3, "failed", "engine_error"),
        ("engine_unavailable", 3, "interrupted", "engine_unavailable"),
        ("overloaded", 0, "failed", "overloaded"),
    ],
)
async def test_failures_are_kept_with_the_reply(
    server: Server, failure: str, after: int, status: str, code: str
) -> None:
    conversation_id = await server.new_conversation()
    server.engine.enqueue(HELD, fail_after=after, failure=failure)
    body = {"content": "세어 줘", "client_id": "a"}
    events = await server.events("POST", f"conversations/{conversation_id}/messages", body)
    name, data = events[-1]
    assert name == "error"
    assert data["error"]["code"] == data["message"]["error"]["code"] == code
    assert data["error"]["fix"]
    assert data["message"]["status"] == status
    assert data["message"]["content"] == HELD[:after]
    assert (await saved(server, data["message"]["id"])).status == status
    # the question can be answered again, and the failed answer is not part of what the model is told
    _, reply = await server.ask(conversation_id, "다시", parent_id=data["message"]["id"])
    assert reply["status"] == "complete"


async def test_an_unknown_model_is_a_failed_reply(server: Server) -> None:
    _, reply = await server.ask(await server.new_conversation(), "안녕", model="no-such-model")
    assert reply["status"] == "failed"
    assert reply["error"]["code"] in ("unknown_name", "not_found")


async def test_a_bug_of_the_engine_does_not_leave_a_reply_behind(open_server: Any) -> None:
    class Broken(ScriptedEngine):
        async def stream(self, prompt: Any, sampling: Any) -> Any:
            raise ZeroDivisionError
            yield

    server = await open_server(None, broken=Broken(name="broken"))
    _, reply = await server.ask(await server.new_conversation(), "안녕", model="broken")
    assert reply["status"] == "failed"
    assert reply["error"]["code"] == "internal_error"
    assert "ZeroDivision" not in str(reply)


async def test_a_shutdown_interrupts_and_saves(open_server: Any) -> None:
    server = await open_server()
    reply_id, _ = await begin(server, await server.new_conversation())
    server = await open_server()  # stops the first one
    reply = await saved(server, reply_id)
    assert (reply.status, reply.content) == ("interrupted", HELD[:5])


async def test_replies_of_a_server_that_died_are_interrupted_at_the_next_start(open_server: Any) -> None:
    from datetime import timedelta

    from malmoi.serve.db import utc_now

    server = await open_server()
    conversation_id = await server.new_conversation()
    _, reply = await server.ask(conversation_id, "안녕")
    async with server.app.state.services.db.session() as session:
        await session.execute(
            update(Message)
            .where(Message.id == reply["id"])
            .values(status="streaming", content="반쯤 쓴 보고서", saved_at=utc_now() - timedelta(minutes=1))
        )
    server = await open_server()
    found = (await server.json("GET", f"conversations/{conversation_id}"))["messages"][-1]
    assert (found["status"], found["content"]) == ("interrupted", "반쯤 쓴 보고서")
    items = (await server.json("GET", "search?q=보고서"))["items"]
    assert [item["message_id"] for item in items] == [reply["id"]]


async def test_a_reply_that_nobody_here_writes_is_followed_and_can_be_stopped(server: Server) -> None:
    _, reply = await server.ask(await server.new_conversation(), "안녕")

    async def change(**values: Any) -> None:
        async with server.app.state.services.db.session() as session:
            await session.execute(update(Message).where(Message.id == reply["id"]).values(**values))

    await change(status="streaming", content="다른 서버가")
    async with server.stream("GET", f"messages/{reply['id']}/events") as stream:
        assert (await stream.until("snapshot"))["content"] == "다른 서버가"
        await change(content="다른 서버가 쓴다")
        assert (await stream.until("snapshot"))["content"] == "다른 서버가 쓴다"
        assert (await server.json("POST", f"messages/{reply['id']}/stop"))["status"] == "stopped"
        assert (await stream.until("done"))["message"]["status"] == "stopped"


async def test_a_reply_stopped_through_the_database_stops_here(server: Server) -> None:
    reply_id, _ = await begin(server, await server.new_conversation(), hold_after=2)
    async with server.app.state.services.db.session() as session:
        await session.execute(update(Message).where(Message.id == reply_id).values(status="stopped"))
    # The next round of saving sees it.
    await server.chat.replies._saving.save(all_of_them=True)
    await asyncio.wait_for(server.engine.cancelled.wait(), 10)
    message = await server.json("POST", f"messages/{reply_id}/stop")
    assert message["status"] == "stopped"


async def test_deleting_a_conversation_ends_its_reply(server: Server) -> None:
    conversation_id = await server.new_conversation()
    reply_id, _ = await begin(server, conversation_id)
    await server.json("DELETE", f"conversations/{conversation_id}", status=204)
    await asyncio.wait_for(server.engine.cancelled.wait(), 10)
    await server.json("GET", f"messages/{reply_id}/events", status=404)
    restored = await server.json("POST", f"conversations/{conversation_id}/restore")
    assert restored["id"] == conversation_id
    assert (await saved(server, reply_id)).status == "stopped"


async def test_half_characters_and_nul_of_a_model_do_not_break_the_database(open_server: Any) -> None:
    engine = ScriptedEngine([Rule(reply="앞\x00뒤")])
    server = await open_server(engine)
    _, reply = await server.ask(await server.new_conversation(), "안녕")
    assert reply["content"] == "앞\ufffd뒤"


async def test_only_conversations_with_a_question_can_be_answered_again(server: Server) -> None:
    await server.json("POST", "messages/msg_none/regenerate", {}, status=404)
    await server.json("POST", "messages/msg_none/stop", status=404)


async def test_usage_rows_name_the_chat(server: Server) -> None:
    from malmoi.serve.db.tables import UsageEvent

    await server.ask(await server.new_conversation(), "안녕")
    async with server.app.state.services.db.reading() as session:
        rows = list(await session.scalars(select(UsageEvent)))
    assert [row.source for row in rows] == ["chat"]
