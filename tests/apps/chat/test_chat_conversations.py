from typing import Any

import pytest
from chat_server import Server

from malmoi.core.types import Chat
from malmoi.engine.scripted import ScriptedEngine


def last_chat(engine: ScriptedEngine) -> list[tuple[str, str]]:
    prompt = engine.requests[-1].prompt
    assert isinstance(prompt, Chat)
    return [(message.role, message.content) for message in prompt.messages]


async def test_a_conversation_from_the_first_message_to_the_second_answer(server: Server) -> None:
    conversation_id = await server.new_conversation()
    server.engine.enqueue("서울입니다.", reasoning="수도를 묻는다.")
    body = {"content": "대한민국의 수도는 어디인가요? 자세히.", "client_id": "a", "parent_id": None}
    events = await server.events("POST", f"conversations/{conversation_id}/messages", body)
    names = [name for name, _ in events]
    assert names[:2] == ["message", "title"]
    assert set(names[2:-1]) == {"token"}
    assert names[-1] == "done"
    question, reply = events[0][1]["user"], events[0][1]["reply"]
    assert reply["status"] == "streaming"
    assert reply["parent_id"] == question["id"]
    assert events[1][1] == {"title": "대한민국의 수도는 어디인가요?"}
    assert "".join(data.get("text", "") for name, data in events if name == "token") == "서울입니다."
    assert "".join(data.get("reasoning", "") for name, data in events if name == "token") == "수도를 묻는다."
    done = events[-1][1]["message"]
    assert (done["content"], done["reasoning"], done["status"]) == (
        "서울입니다.",
        "수도를 묻는다.",
        "complete",
    )
    assert done["finish_reason"] == "stop"
    assert done["model"] == "scripted"
    assert done["usage"]["prompt_tokens"] > 0
    assert done["usage"]["completion_tokens"] > 0
    assert done["usage"]["first_token_seconds"] <= done["usage"]["seconds"]
    assert done["usage"]["dropped_turns"] == 0

    await server.ask(conversation_id, "인구는요?", parent_id=done["id"])
    assert last_chat(server.engine) == [
        ("user", "대한민국의 수도는 어디인가요? 자세히."),
        ("assistant", "서울입니다."),
        ("user", "인구는요?"),
    ]
    tree = await server.json("GET", f"conversations/{conversation_id}")
    assert [message["role"] for message in tree["messages"]] == ["user", "assistant"] * 2
    assert tree["conversation"]["active_leaf_id"] == tree["messages"][-1]["id"]
    assert (
        tree["conversation"]["title"] == "대한민국의 수도는 어디인가요?"
    )  # the first message's, not the second's


async def test_an_edited_question_is_a_branch_of_its_own(server: Server) -> None:
    conversation_id = await server.new_conversation()
    first, answer = await server.ask(conversation_id, "고양이")
    await server.ask(conversation_id, "더", parent_id=answer["id"])
    edited, _ = await server.ask(conversation_id, "강아지", parent_id=first["parent_id"])
    assert edited["parent_id"] is None
    assert last_chat(server.engine) == [("user", "강아지")]
    again, _ = await server.ask(conversation_id, "더 자세히", parent_id=answer["id"])
    assert last_chat(server.engine)[0] == ("user", "고양이")
    tree = await server.json("GET", f"conversations/{conversation_id}")
    assert len(tree["messages"]) == 8
    assert sum(message["parent_id"] == answer["id"] for message in tree["messages"]) == 2
    assert again["parent_id"] == answer["id"]


async def test_another_answer_is_a_sibling(server: Server) -> None:
    conversation_id = await server.new_conversation()
    question, answer = await server.ask(conversation_id, "하나만 골라 줘")
    events = await server.events("POST", f"messages/{answer['id']}/regenerate", {"sampling": {"seed": 7}})
    assert events[0][0] == "message"
    assert events[0][1]["user"] is None
    other = events[-1][1]["message"]
    assert other["parent_id"] == question["id"]
    assert other["id"] != answer["id"]
    assert last_chat(server.engine) == [("user", "하나만 골라 줘")]
    assert server.engine.requests[-1].sampling.seed == 7
    from_question = await server.events("POST", f"messages/{question['id']}/regenerate")
    assert from_question[-1][1]["message"]["parent_id"] == question["id"]
    tree = await server.json("GET", f"conversations/{conversation_id}")
    assert tree["conversation"]["active_leaf_id"] == from_question[-1][1]["message"]["id"]


