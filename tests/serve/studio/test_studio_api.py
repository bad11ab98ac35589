"""The Studio API's shapes: envelopes, golden event streams, rules between fields, error codes."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import Gateway, events_of, running, script

RULES = (
    {"contains": "인사", "reply": "안녕"},
    {
        "contains": "weather",
        "tool_calls": [{"id": "call_1", "name": "weather", "arguments": {"city": "서울"}}],
    },
    {"contains": "think", "reasoning": "흠", "reply": "네"},
    {"contains": "break", "reply": "ab", "fail_after": 1},
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
V3 = "/v3/chat-completions/scripted"
V1 = "/v1/chat-completions/scripted"


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[Gateway]:
    async with running(home, script(*RULES)) as it:
        yield it


async def stream(gateway: Gateway, path: str, sent: dict[str, Any]) -> list[tuple[str | None, Any]]:
    headers = {"accept": "text/event-stream"}
    async with gateway.client.stream("POST", path, json=sent, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return [(name, json.loads(data)) for name, data in await events_of(response)]


async def test_v3_answers_in_an_envelope(gateway: Gateway) -> None:
    answer = (await gateway.post(V3, body("인사", seed=7))).json()
    created = answer["result"].pop("created")
    assert created > 1_700_000_000_000  # milliseconds
    assert answer == {
        "status": {"code": "20000", "message": "OK"},
        "result": {
            "usage": {"promptTokens": 5, "completionTokens": 2, "totalTokens": 7},
            "message": {"role": "assistant", "content": "안녕"},
            "finishReason": "stop",
            "seed": 7,
        },
    }


async def test_v3_streams_tokens_then_the_result(gateway: Gateway) -> None:
    events = await stream(gateway, V3, body("인사", seed=7))
    created = events[0][1]["created"]
    shared = {"finishReason": None, "created": created, "seed": 7, "usage": None}
    assert events == [
        ("token", {"message": {"role": "assistant", "content": "안"}, **shared}),
        ("token", {"message": {"role": "assistant", "content": "녕"}, **shared}),
        (
            "result",
            {
                "message": {"role": "assistant", "content": "안녕"},
                "finishReason": "stop",
                "created": created,
                "seed": 7,
                "usage": {"promptTokens": 5, "completionTokens": 2, "totalTokens": 7},
            },
        ),
        ("signal", {"data": "[DONE]"}),
    ]


async def test_events_are_framed_with_an_id_first(gateway: Gateway) -> None:
    response = await gateway.client.post(V3, json=body("인사"), headers={"accept": "text/event-stream"})
    for block in response.text.strip().split("\n\n"):
        assert re.fullmatch(r"id: [0-9a-f-]{36}\nevent: (token|result|signal)\ndata: \{.*\}", block)


async def test_v3_streams_thinking_apart(gateway: Gateway) -> None:
    events = await stream(gateway, V3, body("think", thinking={"effort": "low"}))
    messages = [data["message"] for name, data in events if name == "token"]
    assert messages == [
        {"role": "assistant", "thinkingContent": "흠"},
        {"role": "assistant", "content": "네"},
    ]
    result = dict(events)["result"]
    assert result["message"] == {"role": "assistant", "content": "네", "thinkingContent": "흠"}
    assert result["usage"]["completionTokensDetails"] == {"thinkingTokens": 1}


async def test_v3_calls_tools_with_object_arguments(gateway: Gateway) -> None:
    answer = (await gateway.post(V3, body("weather", tools=TOOLS, maxTokens=1024))).json()["result"]
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": {"city": "서울"}},
    }
    assert answer["message"]["toolCalls"] == [call]
    assert answer["finishReason"] == "tool_calls"
    result = {"role": "tool", "toolCallId": "call_1", "content": "맑음"}
    turn = {"role": "assistant", "content": "", "toolCalls": [call]}
    messages = [{"role": "user", "content": "weather"}, turn, result, {"role": "user", "content": "인사"}]
    again = await gateway.post(V3, {"messages": messages, "tools": TOOLS})
    assert again.json()["result"]["message"]["content"] == "안녕"


async def test_v3_streams_tool_calls(gateway: Gateway) -> None:
    events = await stream(gateway, V3, body("weather", tools=TOOLS))
    calls = [data["message"]["toolCalls"] for name, data in events if name == "token"]
    assert calls == [
        [{"id": "call_1", "type": "function", "function": {"name": "weather"}}],
        [{"type": "function", "function": {"partialJson": '{"city": "서울"}'}}],
    ]
    assert dict(events)["result"]["message"]["toolCalls"][0]["function"]["arguments"] == {"city": "서울"}


async def test_v3_fits_the_response_format(gateway: Gateway) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    sent = body("number", responseFormat={"type": "json", "schema": schema})
    answer = (await gateway.post(V3, sent)).json()["result"]
    assert json.loads(answer["message"]["content"])["n"] >= 3


async def test_a_failure_on_the_way_is_an_error_event(gateway: Gateway) -> None:
    events = await stream(gateway, V3, body("break"))
    assert [name for name, _ in events] == ["token", "error"]
    assert events[-1][1]["status"]["code"] == "50000"


async def test_v1_answers_and_streams(gateway: Gateway) -> None:
    answer = (await gateway.post(V1, body("인사", seed=9))).json()
    assert answer["result"] == {
        "message": {"role": "assistant", "content": "안녕"},
        "stopReason": "end_token",
        "inputLength": 5,
        "outputLength": 2,
        "seed": 9,
    }
    events = await stream(gateway, V1, body("인사", seed=9))
    assert events == [
        ("token", {"message": {"role": "assistant", "content": "안"}}),
        ("token", {"message": {"role": "assistant", "content": "녕"}}),
        ("result", answer["result"]),
        ("signal", {"data": "[DONE]"}),
    ]
    short = (await gateway.post(V1, body("인사", maxTokens=1))).json()["result"]
    assert (short["stopReason"], short["message"]["content"]) == ("length", "안")


async def test_a_random_seed_is_told_and_gives_the_same_answer(gateway: Gateway) -> None:
    told = (await gateway.post(V3, body("인사"))).json()["result"]["seed"]
    assert 1 <= told <= 4294967295
    assert gateway.engine.requests[-1].sampling.seed == told


async def test_the_documented_defaults_reach_the_engine(gateway: Gateway) -> None:
    await gateway.post(V3, body("인사"))
    v3 = gateway.engine.requests[-1].sampling
    assert (v3.temperature, v3.top_p, v3.top_k, v3.repetition_penalty, v3.max_tokens) == (
        0.5,
        0.8,
        0,
        1.1,
        512,
    )
    await gateway.post(V1, body("인사"))
    v1 = gateway.engine.requests[-1].sampling
    assert (v1.temperature, v1.top_p, v1.top_k, v1.repetition_penalty, v1.max_tokens) == (
        0.5,
        0.8,
        0,
        1.1,
        100,
    )


@pytest.mark.parametrize("prefix", ["/testapp", "/serviceapp"])
async def test_the_older_prefixes_work_for_this_api_alone(gateway: Gateway, prefix: str) -> None:
    assert (await gateway.post(prefix + V1, body("인사"))).status_code == 200
    assert (await gateway.post(prefix + V3, body("인사"))).status_code == 200
    assert (await gateway.client.get(prefix + "/api/models")).status_code == 404
    assert (await gateway.client.get(prefix + "/v1/models")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"maxTokens": 5, "maxCompletionTokens": 5}, "40001"),
        ({"thinking": {"effort": "low"}, "stop": ["x"]}, "40001"),
        ({"thinking": {"effort": "low"}, "tools": TOOLS}, "40001"),
        ({"topP": 0}, "40001"),
        ({"topK": 129}, "40001"),
        ({"temperature": 1.5}, "40001"),
        ({"repetitionPenalty": 0}, "40001"),
        ({"seed": 4294967296}, "40001"),
        ({"messages": []}, "40001"),
        ({"messages": [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}]}, "40001"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "imageUrl": {"url": "x"}}]}]},
            "40009",
        ),
        ({"responseFormat": {"type": "json", "schema": {"type": "nothing"}}}, "40055"),
    ],
)
async def test_what_is_wrong_has_its_code(gateway: Gateway, fields: dict[str, Any], code: str) -> None:
    response = await gateway.post(V3, {**body("인사"), **fields})
    assert response.json().keys() == {"status"}
    assert response.json()["status"]["code"] == code, response.text
    assert response.status_code == 400


async def test_other_errors_have_their_codes(home: Path) -> None:
    async with running(home, script(*RULES, context_length=30)) as gateway:
        missing = await gateway.post("/v3/chat-completions/nothing", body("x"))
        assert (missing.status_code, missing.json()["status"]["code"]) == (400, "40080")
        long = await gateway.post(V3, body("가" * 100))
        assert (long.status_code, long.json()["status"]["code"]) == (400, "40003")
        nowhere = await gateway.post("/v3/nothing", {})
        assert (nowhere.status_code, nowhere.json()["status"]["code"]) == (404, "40400")
        compatible = await gateway.post("/v1/openai/chat/completions", {**body("x"), "model": "nothing"})
        assert compatible.json()["error"]["code"] == "40080"
        assert compatible.json()["error"]["type"] is None


async def test_counts_tokens(gateway: Gateway) -> None:
    messages = [{"role": "system", "content": "가나"}, {"role": "user", "content": "다"}]
    v1 = (await gateway.post("/v1/api-tools/chat-tokenize/scripted", {"messages": messages})).json()["result"]
    assert v1 == {
        "messages": [
            {"role": "system", "content": "가나", "count": 2},
            {"role": "user", "content": "다", "count": 1},
        ]
    }
    sent = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "가나다"}]}],
        "tools": TOOLS,
        "responseFormat": {"type": "json", "schema": {"type": "object"}},
    }
    v3 = (await gateway.post("/v3/api-tools/chat-tokenize/scripted", sent)).json()["result"]
    assert v3["messages"] == [{"role": "user", "content": [{"type": "text", "text": "가나다", "count": 3}]}]
    assert v3["tools"]["count"] > 0
    assert v3["responseFormat"]["count"] > 0
    text = (await gateway.post("/v1/api-tools/embedding/v2/tokenize", {"text": "가나다"})).json()["result"]
    assert text == {"numTokens": 3}


async def test_embeds_one_text(gateway: Gateway) -> None:
    result = (await gateway.post("/v1/api-tools/embedding/v2", {"text": "가나다"})).json()["result"]
    assert len(result["embedding"]) == 64
    assert result["inputTokens"] == 3


async def test_slides_the_window_by_whole_turns(home: Path) -> None:
    async with running(home, script(*RULES, context_length=60)) as gateway:
        turns = [
            message
            for number in range(10)
            for message in (
                {"role": "user", "content": f"{number}{'가' * 5}"},
                {"role": "assistant", "content": "나" * 5},
            )
        ]
        system = {"role": "system", "content": "규칙"}
        last = {"role": "user", "content": "끝"}
        sent = {"messages": [system, *turns, last], "maxTokens": 20}
        path = "/v1/api-tools/sliding/chat-messages/scripted"
        kept = (await gateway.post(path, sent)).json()["result"]["messages"]
        assert kept[0] == system
        assert kept[-1] == last
        assert kept[1]["role"] == "user"
        assert kept[1:] == [*turns, last][-len(kept) + 1 :]
        assert 3 < len(kept) < len(turns)
        full = await gateway.post(path, {"messages": kept, "maxTokens": 20})
        assert full.json()["result"]["messages"] == kept  # what fits stays
        none = await gateway.post(path, {"messages": [last], "maxTokens": 60})
        assert none.json()["status"]["code"] == "40001"
        much = await gateway.post(
            path, {"messages": [{"role": "user", "content": "가" * 90}], "maxTokens": 20}
        )
        assert much.json()["status"]["code"] == "40003"
