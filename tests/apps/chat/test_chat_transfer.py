import json
import time
from typing import Any

from chat_server import Server

from malmoi.apps.chat.transfer.foreign import read_chatgpt

STAMPS = ("id", "parent_id", "folder", "persona", "active_leaf")


async def import_file(server: Server, data: Any, *, status: int = 200) -> Any:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    answer = await server.client.post(
        "/api/chat/import", content=raw, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def shape(document: dict[str, Any]) -> Any:
    """A file without its ids: references become places in the lists."""
    folders = {folder["id"]: folder["name"] for folder in document["folders"]}
    personas = {persona["id"]: persona["name"] for persona in document["personas"]}
    conversations = []
    for conversation in document["conversations"]:
        places = {message["id"]: place for place, message in enumerate(conversation["messages"])}
        conversations.append(
            conversation
            | {
                "folder": folders.get(conversation["folder"], conversation["folder"]),
                "persona": personas.get(conversation["persona"], conversation["persona"]),
                "active_leaf": places.get(conversation["active_leaf"]),
                "messages": [
                    message | {"id": places[message["id"]], "parent_id": places.get(message["parent_id"])}
                    for message in conversation["messages"]
                ],
            }
        )
    strip = [
        {k: v for k, v in item.items() if k != "id"} for item in (*document["folders"], *document["personas"])
    ]
    return strip, sorted(conversations, key=lambda item: item["created_at"])


async def fill(server: Server) -> None:
    folder = await server.json("POST", "folders", {"name": "여행"})
    persona = await server.json("POST", "personas", {"name": "안내자", "system_prompt": "여행을 안내한다."})
    first = await server.new_conversation(
        folder_id=folder["id"], persona_id=persona["id"], sampling={"temperature": 0.5}, model="scripted"
    )
    server.engine.enqueue("제주도", reasoning="어디가 좋을까")
    question, answer = await server.ask(first, "어디로 갈까?")
    await server.ask(first, "거기 말고", parent_id=answer["id"])
    await server.ask(first, "산으로 갈까?", parent_id=question["parent_id"])
    server.engine.enqueue("", fail_after=0)
    await server.ask(first, "실패")
    await server.json("PATCH", f"conversations/{first}", {"pinned": True, "active_leaf_id": answer["id"]})
    second = await server.new_conversation(persona_id="translator", title="번역")
    await server.ask(second, "Hello")
    gone = await server.new_conversation(title="지운 것")
    await server.json("DELETE", f"conversations/{gone}", status=204)


async def test_export_and_import_are_a_round_trip(server: Server) -> None:
    await fill(server)
    exported = await server.json("GET", "export")
    assert (exported["format"], exported["version"]) == ("malmoi.chat", 2)
    assert "지운 것" not in json.dumps(exported, ensure_ascii=False)
    before = [item["id"] for item in (await server.json("GET", "conversations"))["items"]]
    assert await import_file(server, exported) == {"imported": 2, "skipped": []}
    items = (await server.json("GET", "conversations"))["items"]
    assert len(items) == 4  # nothing was overwritten
    assert len((await server.json("GET", "folders"))["items"]) == 1  # the same name is the same folder
    own = [p for p in (await server.json("GET", "personas"))["items"] if not p["builtin"]]
    assert len(own) == 1
    for conversation_id in before:
        await server.json("DELETE", f"conversations/{conversation_id}", status=204)
    again = await server.json("GET", "export")
    assert shape(again) == shape(exported)
    assert {item["title"] for item in (await server.json("GET", "search?q=제주"))["items"]} == {
        "어디로 갈까?"
    }


async def test_an_import_into_an_empty_account_brings_folders_and_personas(open_server: Any) -> None:
    server = await open_server()
    await fill(server)
    exported = await server.json("GET", "export")
    for folder in (await server.json("GET", "folders"))["items"]:
        await server.json("DELETE", f"folders/{folder['id']}", status=204)
    for persona in (await server.json("GET", "personas"))["items"]:
        if not persona["builtin"]:
            await server.json("DELETE", f"personas/{persona['id']}", status=204)
    for item in (await server.json("GET", "conversations"))["items"]:
        await server.json("DELETE", f"conversations/{item['id']}", status=204)
    assert (await import_file(server, exported))["imported"] == 2
    assert shape(await server.json("GET", "export")) == shape(exported)


async def test_one_conversation_as_markdown_and_json(server: Server) -> None:
    conversation_id = await server.new_conversation()
    server.engine.enqueue("# 제목\n\n- 하나", reasoning="생각한다")
    await server.ask(conversation_id, "목록을 써 줘")
    answer = await server.client.get(f"/api/chat/conversations/{conversation_id}/export?format=md")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="chat-')
    assert answer.text.startswith("# 목록을 써 줘\n")
    assert (
        "\n## 나\n\n목록을 써 줘\n\n## 답 (scripted)\n\n> **생각**\n>\n> 생각한다\n\n### 제목\n\n- 하나"
        in answer.text
    )
    one = await server.json("GET", f"conversations/{conversation_id}/export")
    assert len(one["conversations"]) == 1
    answer = await server.client.get(f"/api/chat/conversations/{conversation_id}/export?format=exe")
    assert answer.status_code == 400


def chatgpt() -> dict[str, Any]:
    def node(parent: str | None, role: str = "", text: str = "", **fields: Any) -> dict[str, Any]:
        message = (
            {
                "author": {"role": role},
                "content": {"content_type": "text", "parts": [text]},
                "create_time": 1700000100.5,
                "recipient": "all",
                "metadata": {},
            }
            | fields
            if role
            else None
        )
        return {"message": message, "parent": parent, "children": []}

    picture = {
        "content_type": "multimodal_text",
        "parts": [{"content_type": "image_asset_pointer"}, "이건 뭐야?"],
    }
    return {
        "title": "수도 묻기",
        "create_time": 1700000000.0,
        "update_time": 1700000200.0,
        "current_node": "a2",
        "mapping": {
            "root": node(None),
            "sys": node("root", "system", ""),
            "hidden": node("sys", "user", "숨김", metadata={"is_visually_hidden_from_conversation": True}),
            "q1": node("hidden", "user", "수도는?"),
            "call": node("q1", "assistant", "search()", recipient="browser"),
            "tool": node("call", "tool", "결과"),
            "a1": node("tool", "assistant", "서울", metadata={"model_slug": "gpt-x"}),
            "a2": node("q1", "assistant", "서울특별시"),
            "q2": node("a1", "user", "", content=picture),
        },
    }


def open_webui() -> dict[str, Any]:
    def message(key: str, parent: str | None, role: str, text: str, **fields: Any) -> dict[str, Any]:
        common = {"id": key, "parentId": parent, "childrenIds": [], "timestamp": 1700000000}
        return common | {"role": role, "content": text} | fields

    messages = {
        "m1": message("m1", None, "user", "안녕"),
        "m2": message("m2", "m1", "assistant", "반가워요", model="llama"),
        "m3": message("m3", "m1", "assistant", "네!"),
    }
    history = {"messages": messages, "currentId": "m2"}
    return {
        "id": "x",
        "title": "인사",
        "chat": {"history": history, "models": ["llama"]},
        "created_at": 1700000000,
        "updated_at": 1700000005,
        "pinned": True,
    }


async def only_tree(server: Server) -> tuple[Any, dict[str, Any]]:
    (item,) = (await server.json("GET", "conversations"))["items"]
    tree = await server.json("GET", f"conversations/{item['id']}")
    return tree["conversation"], {message["content"]: message for message in tree["messages"]}


async def test_exports_of_chatgpt_keep_their_branches(server: Server) -> None:
    assert await import_file(server, [chatgpt()]) == {"imported": 1, "skipped": []}
    conversation, by_text = await only_tree(server)
    assert conversation["title"] == "수도 묻기"
    assert conversation["created_at"] == "2023-11-14T22:13:20Z"
    assert set(by_text) == {"수도는?", "서울", "서울특별시", "[image]\n이건 뭐야?"}
    question = by_text["수도는?"]
    assert question["parent_id"] is None
    assert by_text["서울"]["parent_id"] == by_text["서울특별시"]["parent_id"] == question["id"]
    assert by_text["[image]\n이건 뭐야?"]["parent_id"] == by_text["서울"]["id"]
    assert by_text["서울"]["model"] == "gpt-x"
    assert conversation["active_leaf_id"] == by_text["서울특별시"]["id"]
    _, reply = await server.ask(conversation["id"], "고마워", parent_id=by_text["서울특별시"]["id"])
    assert reply["status"] == "complete"


async def test_exports_of_open_webui_keep_their_branches(server: Server) -> None:
    assert await import_file(server, [open_webui()]) == {"imported": 1, "skipped": []}
    conversation, by_text = await only_tree(server)
    assert conversation["title"] == "인사"
    assert conversation["pinned"] is True
    assert conversation["active_leaf_id"] == by_text["반가워요"]["id"]
    assert by_text["반가워요"]["model"] == "llama"
    assert by_text["네!"]["parent_id"] == by_text["안녕"]["id"]


async def test_what_cannot_be_read_is_skipped_and_named(server: Server) -> None:
    circle = chatgpt() | {"title": "고리"}
    circle["mapping"]["q1"]["parent"] = "a1"
    empty = chatgpt() | {"title": "빈 것", "mapping": {"root": {"message": None, "parent": None}}}
    report = await import_file(server, [chatgpt(), circle, empty, open_webui() | {"chat": {"title": "x"}}, 5])
    assert report["imported"] == 1
    assert [(item["index"], item["title"]) for item in report["skipped"]] == [
        (1, "고리"),
        (2, "빈 것"),
        (3, "인사"),
        (4, ""),
    ]
    assert "circle" in report["skipped"][0]["reason"]
    assert all(item["reason"] for item in report["skipped"])
    assert len((await server.json("GET", "conversations"))["items"]) == 1


async def test_own_files_are_checked_item_by_item(server: Server) -> None:
    conversation_id = await server.new_conversation(title="원본")
    await server.ask(conversation_id, "안녕")
    exported = await server.json("GET", "export")
    good = exported["conversations"][0]

    def message(**fields: Any) -> dict[str, Any]:
        return good | {"messages": [good["messages"][0] | fields]}

    bad = [
        message(role="system"),
        message(parent_id="nowhere"),
        message(content="가" * 1_000_001),
        message(unknown=1),
        good | {"messages": [good["messages"][0]] * 2},
        good | {"sampling": {"temperature": 99}},
        "text",
    ]
    report = await import_file(server, exported | {"conversations": [*bad, good]})
    assert report["imported"] == 1
    assert [item["index"] for item in report["skipped"]] == list(range(len(bad)))
    assert "parent" in report["skipped"][1]["reason"]
    await import_file(server, exported | {"version": 3}, status=400)
    await import_file(server, exported | {"conversations": 5}, status=400)
    foreign = good | {"folder": "fold_of_somebody", "persona": "pers_of_somebody"}
    assert (await import_file(server, exported | {"conversations": [foreign]}))["imported"] == 1
    assert (await server.json("GET", "conversations"))["items"][0]["folder_id"] is None


async def test_files_of_no_known_kind_are_refused(server: Server) -> None:
    for raw in (b"", b"{", b"[]", b"5", b'{"a": 1}', b"[1, 2]", b'{"format": "malmoi.chat"}', b"\xff"):
        assert (await import_file(server, raw, status=400))["error"]["message"]


async def test_odd_values_of_a_file_are_reasons_and_not_failures(server: Server) -> None:
    await server.ask(await server.new_conversation(), "안녕")
    exported = await server.json("GET", "export")
    good = exported["conversations"][0]

    def message(**fields: Any) -> dict[str, Any]:
        return good | {"messages": [good["messages"][0] | fields]}

    cited = {
        "number": 1,
        "document_id": "doc",
        "start": 0,
        "end": 1,
        "quote": "",
        "answer_start": 0,
        "answer_end": 1,
        "score": 0.5,
    }
    bad = [
        message(finish_reason="x" * 33),
        message(created_at="0001-01-01T00:00:00+14:00"),
        message(usage={"seconds": float("inf")}),
        message(content="\ud800"),
        message(grounds={"citations": [cited | {"score": float("nan")}]}),
        message(grounds={"citations": [cited | {"document_id": "doc\x00"}]}),
        good | {"title": "\U0001d160" * 100},  # becomes three times as long when it is composed
        good | {"title": "\ud800"},
    ]
    raw = json.dumps(exported | {"conversations": bad}).encode()
    answer = await server.client.post("/api/chat/import", content=raw, headers={"content-type": "text/plain"})
    assert answer.status_code == 200, answer.text
    assert [item["index"] for item in answer.json()["skipped"]] == list(range(len(bad)))


async def test_a_very_long_branch_can_be_imported_read_and_deleted(server: Server) -> None:
    moment = "2026-01-01T00:00:00Z"
    messages = [
        {
            "id": str(n),
            "parent_id": str(n - 1) if n else None,
            "role": "assistant" if n % 2 else "user",
            "content": f"{n}",
            "created_at": moment,
        }
        for n in range(1200)
    ]
    conversation = {"title": "긴 대화", "created_at": moment, "updated_at": moment, "messages": messages}
    file = {"format": "malmoi.chat", "version": 1, "conversations": [conversation]}
    assert (await import_file(server, file))["imported"] == 1
    (item,) = (await server.json("GET", "conversations"))["items"]
    tree = await server.json("GET", f"conversations/{item['id']}")
    assert [message["content"] for message in tree["messages"]] == [str(n) for n in range(1200)]
    await server.json("DELETE", f"conversations/{item['id']}", status=204)
    await server.json("DELETE", "trash", status=204)
    assert (await server.json("GET", "search?q=1199"))["items"] == []


def test_an_export_of_hidden_messages_is_read_in_time_that_grows_with_its_size() -> None:
    """Every visible message hangs below the same long chain of hidden ones."""
    nodes: dict[str, dict[str, object]] = {"h0": {"parent": None}}
    nodes |= {f"h{i}": {"parent": f"h{i - 1}"} for i in range(1, 20_000)}
    visible = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["x"]}}
    nodes |= {f"v{i}": {"parent": "h19999", "message": visible} for i in range(9_000)}
    began = time.process_time()
    assert len(read_chatgpt({"mapping": nodes}).messages) == 9_000
    assert time.process_time() - began < 10.0