async def test_branches_are_chosen_by_their_leaf(server: Server) -> None:
    conversation_id = await server.new_conversation()
    _, first = await server.ask(conversation_id, "하나")
    await server.ask(conversation_id, "둘")
    changed = await server.json("PATCH", f"conversations/{conversation_id}", {"active_leaf_id": first["id"]})
    assert changed["active_leaf_id"] == first["id"]
    other_id = await server.new_conversation()
    _, foreign = await server.ask(other_id, "셋")
    await server.json(
        "PATCH", f"conversations/{conversation_id}", {"active_leaf_id": foreign["id"]}, status=404
    )
    await server.json("PATCH", f"conversations/{conversation_id}", {"active_leaf_id": None}, status=400)


async def test_a_parent_must_be_in_the_conversation(server: Server) -> None:
    one, other = await server.new_conversation(), await server.new_conversation()
    _, answer = await server.ask(one, "하나")
    body = {"content": "둘", "client_id": "x", "parent_id": answer["id"]}
    assert (
        await server.client.post(f"/api/chat/conversations/{other}/messages", json=body)
    ).status_code == 404


async def test_who_answers_and_how_comes_from_request_conversation_and_persona(server: Server) -> None:
    persona = await server.json(
        "POST",
        "personas",
        {"name": "시인", "system_prompt": "시로 답한다.", "sampling": {"temperature": 0.9, "top_p": 0.5}},
        status=201,
    )
    conversation_id = await server.new_conversation(
        persona_id=persona["id"], sampling={"temperature": 0.1, "top_k": None}
    )
    await server.ask(conversation_id, "봄", sampling={"max_tokens": 5})
    assert last_chat(server.engine)[0] == ("system", "시로 답한다.")
    sampling = server.engine.requests[-1].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (5, 0.1, 0.5, None)
    await server.json("DELETE", f"personas/{persona['id']}", status=204)
    await server.ask(conversation_id, "여름")
    assert last_chat(server.engine)[0][0] == "user"  # goes on without


@pytest.mark.parametrize(
    ("question", "expected"), [("안녕", "너는 번역가다"), ("Hello", "You are a translator")]
)
async def test_a_built_in_persona_speaks_the_language_of_the_first_message(
    server: Server, question: str, expected: str
) -> None:
    conversation_id = await server.new_conversation(persona_id="translator")
    await server.ask(conversation_id, question)
    assert last_chat(server.engine)[0][1].startswith(expected)


async def test_the_default_persona_costs_no_tokens(server: Server) -> None:
    conversation_id = await server.new_conversation(persona_id="assistant")
    await server.ask(conversation_id, "안녕")
    assert last_chat(server.engine) == [("user", "안녕")]


async def test_a_base_model_continues_the_text(open_server: Any) -> None:
    base = ScriptedEngine(name="base", capabilities=("generate", "tokenize"))
    server = await open_server(None, base=base)
    conversation_id = await server.new_conversation(model="base", persona_id="translator")
    _, reply = await server.ask(conversation_id, "옛날 옛적에")
    assert base.requests[-1].prompt == "옛날 옛적에"
    assert base.requests[-1].sampling.max_tokens == 256
    await server.ask(conversation_id, "그래서", parent_id=reply["id"])
    assert base.requests[-1].prompt == f"옛날 옛적에\n\n{reply['content']}\n\n그래서"


