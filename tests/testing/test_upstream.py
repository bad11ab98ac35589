"""The fake upstream is only of use if real clients believe it."""

import json

import httpx
import openai
import pytest

from malmoi import testing
from malmoi.testing import FakeUpstream, Fault, Rule, ScriptedEngine

ASK = [{"role": "user", "content": "안녕"}]


def client_of(upstream: FakeUpstream, **fields: object) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=upstream.url, api_key="x", max_retries=0, **fields)  # type: ignore[arg-type]


def test_the_public_names_are_sorted_and_there() -> None:
    assert sorted(testing.__all__) == testing.__all__
    assert all(hasattr(testing, name) for name in testing.__all__)


async def test_openai_s_client_reads_a_whole_answer() -> None:
    call = {"name": "add", "arguments": {"n": 1}}
    engine = ScriptedEngine([Rule(reply="네", tool_calls=[call])])  # type: ignore[list-item]
    async with FakeUpstream(engine) as upstream, client_of(upstream) as client:
        done = await client.chat.completions.create(model="fake", messages=ASK, logprobs=True)  # type: ignore[call-overload]
        listing = await client.models.list()
        text = await client.completions.create(model="fake", prompt="안녕", max_tokens=1)
        vectors = await client.embeddings.create(model="fake", input=["a", "b"], encoding_format="float")
    assert done.choices[0].message.content == "네"
    assert json.loads(done.choices[0].message.tool_calls[0].function.arguments) == {"n": 1}
    assert done.choices[0].logprobs.content[0].token == "네"
    assert done.usage.completion_tokens == engine_tokens(done)
    assert [model.id for model in listing.data] == ["fake"]
    assert text.choices[0].text == "네"
    assert len(vectors.data) == 2


def engine_tokens(done: object) -> int:
    return done.usage.total_tokens - done.usage.prompt_tokens  # type: ignore[attr-defined]


async def test_openai_s_client_reads_a_stream() -> None:
    engine = ScriptedEngine([Rule(reply="안녕하세요", usage={"completion_tokens": 77})])  # type: ignore[arg-type]
    async with FakeUpstream(engine) as upstream, client_of(upstream) as client:
        stream = await client.chat.completions.create(  # type: ignore[call-overload]
            model="fake", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "안녕하세요"
    assert chunks[-1].usage.completion_tokens == 77
    assert upstream.requests[-1].path == "/v1/chat/completions"
    assert upstream.requests[-1].headers["authorization"] == "Bearer x"


async def post(upstream: FakeUpstream, *, timeout: float = 20, **fields: object) -> httpx.Response:
    body = {"messages": ASK, "stream": True, **fields}
    async with httpx.AsyncClient() as client:
        return await client.post(f"{upstream.url}/chat/completions", json=body, timeout=timeout)


async def test_each_fault_is_what_it_says() -> None:
    async with FakeUpstream(ScriptedEngine([Rule(reply="가나다")])) as upstream:
        upstream.fail(Fault("status", status=503, retry_after="7", message="later"))
        refused = await post(upstream)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
        assert refused.json()["error"]["message"] == "later"
        upstream.fail(Fault("drop"))
        with pytest.raises(httpx.RemoteProtocolError):
            await post(upstream)
        upstream.fail(Fault("hang"))
        with pytest.raises(httpx.ReadTimeout):
            await post(upstream, timeout=0.2)
        upstream.fail(Fault("cut"))
        with pytest.raises(httpx.RemoteProtocolError):
            await post(upstream)
        upstream.fail(Fault("html"))
        assert (await post(upstream)).headers["content-type"] == "text/html"
        upstream.fail(Fault("garbage", after=2))
        assert "{not json" in (await post(upstream)).text
        upstream.fail(Fault("error_event"))
        assert '"error"' in (await post(upstream)).text
        upstream.fail(Fault("no_usage"))
        assert '"usage"' not in (await post(upstream, stream_options={"include_usage": True})).text
        assert '"usage"' in (await post(upstream, stream_options={"include_usage": True})).text


async def test_a_fault_waits_for_its_route() -> None:
    async with FakeUpstream() as upstream:
        upstream.fail(Fault("status", path="/v1/models"))
        assert (await post(upstream)).status_code == 200
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{upstream.url}/models")).status_code == 500
            assert (await client.get(f"{upstream.url}/models")).status_code == 200


async def test_a_client_that_leaves_stops_the_engine() -> None:
    engine = ScriptedEngine([Rule(reply="가나다", hold_after=1)])
    async with FakeUpstream(engine) as upstream:
        with pytest.raises(httpx.ReadTimeout):
            await post(upstream, timeout=0.5)
        await engine.cancelled.wait()
        await upstream.disconnected.wait()
        assert engine.active == 0


async def test_a_request_that_makes_no_sense_is_refused() -> None:
    async with FakeUpstream() as upstream:
        assert (await post(upstream, messages="x")).status_code == 400
        assert (await post(upstream, messages=[{}])).status_code == 400


async def test_a_wrong_key_is_refused() -> None:
    async with FakeUpstream(api_key="right") as upstream:
        assert (await post(upstream)).status_code == 401
        async with client_of(upstream) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
