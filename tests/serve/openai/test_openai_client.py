"""OpenAI's own Python client against both doors of the OpenAI API."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import openai
import pytest
from pydantic import BaseModel

from gateway import Gateway, running, script

RULES = (
    {"contains": "count", "reply": "one two three"},
    {"contains": "weather", "tool_calls": [{"name": "weather", "arguments": {"city": "서울"}}]},
    {"contains": "think", "reasoning": "let me see", "reply": "done"},
    {"contains": "several", "reply": ["alpha", "beta", "gamma"]},
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[Gateway]:
    async with running(home, script(*RULES)) as it:
        yield it


@pytest.fixture(params=["/v1", "/v1/openai"])
async def client(gateway: Gateway, request: pytest.FixtureRequest) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.url + request.param, api_key="none", max_retries=0) as it:
        yield it


async def test_lists_models(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert "scripted" in names
    assert (await client.models.retrieve("scripted")).owned_by == "malmoi"
    with pytest.raises(openai.APIStatusError):
        await client.models.retrieve("nothing")


async def test_answers_a_chat(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="scripted", messages=said("count"))
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_streams_a_chat_with_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="scripted", messages=said("count"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.content == ""
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "one two three"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_calls_tools(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="scripted", messages=said("weather"), tools=[WEATHER])
    (call,) = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "서울"})
    turn = answer.choices[0].message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": call.id, "content": "맑음"}
    again = await client.chat.completions.create(
        model="scripted", messages=[*said("count, and weather?"), turn, result], tools=[WEATHER]
    )
    assert again.choices[0].message.content == "one two three"


async def test_streams_tool_calls(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model="scripted", messages=said("weather"), tools=[{**WEATHER, "function": {**WEATHER["function"]}}]
    ) as stream:
        answer = await stream.get_final_completion()
    (call,) = answer.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "서울"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
@pytest.mark.parametrize("stream", [False, True])
async def test_forces_a_tool_call(client: openai.AsyncOpenAI, choice: object, stream: bool) -> None:
    fields = {"model": "scripted", "messages": said("hello"), "tools": [WEATHER], "tool_choice": choice}
    if stream:
        async with client.chat.completions.stream(**fields) as events:  # type: ignore[arg-type]
            answer = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(**fields)  # type: ignore[call-overload]
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.function.name == "weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    assert answer.choices[0].finish_reason == "tool_calls"


class Person(BaseModel):
    name: str
    age: int


@pytest.mark.parametrize("stream", [False, True])
async def test_gives_structured_answers(client: openai.AsyncOpenAI, stream: bool) -> None:
    if stream:
        async with client.chat.completions.stream(
            model="scripted", messages=said("someone"), response_format=Person
        ) as events:
            parsed = (await events.get_final_completion()).choices[0].message.parsed
    else:
        answer = await client.chat.completions.parse(
            model="scripted", messages=said("someone"), response_format=Person
        )
        parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Person)


async def test_gives_several_answers(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="scripted", messages=said("several"), n=3, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    one = await client.chat.completions.create(model="scripted", messages=said("several"), seed=1)
    assert answer.usage is not None
    assert one.usage is not None
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens
    stream = await client.chat.completions.create(
        model="scripted", messages=said("several"), n=3, seed=1, stream=True
    )
    texts = ["", "", ""]
    ends = 0
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends += choice.finish_reason is not None
    assert texts == [choice.message.content for choice in answer.choices]
    assert ends == 3


async def test_tells_logprobs_and_reasoning(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="scripted", messages=said("think"), logprobs=True, top_logprobs=2
    )
    message = answer.choices[0].message
    assert message.model_extra == {"reasoning_content": "let me see"}
    assert message.content == "done"
    assert answer.choices[0].logprobs is not None
    content = answer.choices[0].logprobs.content or []
    assert content
    assert all(entry.logprob <= 0 for entry in content)
    assert all(len(entry.top_logprobs) <= 2 for entry in content)


async def test_embeds(client: openai.AsyncOpenAI) -> None:
    # The client asks for base64 by itself and decodes it.
    made = await client.embeddings.create(model="scripted", input=["가나다", "abc"])
    floats = await client.embeddings.create(model="scripted", input="가나다", encoding_format="float")
    assert len(made.data) == 2
    assert np.allclose(made.data[0].embedding, floats.data[0].embedding, atol=1e-6)
    assert made.usage.prompt_tokens > 0


async def test_errors_have_the_classes_that_the_client_knows(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="scripted", messages=said("x"), temperature=3)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.APIStatusError) as missing:
        await client.chat.completions.create(model="nothing", messages=said("x"))
    # The Studio API says 40080 with status 400 where OpenAI's says 404.
    assert missing.value.status_code in (404, 400)
    assert missing.value.code in ("model_not_found", "40080")


async def test_completes_texts(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        answer = await client.completions.create(model="scripted", prompt="count", echo=True)
        assert answer.choices[0].text == "countone two three"
        several = await client.completions.create(model="scripted", prompt=["count", "more"], n=2)
        assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
        assert several.choices[0].text == several.choices[1].text == "one two three"
        with_ids = await client.completions.create(model="scripted", prompt=[ord(c) for c in "가나"])
        assert with_ids.usage is not None
        assert with_ids.usage.prompt_tokens == 2
        stream = await client.completions.create(
            model="scripted", prompt="count", stream=True, logprobs=1, stream_options={"include_usage": True}
        )
        text, offsets, usage = "", [], None
        async for chunk in stream:
            usage = chunk.usage
            for choice in chunk.choices:
                text += choice.text
                offsets += choice.logprobs.text_offset or [] if choice.logprobs else []
        assert text == "one two three"
        assert offsets == sorted(set(offsets))
        assert usage is not None
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_base64_is_little_endian_floats(gateway: Gateway) -> None:
    body = {"model": "scripted", "input": "x", "encoding_format": "base64"}
    made = (await gateway.post("/v1/embeddings", body)).json()
    raw = base64.b64decode(made["data"][0]["embedding"])
    assert np.frombuffer(raw, dtype="<f4").shape == (64,)