async def test_the_oldest_turns_are_dropped_when_the_context_is_full(open_server: Any) -> None:
    server = await open_server(ScriptedEngine(context_length=400))
    conversation_id = await server.new_conversation(persona_id="tutor")
    parent = None
    for number in range(6):
        server.engine.enqueue("다" * 40)
        _, reply = await server.ask(conversation_id, f"{number}" + "가" * 40, parent_id=parent)
        assert reply["status"] == "complete"
        parent = reply["id"]
    assert reply["usage"]["dropped_turns"] > 0
    sent = last_chat(server.engine)
    assert sent[0][0] == "system"  # the persona stays
    assert sent[1][0] == "user"
    assert not sent[1][1].startswith("0")
    assert sent[-1][1].startswith("5")
    _, failed = await server.ask(conversation_id, "가" * 500, parent_id=parent)
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "context_overflow"
    assert failed["error"]["fix"]


async def test_lists_are_paged_without_gaps_while_conversations_come_in(server: Server) -> None:
    ids = [await server.new_conversation(title=f"대화 {n}") for n in range(7)]
    await server.json("PATCH", f"conversations/{ids[0]}", {"pinned": True})
    seen: list[str] = []
    cursor = ""
    while True:
        page = await server.json("GET", f"conversations?limit=3&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        await server.new_conversation(title="새 대화")  # must not shift the pages behind
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == [ids[0], *reversed(ids[1:])]
    await server.json("GET", "conversations?cursor=nonsense", status=400)
    await server.json("GET", "conversations?limit=0", status=400)


async def test_folders(server: Server) -> None:
    work = await server.json("POST", "folders", {"name": " 회사\t일 "}, status=201)
    home = await server.json("POST", "folders", {"name": "집"}, status=201)
    assert work["name"] == "회사 일"
    assert (work["position"], home["position"]) == (0, 1)
    await server.json("PATCH", f"folders/{home['id']}", {"position": 0, "name": "우리 집"})
    await server.json("PATCH", f"folders/{work['id']}", {"position": 5})
    assert [folder["name"] for folder in (await server.json("GET", "folders"))["items"]] == [
        "우리 집",
        "회사 일",
    ]
    inside = await server.new_conversation(folder_id=work["id"])
    outside = await server.new_conversation()
    page = await server.json("GET", f"conversations?folder_id={work['id']}")
    assert [item["id"] for item in page["items"]] == [inside]
    await server.json("DELETE", f"folders/{work['id']}", status=204)
    page = await server.json("GET", "conversations?folder_id=none")
    assert {item["id"] for item in page["items"]} == {inside, outside}
    await server.json("POST", "conversations", {"folder_id": work["id"]}, status=404)
    await server.json("POST", "folders", {"name": "   "}, status=400)


async def test_the_trash(server: Server) -> None:
    kept, gone = await server.new_conversation(), await server.new_conversation(title="지울 것")
    await server.json("DELETE", f"conversations/{gone}", status=204)
    await server.json("GET", f"conversations/{gone}", status=404)
    await server.json("PATCH", f"conversations/{gone}", {"title": "x"}, status=404)
    assert [item["id"] for item in (await server.json("GET", "conversations"))["items"]] == [kept]
    assert [item["id"] for item in (await server.json("GET", "trash"))["items"]] == [gone]
    assert (await server.json("POST", f"conversations/{gone}/restore"))["title"] == "지울 것"
    assert len((await server.json("GET", "conversations"))["items"]) == 2
    await server.json("DELETE", f"conversations/{gone}", status=204)
    await server.json("DELETE", "trash", status=204)
    await server.json("POST", f"conversations/{gone}/restore", status=404)
    await server.json("GET", f"conversations/{kept}")


async def test_old_trash_is_emptied_at_the_start(open_server: Any) -> None:
    from datetime import timedelta

    from sqlalchemy import update

    from malmoi.apps.chat.tables import Conversation
    from malmoi.serve.db import utc_now

    server = await open_server()
    old, young = await server.new_conversation(), await server.new_conversation()
    for conversation_id in (old, young):
        await server.json("DELETE", f"conversations/{conversation_id}", status=204)
    async with server.app.state.services.db.session() as session:
        await session.execute(
            update(Conversation)
            .where(Conversation.id == old)
            .values(deleted_at=utc_now() - timedelta(days=31))
        )
    server = await open_server()
    assert [item["id"] for item in (await server.json("GET", "trash"))["items"]] == [young]


async def test_personas(server: Server) -> None:
    listed = (await server.json("GET", "personas"))["items"]
    assert [persona["id"] for persona in listed][:2] == ["assistant", "translator"]
    assert all(persona["builtin"] and persona["name"]["ko"] and persona["name"]["en"] for persona in listed)
    assert "109" in next(persona for persona in listed if persona["id"] == "listener")["description"]["ko"]
    mine = await server.json("POST", "personas", {"name": "내 것", "description": "설명"}, status=201)
    assert mine["builtin"] is False
    changed = await server.json("PATCH", f"personas/{mine['id']}", {"system_prompt": "짧게."})
    assert (changed["name"], changed["system_prompt"]) == ("내 것", "짧게.")
    await server.json("PATCH", "personas/translator", {"name": "x"}, status=409)
    await server.json("DELETE", "personas/translator", status=409)
    await server.json("DELETE", f"personas/{mine['id']}", status=204)
    await server.json("DELETE", f"personas/{mine['id']}", status=404)


async def test_what_cannot_be_a_message_is_refused(server: Server) -> None:
    conversation_id = await server.new_conversation()
    path = f"/api/chat/conversations/{conversation_id}/messages"
    for body in (
        {"content": "", "client_id": "a"},
        {"content": " \n", "client_id": "a"},
        {"content": "가" * 200_001, "client_id": "a"},
        {"content": "a\u0000b", "client_id": "a"},
        {"content": "a", "client_id": ""},
        {"content": "a"},
        {"content": "a", "client_id": "a", "extra": 1},
        {"content": 5, "client_id": "a"},
        {"content": "a", "client_id": "a", "sampling": {"temperature": 9}},
        {"content": "a", "client_id": "a", "sampling": {"unknown": 1}},
        {"content": "a", "client_id": "a", "parent_id": "../x"},
    ):
        answer = await server.client.post(path, json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert set(answer.json()["error"]) == {"code", "message", "fix", "field"}
    for raw in (
        b'{"content": "\\ud800", "client_id": "a"}',
        b'{"content": "\xff", "client_id": "a"}',
        b"[" * 9999,
    ):
        answer = await server.client.post(path, content=raw, headers={"content-type": "application/json"})
        assert answer.status_code == 400, (raw, answer.text)
    assert (await server.json("GET", f"conversations/{conversation_id}"))["messages"] == []


async def test_text_is_composed_at_the_border(server: Server) -> None:
    import unicodedata

    conversation_id = await server.new_conversation(title=unicodedata.normalize("NFD", "제목"))
    question, _ = await server.ask(conversation_id, unicodedata.normalize("NFD", "한글"))
    assert question["content"] == "한글"
    assert last_chat(server.engine) == [("user", "한글")]
    assert (await server.json("GET", f"conversations/{conversation_id}"))["conversation"]["title"] == "제목"


async def test_odd_queries_are_refused_or_find_nothing(server: Server) -> None:
    import base64

    def cursor(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode()

    for path in (
        "conversations?folder_id=%00",
        "conversations?folder_id=" + "a" * 50,
        "conversations?cursor=%00",
        "conversations?cursor=" + cursor('[true, "0001-01-01T00:00:00+14:00", "x"]'),
        "conversations?cursor=" + cursor('[true, "2026-01-01T00:00:00+00:00", "\\u0000"]'),
        "conversations?cursor=" + cursor('[1, "2026-01-01T00:00:00+00:00", "x"]'),
        "conversations?cursor=" + cursor("[" * 2000),
        "search?q=a&limit=1000",
        "search",
    ):
        await server.json("GET", path, status=400)
    for path in ("search?q=%00", "search?q=%ED%A0%80", "search?q=%EA%B2", "search?q=" + "%F0%9F%8E%89" * 100):
        assert (await server.json("GET", path))["items"] == []
