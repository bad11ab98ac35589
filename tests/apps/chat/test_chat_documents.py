"""Conversations over documents: what is found, streamed, cited, kept, and refused."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from chat_server import Server

from malmoi.engine.scripted import Rule, Script
from malmoi.serve.documents.types import NewCollection
from malmoi.serve.identity import Role, account_principal
from malmoi.testing import ScriptedEngine
from vectors_of_pairs import PairEmbedder

LAW = "\n\n".join(
    (
        "제1장 총강",
        "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다.",
        "제42조 국회의원의 임기는 4년으로 한다.",
    )
)
QUESTION = "대통령의 임기는 몇 년인가요?"
QUOTE = "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다."
RULES = (
    {"contains": "국회의원", "reply": "국회의원의 임기는 4년입니다. [1]"},
    {"contains": "대통령의 임기", "reply": "😀 대통령의 임기는 5년입니다. [1]"},
    {"contains": "중임", "reply": "대통령은 세 번까지 중임할 수 있으며 연봉은 9억 원입니다. [1]"},
)
Open = Callable[..., Awaitable[Server]]


def engine(*capabilities: Any, **fields: Any) -> ScriptedEngine:
    rules = tuple(Rule.model_validate({**rule, **fields}) for rule in RULES)
    return ScriptedEngine(
        Script(rules=rules), capabilities=capabilities or ("generate", "chat", "tokenize", "tools")
    )


@pytest.fixture
async def server(open_server: Open) -> Server:
    return await open_server(engine(), use=PairEmbedder(), search=PairEmbedder())


async def law(server: Server) -> tuple[str, str]:
    """A collection with the law in it, and its document."""
    documents = server.app.state.services.documents
    owner = await server.owner()
    collection = await documents.collections.create(owner, NewCollection(name="law"))

    async def content() -> Any:
        yield LAW.encode()

    stored, _ = await documents.library.add(owner, collection.id, "law.txt", content())
    async with asyncio.timeout(20):
        while (await documents.library.get(owner, stored.id)).status != "ready":
            await asyncio.sleep(0.02)
    return collection.id, stored.id


async def asked(server: Server, conversation_id: str, content: str = QUESTION) -> list[tuple[str, Any]]:
    body = {"content": content, "client_id": uuid.uuid4().hex, "model": "scripted"}
    return await server.events("POST", f"conversations/{conversation_id}/messages", body)


async def test_a_reply_streams_its_sources_and_citations_and_keeps_them(server: Server) -> None:
    collection_id, document_id = await law(server)
    conversation_id = await server.new_conversation(documents={"collections": [collection_id]})
    events = await asked(server, conversation_id)
    names = [name for name, _ in events]
    assert names.index("sources") < names.index("token") < names.index("done")
    sources = dict(events)["sources"]
    assert sources["sources"][0]["document_id"] == document_id
    assert sources["extract"]["text"].startswith(QUOTE)
    (citation,) = [data for name, data in events if name == "citation"]
    message = dict(events)["done"]["message"]
    assert message["content"] == "😀 대통령의 임기는 5년입니다."  # without the model's marks
    assert message["grounds"]["citations"] == [citation]
    assert citation["quote"] == QUOTE
    whole = (await server.app.state.services.documents.read(await server.owner(), document_id)).text
    assert whole[citation["start"] : citation["end"]] == QUOTE
    units = message["content"].encode("utf-16-le")
    said = units[2 * citation["answer_start"] : 2 * citation["answer_end"]].decode("utf-16-le")
    assert said.endswith("대통령의 임기는 5년입니다.")
    tree = await server.json("GET", f"conversations/{conversation_id}")
    assert tree["messages"][-1]["grounds"] == message["grounds"]
    assert tree["conversation"]["documents"] == {"collections": [collection_id], "documents": []}


async def test_a_follow_up_finds_what_it_means(server: Server) -> None:
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    first = dict(await asked(server, conversation_id))["done"]["message"]
    body = {"content": "그럼 국회의원은?", "client_id": "c2", "parent_id": first["id"], "model": "scripted"}
    events = await server.events("POST", f"conversations/{conversation_id}/messages", body)
    message = dict(events)["done"]["message"]
    assert message["grounds"]["citations"][0]["quote"] == "제42조 국회의원의 임기는 4년으로 한다."
    prompt: Any = server.engine.requests[-1].prompt
    assert prompt.messages[-1].content == "그럼 국회의원은?"
    assert any(one.content == QUESTION for one in prompt.messages)  # the turn before


async def test_what_the_documents_do_not_say_is_not_asked(server: Server) -> None:
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    events = await asked(server, conversation_id, "김치찌개 끓이는 방법을 알려줘")
    message = dict(events)["done"]["message"]
    assert message["content"].startswith("문서에서 이 질문의 답을 찾지 못했습니다.")
    assert message["status"] == "complete"
    assert server.engine.requests == []


async def test_an_answer_that_is_made_up_is_said_to_be_so(server: Server) -> None:
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    message = dict(await asked(server, conversation_id, "대통령은 중임할 수 있나요?"))["done"]["message"]
    assert "위 답은 문서에서 확인되지 않았습니다." in message["content"]
    said, quoted = message["content"].split("문서에서 질문에 가장 가까운 문장:")
    # Nothing of what was made up is cited; what the documents say instead is.
    assert message["grounds"]["citations"]
    for one in message["grounds"]["citations"]:
        assert one["answer_start"] > len(said)
        assert message["content"][one["answer_start"] : one["answer_end"]] == one["quote"]
        assert one["quote"] in quoted
    assert len(message["grounds"]["unsupported"]) == 1


async def test_regenerating_searches_again(server: Server) -> None:
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    first = dict(await asked(server, conversation_id))["done"]["message"]
    events = await server.events("POST", f"messages/{first['id']}/regenerate", {"model": "scripted"})
    second = dict(events)["done"]["message"]
    assert second["id"] != first["id"]
    assert second["grounds"]["citations"] == first["grounds"]["citations"]


async def test_a_reload_gets_the_sources_and_citations_so_far(open_server: Open) -> None:
    rules = {"contains": "대통령", "reply": "대통령의 임기는 5년입니다. [1] 국회의원의 임기는 4년입니다. [1]"}
    held = ScriptedEngine(
        Script(rules=(Rule.model_validate({**rules, "hold_after": 30}),)),
        capabilities=("generate", "chat", "tokenize"),
    )
    server = await open_server(held, use=PairEmbedder(), search=PairEmbedder())
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    body = {"content": QUESTION, "client_id": "c1", "model": "scripted"}
    async with server.stream("POST", f"conversations/{conversation_id}/messages", body) as first:
        reply_id = (await first.until("message"))["reply"]["id"]
        await first.until("citation")
    async with server.stream("GET", f"messages/{reply_id}/events") as again:
        assert (await again.until("snapshot"))["content"].startswith("대통령의 임기는 5년입니다.")
        assert (await again.until("sources"))["sources"]
        assert (await again.until("citation"))["quote"] == QUOTE
        stopped = await server.json("POST", f"messages/{reply_id}/stop")
    assert stopped["status"] == "stopped"
    assert [one["quote"] for one in stopped["grounds"]["citations"]] == [QUOTE]


async def test_without_a_model_that_chats_sentences_are_quoted(open_server: Open) -> None:
    server = await open_server(engine("generate", "tokenize"), use=PairEmbedder(), search=PairEmbedder())
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    message = dict(await asked(server, conversation_id))["done"]["message"]
    assert message["content"].startswith(QUOTE)
    assert message["grounds"]["citations"][0]["quote"] == QUOTE
    assert server.engine.requests == []


async def test_documents_are_switched_off_again(server: Server) -> None:
    collection_id, _ = await law(server)
    conversation_id = await server.new_conversation(documents={"collections": [collection_id]})
    changed = await server.json("PATCH", f"conversations/{conversation_id}", {"documents": None})
    assert changed["documents"] is None
    message = dict(await asked(server, conversation_id))["done"]["message"]
    assert message["grounds"] is None
    assert message["content"] == "😀 대통령의 임기는 5년입니다. [1]"  # its marks are its own


async def test_documents_of_others_do_not_exist(server: Server) -> None:
    services = server.app.state.services
    await law(server)
    stranger = account_principal("acc_stranger", "stranger", Role.MEMBER)
    for choice in ({"collections": ["col_nowhere"]}, {"documents": ["doc_nowhere"]}):
        await server.json("POST", "conversations", {"documents": choice}, status=404)
    conversation_id = await server.new_conversation()
    await server.json(
        "PATCH",
        f"conversations/{conversation_id}",
        {"documents": {"collections": ["col_nowhere"]}},
        status=404,
    )
    assert await services.documents.search(stranger, QUESTION) == []


async def test_a_collection_that_is_gone_ends_the_reply_with_a_reason(server: Server) -> None:
    collection_id, _ = await law(server)
    conversation_id = await server.new_conversation(documents={"collections": [collection_id]})
    documents = server.app.state.services.documents
    await documents.delete_collection(await server.owner(), collection_id)
    name, data = (await asked(server, conversation_id))[-1]
    assert name == "error"
    assert data["error"]["code"] == "not_found"
    assert data["message"]["status"] == "failed"


async def brought(server: Server, conversation: dict[str, Any]) -> dict[str, Any]:
    """What an import makes of a conversation of a file."""
    file = {"format": "malmoi.chat", "version": 2, "conversations": [{**conversation, "title": "brought"}]}
    report = await server.json("POST", "import", file)
    assert report["imported"] == 1, report
    items = (await server.json("GET", "conversations"))["items"]
    newest = max(item["id"] for item in items if item["title"] == "brought")
    return await server.json("GET", f"conversations/{newest}")


async def test_an_export_has_documents_and_citations_and_an_import_brings_them_back(server: Server) -> None:
    collection_id, document_id = await law(server)
    choice = {"collections": [collection_id], "documents": [document_id]}
    conversation_id = await server.new_conversation(documents=choice)
    message = dict(await asked(server, conversation_id))["done"]["message"]
    (told,) = (await server.json("GET", f"conversations/{conversation_id}/export"))["conversations"]
    assert told["documents"] == choice
    assert told["messages"][-1]["grounds"]["citations"] == message["grounds"]["citations"]
    again = await brought(server, told)
    assert again["conversation"]["documents"] == choice
    assert again["messages"][-1]["grounds"] == message["grounds"]


async def test_an_import_leaves_out_what_its_reader_does_not_have(server: Server) -> None:
    collection_id, _ = await law(server)
    for choice in ({"collections": [collection_id]}, {}):
        await asked(server, await server.new_conversation(documents=choice))
    of_one, of_all = (await server.json("GET", "export"))["conversations"]
    services = server.app.state.services
    await services.documents.delete_collection(await server.owner(), collection_id)
    again = await brought(server, of_one)
    assert again["conversation"]["documents"] is None  # no names would mean all documents
    assert again["messages"][-1]["grounds"] is None
    assert again["messages"][-1]["content"] == of_one["messages"][-1]["content"]
    again = await brought(server, of_all)
    assert again["conversation"]["documents"] == {"collections": [], "documents": []}


async def test_an_import_takes_no_citation_beyond_a_text(server: Server) -> None:
    await law(server)
    await asked(server, await server.new_conversation(documents={}))
    (told,) = (await server.json("GET", "export"))["conversations"]
    grounds = told["messages"][-1]["grounds"]
    (citation,) = grounds["citations"]
    for wrong in ({"answer_end": 9999}, {"answer_start": -1}, {"start": 7, "end": 3}, {"document_id": "x"}):
        grounds["citations"].append({**citation, **wrong})
    grounds["unsupported"] = [[0, 9999], [5, 2], [0, 3]]
    again = (await brought(server, told))["messages"][-1]["grounds"]
    assert again["citations"] == [citation]
    assert again["unsupported"] == [[0, 3]]


async def test_markdown_has_footnotes_with_the_cited_words(server: Server) -> None:
    await law(server)
    conversation_id = await server.new_conversation(documents={})
    first = dict(await asked(server, conversation_id))["done"]["message"]
    body = {"content": QUESTION, "client_id": "c2", "parent_id": first["id"], "model": "scripted"}
    await server.events("POST", f"conversations/{conversation_id}/messages", body)
    answer = await server.client.get(f"/api/chat/conversations/{conversation_id}/export?format=md")
    # The same words are one note, and a sign of two units before them moves no mark.
    assert answer.text.count("😀 대통령의 임기는 5년입니다.[^source-1]\n") == 2
    (note,) = [line for line in answer.text.splitlines() if line.startswith("[^source-")]
    assert note == f"[^source-1]: law.txt, “{QUOTE}”"
