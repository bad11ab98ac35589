"""Segmentation, summaries, reranking, RAG reasoning: shapes of the Studio API, their limits and errors."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway import Gateway, running
from malmoi.engine.base import Capability
from malmoi.engine.scripted import Rule, Script, ScriptedEngine
from malmoi.serve.db.tables import UsageEvent
from vectors_of_pairs import PairEmbedder

LAW = "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다. 제42조 국회의원의 임기는 4년으로 한다."
SCHOOL = "의무교육은 무상으로 한다. 국가는 평생교육을 진흥하여야 한다."
TERM = "대통령의 임기는 5년입니다. [1]"
RULES = (
    {"contains": "요약할 글", "reply": "- 대통령의 임기는 5년이다."},
    {"contains": "대통령의 임기", "reply": TERM},
    {"contains": "국회의원의 월급", "reply": "국회의원의 월급은 천만 원입니다. [1]"},
    {"contains": "tag", "reply": "<doc2>대통령의 임기는 5년입니다.</doc2> [1]"},
    {
        "contains": "찾아줘",
        "tool_calls": [{"id": "call_1", "name": "search", "arguments": {"query": "임기"}}],
    },
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "문서를 찾는다",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
    }
]


def serving(home: Path, *capabilities: Capability) -> AbstractAsyncContextManager[Gateway]:
    rules = tuple(Rule.model_validate(rule) for rule in RULES)
    engine = ScriptedEngine(Script(rules=rules), capabilities=capabilities)
    engines = {"scripted": engine, "use": PairEmbedder()}
    return running(home, engine, engines=engines, models={"default": "scripted"})


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[Gateway]:
    async with serving(home, "generate", "chat", "tools", "tokenize") as it:
        yield it


async def call(gateway: Gateway, path: str, body: Any) -> Any:
    answer = await gateway.post(f"/v1/api-tools/{path}", body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == {"code": "20000", "message": "OK"}
    return told["result"]


async def refused(gateway: Gateway, path: str, body: Any) -> tuple[int, str, str]:
    answer = await gateway.post(f"/v1/api-tools/{path}", body)
    told = answer.json()
    assert set(told) == {"status"}
    return answer.status_code, told["status"]["code"], told["status"]["message"]


async def test_segments_are_sentences_and_their_numbers(gateway: Gateway) -> None:
    text = f"{LAW} {SCHOOL}"
    result = await call(gateway, "segmentation", {"text": text, "segCnt": 2})
    assert set(result) == {"topicSeg", "span", "inputTokens"}
    assert result["topicSeg"] == [
        ["제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다.", "제42조 국회의원의 임기는 4년으로 한다."],
        ["의무교육은 무상으로 한다.", "국가는 평생교육을 진흥하여야 한다."],
    ]
    assert result["span"] == [[0, 1], [2, 3]]
    assert result["inputTokens"] > 10


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"text": ""}, "text"),
        ({"text": "가" * 120_001}, "text"),
        ({"text": "가.", "alpha": 2.0}, "alpha"),
        ({"text": "가.", "segCnt": 0}, "segments"),
        ({"text": "가. 나.", "postProcess": True, "postProcessMaxSize": 1, "postProcessMinSize": 2}, "size"),
    ],
    ids=["empty", "long", "alpha", "count", "sizes"],
)
async def test_bad_segmentations_are_refused(gateway: Gateway, body: dict[str, Any], word: str) -> None:
    status, code, message = await refused(gateway, "segmentation", body)
    assert (status, code) == (400, "40001")
    assert word in message


async def test_a_summary_has_a_text_and_the_tokens_of_the_input(gateway: Gateway) -> None:
    result = await call(gateway, "summarization/v2", {"texts": [LAW, SCHOOL]})
    assert result["text"] == "- 대통령의 임기는 5년이다."
    assert result["inputTokens"] > 10
    assert set(result) == {"text", "inputTokens"}


async def test_a_summary_tells_its_risk_when_asked(gateway: Gateway) -> None:
    result = await call(gateway, "summarization/v2", {"texts": [LAW], "includeAiFilters": True})
    assert {row["name"] for row in result["aiFilter"]} == {"insult", "discrimination", "sexualHarassment"}


@pytest.mark.parametrize(
    "body",
    [
        {"texts": []},
        {"texts": [" "]},
        {"texts": ["가" * 20_000, "나" * 20_000]},
        {"texts": ["가"], "segMaxSize": 3001},
    ],
    ids=["none", "empty", "long", "size"],
)
async def test_bad_summaries_are_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    assert (await refused(gateway, "summarization/v2", body))[:2] == (400, "40001")


async def test_reranking_tags_what_a_document_supports(gateway: Gateway) -> None:
    documents = [{"id": "a", "doc": SCHOOL}, {"id": "b", "doc": LAW}]
    body = {"documents": documents, "query": "대통령의 임기는 몇 년인가요?"}
    result = await call(gateway, "reranker", body)
    assert result["result"] == "<doc2>대통령의 임기는 5년입니다.</doc2>"  # its own mark said the first one
    assert result["citedDocuments"] == [{"id": "b", "doc": LAW}]
    assert result["suggestedQueries"] == []
    assert set(result["usage"]) == {"promptTokens", "completionTokens", "totalTokens"}
    assert result["usage"]["completionTokens"] > 0


async def test_what_no_document_answers_is_said_and_nothing_is_cited(gateway: Gateway) -> None:
    body = {"documents": [{"id": "a", "doc": SCHOOL}], "query": "김치찌개 끓이는 법을 알려줘"}
    result = await call(gateway, "reranker", body)
    assert result["citedDocuments"] == []
    assert result["result"].startswith("문서에서 이 질문의 답을 찾지 못했습니다.")
    assert result["usage"]["totalTokens"] == 0  # no model was asked
    body = {"documents": [{"id": "a", "doc": LAW}], "query": "국회의원의 월급은 얼마인가요?"}
    result = await call(gateway, "reranker", body)
    assert result["citedDocuments"] == []  # the model made it up
    assert "천만" not in result["result"]


async def test_tags_of_a_model_are_not_ours(gateway: Gateway) -> None:
    body = {"documents": [{"id": "a", "doc": LAW}], "query": "tag: 대통령 임기는 5년으로 하나요?"}
    result = await call(gateway, "reranker", body)
    assert result["result"] == "<doc1>대통령의 임기는 5년입니다.</doc1>"


@pytest.mark.parametrize(
    "body",
    [
        {"documents": [], "query": "가"},
        {"documents": [{"id": "a", "doc": "가"}], "query": ""},
        {"documents": [{"id": "a", "doc": "가"}, {"id": "a", "doc": "나"}], "query": "가"},
        {"documents": [{"id": "a", "doc": "가"}], "query": "가", "maxTokens": 4096},
        {"documents": [{"id": "a", "doc": "가" * 500_001}], "query": "가"},
    ],
    ids=["none", "no-query", "same-id", "tokens", "long"],
)
async def test_bad_rerankings_are_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    assert (await refused(gateway, "reranker", body))[:2] == (400, "40001")


async def test_reasoning_first_calls_a_search(gateway: Gateway) -> None:
    body = {"messages": [{"role": "user", "content": "임기를 찾아줘"}], "tools": TOOLS}
    result = await call(gateway, "rag-reasoning", body)
    assert result["message"] == {
        "role": "assistant",
        "content": "",
        "thinkingContent": "",
        "toolCalls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "search", "arguments": {"query": "임기"}},
            }
        ],
    }


def found(*documents: tuple[str, str], question: str = "대통령의 임기는 몇 년인가요?") -> dict[str, Any]:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "search", "arguments": {"query": "임기"}},
    }
    content = json.dumps({"search_result": [{"id": name, "doc": doc} for name, doc in documents]})
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "", "toolCalls": [call]},
            {"role": "tool", "toolCallId": "call_1", "content": content},
        ],
        "tools": TOOLS,
    }


async def test_reasoning_answers_with_tags_of_the_ids(gateway: Gateway) -> None:
    result = await call(gateway, "rag-reasoning", found(("179", LAW), ("180", SCHOOL)))
    assert result["message"]["content"] == "<doc-179>대통령의 임기는 5년입니다.</doc-179>"
    assert result["message"]["thinkingContent"] == ""
    assert result["usage"]["totalTokens"] > 0
    assert {row["groupName"] for row in result["aiFilter"]} == {"curse", "unsafeContents"}  # on by default


async def test_an_id_cannot_break_out_of_its_tag(gateway: Gateway) -> None:
    result = await call(gateway, "rag-reasoning", found(("1><script>", LAW)))
    assert result["message"]["content"] == "<doc-1>대통령의 임기는 5년입니다.</doc-1>"


async def test_a_follow_up_is_answered_for_what_it_means(gateway: Gateway) -> None:
    body = found(("1", LAW), question="그건 몇 년이야?")
    body["messages"] = [
        {"role": "user", "content": "대통령의 임기를 알려줘"},
        {"role": "assistant", "content": "찾아보겠습니다."},
        *body["messages"],
    ]
    gateway.engine.requests.clear()
    await call(gateway, "rag-reasoning", body)
    assert gateway.engine.requests  # its words alone would have found nothing


@pytest.mark.parametrize(
    "content",
    ["맑음", "{}", '{"search_result": [{"id": "1"}]}', "[]"],
    ids=["text", "other", "no-doc", "list"],
)
async def test_a_tool_must_say_what_it_found(gateway: Gateway, content: str) -> None:
    body = found(("1", LAW))
    body["messages"][-1]["content"] = content
    status, code, message = await refused(gateway, "rag-reasoning", body)
    assert (status, code) == (400, "40001")
    assert "messages.2.content" in message
    assert "search_result" in message


async def test_reasoning_needs_tools(gateway: Gateway) -> None:
    body = {"messages": [{"role": "user", "content": "가"}]}
    assert (await refused(gateway, "rag-reasoning", body))[:2] == (400, "40001")


async def test_without_a_model_that_chats_sentences_are_the_answer(home: Path) -> None:
    async with serving(home, "generate", "tokenize") as gateway:
        body = {"documents": [{"id": "a", "doc": LAW}], "query": "대통령의 임기는?"}
        result = await call(gateway, "reranker", body)
    assert result["result"].startswith("<doc1>제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다.</doc1>")
    assert result["usage"]["totalTokens"] == 0


async def test_requests_are_metered(gateway: Gateway) -> None:
    await call(gateway, "reranker", {"documents": [{"id": "a", "doc": LAW}], "query": "대통령의 임기는?"})
    async with gateway.services.db.session() as session:
        rows = (await session.execute(select(UsageEvent))).scalars().all()
    assert {(row.model, row.source) for row in rows} == {("scripted", "studio"), ("use", "studio")}
    assert all(row.prompt_tokens > 0 for row in rows)


async def test_the_older_address_works_too(gateway: Gateway) -> None:
    answer: httpx.Response = await gateway.post("/testapp/v1/api-tools/segmentation", {"text": "가. 나."})
    assert answer.status_code == 200
