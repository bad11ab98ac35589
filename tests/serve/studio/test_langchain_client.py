"""The platform's own LangChain client against the Studio API."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import Gateway, running, script

langchain_naver = pytest.importorskip("langchain_naver", exc_type=ImportError)

RULES = (
    {"contains": "인사", "reply": "안녕하세요"},
    {"contains": "날씨", "tool_calls": [{"name": "weather", "arguments": {"city": "서울"}}]},
    {"contains": "생각", "reasoning": "흠", "reply": "네"},
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
async def gateway(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    async with running(home, script(*RULES)) as it:
        yield it


def model(gateway: Gateway, **fields: Any) -> Any:
    return langchain_naver.ChatClovaX(
        model="scripted",
        api_key="nv-any",
        base_url=f"{gateway.url}/v1/openai",
        max_retries=0,
        **own_clients(gateway),
        **fields,
    )


def own_clients(gateway: Gateway) -> dict[str, Any]:
    """Connections that are closed at the end; the library never closes its own."""
    return {"http_async_client": gateway.client}


async def test_answers(gateway: Gateway) -> None:
    chat = model(gateway, temperature=0.5, max_tokens=100, repetition_penalty=1.1, top_k=5, seed=1)
    answer = await chat.ainvoke([("system", "친절하게"), ("user", "인사")])
    assert answer.content == "안녕하세요"
    assert answer.usage_metadata["output_tokens"] == 5
    sampling = gateway.engine.requests[-1].sampling
    assert (sampling.max_tokens, sampling.repetition_penalty, sampling.top_k) == (100, 1.1, 5)


async def test_streams(gateway: Gateway) -> None:
    pieces = [chunk async for chunk in model(gateway).astream("인사")]
    assert "".join(piece.content for piece in pieces) == "안녕하세요"
    assert len([piece for piece in pieces if piece.content]) == 5


async def test_calls_tools(gateway: Gateway) -> None:
    answer = await model(gateway).bind_tools([WEATHER]).ainvoke("날씨")
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("weather", {"city": "서울"})]
    follow = [("user", "날씨"), answer, ("tool", "맑음"), ("user", "인사")]
    follow[2] = langchain_tool_message(answer.tool_calls[0]["id"])
    again = await model(gateway).bind_tools([WEATHER]).ainvoke(follow)
    assert again.content == "안녕하세요"


def langchain_tool_message(call_id: str) -> Any:
    from langchain_core.messages import ToolMessage

    return ToolMessage("맑음", tool_call_id=call_id)


async def test_thinks(gateway: Gateway) -> None:
    answer = await model(gateway, thinking={"effort": "low"}).ainvoke("생각")
    assert answer.content == "네"
    assert answer.additional_kwargs["thinking_content"] == "흠"


async def test_gives_structured_answers(gateway: Gateway) -> None:
    schema = {
        "title": "Person",
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
    }
    chat = model(gateway, thinking={"effort": "none"}).with_structured_output(schema, method="json_schema")
    answer = await chat.ainvoke("someone")
    assert isinstance(json.loads(json.dumps(answer))["age"], int)


async def test_embeds(gateway: Gateway) -> None:
    encoder = langchain_naver.ClovaXEmbeddings(
        model="scripted",
        api_key="nv-any",
        base_url=f"{gateway.url}/v1/openai",
        max_retries=0,
        **own_clients(gateway),
    )
    vectors = await encoder.aembed_documents(["가", "나다"])
    assert [len(vector) for vector in vectors] == [64, 64]
    assert len(await encoder.aembed_query("가")) == 64
